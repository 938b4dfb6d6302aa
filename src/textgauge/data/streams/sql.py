"""Rows of a query, by SQLAlchemy; the server sends them bit by bit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import polars as pl

from ...errors import MissingPackageError, SettingsError, TableError
from ..columns import demand
from ..tables import no_such_file
from .piece import ROWS, Piece

NAME = "SQL query"
_ADDRESS = re.compile(r"[a-z][a-z0-9_]*(\+[a-z0-9_]+)?://", re.IGNORECASE)
_ELSEWHERE = ("file", "http", "https", "ftp", "s3", "s3a", "gs", "abfs", "abfss", "dbfs", "hdfs")
_FETCHED = 10_000  # rows asked for at a time
_DTYPES: dict[type, pl.DataType] = {
    **{bool: pl.Boolean(), int: pl.Int64(), float: pl.Float64(), str: pl.String()},
    **{date: pl.Date(), datetime: pl.Datetime("us"), time: pl.Time(), bytes: pl.Binary()},
    timedelta: pl.Duration("us"),
}


def is_address(text: str) -> bool:
    """Whether a word is the address of a database: `sqlite:///notes.db`."""
    return bool(_ADDRESS.match(text))


class Query:
    """The rows of a query, which is sent when this is made, and read once.

    The first rows tell the type of each column: where they are of several kinds, or of one that a
    table does not have, they become Strings.
    """

    name = NAME
    size = 1

    def __init__(self, address: str, query: str | None, rows: int = ROWS):
        """Send the query. Raises TableError where it or the address is not understood."""
        if _scheme(address) in _ELSEWHERE:
            raise TableError(
                f"{_scheme(address)}:// addresses are not read here. Copy the file to this machine "
                "and name its path, or read it with Spark: --engine spark."
            )
        if not query:
            raise SettingsError(
                "an SQL address needs a query. Pass one, such as --query 'SELECT * FROM notes'."
            )
        self._secrets: list[str] = []
        self._rows = min(rows, _FETCHED)
        self._batches = self._sent(address, query)
        self._names = next(self._batches)
        demand({name: name for name in self._names}, self._names, NAME)
        self._first = next(self._batches, None)
        columns = zip(*(self._first or []), strict=True)
        values = list(columns) or [()] * len(self._names)
        types = [_dtype_of(column) for column in values]
        self.schema = pl.Schema(dict(zip(self._names, types, strict=True)))
        self._read = False

    def pieces(self, after: dict[str, Any] | None = None) -> Iterator[Piece]:
        """Yield all rows; a position is for information only."""
        if self._read or after is not None:
            raise TableError(f"the {NAME} can be read only once, from its beginning. Open it anew.")
        self._read = True
        batch, row = self._first, 0
        self._first = None
        while batch is not None:
            frame = self._frame(batch, row)
            row += len(batch)
            yield Piece(frame, {"row": row}, 0.0)
            batch = next(self._batches, None)

    def _sent(self, address: str, query: str) -> Iterator[Any]:
        """Yield the names of the columns, then rows, as many as are asked for at a time."""
        import sqlalchemy

        with self._faults(address):
            url = sqlalchemy.make_url(address)
            self._secrets = _secrets_of(url)
            _refuse_missing_file(url)
            engine = sqlalchemy.create_engine(url)
            try:
                with engine.connect() as connection:
                    options = {"yield_per": self._rows}
                    result = connection.execution_options(**options).execute(
                        sqlalchemy.text(query.replace(":", r"\:"))
                    )
                    if not result.returns_rows:
                        raise TableError(f"the {NAME} gives no rows. Write one that selects them.")
                    yield list(result.keys())
                    for batch in result.partitions(self._rows):
                        yield [tuple(row) for row in batch]
            finally:
                engine.dispose()

    @contextmanager
    def _faults(self, address: str) -> Iterator[None]:
        """Say what the database says, without the secrets of its address."""
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

        try:
            yield
        except NoSuchModuleError:
            raise TableError(
                f"no kind of database is called {_scheme(address)!r} here. Addresses begin as "
                "sqlite:///FILE, postgresql://, mysql:// do; others need a package of their own."
            ) from None
        except ArgumentError:
            raise TableError(
                f"{_scheme(address)}://… is no address of a database. Write it as "
                "KIND://USER:PASSWORD@HOST:PORT/DATABASE."
            ) from None
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"the driver of this database, {error.name}, is not installed here. Install it: "
                f"pip install {error.name}."
            ) from None
        except SQLAlchemyError as error:
            said = str(getattr(error, "orig", None) or error)
            reason = (said.strip().splitlines() or [type(error).__name__])[0].rstrip(". ")
            raise TableError(
                f"the {NAME} failed: {self._without_secrets(reason)}. Try it in the database's own "
                "program, and see that the address is right."
            ) from None

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _frame(self, batch: Sequence[tuple[Any, ...]], before: int) -> pl.DataFrame:
        columns = []
        for (name, dtype), values in zip(
            self.schema.items(), zip(*batch, strict=True), strict=True
        ):
            taken = [_as(value, dtype) for value in values]
            for row, (value, new) in enumerate(zip(values, taken, strict=True), before + 1):
                if new is None and value is not None:
                    raise TableError(
                        f"column {name!r} of the {NAME} holds {type(value).__name__} in row "
                        f"{row:,}, and {dtype} in the rows before. Make one kind of it in the "
                        f"query: CAST({name} AS TEXT)."
                    )
            columns.append(pl.Series(name, taken, dtype))
        return pl.DataFrame(columns)


def _scheme(address: str) -> str:
    return address.partition("://")[0].lower()


def _secrets_of(url: Any) -> list[str]:
    """Return what must not be shown: the password, and all that the address passes on."""
    values = [str(url.password or "")]
    for value in url.query.values():
        values += [value] if isinstance(value, str) else list(value)
    every = {form for value in values for form in (value, quote(value), quote_plus(value))}
    return sorted((value for value in every if len(value) > 2), key=len, reverse=True)


def _refuse_missing_file(url: Any) -> None:
    """Raise TableError where SQLite would make a new, empty file."""
    file = url.database
    if url.get_backend_name() != "sqlite" or not file or file.startswith((":", "file:")):
        return
    path = Path(file)
    if not path.is_file():
        raise TableError(no_such_file(path) if not path.exists() else f"{path} is no file.")


def _kind_of(value: Any) -> type:
    return bytes if isinstance(value, bytearray | memoryview) else type(value)


def _dtype_of(values: Sequence[Any]) -> pl.DataType:
    kinds = {_kind_of(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pl.Float64()
    if kinds == {Decimal}:
        scales = [-int(value.as_tuple().exponent) for value in values if value is not None]
        return pl.Decimal(38, max(0, *scales)) if len(set(scales)) == 1 else pl.String()
    if kinds == {int} and not all(_fits(value) for value in values):
        return pl.String()
    if kinds == {datetime} and any(value is not None and value.tzinfo for value in values):
        return pl.Datetime("us", "UTC")
    return _DTYPES.get(kinds.pop(), pl.String()) if len(kinds) == 1 else pl.String()


def _fits(value: int | None) -> bool:
    return value is None or -(2**63) <= value < 2**63


def _as(value: Any, dtype: pl.DataType) -> Any:
    """Return a value as one of this type; None where it is none."""
    kind = _kind_of(value)
    if value is None or dtype == pl.String:
        return None if value is None else _written(value)
    if dtype == pl.Float64 and kind is int:
        return float(value)
    if isinstance(dtype, pl.Decimal):
        fits = kind is Decimal and -int(value.as_tuple().exponent) <= (dtype.scale or 0)
    elif isinstance(dtype, pl.Datetime):
        fits = kind is datetime and bool(value.tzinfo) == bool(dtype.time_zone)
    else:
        fits = _DTYPES.get(kind) == dtype and (kind is not int or _fits(value))
    return (bytes(value) if kind is bytes else value) if fits else None


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    return str(value)
