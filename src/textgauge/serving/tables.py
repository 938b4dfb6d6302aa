"""A CSV file in, the same with predictions out."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ..data.appending import not_held
from ..data.predictions import texts_to_predict, with_predictions
from ..data.tables import read_frame
from ..errors import SettingsError, TableError
from ..review.cautions import reading_warnings
from ..review.reference import number_span
from ..text.reading import NOTHING_READ
from .batching import Batcher
from .faults import RefusedError
from .model import ServedModel

CHUNK_ROWS = 4_096
"""Rows that are predicted at a time; between two of them, other requests have their turn."""

MOST_COLUMNS, MOST_ROWS = 1_000, 1_000_000
"""Of a table: short rows and empty columns cost far more memory than their bytes."""

_NO_CSV = (b"\x1f\x8b", b"PAR1", b"ARROW1", b"\xff\xff\xff\xff", b"PK\x03\x04")
"""How files begin that unpack to more than was sent; here only plain text is taken."""


@dataclass(frozen=True)
class ScoredTable:
    """A table with predictions.

    Attributes:
        csv: the table as CSV in UTF-8.
        rows: of the table.
        review: of these, rows that a person has to decide.
        warnings: where the rows hold what the model was not trained for, a sentence each.

    """

    csv: bytes
    rows: int
    review: int
    warnings: tuple[str, ...]


async def score_csv(
    batcher: Batcher,
    model: ServedModel,
    body: bytes,
    *,
    text: str | None,
    delimiter: str | None,
    encoding: str | None,
) -> ScoredTable:
    """Predict every row of a CSV file.

    Raises:
        RefusedError: 422 where it is no table or lacks the column, 429 and 503 as `Batcher.run`.

    """
    column = text or str(model.predictor.settings["config"]["text"])
    frame, texts = await batcher.run(lambda: _read(body, column, delimiter, encoding))
    parts, read = [], NOTHING_READ
    for begin in range(0, len(texts), CHUNK_ROWS):
        chunk = texts.slice(begin, CHUNK_ROWS)
        found = await batcher.run(lambda chunk=chunk: model.predict(chunk))  # type: ignore[misc]
        parts.append(found.frame())
        assert found.reading is not None
        read = read.plus(found.reading.summed(chunk.is_not_null().to_numpy()))
    predicted = pl.concat(parts)
    csv, review = await batcher.run(lambda: _write(frame, texts, predicted))
    warnings = reading_warnings(read, model.predictor.profile, number_span(model.predictor))
    return ScoredTable(csv, len(frame), review, warnings)


def _read(
    body: bytes, text: str, delimiter: str | None, encoding: str | None
) -> tuple[pl.DataFrame, pl.Series]:
    if body.startswith(_NO_CSV):
        raise RefusedError(422, "The body is packed or binary. Send a table as plain CSV.")
    if not body.strip():
        raise RefusedError(422, "The body is empty. Send a table as CSV, with a header.")
    try:
        with tempfile.TemporaryDirectory(prefix="textgauge-serve-") as folder:
            path = Path(folder) / "table.csv"
            path.write_bytes(body)
            frame = read_frame(
                path, encoding=encoding, delimiter=delimiter, most_columns=MOST_COLUMNS
            )
        if len(frame) > MOST_ROWS:
            raise TableError(
                f"table.csv has {len(frame):,} rows; {MOST_ROWS:,} are allowed. Send it in parts, "
                "or score it with: textgauge score"
            )
        found = not_held(frame.schema, ".csv")
        if found is not None:
            raise TableError(
                f"column {found[0]!r} holds {str(found[1])[:80]}, which the CSV that is answered "
                "cannot hold. Leave it out, or score the table with: textgauge score"
            )
        return frame, texts_to_predict(frame, text)
    except RecursionError:
        raise RefusedError(
            422, "The body is nested too deep for a table. Send plain CSV."
        ) from None
    except (TableError, SettingsError) as error:
        told = str(error).replace("Pass --text NAME.", "Name it: /score?text=NAME.")
        raise RefusedError(422, told[:1].upper() + told[1:]) from None


def _write(frame: pl.DataFrame, texts: pl.Series, predicted: pl.DataFrame) -> tuple[bytes, int]:
    scored = with_predictions(frame, texts, predicted)
    return scored.write_csv().encode(), int((scored["decision"] == "review").sum())
