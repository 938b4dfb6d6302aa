"""How a text is read, token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .tables import printable, table


def encoding_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line a token: its id, the word it is known as, and where a number stands on the scale."""
    body = [
        [
            printable(row["token"]),
            str(row["id"]),
            printable(row["known_as"]),
            "" if row["value"] is None else f"{row['value']:.12g}",
            "" if row["position"] is None else f"{row['position']:.2f}",
        ]
        for row in rows
    ]
    return table(["token", "id", "read as", "value", "position on train's quantiles"], body)
