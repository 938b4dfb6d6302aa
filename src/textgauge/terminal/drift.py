"""What `textgauge check TABLE --against …` shows: the warnings first, then the figures."""

from __future__ import annotations

from ..review.differences import Drift
from ..review.slices import number_text
from .tables import printable, table

_MOST_LABELS = 12


def drift_text(drift: Drift) -> str:
    """A comparison as plain text."""
    blocks = [
        f"{drift.rows:,} rows, {drift.texts:,} distinct texts, against {drift.reference}: "
        f"{drift.reference_rows:,} rows, {drift.reference_texts:,} distinct texts",
        *(f"warning: {sentence}" for sentence in drift.warnings),
        table(["of the rows", "share", "normal"], _shares(drift)),
    ]
    if drift.differences:
        rows = [
            [
                name,
                f"{each.distance:.2f}",
                f"{each.normal:.2f}",
                f"{each.p_value:.3f}",
                "yes" if each.matters else "",
            ]
            for name, each in drift.differences.items()
        ]
        blocks.append(table(["what differs", "distance", "normal", "by chance", "matters"], rows))
    if drift.labels:
        rows = [
            [
                printable(each.label, 40),
                f"{each.rows:,}",
                f"{each.share:.1%}",
                f"{each.reference:.1%}",
            ]
            for each in drift.labels[:_MOST_LABELS]
        ]
        more = len(drift.labels) - _MOST_LABELS
        tail = f"\nand {more:,} labels more" if more > 0 else ""
        blocks.append(table(["label", "rows", "share", "there"], rows) + tail)
    if drift.new_words:
        rows = [
            [
                printable(each.word, 40),
                f"{each.rows:,}",
                f"{each.texts:,}",
                printable(each.example, 60),
            ]
            for each in drift.new_words
        ]
        blocks.append(table(["new word", "rows", "texts", "such as"], rows))
    if drift.gone_words:
        rows = [[printable(each.word, 40), f"{each.share:.1%}"] for each in drift.gone_words]
        blocks.append(table(["word that is gone", "rows there"], rows))
    if not drift.warnings:
        blocks.append(f"Nothing sets it far apart from {drift.reference}.")
    return "\n\n".join(blocks)


def _shares(drift: Drift) -> list[list[str]]:
    normal = drift.normal_unknown_word_share
    rows = [
        [
            "unknown words (of the words)",
            f"{drift.unknown_word_share:.1%}",
            "" if normal is None else f"{normal:.1%}",
        ]
    ]
    if drift.number_range is not None:
        low, high = map(number_text, drift.number_range)
        shares = {each.side: each.share for each in drift.beyond}
        rows += [
            [f"a number above {high}", f"{shares.get('above', 0.0):.1%}", ""],
            [f"a number below {low}", f"{shares.get('below', 0.0):.1%}", ""],
        ]
    return rows
