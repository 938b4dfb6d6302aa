"""The commands as a person or a script meets them: what they print where, and how they end."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import polars as pl
import pytest
from e2e import SMALL, TEXTGAUGE, Done, FinishedRun, clean_environment, notes, runs, textgauge

import textgauge as python_side
from textgauge.cli import make_parser

pytest_plugins = ["e2e_fixtures"]

Command = Callable[..., Done]

LINK = r"http://127\.0\.0\.1:\d+/#/experiments/\d+/runs/([0-9a-f]{32})\S*"


@pytest.fixture
def labelled(finished: FinishedRun, workplace: Path) -> Path:
    """A table that the finished run's model fits, with columns of its own."""
    table = workplace / "catalogue.csv"
    frame = notes(40).with_row_index("id")
    frame.with_columns(remark=pl.lit("as it was")).write_csv(table)
    return table


# ---- train ---------------------------------------------------------------------------------------


def test_train_prints_one_json_object_with_everything_that_is_promised(
    finished: FinishedRun,
) -> None:
    result = finished.done.json
    assert finished.done.err == ""  # --quiet
    promised = {
        *("run_id", "experiment", "tracking_uri", "run_url", "bundle", "eval_loss"),
        *("eval_accuracy", "eval_macro_f1", "baseline", "rows", "unique_texts"),
        *("test_texts_in_train", "seconds"),
    }
    assert promised <= result.keys()
    assert result["experiment"] == "notes of 2024"
    assert result["tracking_uri"] == f"sqlite:///{finished.store}"
    assert re.fullmatch(LINK, result["run_url"])[1] == result["run_id"]
    assert result["baseline"].keys() == {"name", "eval_accuracy", "eval_macro_f1"}
    assert result["baseline"]["name"] == "TF-IDF + logistic regression"
    for counts in (result["rows"], result["unique_texts"]):
        assert counts.keys() == {"train", "val", "test"}
    assert sum(result["rows"].values()) == 300
    assert sum(result["unique_texts"].values()) == notes()["text"].n_unique()
    assert result["test_texts_in_train"] == 0
    assert 0 < result["eval_loss"] < 1
    for figures in (result, result["baseline"]):
        assert 0.5 < figures["eval_accuracy"] <= 1
        assert 0.3 < figures["eval_macro_f1"] <= 1
    stages = {name: s for name, s in result["stages"].items() if name != "whole"}
    assert sum(stages.values()) == pytest.approx(result["seconds"], abs=0.05)


def test_train_ends_with_the_link_to_the_run_and_tells_its_progress_on_standard_error(
    finished: FinishedRun, workplace: Path, new_store: Callable[[Path], Path]
) -> None:
    new_store(workplace)
    done = textgauge(
        *("train", finished.table, *SMALL, "--out", "models/first"),
        *("--label-names", "0=compliant,1=non-compliant"),
        cwd=workplace,
    )
    assert done.status == 0, done.err
    *review, last = done.out.rstrip("\n").splitlines()
    run_id = re.fullmatch(LINK, last)[1]
    assert runs(workplace / "mlflow.db") == {run_id: "FINISHED"}
    text = "\n".join(review)
    for words in (
        "test texts that also stand in train: 0",
        "TF-IDF + logistic regression",
        "majority class",
        "1 non-compliant",
        "The deep model (LSTM)",
        "Saved model, proved in a fresh process: models/first",
    ):
        assert words in text
    stages = re.findall(r"^(\w.*) …$", done.err, flags=re.MULTILINE)
    assert stages == [
        *("reading", "checking", "splitting", "loading torch", "training", "testing", "saving"),
        *("proving the saved model", "waiting for the tracking store"),
    ]
    epochs = [line.split()[0] for line in done.err.splitlines() if re.match(r" +\d", line)]
    assert epochs == ["1", "2"]
    assert not re.search(r"…|epoch +train loss", done.out)
    kept = {path.name for path in (workplace / "models").iterdir()}
    assert kept == {"first"}
    assert python_side.load(workplace / "models" / "first").classes == ["0", "1"]
    assert not (workplace / ".textgauge").exists()


def test_demo_makes_its_notes_trains_and_leaves_foreign_files_alone(
    workplace: Path, new_store: Callable[[Path], Path]
) -> None:
    new_store(workplace)
    made = textgauge("demo", "--rows", "400", "--json", cwd=workplace)
    assert made.status == 0, made.err
    assert sum(made.json["rows"].values()) == 400
    assert made.json["test_texts_in_train"] == 0
    assert "made component_notes.csv" in made.err
    before = (workplace / "component_notes.csv").read_bytes()
    other = textgauge("demo", "--rows", "401", cwd=workplace)
    assert other.status == 1
    assert "component_notes.csv is there already and holds something else" in other.error
    assert (workplace / "component_notes.csv").read_bytes() == before


def test_a_training_tells_the_figures_of_each_label(finished: FinishedRun) -> None:
    for over in ("over_rows", "over_texts"):
        told = finished.result[over]
        stored = json.loads((finished.bundle / "textgauge.json").read_text(encoding="utf-8"))
        (model, *_) = stored["figures"].values()
        assert told == model[over.removeprefix("over_")]
        for label in told["labels"]:
            assert {"precision", "recall", "f1", "support", "roc_auc", "average_precision"} < {
                *label
            }
        for name in ("roc_auc", "average_precision", "ece"):
            low, high = told["intervals"][name]
            assert low <= told[name] <= high
    assert finished.result["over_rows"] != finished.result["over_texts"]


@pytest.mark.usefixtures("quick_review")
def test_the_model_card_tells_what_the_report_tells(
    finished: FinishedRun,
    command: Command,
    workplace: Path,
    new_store: Callable[[Path], Path],
) -> None:
    new_store(workplace)
    card = (finished.bundle / "README.md").read_text(encoding="utf-8")
    report = Path(finished.result["report"]).read_text(encoding="utf-8")
    (distinct,) = re.findall(r"rows, ([\d,]+) distinct texts", card)
    assert f"rows, {distinct} distinct texts" in report
    assert "- note: " in card
    assert "What a word adds to the probability of a label" in card
    assert "Of the rows of the test part" not in card
    done = command(
        *("train", finished.table, *SMALL, "--cost", "false-0=5", "--review-rate", "10%"),
        *("--out", "model", "--quiet"),
    )
    assert done.status == 0, done.err
    card = (workplace / "model" / "README.md").read_text(encoding="utf-8")
    assert "Of the rows of the test part:\n\n- 100 cost " in card
    stored = json.loads((workplace / "model" / "textgauge.json").read_text(encoding="utf-8"))
    assert 0 < stored["decision_on_test"]["band"]["coverage"] < 1


# ---- check ---------------------------------------------------------------------------------------


def test_check_of_a_sound_table_ends_well(finished: FinishedRun, command: Command) -> None:
    done = command("check", finished.table, "--label-names", "0=fine,1=faulty")
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("notes.csv can be trained on: no problems.\n")
    assert "1 (faulty)" in done.out


def test_check_of_a_table_that_cannot_be_trained_on_ends_with_status_1(
    command: Command, workplace: Path
) -> None:
    (workplace / "one.csv").write_text("text,label\n" + "".join(f"bolt {n},1\n" for n in range(9)))
    plain = command("check", "one.csv")
    assert plain.status == 1
    assert "error: every label in column 'label' is '1'" in plain.out
    assert "one.csv cannot be trained on yet: 1 error." in plain.out
    found = command("check", "one.csv", "--json")
    assert found.status == 1
    assert found.json["ok"] is False
    assert [p["code"] for p in found.json["problems"]] == ["one-label"]


def test_check_tells_a_label_that_the_test_part_lacks(command: Command, workplace: Path) -> None:
    rows = [f"bolt {n},{n % 2},{'train' if n < 12 else 'val'}" for n in range(16)]
    rows += [f"nut {n},0,test" for n in range(4)]
    (workplace / "parts.csv").write_text("\n".join(["text,label,part", *rows]))
    done = command("check", "parts.csv", "--split-column", "part", "--json")
    assert [each["code"] for each in done.json["problems"]] == ["label-not-in-test"]
    assert done.status == 0


def test_check_reads_standard_input(finished: FinishedRun, workplace: Path) -> None:
    done = textgauge("check", "-", "--json", cwd=workplace, stdin=finished.table.read_bytes())
    assert (done.status, done.err) == (0, "")
    assert done.json["table"] == "standard input"
    assert done.json["profile"]["rows"] == 300


def test_a_terminal_that_lacks_a_character_shows_a_question_mark(workplace: Path) -> None:
    rows = "".join(f"Prüfung {n},{label}\n" for n in range(9) for label in ("gut", "schräg"))
    (workplace / "notes.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    done = textgauge("check", "notes.csv", cwd=workplace, PYTHONIOENCODING="ascii")
    assert (done.status, done.err) == (0, "")
    assert "schr?g" in done.out
    found = textgauge("check", "notes.csv", "--json", cwd=workplace, PYTHONIOENCODING="ascii")
    assert [label["label"] for label in found.json["profile"]["labels"]] == ["gut", "schräg"]


def test_check_corrects_labels_and_checks_what_came_of_it(
    command: Command, workplace: Path
) -> None:
    rows = "".join(f"bolt {n},1,a\nnut {n},0,b\n" for n in range(9))
    (workplace / "notes.csv").write_text(f"note,label,box\n{rows}bolt 1,0,c\n")
    corrections = "text,label,corrected_label\nBolt 1,0,1\nnut 3,0,2\nnut 4,1,0\nnut 5,0,(drop)\n"
    (workplace / "label_issues.csv").write_text(corrections)
    fix = ("check", "notes.csv", "--text", "note", "--fix", "label_issues.csv")
    done = command(*fix, "--out", "new.csv")
    assert done.status == 0
    assert done.out.startswith(
        "new.csv: 2 rows of 19 with another label; 1 row dropped.\n\nnew.csv\n"
    )
    assert done.err == (
        "warning: 1 correction matches no row of the table:\n"
        "  'nut 4' with the label '1'\n"
        "warning: the label '2' is new to the table.\n"
    )
    new = (workplace / "new.csv").read_text().splitlines()
    assert new[0] == "note,label,box"
    assert new[-1] == "bolt 1,1,c"
    assert len(new) == 19
    found = command(*fix, "--out", "new.csv", "--json")
    assert found.json["table"] == "new.csv"
    assert found.json["fix"] == {
        "rows": 19,
        "changed": 2,
        "dropped": 1,
        "unmatched": 1,
        "unmatched_corrections": [["nut 4", "1"]],
        "new_labels": ["2"],
        "out": "new.csv",
    }


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--fix", "a.csv"], "--fix needs --out FILE"),
        (["--out", "a.csv"], "--out needs --fix FILE"),
        (["--fix", "a.csv", "--out", "b.csv", "--tracking"], "pass --fix or --tracking, not both"),
        (
            ["--fix", "a.csv", "--out", "b.csv", "--show-encoding", "x"],
            "pass --fix or --show-encoding, not both; run check once with each",
        ),
        (
            ["--fix", "a.csv", "--out", "b.csv", "--against", "model"],
            "pass --fix or --against, not both; correct the table first, then: textgauge check "
            "b.csv --against ...",
        ),
        (["--tracking", "--against", "model"], "pass --tracking or --against, not both"),
        (["--tracking"], "pass --tracking or TABLE, not both; run check once with each"),
        (["--tracking", "--show-encoding", ""], "pass --tracking or --show-encoding, not both"),
        (["--against", "model", "--show-encoding", "x"], "pass --against or --show-encoding, not"),
    ],
)
def test_check_does_one_thing_at_a_time(
    command: Command, finished: FinishedRun, more: list[str], message: str
) -> None:
    done = command("check", finished.table, *more)
    assert done.status == 2
    assert message in done.err


def test_the_list_of_a_run_can_be_filled_in_and_put_into_the_table(
    command: Command, finished: FinishedRun, workplace: Path
) -> None:
    listed = pl.read_csv(finished.result["label_issues"]["file"], infer_schema=False)
    text, label = pl.read_csv(finished.table, infer_schema=False).select("text", "label").row(0)
    row = pl.DataFrame({name: [""] for name in listed.columns}).with_columns(
        text=pl.lit(text), label=pl.lit(label), corrected_label=pl.lit("1" if label == "0" else "0")
    )
    pl.concat([listed.cast(pl.String), row]).write_csv("filled.csv", separator=";")  # as Excel does
    done = command("check", finished.table, "--fix", "filled.csv", "--out", "new.parquet", "--json")
    assert (done.status, done.err) == (0, "")
    assert done.json["fix"]["changed"] >= 1
    assert pl.read_parquet("new.parquet")["label"][0] != label


def test_check_shows_how_a_text_is_read(finished: FinishedRun, command: Command) -> None:
    text = "rusty component manufactured in 1979"
    done = command("check", finished.table, "--show-encoding", text, "--json")
    tokens = {row["token"]: row for row in done.json["tokens"]}
    assert list(tokens) == text.split()
    assert tokens["rusty"]["known_as"] == "<unk>"
    assert tokens["component"]["known_as"] == "component"
    assert (tokens["1979"]["known_as"], tokens["1979"]["value"]) == ("<num>", 1979.0)
    assert tokens["1979"]["position"] > 0
    plain = command("check", finished.table, "--show-encoding", text, "--no-numbers")
    assert plain.status == 0
    assert "<num>" not in plain.out


def test_check_asks_the_tracking_store_instead_of_a_table(
    command: Command, workplace: Path
) -> None:
    done = command("check", "--tracking", "--experiment", "bolts")
    assert (done.status, done.err) == (0, "writing to the store …\n")
    assert done.out == (
        f"The local store {workplace}/mlflow.db takes runs, in the experiment bolts.\n"
    )
    quiet = command("check", "--tracking", "--json", "--quiet")
    assert (quiet.status, quiet.err) == (0, "")
    assert quiet.json == {
        "tracking_uri": f"sqlite:///{workplace}/mlflow.db",
        "title": f"the local store {workplace}/mlflow.db",
        "experiment": "textgauge",
        "seconds": {},
    }
    assert list(workplace.iterdir()) == []
    refused = command("check", "--tracking", "--tracking-uri", "sqlite:///nowhere/mlflow.db")
    assert refused.status == 1
    assert refused.error.endswith(
        f"There is no folder {workplace}/nowhere for the tracking store mlflow.db. "
        f"Make it (mkdir -p '{workplace}/nowhere') or pass another --tracking-uri."
    )


# ---- sync ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_store", [True, False])
def test_sync_with_nothing_to_do_says_so_and_imports_nothing_heavy(
    with_store: bool, workplace: Path, new_store: Callable[[Path], Path]
) -> None:
    if with_store:
        new_store(workplace)
    script = (
        "import sys; from textgauge.cli import run_command\n"
        "status = run_command(['sync'])\n"
        "heavy = {'mlflow', 'sqlalchemy', 'pandas', 'torch', 'azureml', 'databricks', 'requests'}\n"
        "print(status, sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=workplace,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "No run is waiting to be sent.\n0 []\n"
    assert done.stderr == ""


def test_sync_with_nothing_to_do_is_an_empty_list_for_a_program(
    command: Command, workplace: Path
) -> None:
    assert command("sync", "--json").json == {"runs": [], "left": 0, "refused": []}
    assert list(workplace.iterdir()) == []


def test_sync_of_an_unknown_run_says_that_there_is_none(
    command: Command, workplace: Path, new_store: Callable[[Path], Path]
) -> None:
    new_store(workplace)
    done = command("sync", "abc123")
    assert done.status == 1
    assert done.error == "The store has no run abc123. Look it up with textgauge ui."


# ---- score and evaluate --------------------------------------------------------------------------


def test_score_keeps_the_table_and_adds_what_the_model_says(
    finished: FinishedRun, labelled: Path, command: Command
) -> None:
    done = command("score", finished.bundle, labelled, "--out", "scored/all.csv", "--json")
    result = done.json
    assert result.keys() == {
        "rows", "unique_texts", "unique_texts_estimated", "seconds", "rows_per_second", "out",
        "rows_without_text", "unreadable_rows", "unreadable", "continued_from",
        "unknown_word_share", "outside_number_range_share", "warnings",
    }  # fmt: skip
    before = pl.read_csv(labelled, infer_schema=False)
    assert (result["rows"], result["unique_texts"]) == (40, before["text"].n_unique())
    assert result["out"] == "scored/all.csv"
    scored = pl.read_csv("scored/all.csv", infer_schema=False)
    assert scored.select(before.columns).equals(before)
    assert scored.columns == [*before.columns, "predicted_label", "probability", "decision"]
    expected = python_side.load(finished.bundle).predict(before["text"])
    assert scored["predicted_label"].to_list() == expected.labels
    assert scored["decision"].to_list() == expected.labels
    probability = scored["probability"].cast(pl.Float64).to_numpy()
    assert probability == pytest.approx(expected.probability, abs=1e-7)
    assert [path.name for path in Path("scored").iterdir()] == ["all.csv"]


@pytest.mark.parametrize("ending", ["tsv", "jsonl", "parquet", "arrow"])
def test_score_writes_the_same_in_every_form(
    ending: str, finished: FinishedRun, labelled: Path, command: Command
) -> None:
    command("score", finished.bundle, labelled, "--out", "scored.csv")
    done = command("score", finished.bundle, labelled, "--out", f"scored.{ending}")
    assert (done.status, done.err) == (0, "opening the table …\nscoring …\n")
    assert re.fullmatch(
        rf"40 rows \(\d+ distinct texts\) scored in .* s: scored.{ending}\n"
        r"words that the model does not know: 0\.0%; rows with a number outside .*: 0\.0%\n",
        done.out,
    )
    readers = {
        "tsv": lambda path: pl.read_csv(path, separator="\t", infer_schema=False),
        "jsonl": pl.read_ndjson,
        "parquet": pl.read_parquet,
        "arrow": pl.read_ipc,
    }
    found = readers[ending](Path(f"scored.{ending}")).cast(pl.String)
    assert found.equals(pl.read_csv("scored.csv", infer_schema=False))


def test_score_leaves_rows_without_a_text_open(
    finished: FinishedRun, workplace: Path, command: Command
) -> None:
    (workplace / "gaps.csv").write_text("note,n\nsteel component,1\n,2\nsteel component,3\n")
    done = command("score", finished.bundle, "gaps.csv", "--text", "note", "--out", "s.csv")
    assert done.status == 0
    scored = pl.read_csv("s.csv", infer_schema=False)
    assert scored["n"].to_list() == ["1", "2", "3"]
    first, gap, third = scored["predicted_label"].to_list()
    assert gap is None
    assert first == third
    assert scored["probability"].null_count() == scored["decision"].null_count() == 1


def test_score_reads_standard_input(
    finished: FinishedRun, labelled: Path, command: Command, workplace: Path
) -> None:
    command("score", finished.bundle, labelled, "--out", "file.csv")
    piped = textgauge(
        *("score", finished.bundle, "-", "--out", "piped.csv"),
        cwd=workplace,
        stdin=labelled.read_bytes(),
    )
    assert (piped.status, piped.err) == (0, "opening the table …\nscoring …\n")
    assert Path("piped.csv").read_bytes() == Path("file.csv").read_bytes()


def test_score_writes_to_a_pipe_what_it_writes_to_a_file(
    finished: FinishedRun, labelled: Path, command: Command, workplace: Path
) -> None:
    for form in ("csv", "parquet"):
        command("score", finished.bundle, labelled, "--out", f"file.{form}")
        arguments = ["score", finished.bundle, labelled, "--out", "-", "--format", form, "--quiet"]
        done = subprocess.run(
            [sys.executable, "-m", "textgauge", *map(str, arguments)],
            cwd=workplace,
            capture_output=True,
            check=True,
        )
        assert done.stdout == Path(f"file.{form}").read_bytes()
        assert done.stderr == b""


def test_score_tells_rows_that_it_could_not_use(
    finished: FinishedRun, workplace: Path, command: Command
) -> None:
    (workplace / "rows.csv").write_text("text,n\nsteel,1\n,2\niron,3,4\nwood,5\n")
    done = command("score", finished.bundle, "rows.csv", "--out", "s.csv")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[1] == "1 row without a text or prediction"
    assert lines[2] == "1 row that could not be read: s.csv.unreadable.jsonl"
    (row,) = map(json.loads, Path("s.csv.unreadable.jsonl").read_text().splitlines())
    assert (row["source"], row["line"], row["content"]) == ("rows.csv", 4, "iron,3,4")
    assert pl.read_csv("s.csv")["n"].to_list() == [1, 2, 5]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--out", "-", "--json"], "--json and --out - both print on standard output"),
        (["--out", "s.csv", "--engine", "spark", "--cores", "1"], "--cores is not for --engine"),
        (["--out", "s.csv", "--engine", "spark", "--format", "csv"], "--format is not for"),
        (["--out", "s.csv", "--format", "xlsx"], "--format must be one of csv, tsv, jsonl"),
        (["--out", "-", "--format", "arrow"], "--format arrow needs a file"),
    ],
)
def test_score_refuses_what_does_not_go_together(
    options: list[str], told: str, finished: FinishedRun, labelled: Path, command: Command
) -> None:
    done = command("score", finished.bundle, labelled, *options)
    assert done.status == 2
    assert told in done.err


def test_evaluate_judges_the_model_as_the_training_did(
    finished: FinishedRun, command: Command
) -> None:
    """On the test rows alone, picked by the training's own split, the figures are the same."""
    from textgauge.config import Config
    from textgauge.data.normal_form import normalise
    from textgauge.data.split import split_rows

    frame = notes()
    keyed = frame.with_columns(key=normalise(frame["text"]))
    parts = split_rows(keyed, seed=0, fractions=Config().fractions).parts
    frame.filter(pl.Series(parts == 2)).write_csv("test.csv")
    address = f"runs:/{finished.run_id}/model"
    store = f"sqlite:///{finished.store}"
    done = command("evaluate", address, "test.csv", "--tracking-uri", store, "--json")
    assert done.status == 0, done.err
    for name in ("eval_loss", "eval_accuracy", "eval_macro_f1"):
        assert done.json[name] == pytest.approx(finished.result[name], rel=1e-5)
    assert done.json["rows"] == finished.result["rows"]["test"]
    assert done.json["unique_texts"] == finished.result["unique_texts"]["test"]
    assert done.json["unknown_labels"] == {}


def test_evaluate_leaves_labels_out_that_the_model_cannot_give_and_says_so(
    finished: FinishedRun, workplace: Path, command: Command
) -> None:
    frame = notes(20).with_columns(verdict=pl.col("label")).drop("label")
    odd = pl.DataFrame({"text": ["steel bolt", "iron nut"], "verdict": ["maybe", "maybe"]})
    pl.concat([frame, odd]).write_csv("more.csv")
    done = command("evaluate", finished.bundle, "more.csv", "--label", "verdict")
    assert done.status == 0
    assert "warning: left out, the model does not know: 'maybe' (2 rows)" in done.err
    assert done.out.startswith("20 rows, ")
    assert "1 non-compliant" in done.out  # by the name that the training gave it
    quiet = command("evaluate", finished.bundle, "more.csv", "--label", "verdict", "--json")
    assert quiet.json["unknown_labels"] == {"maybe": 2}


def test_evaluate_judges_the_rows_of_each_value(
    finished: FinishedRun, workplace: Path, command: Command
) -> None:
    frame = notes().with_columns(plant=pl.Series(["north", "south", None] * 100))
    frame.write_csv("plants.csv")
    done = command("evaluate", finished.bundle, "plants.csv", "--slice", "plant", "--json")
    assert done.status == 0, done.err
    slices = {each["value"]: each for each in done.json["slices"]}
    assert {value: each["rows"] for value, each in slices.items()} == {
        "north": 100, "south": 100, "(none)": 100,
    }  # fmt: skip
    mean = sum(each["accuracy"] for each in slices.values()) / 3
    assert mean == pytest.approx(done.json["eval_accuracy"])
    shown = command("evaluate", finished.bundle, "plants.csv", "--slice", "plant").out
    assert "than all" in shown
    assert "\nnorth " in shown
    wrong = command("evaluate", finished.bundle, "plants.csv", "--slice", "plants")
    assert (wrong.status, wrong.out) == (1, "")
    assert "Did you mean 'plant'? Pass --slice plant." in wrong.error


def test_check_compares_with_a_model_and_with_a_table(
    finished: FinishedRun, labelled: Path, command: Command
) -> None:
    done = command("check", labelled, "--against", finished.bundle)
    assert done.status == 0, done.err
    assert "against the texts it was trained on" in done.out
    old = pl.read_csv(labelled, infer_schema=False)
    new = old.with_columns(pl.col("text") + " 2077").rename({"text": "note"})
    new.write_csv("new.csv")
    found = command("check", "new.csv", "--text", "note", "--against", finished.bundle, "--json")
    assert found.json["warnings"][0].startswith("100.0% of the rows hold a number above")
    Path("settings.toml").write_text('text = "note"\n')
    by_file = command(
        *("check", "new.csv", "--config", "settings.toml", "--against", finished.bundle, "--json")
    )
    assert by_file.json == found.json
    wrong = command("check", "new.csv", "--against", labelled)
    assert (wrong.status, wrong.out) == (1, "")
    assert "new.csv has no column 'text'" in wrong.error
    both = command("check", "new.csv", "--against", labelled, "--show-encoding", "x")
    assert both.status == 2
    new.rename({"note": "text"}).write_csv("new.csv")
    told = command("evaluate", finished.bundle, "new.csv")
    assert "warning: 100.0% of the rows hold a number above" in told.err
    told = command("score", finished.bundle, "new.csv", "--out", "scored.csv", "--overwrite")
    assert "warning: 100.0% of the rows hold a number below" in told.err
    assert "rows with a number outside the range that it was trained on: 100.0%" in told.out
    quiet = command(
        "score", finished.bundle, "new.csv", "--out", "scored.csv", "--overwrite", "--quiet"
    )
    assert quiet.err == ""


def test_explain_tells_which_words_moved_the_decision(
    finished: FinishedRun, command: Command
) -> None:
    text = "plastic component manufactured in 1971 in poor condition"
    done = command("explain", finished.bundle, text)
    assert done.status == 0, done.err
    decision, marked, *_ = done.out.split("\n\n")
    assert re.match(r"[01] (non-)?compliant: probability 0\.\d{4}; 0\.\d{4} for", decision)
    assert " ".join(re.findall(r"\w+", marked)) == text
    found = command("explain", finished.bundle, text, "--json").json
    assert [each["word"] for each in found["words"]] == text.split()
    total = sum(each["contribution"] for each in found["words"])
    assert total == pytest.approx(found["probability"] - found["reference"])


def test_explain_takes_a_table(finished: FinishedRun, command: Command) -> None:
    address = f"runs:/{finished.run_id}/model"
    store = f"sqlite:///{finished.store}"
    done = command(
        *("explain", address, finished.table, "--limit", "3", "--tracking-uri", store, "--json")
    )
    assert done.status == 0, done.err
    distinct = notes()["text"].unique(maintain_order=True)
    assert [each["text"] for each in done.json["explanations"]] == distinct.head(3).to_list()
    assert done.json["left_out"] == len(distinct) - 3
    shown = command("explain", finished.bundle, finished.table, "--limit", "2").out
    assert shown.endswith("further distinct texts are left out; see --limit.\n")


def test_explain_tells_what_matters_overall(finished: FinishedRun, command: Command) -> None:
    done = command("explain", finished.bundle, finished.table, "--overall")
    assert done.status == 0, done.err
    assert "What speaks for 1 non-compliant\n" in done.out
    assert "The largest step: " in done.out
    found = command("explain", finished.bundle, finished.table, "--overall", "--json").json
    assert found["classes"] == ["0", "1"]
    assert len(found["numbers"]["values"]) == len(found["numbers"]["probabilities"])
    assert found["left_out"] == 0
    rules = found["rule_summary"]
    saved = json.loads((finished.bundle / "textgauge.json").read_text())["rules"]
    assert rules["rule"] == saved["rule"]
    assert rules["agreement"]["counted"] == pl.read_csv(finished.table)["text"].n_unique()
    wrong = command("explain", finished.bundle, "iron part", "--overall")
    assert (wrong.status, wrong.out) == (2, "")
    assert "--overall needs a table, and 'iron part' is taken for a text" in wrong.error


def test_explain_overall_of_a_model_with_damaged_rules_or_none(
    finished: FinishedRun, workplace: Path, command: Command
) -> None:
    model = Path(shutil.copytree(finished.bundle, "model"))
    settings = json.loads((model / "textgauge.json").read_text())
    (model / "digests.json").unlink()
    (model / "textgauge.json").write_text(json.dumps({**settings, "rules": {"rule": {}}}))
    done = command("explain", model, finished.table, "--overall")
    assert (done.status, done.out) == (1, "")
    assert "the model's rule summary is damaged (KeyError: 'label')" in done.error
    del settings["rules"]  # An older textgauge saved none.
    (model / "textgauge.json").write_text(json.dumps(settings))
    found = command("explain", model, finished.table, "--overall", "--json").json
    assert found["rule_summary"] is None


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("nots.csv", "there is no file 'nots.csv' in this folder"),
        ("empty.csv", "has no text in its column 'text'; pass --text NAME."),
        ("other.csv", "'text'"),
    ],
)
def test_explain_says_what_is_wrong_with_a_table(
    finished: FinishedRun, workplace: Path, command: Command, what: str, told: str
) -> None:
    Path("empty.csv").write_text("text,label\n,1\n,0\n")
    Path("other.csv").write_text("note,label\nsteel,1\niron,0\n")
    done = command("explain", finished.bundle, what)
    assert (done.status, done.out) == (1, "")
    assert told in done.error


def test_a_model_is_found_by_its_run_in_the_working_folder(finished: FinishedRun) -> None:
    done = textgauge(
        *("evaluate", f"runs:/{finished.run_id}/model", "notes.csv", "--json"),
        cwd=finished.folder,
    )
    assert done.status == 0, done.err
    assert done.json["rows"] == 300


# ---- every command -------------------------------------------------------------------------------


def test_python_m_textgauge_is_the_same_command(workplace: Path) -> None:
    module = [sys.executable, "-m", "textgauge"]
    for arguments in (["--version"], ["--help"], ["trian"]):
        found = [
            subprocess.run(
                [*start, *arguments], env=clean_environment(), capture_output=True, check=False
            )
            for start in (module, [TEXTGAUGE])
        ]
        outcomes = {(done.returncode, done.stdout, done.stderr) for done in found}
        assert len(outcomes) == 1


def test_the_version_is_the_packages(command: Command) -> None:
    done = command("--version")
    assert (done.status, done.out, done.err) == (0, f"textgauge {version('textgauge')}\n", "")


def test_help_lists_every_command_with_its_help(command: Command) -> None:
    listed = command("--help")
    assert (listed.status, listed.err) == (0, "")
    (subparsers,) = (
        action
        for action in make_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    commands = {
        *("demo", "check", "train", "evaluate", "explain", "score", "serve", "export", "register"),
        *("compare", "verify", "sync", "ui"),
    }
    assert subparsers.choices.keys() == commands
    for choice in subparsers._choices_actions:
        assert re.search(rf"^ +{choice.dest} +{choice.help}$", listed.out, flags=re.MULTILINE)
        own = command(choice.dest, "--help")
        assert (own.status, own.err) == (0, "")
        assert own.out.startswith(f"usage: textgauge {choice.dest} [-h]")
        assert f"{choice.help[0].upper()}{choice.help[1:]}." in " ".join(own.out.split())


def test_a_reader_that_goes_away_is_no_fault(finished: FinishedRun) -> None:
    """`textgauge check notes.csv | head -0`: no message, no traceback."""
    with subprocess.Popen(
        [TEXTGAUGE, "check", finished.table, "--json"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_json_goes_to_standard_output_alone_and_warnings_to_standard_error(
    command: Command, quick: object, workplace: Path
) -> None:
    frame = notes().with_columns(
        label=pl.when(pl.int_range(pl.len()) % 10 == 0).then(None).otherwise("label")
    )
    frame.write_csv("gaps.csv")
    loud = command("train", "gaps.csv", *SMALL, "--json")
    quiet = command("train", "gaps.csv", *SMALL, "--json", "--quiet")
    warning = (
        "warning: gaps.csv, rows 1, 11, 21, 31, 41 and 25 more: the label is missing or empty. "
        "Fill these rows in or delete them; training leaves them out.\n"
    )
    assert quiet.err == warning
    assert warning in loud.err
    assert sum(quiet.json["rows"].values()) == sum(loud.json["rows"].values()) == 270
    assert quiet.json["eval_loss"] == loud.json["eval_loss"]
