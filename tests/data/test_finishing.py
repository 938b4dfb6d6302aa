"""A kill while the end of an output is made: the same command ends with the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from textgauge.data.outputs import check_output, open_output
from textgauge.data.unfinished import Unfinished
from textgauge.errors import StorageError

TABLE = pl.DataFrame({"text": ["steel", "iron"], "n": [1, 2]})
BROKEN = b'{"line": 7}\n'

# Each attempt is a process of its own, forked before Polars has started a thread.
KILLING = """
import os, sys
from pathlib import Path
import polars as pl
from textgauge.data import outputs, unfinished
from textgauge.errors import StorageError

out, HERE = Path(sys.argv[1]), (outputs.__file__, unfinished.__file__)
KILLED, DONE, THERE = 9, 0, 5
os.fsync = lambda _: None  # Slow, and a kill loses nothing of what was written.

def run(line):
    "Write three pieces; be killed at a line of what comes then; 0: not at all."
    left = line
    def trace(frame, event, _):
        nonlocal left
        if frame.f_code.co_filename not in HERE:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os._exit(KILLED)
        return trace
    try:
        with outputs.open_output(out, "score", made_of={"table": "abc"}) as output:
            for number in range(len(output.steps), 3):
                frame = pl.DataFrame({"text": [f"steel {number}"] * 500, "n": [number] * 500})
                broken = b'{"line": 7}\\n' if number == 1 else b""
                output.write(frame, broken, {}, {f"state-{number}": b"x"})
            sys.settrace(trace if line else None)
            output.finish(frame.clear() if not output.steps else pl.DataFrame())
    except StorageError as error:
        os._exit(THERE if "there already" in str(error) else 1)
    os._exit(DONE)

def attempt(line=0):
    process = os.fork() or run(line)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

def files():
    return {each.name: each.read_bytes() for each in out.parent.iterdir()}

assert attempt() == DONE
whole, line, after = files(), 0, set()
assert set(whole) == {out.name, f"{out.name}.unreadable.jsonl"}, whole
while True:
    for each in whole:
        (out.parent / each).unlink(missing_ok=True)
    line += 1
    killed = attempt(line)
    if killed == DONE:
        break
    assert killed == KILLED, (line, killed)
    there = out.exists()
    assert attempt() == (THERE if there else DONE), line
    assert files() == whole, (line, sorted(files()))
    after.add(there)
assert after == {True, False}, "killed before the file was in its place, and after"
print(line)
"""


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "arrow"])
def test_killed_at_any_line_of_the_end_it_ends_byte_for_byte(
    ending: str, tmp_path: Path, fresh_python: Callable[..., str]
) -> None:
    lines = int(fresh_python(KILLING, tmp_path / f"scored.{ending}"))
    assert lines > 60


class Killed(BaseException):
    """As a kill: no `except` of the code sees it."""


def test_killed_before_and_then_while_rows_that_cannot_be_read_are_replaced_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "s.csv", Path.replace

    def killed_at(name: str) -> None:
        def stop(self: Path, target: Path) -> Path:
            if self.name == name:
                raise Killed
            return replace(self, target)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Path, "replace", stop)
            with open_output(out, "score", made_of={}) as output:
                if not output.steps:
                    output.write(TABLE, BROKEN, {}, {})
                output.finish(TABLE.clear())

    killed_at("rows")
    killed_at("unreadable.copy")
    with open_output(out, "score", made_of={}) as output:
        output.finish(TABLE.clear())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.csv", "s.csv.unreadable.jsonl"]


def test_what_is_left_of_a_file_that_is_not_the_finished_one_stays(tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    with open_output(out, "score", made_of={}) as output:
        output.write(TABLE, b"", {}, {})
    out.write_text("of somebody else")
    with pytest.raises(StorageError, match="there already"):
        check_output(out, "score")
    out.unlink()
    with open_output(out, "score", made_of={}) as output:
        assert len(output.steps) == 1


def test_what_another_process_is_at_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "s.csv"
    with open_output(out, "score", made_of={}) as output:
        output.write(TABLE, b"", {}, {})
        monkeypatch.setattr(Unfinished, "discard", lambda _: None)
        output.finish(TABLE.clear())
        monkeypatch.undo()
        check_output(out, "score", overwrite=True)
        assert (tmp_path / ".s.csv.unfinished").is_dir()
    check_output(out, "score", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]


# ---- rows that cannot be read, of somebody else


def write(out: Path, broken: bytes, *, overwrite: bool = False) -> None:
    with open_output(out, "score", made_of={}, overwrite=overwrite) as output:
        output.write(TABLE, broken, {}, {})
        output.finish(TABLE.clear())


@pytest.mark.parametrize("broken", [b"", BROKEN])
def test_a_file_of_rows_that_cannot_be_read_is_replaced_only_where_that_is_asked_for(
    broken: bytes, tmp_path: Path
) -> None:
    out, beside = tmp_path / "s.csv", tmp_path / "s.csv.unreadable.jsonl"
    beside.write_text("of somebody else")
    with pytest.raises(StorageError) as error:
        write(out, broken)
    assert str(error.value) == (
        f"{beside} is there already, where rows go that cannot be read. Move it away, or pass "
        "--overwrite to replace it."
    )
    assert beside.read_text() == "of somebody else"
    write(out, broken, overwrite=True)
    assert (beside.read_bytes() if broken else beside.exists()) == (broken or False)
    assert out.exists()


def test_a_folder_in_the_place_of_the_rows_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "s.csv.unreadable.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"Move it away\.$"):
        check_output(tmp_path / "s.csv", "score", overwrite=True)


# ---- Arrow, which is made in the end


def test_a_disk_that_fills_up_while_arrow_is_made_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "s.arrow"
    with open_output(out, "score", made_of={}) as output:
        output.write(TABLE, b"", {}, {})
        (tmp_path / ".s.arrow.unfinished" / "reworked").symlink_to("/dev/full")
        with pytest.raises(StorageError) as error:
            output.finish(TABLE.clear())
    assert str(error.value) == (
        f"{out} cannot be written: No space left on device. Free some space, and run the same "
        "command again: it goes on where it stopped."
    )
    with open_output(out, "score", made_of={}) as output:
        assert len(output.steps) == 1
        output.finish(TABLE.clear())
    assert pl.read_ipc(out).equals(TABLE)


def test_whatever_polars_says_against_making_arrow_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise pl.exceptions.ComputeError("odd\nmore")

    monkeypatch.setattr(pl.LazyFrame, "sink_ipc", fail)
    with pytest.raises(StorageError, match=r"s\.arrow cannot be written: odd\.$"):
        write(tmp_path / "s.arrow", b"")


def test_a_name_with_signs_of_a_glob_is_a_name(tmp_path: Path) -> None:
    write(tmp_path / "s[1]*.arrow", b"")
    with (tmp_path / "s[1]*.arrow").open("rb") as file:
        assert pl.read_ipc(file).equals(TABLE)
