"""No network, a proxy, a terminal that shows little, an old locale, a folder that is shut."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e import Done, FinishedRun, Quick, clean_environment, notes, textgauge

pytest_plugins = ["e2e_fixtures"]

PROXY = dict.fromkeys(
    ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"
)
"""Nothing listens there."""
OLD_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def without_network() -> list[str]:
    """Start a command in a network namespace of its own, in which not even loopback is up."""
    before = ["unshare", "-rn"]
    if not shutil.which("unshare") or subprocess.run([*before, "true"], check=False).returncode:
        pytest.skip("no network namespace can be made here")
    return before


def test_a_whole_training_where_all_is_against_it(
    workplace: Path, without_network: list[str], new_store: Callable[[Path], Path]
) -> None:
    folder = workplace / "Prüfung Nr 5"
    folder.mkdir()
    new_store(folder)
    notes().rename({"text": "Größe", "label": "Maß"}).write_csv(folder / "ä ö.csv", separator=";")
    bad = {**PROXY, **OLD_LOCALE, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "40"}
    train = ("train", "ä ö.csv", "--text", "Größe", "--label", "Maß", "--model", "linear")
    done = textgauge(
        *(*train, "--experiment", "Prüfungen", "--out", "Modell ß"),
        cwd=folder,
        before=without_network,
        **bad,
    )
    assert done.status == 0, done.err
    assert done.out.splitlines()[-1].startswith("http://127.0.0.1:5000/#/experiments/")
    assert "separated by semicolon" in done.err
    assert (folder / "Modell ß" / "textgauge.json").is_file()
    explained = textgauge("explain", "Modell ß", "Stück 1979", cwd=folder, **bad)
    assert explained.status == 0, explained.err
    assert "stück" in explained.out


def test_letters_beyond_ascii_come_through_where_the_locale_knows_ascii_only(
    workplace: Path,
) -> None:
    rows = "".join(f"Tür {n} müde,schräg\nTür {n} neu,gut\n" for n in range(9))
    (workplace / "tür.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    done = textgauge("check", "tür.csv", cwd=workplace, **OLD_LOCALE)
    assert (done.status, done.err) == (0, "")
    assert "tür.csv can be trained on" in done.out
    assert "schräg" in done.out
    gone = textgauge("check", "tor ö.csv", cwd=workplace, **OLD_LOCALE)
    assert gone.error.startswith("there is no file 'tor ö.csv' in this folder.")


def test_an_exported_model_reads_letters_beyond_ascii_there_too(
    workplace: Path, finished: FinishedRun, command: Callable[..., Done]
) -> None:
    out = workplace / "Tür"
    assert command("export", finished.bundle, out).status == 0
    found = {
        locale: subprocess.run(
            [sys.executable, out / "predict.py", "Tür aus Stahl von 1979"],
            env=clean_environment(**OLD_LOCALE if locale else {}),
            capture_output=True, check=True,
        ).stdout
        for locale in (True, False)
    }  # fmt: skip
    assert json.loads(found[True])["text"] == "Tür aus Stahl von 1979"
    assert found[True] == found[False]


def test_a_model_is_used_in_a_folder_that_is_shut(
    obey_rights: list[str], finished: FinishedRun, workplace: Path
) -> None:
    shut = workplace / "shut"
    shutil.copytree(finished.bundle, shut / "model")
    shutil.copy(finished.table, shut / "notes.csv")
    for path in (shut, *shut.rglob("*")):
        path.chmod(0o555)

    def run(*arguments: object) -> Done:
        return textgauge(*arguments, cwd=shut, before=obey_rights)

    try:
        assert run("explain", "model", "iron component of 1979").status == 0
        assert run("score", "model", "notes.csv", "--out", "-").out.count("\n") == 301
        refused = run("score", "model", "notes.csv", "--out", "scored.csv")
        assert refused.error == (
            "scored.csv cannot be written: Permission denied. Give another path with --out, or see "
            "to the rights of its folder."
        )
        assert {path.name for path in shut.iterdir()} == {"model", "notes.csv"}
    finally:
        for path in (shut, *shut.rglob("*")):
            path.chmod(0o755)


@pytest.mark.parametrize(
    ("setting", "colours"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, False)],
)
def test_no_colours_where_they_are_not_wanted(
    setting: dict[str, str],
    colours: bool,
    command: Callable[..., Done],
    finished: FinishedRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"TERM": "xterm", **setting}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    done = command("explain", finished.bundle, "iron component manufactured in 1979")
    assert done.status == 0
    assert ("\x1b[" in done.out) is colours


def test_a_table_whose_name_is_no_utf8_is_trained_on_and_named_as_well_as_may_be(
    quick: Quick, workplace: Path, command: Callable[..., Done]
) -> None:
    table = os.fsdecode(b"T\xfcr.csv")
    Path(table).write_text(notes(60).write_csv())
    result = quick.train(table, out="model", epochs=1)
    card = (workplace / "model" / "README.md").read_text("utf-8")
    assert "T?r.csv" in card
    parquet = os.fsdecode(b"T\xfcr.parquet")
    notes(60).write_parquet("plain.parquet")
    Path("plain.parquet").rename(parquet)
    assert command("check", parquet).out.startswith("T?r.parquet\n")
    assert command("score", "model", parquet, "--out", "scored.csv").status == 0
    assert Path("scored.csv").read_text().count("\n") == 61
    assert result.bundle.is_dir()


def test_a_folder_whose_name_is_no_utf8_is_refused_before_the_training(
    workplace: Path, command: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = os.fsdecode(b"W\xe4sche")
    Path(folder).mkdir()
    monkeypatch.chdir(folder)
    notes(60).write_csv("notes.csv")
    done = command("train", "notes.csv")
    assert done.status == 1
    assert done.error.startswith("the runs would lie at sqlite:///")
    assert "W?sche/mlflow.db, a name with letters that are no UTF-8" in done.error
    assert [each.name for each in Path().iterdir()] == ["notes.csv"]
