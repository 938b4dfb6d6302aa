"""Where scored rows go: refused before anything is read, whole in the end, or to a pipe."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from textgauge.data.outputs import check_output, open_output, refuse_types
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
    (tmp_path / "unreadable.jsonl").write_text("of an earlier command")
    file = tmp_path / f"s.{form or 'csv'}"
    for out, how in (("-", form), (file, None)):
        with open_output(out, "score", made_of={}, form=how) as output:
            output.write(TABLE, BROKEN, {}, {})
            output.write(TABLE, BROKEN, {}, {})
            output.finish(TABLE.clear())
    assert sys.stdout.buffer.getvalue() == file.read_bytes()  # type: ignore[attr-defined]
    assert (tmp_path / "unreadable.jsonl").read_bytes() == BROKEN * 2


TYPES = {
    "Binary": pl.Series([b"x"]),
    "List(Binary)": pl.Series([[b"x"]]),
    "Array(Binary, shape=(1,))": pl.Series([[b"x"]], dtype=pl.Array(pl.Binary, 1)),
    "Struct({'a': Binary})": pl.Series([{"a": b"x"}]),
    "List(String)": pl.Series([["x"]]),
    "Struct({'a': Int64})": pl.Series([{"a": 1}]),
    "Struct({})": pl.Series([{}], dtype=pl.Struct([])),
    "Duration(time_unit='us')": pl.Series([timedelta(1)]),
    "Object": pl.Series([object()], dtype=pl.Object),
    "Date": pl.Series([date(2020, 1, 1)]),
    "Datetime": pl.Series([datetime(2020, 1, 1)]),
    "Time": pl.Series([time(1)]),
    "Decimal": pl.Series([Decimal("1.5")]),
    "Categorical": pl.Series(["x"], dtype=pl.Categorical),
    "Null": pl.Series([None]),
    "Boolean": pl.Series([True]),
}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "arrow"])
@pytest.mark.parametrize("kind", TYPES)
def test_a_type_is_refused_before_anything_is_written_or_can_be_written(
    kind: str, ending: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frame = TYPES[kind].alias("c").to_frame()
    told = None
    try:
        refuse_types(frame.schema, f".{ending}")
    except StorageError as error:
        told = str(error)
        assert told.startswith(f"column 'c' holds {kind}, which a .{ending} file cannot hold. ")
    if told is None or kind == "Object":  # Polars refuses these itself, without a panic.
        raised: Any = pytest.raises(StorageError) if told else contextlib.nullcontext()
        with raised, open_output(tmp_path / f"s.{ending}", "score", made_of={}) as output:
            output.write(frame, b"", {}, {})
            output.finish(frame.clear())
    assert not capfd.readouterr().err


def test_the_formats_that_can_hold_a_type_are_named() -> None:
    for dtype, told in (
        (pl.Binary(), "Write .parquet or .arrow."),
        (pl.List(pl.String()), "Write .jsonl or .parquet or .arrow."),
        (pl.Object(), "Make texts or numbers of it."),
    ):
        with pytest.raises(StorageError) as error:
            refuse_types({"c": dtype}, ".csv")
        assert str(error.value).endswith(f" which a .csv file cannot hold. {told}")


def test_parquet_is_not_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Standard(terminal=True))
    with pytest.raises(SettingsError, match="not for a terminal"):
        check_output("-", "score", form="parquet")
    assert check_output("-", "score") == ".csv"
