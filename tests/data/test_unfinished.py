"""Files in steps: whole or not at all, and gone on with after a stop at any moment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from textgauge.data import unfinished as module
from textgauge.data.unfinished import ROWS, Unfinished
from textgauge.errors import StorageError

MADE_OF = {"table": "abc", "model": "def"}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "scored.csv"


def steps(output: Unfinished, numbers: range) -> None:
    for number in numbers:
        name = f"state-{number}"
        output.step(
            {ROWS: f"row {number}\n".encode(), "beside": b"x" if number % 2 else b""},
            {"number": number},
            {name: f"state {number}".encode()},
            [f"state-{number - 1}"] if number else [],
        )


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_when_it_is_whole(target: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside.txt"
    with Unfinished.open(target, MADE_OF) as output:
        steps(output, range(3))
        assert not target.exists()
        assert names_in(output.folder) == ["beside", "journal.jsonl", "lock", "rows", "state-2"]
        output.finish(b"end\n", {"beside": beside})
    assert target.read_text() == "row 0\nrow 1\nrow 2\nend\n"
    assert beside.read_text() == "x"
    assert names_in(target.parent) == ["scored.csv"]


def test_what_did_not_grow_leaves_no_file(target: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside.txt"
    beside.write_text("of an earlier run")
    with Unfinished.open(target, MADE_OF) as output:
        steps(output, range(1))
        output.finish(b"", {"beside": beside})
    assert not beside.exists()


def test_another_process_goes_on_and_ends_with_the_same_bytes(target: Path) -> None:
    with Unfinished.open(target, MADE_OF) as output:
        steps(output, range(3))
    with Unfinished.open(target, MADE_OF) as output:
        assert [step["number"] for step in output.steps] == [0, 1, 2]
        assert output.size() == len("row 0\n") * 3
        assert output.read("state-2") == b"state 2"
        steps(output, range(3, 5))
        output.finish(b"end\n")
    assert target.read_text() == "".join(f"row {n}\n" for n in range(5)) + "end\n"


def cuts(folder: Path) -> Iterator[str]:
    """Leave the folder as a kill may leave it: bytes of a step that no line tells of."""
    with (folder / ROWS).open("ab") as rows:
        rows.write(b"row 3\nro")
    yield "rows"
    (folder / ".state-3.partial").write_bytes(b"sta")
    yield "a file"
    (folder / "state-3").write_bytes(b"state 3")
    with (folder / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"number": 3, "ke')
    yield "half a line"


def test_what_was_begun_beyond_the_last_step_is_cut_off(target: Path) -> None:
    for cut in range(3):
        shutil.rmtree(target.parent, ignore_errors=True)
        with Unfinished.open(target, MADE_OF) as output:
            steps(output, range(3))
        for _ in zip(range(cut + 1), cuts(output.folder), strict=False):
            pass
        with Unfinished.open(target, MADE_OF) as output:
            assert len(output.steps) == 3
            steps(output, range(3, 5))
            assert "state-3" not in names_in(output.folder)
            output.finish(b"end\n")
        assert target.read_text() == "".join(f"row {n}\n" for n in range(5)) + "end\n"


def test_a_kill_while_the_end_is_written_loses_nothing(target: Path, monkeypatch) -> None:
    with Unfinished.open(target, MADE_OF) as output:
        steps(output, range(2))
        monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(5, "lost")))
        with pytest.raises(StorageError, match="lost"):
            output.finish(b"end\n")
    monkeypatch.undo()
    with Unfinished.open(target, MADE_OF) as output:
        assert len(output.steps) == 2
        output.finish(b"end\n")
    assert target.read_text() == "row 0\nrow 1\nend\n"


@pytest.mark.parametrize("other", [{"table": "xyz", "model": "def"}, None], ids=str)
def test_what_is_made_of_something_else_begins_anew(target: Path, other) -> None:
    with Unfinished.open(target, MADE_OF) as output:
        steps(output, range(3))
    with Unfinished.open(target, other) as output:
        assert output.steps == []
        assert names_in(output.folder) == ["journal.jsonl", "lock"]
        steps(output, range(1))
        output.finish(b"")
    assert target.read_text() == "row 0\n"


def test_a_folder_that_lost_bytes_begins_anew(target: Path) -> None:
    with Unfinished.open(target, MADE_OF) as output:
        steps(output, range(3))
    os.truncate(output.folder / ROWS, 7)
    with Unfinished.open(target, MADE_OF) as output:
        assert output.steps == []


HOLDING = """
import sys, time
from pathlib import Path
from textgauge.data.unfinished import Unfinished
with Unfinished.open(Path(sys.argv[1]), {}):
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_processes_do_not_write_one_file(target: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, target], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match="another process is writing"):
            Unfinished.open(target, {})
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    Unfinished.open(target, {}).__exit__(None, None, None)


def test_a_folder_that_lost_a_file_begins_anew(target: Path) -> None:
    with Unfinished.open(target, MADE_OF) as output:
        steps(output, range(3))
    (output.folder / "state-2").unlink()
    with Unfinished.open(target, MADE_OF) as output:
        assert output.steps == []


def test_a_step_costs_the_same_however_many_came_before(target: Path, monkeypatch) -> None:
    with Unfinished.open(target, MADE_OF) as output:
        journal, sizes = output.folder / "journal.jsonl", []
        monkeypatch.setattr(module.os, "fsync", lambda _: None)
        monkeypatch.setattr(Path, "iterdir", lambda _: pytest.fail("looked through the folder"))
        for number in range(1_000):
            output.step({ROWS: b"x"}, {"number": number}, {f"state-{number}": b"x"})
            sizes.append(journal.stat().st_size)
        monkeypatch.undo()
        assert sizes[-1] - sizes[-2] <= sizes[1] - sizes[0] + 10
        output.discard()


def test_a_full_disk_is_told_and_the_steps_before_are_kept(target: Path, monkeypatch) -> None:
    with Unfinished.open(target, MADE_OF) as output:
        steps(output, range(2))

        def full(file: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module, "_settle", full)
        with pytest.raises(StorageError, match=r"No space left.*goes on where it stopped"):
            steps(output, range(2, 3))
    monkeypatch.undo()
    with Unfinished.open(target, MADE_OF) as output:
        assert len(output.steps) == 2


@pytest.mark.parametrize(("made_of", "done"), [(MADE_OF, 0), (None, 2)])
def test_where_no_step_is_kept_a_full_disk_promises_nothing(
    target: Path, monkeypatch, made_of, done
) -> None:
    with Unfinished.open(target, made_of) as output:
        steps(output, range(done))

        def full(file: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module, "_settle", full)
        with pytest.raises(StorageError, match=r"run the same command again\.$"):
            steps(output, range(done, done + 1))


def test_what_polars_tells_of_a_full_disk_in_words_is_understood() -> None:
    error = OSError("No space left on device (os error 28)")
    assert str(module.cannot_write(Path("s.arrow"), error, kept=True)) == (
        "s.arrow cannot be written: No space left on device. Free some space, and run the same "
        "command again: it goes on where it stopped."
    )
    assert str(module.cannot_write(Path("s"), OSError("odd"))) == "s cannot be written: odd."


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"scored\.csv cannot be written"):
        Unfinished.open(tmp_path / "file" / "scored.csv", None)


def test_where_there_are_no_locks_it_is_written_without(target: Path, monkeypatch) -> None:
    def without(*_: object) -> None:
        raise OSError(module.errno.ENOTSUP, "not supported")

    monkeypatch.setattr(module.fcntl, "flock", without)
    with Unfinished.open(target, None) as output:
        steps(output, range(1))
        output.finish(b"")
    assert target.read_text() == "row 0\n"
