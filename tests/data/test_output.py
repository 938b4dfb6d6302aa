"""Tables out: by the ending of the name, whole or not at all."""

import stat

import polars as pl
import pytest

from textgauge.data.output import WRITERS, write_whole, writer_for
from textgauge.errors import StorageError

FRAME = pl.DataFrame({"a": [1, 2]})


def test_the_ending_names_the_format_in_any_case(tmp_path):
    out = tmp_path / "folder" / "new.CSV"
    write_whole(FRAME, out, writer_for(out, "score"))
    assert pl.read_csv(out).equals(FRAME)
    assert stat.S_IMODE(out.stat().st_mode) & 0o600 == 0o600


def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(StorageError) as error:
        writer_for(tmp_path / "new.xlsx", "score")
    assert str(error.value).endswith(f"score writes {', '.join(WRITERS)}.")


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path):
    out = tmp_path / "new.csv"
    out.write_text("of yesterday")

    def write(frame, path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left on device"):
        write_whole(FRAME, out, write)
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]
    assert out.read_text() == "of yesterday"
