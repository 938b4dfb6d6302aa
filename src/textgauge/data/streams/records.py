"""Where the records of delimited text end: found for a whole block at once.

What is not plainly a record of the right width is left to the reader that takes one by one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..text_files import share_of_rows

MANY_INNER_LINES = 10
"""Lines of one record from which on it is asked whether they are rows that a quote swallowed."""

LOOK_LIKE_ROWS = 0.8
"""The share of a record's lines that look like rows, above which they are taken for such."""

_QUOTE, _END, _RETURN = ord('"'), ord("\n"), ord("\r")

Places = NDArray[np.intp]


def leading_records(block: bytes, delimiter: str, width: int, *, whole: bool) -> Places:
    """Return where each of the first records ends, up to the first that is not regular.

    A regular record has `width` cells. A cell in quotes has them around all of it, may have line
    ends within, and each quote within twice; any other has none, and no carriage return but before
    the line end. Blank lines are not regular. `block` is UTF-8 text that begins with a record;
    `whole` tells that its end is one of a record too.
    """
    codes, mark = np.frombuffer(block, np.uint8), ord(delimiter)
    lines = np.flatnonzero(codes == _END)
    ends, marks = lines, np.flatnonzero(codes == mark)
    returns = np.flatnonzero(codes == _RETURN) if b"\r" in block else lines[:0]
    trusted = len(block)
    if b'"' in block:
        quotes = np.flatnonzero(codes == _QUOTE)
        trusted = _first_wrong_quote(codes, quotes, mark)
        ends, marks, returns = (
            places[np.searchsorted(quotes, places) % 2 == 0] for places in (ends, marks, returns)
        )
        if len(quotes) % 2:
            whole = False
            trusted = min(trusted, int(quotes[-1]))
    if len(returns):
        stray = returns[(returns + 1 < len(codes)) & (_at(codes, returns + 1) != _END)]
        trusted = min([trusted, *stray[:1].tolist()])
    if whole:
        ends = np.append(ends, len(block))
    ends = ends[ends <= trusted]
    regular = np.diff(np.searchsorted(marks, ends), prepend=0) == width - 1
    if width == 1:
        length = np.diff(ends, prepend=-1) - 1 - (_at(codes, ends - 1) == _RETURN)
        regular &= length > 0
    if len(lines) > len(ends):
        inner = np.diff(np.searchsorted(lines, ends), prepend=-1) - 1
        for number in np.flatnonzero(inner >= MANY_INNER_LINES):
            begin = int(ends[number - 1]) + 1 if number else 0
            text = block[begin : int(ends[number])].decode("utf-8", "replace")
            alike = share_of_rows(text.split("\n")[1:-1], delimiter, width)
            regular[number] &= alike <= LOOK_LIKE_ROWS / 2
    return ends if regular.all() else ends[: int(regular.argmin())]


def _first_wrong_quote(codes: NDArray[np.uint8], quotes: Places, mark: int) -> int:
    """Return where a quote stands that neither begins nor ends a cell; the length if none does."""
    opening, closing = quotes[0::2], quotes[1::2]
    before = _at(codes, opening - 1)
    opens = (opening == 0) | (before == _END) | (before == mark) | (before == _QUOTE)
    behind = _at(codes, closing + 1)
    closes = (behind == _END) | (behind == mark) | (behind == _QUOTE) | (behind == _RETURN)
    closes |= closing + 1 == len(codes)
    wrong: list[int] = [*opening[~opens][:1].tolist(), *closing[~closes][:1].tolist()]
    return min(wrong, default=len(codes))


def _at(codes: NDArray[np.uint8], places: Places) -> NDArray[np.uint8]:
    """Return the codes there; any of them for places outside."""
    return codes[np.clip(places, 0, len(codes) - 1)]
