"""One table for all ways of predicting: component notes, and texts that need care."""

from __future__ import annotations

import polars as pl

from textgauge.data.component_notes import make_component_notes

ODD = (
    None,
    "",
    " \t ",
    "STEEL  component\tof 1979 ",
    "steel component of 1979",
    "steel component of 1979",
    "Dichtung für Öl - undicht; 交換 \N{PILE OF POO} e\N{COMBINING ACUTE ACCENT}",
    "<b>iron</b> &amp; <script>alert(1)</script>",
    '3" hose, "new"; two\nlines',
    "=cmd|' /C calc'!A0",
    "<unk> <pad> <num>",
    "1e30 12,5 1,234.5 -7 ٣ ½",
    "nan",
    "null",
    "review",
    "\N{ZERO WIDTH SPACE}\N{RIGHT-TO-LEFT OVERRIDE}iron",
    "steel " * 5_000,
)


def odd_table(rows: int = 300) -> pl.DataFrame:
    """Columns `id` and `text`; the notes repeat themselves, and some texts are null or empty."""
    notes = make_component_notes(rows).get_column("text").to_list()
    texts = [*notes, *ODD, *notes[:50]]
    return pl.DataFrame({"id": [f"N{n}" for n in range(len(texts))], "text": texts})
