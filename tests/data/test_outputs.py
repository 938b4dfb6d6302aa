"""Where scored rows go: refused before anything is read, whole in the end, or to a pipe."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from textgauge.data.outputs import check_output, open_output
from textgauge.errors import SettingsError, StorageError

TABLE = pl.DataFrame({"text": ["steel", "iron"], "n": [1, 2]})
BROKEN = json.dumps({"line": 7}).encode() + b"\n"


class Standard(io.StringIO):
    """Standard output that is no terminal, unless it is said to be one."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self.buffer, self._terminal = io.BytesIO(), terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("out", "how", "error", "told"),
    [
        ("s.xlsx", {}, StorageError, "score writes .csv, .tsv, .jsonl, .ndjson, .parquet, .arrow"),
        ("s.csv", {"form": "xlsx"}, SettingsError, "--format must be one of csv, tsv, jsonl"),
        ("-", {"form": "arrow"}, SettingsError, "--format arrow needs a file"),
        ("there.csv", {}, StorageError, "is there already. Pass --overwrite to replace it"),
        ("folder.csv", {"overwrite": True}, StorageError, "is a folder"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(
    out: str, how: dict[str, Any], error: type[Exception], told: str, tmp_path: Path
) -> None:
    (tmp_path / "there.csv").write_text("earlier")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(error, match=told.replace(".", r"\.")):
        check_output(out if out == "-" else tmp_path / out, "score", **how)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.csv", "there.csv"]


def test_the_format_may_be_named_in_place_of_the_ending(tmp_path: Path) -> None:
    with open_output(tmp_path / "scored", "score", made_of=None, form="jsonl") as output:
        output.write(TABLE, b"", {}, {})
        output.finish(TABLE.clear())
    assert pl.read_ndjson(tmp_path / "scored").equals(TABLE)


def test_rows_that_could_not_be_read_lie_beside_the_others(tmp_path: Path) -> None:
    with open_output(tmp_path / "s.arrow", "score", made_of={}) as output:
        output.write(TABLE, BROKEN, {}, {})
        output.write(TABLE.clear(), BROKEN, {}, {})
        output.finish(TABLE.clear())
    assert pl.read_ipc(tmp_path / "s.arrow").equals(TABLE)
    assert (tmp_path / "s.arrow.unreadable.jsonl").read_bytes() == BROKEN * 2
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow", "jsonl"])
def test_a_table_without_rows_is_written_too(tmp_path: Path, ending: str) -> None:
    with open_output(tmp_path / f"s.{ending}", "score", made_of={}) as output:
        output.finish(TABLE.clear())
    if ending == "jsonl":
        assert (tmp_path / "s.jsonl").read_bytes() == b""
    else:
        read = {"csv": pl.read_csv, "parquet": pl.read_parquet, "arrow": pl.read_ipc}[ending]
        assert read(tmp_path / f"s.{ending}").columns == ["text", "n"]


def test_another_format_is_another_file(tmp_path: Path) -> None:
    for form, steps in (("csv", 0), ("csv", 1), ("jsonl", 0)):
        with open_output(tmp_path / "scored", "score", made_of={}, form=form) as output:
            assert len(output.steps) == steps
            if not steps:
                output.write(TABLE, b"", {}, {})


@pytest.mark.parametrize("form", [None, "tsv", "jsonl", "parquet"])
def test_a_pipe_gets_what_a_file_gets(
    form: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", Standard())
    file = tmp_path / f"s.{form or 'csv'}"
    for out, how in (("-", form), (file, None)):
        with open_output(out, "score", made_of={}, form=how) as output:
            output.write(TABLE, BROKEN, {}, {})
            output.write(TABLE, b"", {}, {})
            output.finish(TABLE.clear())
    assert sys.stdout.buffer.getvalue() == file.read_bytes()  # type: ignore[attr-defined]
    assert (tmp_path / "unreadable.jsonl").read_bytes() == BROKEN


def test_parquet_is_not_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Standard(terminal=True))
    with pytest.raises(SettingsError, match="not for a terminal"):
        check_output("-", "score", form="parquet")
    assert check_output("-", "score") == ".csv"
