"""A scoring that is stopped goes on with the same command, and ends with the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from waiting import wait_until

from textgauge import scoring
from textgauge.bundle.predictor import Predictor
from textgauge.data.component_notes import make_component_notes
from textgauge.data.streams import open_stream
from textgauge.data.unfinished import Unfinished
from textgauge.errors import StorageError, TableError
from textgauge.scoring import score_table
from textgauge.training.progress import NoProgress

ROWS = 300
FORMATS = (".csv", ".jsonl", ".parquet", ".arrow")


@pytest.fixture(scope="module")
def predictor(deciding: Any) -> Predictor:
    return Predictor.load(deciding.folder, cores=1)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pieces, and a memory that has to forget."""
    monkeypatch.setattr(scoring, "open_stream", partial(open_stream, rows=ROWS))
    remembering = partial(scoring.Scorer, memory=150_000)
    monkeypatch.setattr(scoring, "Scorer", remembering)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Repeated texts, new ones, missing ones, and rows that cannot be read."""
    path = tmp_path_factory.mktemp("table") / "notes.csv"
    notes = make_component_notes(3_000, seed=3)["text"].to_list()
    lines = [f"{n},{note} {n % 1_100}\n" for n, note in enumerate(notes)]
    lines[5], lines[700] = "5,\n", "700,two,cells too many\n"
    lines[2_500] = "2500,another,one\n"
    path.write_text("id,text\n" + "".join(lines))
    return path


class Listening(NoProgress):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)

    warn = note


class Stopped(BaseException):
    """As a kill would, but for the `finally`s."""


def stopping_after(steps: int) -> Any:
    """`Unfinished.step`, which is not done any more once it was done so often."""
    left, step = [steps], Unfinished.step

    def stop(self: Unfinished, *given: Any) -> None:
        if not left[0]:
            raise Stopped
        left[0] -= 1
        step(self, *given)

    return stop


@pytest.mark.parametrize("ending", FORMATS)
def test_it_goes_on_and_ends_byte_for_byte(
    predictor: Predictor, table: Path, tmp_path: Path, monkeypatch: Any, ending: str
) -> None:
    whole, out = tmp_path / f"whole{ending}", tmp_path / f"scored{ending}"
    expected = score_table(predictor, table, whole)
    assert (expected.rows, expected.unreadable_rows, expected.rows_without_text) == (2_998, 2, 1)
    done = 0
    for steps in (1, 3, 2):  # Stopped three times over.
        with monkeypatch.context() as patch, pytest.raises(Stopped):
            patch.setattr(Unfinished, "step", stopping_after(steps))
            score_table(predictor, table, out)
        done += steps
        assert not out.exists()
    found = score_table(predictor, table, out)
    assert 0 < found.continued_from <= done * ROWS
    assert found.told()[1].startswith("of these, ")
    assert out.read_bytes() == whole.read_bytes()
    beside = [path.with_name(f"{path.name}.unreadable.jsonl") for path in (out, whole)]
    assert beside[0].read_bytes() == beside[1].read_bytes()
    assert [json.loads(line)["line"] for line in beside[0].read_text().splitlines()] == [702, 2502]
    figures = ("rows", "unique_texts", "rows_without_text", "unreadable_rows", "read", "warnings")
    assert {name: getattr(found, name) for name in figures} == {
        name: getattr(expected, name) for name in figures
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for path in (whole, out, *beside)
    )


def test_json_lines_too_end_byte_for_byte(
    predictor: Predictor, tmp_path: Path, monkeypatch: Any
) -> None:
    table, whole, out = (tmp_path / f"{name}.jsonl" for name in ("notes", "whole", "scored"))
    notes = make_component_notes(1_000, seed=3)["text"].to_list()
    lines = [json.dumps({"text": note, "n": n}) for n, note in enumerate(notes)]
    table.write_text("\n".join([*lines[:400], "[1]", "", *lines[400:]]))
    score_table(predictor, table, whole)
    for steps in (1, 2):
        with monkeypatch.context() as patch, pytest.raises(Stopped):
            patch.setattr(Unfinished, "step", stopping_after(steps))
            score_table(predictor, table, out)
    assert score_table(predictor, table, out).continued_from > 0
    assert out.read_bytes() == whole.read_bytes()
    assert [json.loads(line)["n"] for line in out.read_text().splitlines()] == list(range(1_000))


def test_what_was_scored_is_not_scored_again(
    predictor: Predictor, table: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    asked: list[str] = []
    predict = predictor.predict_normalised

    def counted(texts: pl.Series) -> Any:
        asked.extend(texts.to_list())
        return predict(texts)

    monkeypatch.setattr(scoring, "Scorer", partial(scoring.Scorer.func, memory=10**9))
    monkeypatch.setattr(predictor, "predict_normalised", counted)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Unfinished, "step", stopping_after(6))
        score_table(predictor, table, tmp_path / "scored.csv")
    lost = asked[-ROWS:]  # Those of the step that was not done.
    score_table(predictor, table, tmp_path / "scored.csv")
    twice = {text for text in asked if asked.count(text) > 1}
    assert twice <= set(lost)


def test_texts_that_hardly_come_twice_are_not_remembered(
    predictor: Predictor, tmp_path: Path, monkeypatch: Any
) -> None:
    """A function of what is kept, so that a scoring that goes on decides alike."""
    notes = make_component_notes(1_500, seed=4)["text"].to_list()
    each_once = [f"{note} {n}" for n, note in enumerate(notes)]
    path = tmp_path / "notes.csv"
    path.write_text("text\n" + "\n".join([*each_once, *each_once]) + "\n")
    flags: list[bool] = []
    score = scoring.Scorer.func.score

    def listening(self: Any, texts: pl.Series, *, remember: bool = True) -> Any:
        flags.append(remember)
        return score(self, texts, remember=remember)

    monkeypatch.setattr(scoring, "LOOKED_AT", 2 * ROWS)
    monkeypatch.setattr(scoring.Scorer.func, "score", listening)
    score_table(predictor, path, tmp_path / "whole.csv")
    # All new after two pieces; the first piece that comes again is seen to be so afterwards.
    assert flags == [True] * 2 + [False] * 4 + [True] * 4
    flags.clear()
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Unfinished, "step", stopping_after(4))
        score_table(predictor, path, tmp_path / "stopped.csv")
    score_table(predictor, path, tmp_path / "stopped.csv")
    assert (tmp_path / "stopped.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert flags[-5:] == [False] + [True] * 4


def test_what_is_kept_is_told(
    predictor: Predictor, table: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    progress = Listening()
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Unfinished, "step", stopping_after(2))
        score_table(predictor, table, tmp_path / "scored.csv", progress=progress)
    score_table(predictor, table, tmp_path / "scored.csv", progress=progress)
    assert progress.said == [
        "600 rows are scored and kept; the same command goes on there",
        "going on after 600 rows that were scored before",
    ]


@pytest.mark.parametrize("change", ["table", "model", "column"])
def test_what_was_made_of_something_else_begins_anew(
    predictor: Predictor, table: Path, tmp_path: Path, monkeypatch: Any, change: str
) -> None:
    notes, out = tmp_path / "notes.csv", tmp_path / "scored.csv"
    notes.write_bytes(table.read_bytes())
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Unfinished, "step", stopping_after(2))
        score_table(predictor, notes, out)
    column = "text"
    if change == "table":
        notes.write_text("id,text\n1,steel\n")
    elif change == "model":
        monkeypatch.setattr(predictor, "digest", "of another")
    else:
        column = "id"
    found = score_table(predictor, notes, out, text=column)
    assert found.continued_from == 0
    monkeypatch.undo()
    score_table(predictor, notes, tmp_path / "whole.csv", text=column)
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_table_that_cannot_be_read_again_keeps_nothing(
    predictor: Predictor, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Unfinished, "step", stopping_after(1))
    with pytest.raises(Stopped):
        score_table(predictor, make_component_notes(1_000), tmp_path / "scored.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_table_at_fault_keeps_nothing(
    predictor: Predictor, tmp_path: Path, monkeypatch: Any
) -> None:
    notes = tmp_path / "notes.csv"
    notes.write_text("text\n" + "steel\n" * 1_000)

    def changed(self: Unfinished, *given: Any) -> None:
        with notes.open("a") as file:
            file.write("iron\n")

    monkeypatch.setattr(Unfinished, "step", changed)
    with pytest.raises(TableError, match=r"notes\.csv"):
        score_table(predictor, notes, tmp_path / "scored.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.csv"]


# ---- killed from outside -------------------------------------------------------------------------

COMMAND = """
import sys, time
from functools import partial
from textgauge import scoring
from textgauge.data.streams import open_stream
from textgauge.cli import main
def slow(*given, **options):
    stream = open_stream(*given, rows=200, **options)
    pieces = stream.pieces
    def slowly(after=None):
        for piece in pieces(after):
            time.sleep(PAUSE)
            yield piece
    class Slow:
        name, schema, identity = stream.name, stream.schema, stream.identity
        pieces = staticmethod(slowly)
    return Slow()
PAUSE = float(sys.argv[1])
scoring.open_stream = slow
main(["score", *sys.argv[2:5], "--quiet", "--json"])
"""


def test_killed_at_any_moment_it_ends_byte_for_byte(
    deciding: Any, table: Path, tmp_path: Path
) -> None:
    out, whole = tmp_path / "scored.parquet", tmp_path / "whole.parquet"

    def start(target: Path, pause: float) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, str(pause), deciding.folder, table, f"--out={target}"],
            stdout=subprocess.PIPE,
            text=True,
        )

    told, _ = start(whole, 0.0).communicate(timeout=60)
    journal = tmp_path / ".scored.parquet.unfinished" / "journal.jsonl"
    for lines in (3, 8):
        process = start(out, 0.05)
        try:
            there = wait_until(
                lambda: journal.exists() and journal.read_bytes().count(b"\n") >= lines,  # noqa: B023
                patience=60,
            )
            assert there
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
        assert not out.exists()
    found = json.loads(start(out, 0.0).communicate(timeout=60)[0])
    assert found["continued_from"] >= 1_200
    assert found["rows"] == json.loads(told)["rows"] == 2_998
    assert out.read_bytes() == whole.read_bytes()
    assert pl.read_parquet(out)["id"].len() == 2_998


def test_two_at_once_do_not_spoil_each_other(
    predictor: Predictor, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scored.csv"
    with (
        Unfinished.open(out, None),
        pytest.raises(StorageError, match=r"another process is writing .*scored\.csv"),
    ):
        score_table(predictor, table, out)
