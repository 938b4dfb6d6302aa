"""Whatever is wrong with input or surroundings: one clear message, and nothing half done."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from e2e import SMALL, Done, FinishedRun, Quick, notes, runs, textgauge

from textgauge.data import unfinished
from textgauge.tracking.local import LocalTracker

pytest_plugins = ["e2e_fixtures"]

Command = Callable[..., Done]

CSV = notes().write_csv()


def left(folder: Path) -> set[str]:
    """The names of everything in a folder, hidden things too, but for the store's lock file."""
    return {path.name for path in folder.iterdir()} - {".mlflow.db.lock"}


# ---- tables --------------------------------------------------------------------------------------


def mixed_encodings() -> bytes:
    rows = [
        *("text,label", *(f"Prüfung {n} bestanden,0" for n in range(20))),
        *(f"Tür {n} klemmt,1" for n in range(20)),
    ]
    coded = [row.encode("cp1252" if row.startswith("Tür 7") else "utf-8") for row in rows]
    return b"\n".join(coded) + b"\n"


TABLES: dict[str, tuple[bytes, list[str], list[str]]] = {
    # what it holds, with which options, and what is said
    "an empty file": (b"", [], ["table.csv is empty. See that it was written whole."]),
    "blank lines": (b"\n\n \n", [], ["table.csv is empty but for 4 blank characters."]),
    "a header only": (b"text,label\n", [], ["table.csv has a header but no rows."]),
    "a binary file": (
        random.Random(0).randbytes(5000),
        [],
        ["table.csv is a binary file, not a table. Export the table as CSV, JSON lines or"],
    ),
    "a picture": (
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        [],
        ["table.csv is a PNG picture, not a table."],
    ),
    "a wrong column": (
        CSV.encode(),
        ["--text", "txt"],
        ["table.csv has no column 'txt'; it has 'text', 'label'. Did you mean 'text'? Pass --text"],
    ),
    "two wrong columns": (
        CSV.encode(),
        ["--text", "remark", "--label", "lable"],
        [
            "no columns 'remark' and 'lable'",
            "For 'lable' did you mean 'label'? Pass --label label.",
        ],
    ),
    "a split column that is not there": (
        CSV.encode(),
        ["--split-column", "part"],
        ["table.csv has no column 'part'; it has 'text', 'label'.", "Pass --split-column"],
    ),
    "a wrong delimiter": (
        CSV.encode(),
        ["--delimiter", ";"],
        ["it has only 'text,label'. Are its columns separated by ','? Pass --delimiter ','."],
    ),
    "mixed encodings": (
        mixed_encodings(),
        [],
        ["line 29 has the byte 0xFC in 'T\\xfcr 7 klemmt,1'", "the file mixes encodings"],
    ),
    "a wrong encoding": (
        "text,label\nTür klemmt,1\n".encode("cp1252"),
        ["--encoding", "ascii"],
        ["table.csv cannot be read as ascii: line 2 has the byte 0xFC"],
    ),
    "NUL bytes": (
        CSV.replace("steel", "st\0el", 2).encode(),
        [],
        ["the cell holds NUL bytes", "table.csv, row", "Write these rows again"],
    ),
    "an open quote": (b'text,label\n"never closed,0\na,1\n', [], ["table.csv", "line 2"]),
    "a cell too many": (b"text,label\na,0\nb,c,1\n", [], ["table.csv", "line 3"]),
    "no labels at all": (
        "\n".join(["text,label", *(f"bolt {n}," for n in range(9))]).encode(),
        [],
        ["table.csv, rows 1, 2, 3, 4, 5 and 4 more: column 'label' is empty", "Pass --label with"],
    ),
    "one label": (
        "\n".join(["text,label", *(f"bolt {n},1" for n in range(9))]).encode(),
        [],
        ["table.csv: every label in column 'label' is '1': nothing to learn. Add rows"],
    ),
    "too few texts": (b"text,label\na b,0\nc d,1\n", [], ["table.csv: ", "one for each part"]),
    "an unknown part": (
        b"text,label,part\n" + b"".join(b"bolt %d,%d,learn\n" % (n, n % 2) for n in range(9)),
        ["--split-column", "part"],
        [
            "table.csv, rows 1, 2, 3, 4, 5 and 4 more: column 'part' holds 'learn', which means no",
            "Say 'train', 'val' or 'test' in every row.",
        ],
    ),
    "nothing to train on": (
        b"text,label,part\n" + b"".join(b"bolt %d,%d,test\n" % (n, n % 2) for n in range(9)),
        ["--split-column", "part"],
        ["table.csv: column 'part' has no row that says 'train'. Say 'train' in the rows to learn"],
    ),
    "no times": (
        b"text,label,day\n" + b"".join(b"bolt %d,%d,soon\n" % (n, n % 2) for n in range(9)),
        ["--time-column", "day"],
        ["column 'day' of table.csv does not hold times: 'soon' in row 1", "2024-05-31"],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_trained_on_is_told_in_one_message(
    name: str, command: Command, workplace: Path
) -> None:
    content, options, words = TABLES[name]
    (workplace / "table.csv").write_bytes(content)
    done = command("train", "table.csv", *options, "--out", "model", "--quiet")
    assert (done.status, done.out) == (1, "")
    for word in words:
        assert word in done.error
    assert done.error.endswith((".", '"label": 0}'))
    assert left(workplace) == {"table.csv"}  # no store, no run, no folder for the model


@pytest.mark.parametrize("name", TABLES)
def test_check_refuses_the_same_tables(name: str, command: Command, workplace: Path) -> None:
    content, options, _ = TABLES[name]
    (workplace / "table.csv").write_bytes(content)
    done = command("check", "table.csv", *options)
    assert done.status == 1
    assert bool(done.out) != bool(done.err)  # a report, or what kept it from being made
    assert "\nerror: " in done.out or done.error
    assert left(workplace) == {"table.csv"}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere.csv", "there is no file 'nowhere.csv' in this folder."),
        ("not/here.csv", "there is no folder 'not'"),
        (".", "is a folder, not a table. Name a file"),
    ],
)
def test_a_table_that_is_not_there_is_told(
    source: str, words: str, command: Command, workplace: Path
) -> None:
    done = command("train", source, "--quiet")
    assert done.status == 1
    assert words in done.error
    assert left(workplace) == set()


def test_nothing_on_standard_input_is_told(workplace: Path) -> None:
    done = textgauge("train", "-", "--quiet", cwd=workplace, stdin="")
    assert done.status == 1
    assert done.error == "standard input is empty. See that the command before the pipe works."
    assert left(workplace) == set()


def test_a_cell_of_a_megabyte_is_no_fault(command: Command, quick: Quick, workplace: Path) -> None:
    long = "steel component in good condition " * 30_000
    assert len(long) > 1_000_000
    frame = pl.concat([notes(), pl.DataFrame({"text": [long], "label": ["0"]})])
    frame.write_csv("long.csv")
    done = command("train", "long.csv", *SMALL, "--json", "--quiet", "--out", "model")
    assert done.status == 0, done.err
    assert done.err == (
        "warning: long.csv, row 301: the text has more than 100,000 characters; the longest has "
        "1,020,000. See that no whole file was pasted into the cell; training reads its "
        "beginning.\n"
    )
    assert sum(done.json["rows"].values()) == 301
    assert command("score", "model", "long.csv", "--out", "scored.csv").status == 0
    assert pl.read_csv("scored.csv", infer_schema=False)["text"][300] == long


def test_labels_missing_in_part_are_left_out_and_told(
    command: Command, quick: Quick, workplace: Path
) -> None:
    missing = pl.int_range(pl.len()) < 3
    notes().with_columns(label=pl.when(~missing).then("label")).write_csv("part.csv")
    done = command("train", "part.csv", *SMALL, "--json", "--quiet")
    assert done.status == 0
    assert done.err == (
        "warning: part.csv, rows 1, 2, 3: the label is missing or empty. Fill these rows in or "
        "delete them; training leaves them out.\n"
    )
    assert sum(done.json["rows"].values()) == 297


# ---- folders and files that cannot be written ----------------------------------------------------


def test_a_folder_without_the_right_to_write_is_refused_before_the_training(
    obey_rights: list[str], finished: FinishedRun, workplace: Path
) -> None:
    shut = workplace / "shut"
    shut.mkdir(mode=0o555)
    done = textgauge(
        *("train", finished.table, *SMALL, "--quiet", "--out", "shut/model"),
        cwd=workplace,
        before=obey_rights,
    )
    assert done.status == 1
    assert done.error == (
        f"nothing can be written in {shut}: Permission denied. Give another folder with --out."
    )
    scored = textgauge(
        *("score", finished.bundle, finished.table, "--out", "shut/scored.csv"),
        cwd=workplace,
        before=obey_rights,
    )
    assert scored.status == 1
    assert scored.error.startswith("shut/scored.csv cannot be written: ")
    assert "Permission denied" in scored.error
    assert left(workplace) == {"shut"}
    assert left(shut) == set()


def test_a_table_without_the_right_to_read_is_told(obey_rights: list[str], workplace: Path) -> None:
    (workplace / "secret.csv").write_text(CSV)
    (workplace / "secret.csv").chmod(0)
    done = textgauge("check", "secret.csv", cwd=workplace, before=obey_rights)
    assert done.status == 1
    assert done.error.startswith("secret.csv cannot be read: permission denied.")


@pytest.mark.parametrize("out", ["notes.csv/scored.csv", "/proc/textgauge/scored.csv"])
def test_scores_that_cannot_be_written_are_told(
    out: str, finished: FinishedRun, command: Command, workplace: Path
) -> None:
    (workplace / "notes.csv").write_text(CSV)
    done = command("score", finished.bundle, "notes.csv", "--out", out)
    assert (done.status, done.out) == (1, "")
    assert done.error.startswith(f"{out} cannot be written: ")
    assert (workplace / "notes.csv").read_text() == CSV
    assert left(workplace) == {"notes.csv"}


@pytest.mark.parametrize("out", ["scored", "scored.xlsx", "scored.csv.gz"])
def test_scores_in_an_unknown_form_are_refused(
    out: str, finished: FinishedRun, command: Command, workplace: Path
) -> None:
    done = command("score", finished.bundle, finished.table, "--out", out)
    assert done.status == 1
    assert done.error == (
        f"{out} has an ending that is not known; score writes .csv, .tsv, .jsonl, .ndjson, "
        ".parquet, .arrow."
    )
    assert left(workplace) == set()


def test_columns_of_the_table_are_not_overwritten(
    finished: FinishedRun, command: Command, workplace: Path
) -> None:
    notes(9).with_columns(decision=pl.lit("mine")).write_csv("t.csv")
    done = command("score", finished.bundle, "t.csv", "--out", "s.csv")
    assert done.status == 1
    assert done.error == "the table already has a column 'decision'; rename or drop it first."
    done = command("score", finished.bundle, "t.csv", "--out", "s.csv", "--text", "txt")
    assert done.status == 1
    assert "has no column 'txt'; it has 'text', 'label', 'decision'. Did you mean" in done.error
    assert left(workplace) == {"t.csv"}


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_scores_appear_whole_or_not_at_all(
    fault: BaseException,
    finished: FinishedRun,
    command: Command,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write(file: object) -> None:
        raise fault

    monkeypatch.setattr(unfinished, "_settle", write)
    (workplace / "scored.csv").write_text("of yesterday")
    done = command("score", finished.bundle, finished.table, "--out", "scored.csv", "--overwrite")
    assert done.status == (130 if isinstance(fault, KeyboardInterrupt) else 1)
    assert done.error
    assert left(workplace) == {"scored.csv"}
    assert (workplace / "scored.csv").read_text() == "of yesterday"


# ---- models that are not whole -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "cut", "words"),
    [
        ("textgauge.json", None, "is no saved model: it has no textgauge.json."),
        ("vocabulary.json", None, "is no saved model: it has no vocabulary.json."),
        ("model.onnx", None, "is no saved model: it has no model.onnx."),
        ("textgauge.json", 40, "textgauge.json is damaged"),
        ("vocabulary.json", 40, "vocabulary.json is damaged"),
        ("model.onnx", 2000, "model.onnx is damaged"),
    ],
)
def test_half_a_model_is_not_taken_for_whole(
    file: str, cut: int | None, words: str, finished: FinishedRun, command: Command, workplace: Path
) -> None:
    model = Path(shutil.copytree(finished.bundle, workplace / "model"))
    if cut is None:
        (model / file).unlink()
    else:
        (model / file).write_bytes((model / file).read_bytes()[:cut])
    for arguments in (["score", "model", finished.table, "--out", "s.csv"], ["evaluate", "model"]):
        done = command(*arguments, *([finished.table] if len(arguments) == 2 else []))
        assert done.status == 1
        assert words in done.error
    assert left(workplace) == {"model"}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("nowhere", "The model nowhere does not exist. Pass a bundle's folder, runs:/RUN_ID/model"),
        ("runs:/abc/model", "There is no tracking store"),
        ("models:/notes", "The model address models:/notes is not complete"),
    ],
)
def test_a_model_that_is_not_there_is_told(
    model: str, words: str, finished: FinishedRun, command: Command, workplace: Path
) -> None:
    store = [] if "abc" in model else ["--tracking-uri", f"sqlite:///{finished.store}"]
    done = command("evaluate", model, finished.table, *store)
    assert done.status == 1
    assert words in done.error
    assert left(workplace) == set()


def test_a_table_with_none_of_the_models_labels_is_told(
    finished: FinishedRun, command: Command, workplace: Path
) -> None:
    notes(9).with_columns(label=pl.lit("maybe")).write_csv("t.csv")
    done = command("evaluate", finished.bundle, "t.csv")
    assert done.status == 1
    assert done.error == (
        "t.csv has none of the model's labels (0, 1); its label column 'label' holds 'maybe'. "
        "Pass --label NAME."
    )


# ---- stores --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("sqlite:///notes.csv", "is not an MLflow store: the file is no SQLite database"),
        ("sqlite:///no/where.db", "There is no folder"),
        ("sqlite:////proc/mlflow.db", "Nothing can be written to the folder /proc"),
        ("./mlruns", "MLflow no longer tracks into plain folders (./mlruns). Pass a store file"),
        ("azureml://westeurope/W", "azureml://westeurope/W names no Azure ML workspace."),
    ],
)
def test_a_store_that_cannot_be_used_is_told(
    uri: str, words: str, command: Command, quick_review: None, workplace: Path
) -> None:
    (workplace / "notes.csv").write_text(CSV)
    done = command("train", "notes.csv", *SMALL, "--quiet", "--tracking-uri", uri, "--out", "model")
    assert (done.status, done.out) == (1, "")
    assert words in done.error
    assert (workplace / "notes.csv").read_text() == CSV
    assert left(workplace) == {"notes.csv"}


def test_a_read_only_store_is_told_and_left_as_it_is(
    obey_rights: list[str],
    finished: FinishedRun,
    workplace: Path,
    new_store: Callable[[Path], Path],
) -> None:
    store = new_store(workplace)
    store.chmod(0o444)
    before = store.read_bytes()
    done = textgauge(
        *("train", finished.table, *SMALL, "--quiet", "--out", "model"),
        cwd=workplace,
        before=obey_rights,
    )
    assert (done.status, done.out) == (1, "")
    assert done.error.startswith(f"The tracking store {store} is read-only. Give yourself the")
    assert store.read_bytes() == before
    assert left(workplace) == {"mlflow.db"}


def test_a_store_that_stays_locked_is_told_and_has_no_run(
    finished: FinishedRun,
    command: Command,
    quick_review: None,
    workplace: Path,
    new_store: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The same wait, only shorter than the ten seconds that users get.
    monkeypatch.setitem(LocalTracker.__init__.__kwdefaults__, "lock_patience", 0.5)
    store = new_store(workplace)
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        done = command("train", finished.table, *SMALL, "--quiet", "--out", "model")
        other.execute("ROLLBACK")
    assert (done.status, done.out) == (1, "")
    assert done.error.startswith(f"The tracking store {store} is locked: another process")
    assert "pass another store, such as --tracking-uri sqlite:///" in done.error
    assert runs(store) == {}
    assert left(workplace) == {"mlflow.db"}


# ---- a full disk ---------------------------------------------------------------------------------


@pytest.fixture
def small_disk(workplace: Path) -> Callable[..., tuple[Done, list[str]]]:
    """Run a command with a disk of so many kilobytes at `small/`; give what it left there.

    A tmpfs in a mount namespace of the command's own (mount_namespaces(7)) where that is allowed.
    Elsewhere no file may become larger than a third of that (RLIMIT_FSIZE): writing fails at the
    same places, with another reason.
    """
    small = workplace / "small"
    small.mkdir()
    unshare = next(
        (
            ["unshare", *how, "sh", "-c"]
            for how in (["-m"], ["-Urm"])
            if shutil.which("unshare")
            and not subprocess.run(
                ["unshare", *how, "mount", "-t", "tmpfs", "tmpfs", small],
                check=False,
                capture_output=True,
            ).returncode
        ),
        None,
    )
    mount = 'mount -t tmpfs -o size="$0" tmpfs small && "$@"; status=$?; ls -A small > left; '
    limit = 'ulimit -f $((${0%k} * 2 / 3)); "$@"; status=$?; ls -A small > left; '

    def run(kilobytes: int, *arguments: object, **environment: str) -> tuple[Done, list[str]]:
        before = [*unshare, mount] if unshare else ["sh", "-c", limit]
        before[-1] += "exit $status"
        done = textgauge(
            *arguments, cwd=workplace, before=[*before, f"{kilobytes}k"], **environment
        )
        return done, (workplace / "left").read_text().split()

    return run


SmallDisk = Callable[..., tuple[Done, list[str]]]
FULL = ("No space left", "no space", "File too large")


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "arrow"])
def test_scores_that_do_not_fit_on_the_disk_are_told_and_not_kept(
    ending: str, finished: FinishedRun, small_disk: SmallDisk
) -> None:
    done, kept = small_disk(
        4, "score", finished.bundle, finished.table, "--out", f"small/scored.{ending}"
    )
    assert (done.status, done.out) == (1, "")
    assert done.error.startswith(f"small/scored.{ending} cannot be written: ")
    assert any(words in done.error for words in FULL)
    assert kept == []


def test_a_model_that_does_not_fit_on_the_disk_fails_the_run(
    finished: FinishedRun,
    small_disk: SmallDisk,
    workplace: Path,
    new_store: Callable[[Path], Path],
) -> None:
    store = new_store(workplace)
    done, kept = small_disk(
        *(16, "train", finished.table, *SMALL, "--quiet", "--out", "small/model"),
        *("--tracking-uri", f"sqlite:///{store}"),
    )
    assert (done.status, done.out) == (1, "")
    assert any(words in done.error for words in FULL), done.err
    assert kept == []
    if "File too large" not in done.err:  # which hits the store as well
        assert list(runs(store).values()) == ["FAILED"]


def test_a_store_that_does_not_fit_on_the_disk_is_told_and_not_kept(
    finished: FinishedRun, small_disk: SmallDisk
) -> None:
    done, kept = small_disk(
        *(300, "train", finished.table, *SMALL, "--quiet"),
        *("--tracking-uri", "sqlite:///small/mlflow.db"),
    )
    assert (done.status, done.out) == (1, "")
    assert "tracking store" in done.error
    assert "mlflow.db" not in kept


def test_no_room_for_temporary_files_is_told(
    finished: FinishedRun, small_disk: SmallDisk, workplace: Path
) -> None:
    done, _ = small_disk(
        4, "train", finished.table, *SMALL, "--quiet", TMPDIR=str(workplace / "small")
    )
    assert (done.status, done.out) == (1, "")
    if "File too large" not in done.err:
        assert done.error == (
            "no space is left on the disk. Make room where the results go and where temporary "
            "files go (TMPDIR names another folder), and run the command again."
        )


def test_a_fault_of_our_own_is_not_hidden(
    finished: FinishedRun, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what a user can mend is told without a traceback."""

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("textgauge.scoring.score_table", broken)
    with pytest.raises(ZeroDivisionError):
        command("score", finished.bundle, finished.table, "--out", "s.csv")
