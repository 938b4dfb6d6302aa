"""Files with bytes changed, lost or added: rows, or one clear error, and never anything else."""

import gzip
import io
import random

import polars as pl
import pytest

from textgauge.data.streams import open_stream
from textgauge.errors import TextgaugeError

FRAME = pl.DataFrame(
    {"text": ["good steel", "bad, iron", None, 'x "q" y', "é"] * 20, "n": range(100)}
)


def bytes_of(write_to, *args, **options):
    buffer = io.BytesIO()
    write_to(buffer, *args, **options)
    return buffer.getvalue()


WHOLE = {
    "a.parquet": bytes_of(FRAME.write_parquet, row_group_size=30),
    "a.arrows": bytes_of(FRAME.write_ipc_stream),
    "a.csv": bytes_of(FRAME.write_csv),
    "a.csv.gz": gzip.compress(bytes_of(FRAME.write_csv), mtime=0),
    "a.jsonl": bytes_of(FRAME.write_ndjson),
    "utf16.csv": FRAME.write_csv().encode("utf-16"),
    "utf32.csv": FRAME.write_csv().encode("utf-32"),
}


def damaged(data, chance):
    data = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        at = chance.randrange(len(data))
        kind = chance.random()
        if kind < 0.6:
            data[at] = chance.randrange(256)
        elif kind < 0.8:
            del data[at : at + chance.randrange(1, 9)]
        else:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
    return bytes(data if chance.random() < 0.8 else data[: chance.randrange(len(data))])


@pytest.mark.parametrize("name", WHOLE)
def test_a_damaged_file_gives_rows_or_one_clear_error(write, name):
    chance = random.Random(name)
    for _ in range(25):
        path = write(damaged(WHOLE[name], chance), name)
        try:
            for piece in open_stream(path, rows=chance.choice([7, 1000])).pieces():
                assert piece.frame.columns
                assert all(len(row.content) <= 1000 and row.reason for row in piece.unreadable)
        except TextgaugeError as error:
            assert str(error).endswith((".", "table.jsonl", "--engine spark"))
