"""Labels in doubt: which pairs of text and label a person should look at again.

Two things speak against a label. The same text stands with another label in more rows
("contradictory"); or models that never saw the text are sure that it belongs elsewhere ("suspect",
by confident learning: Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in
Dataset Labels, JAIR 70, 2021, as cleanlab has it).

The evidence on a row is what everything but the row itself says: each other row of the same
text counts as much as the model's probabilities do together. So what the label of a text in 40 rows
says outweighs any model, while a text that stands once has the model alone to speak for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.corpus import LabelledTexts
from ..data.corrections import CORRECTED, guarded
from ..data.split import PARTS

FILE_NAME = "label_issues.csv"

MAX_LISTED = 10_000
"""Pairs that are listed at most, the worst; all of them are counted."""

MAX_VALUES = 50_000_000
"""Probabilities that confident learning looks at in one go: 200 MB."""

MIN_TEXTS = 5
"""Texts that a label needs before one of them is suspect: of fewer, no model can learn it."""

Suspects = Callable[[npt.NDArray[np.int64], npt.NDArray[np.float32]], npt.NDArray[np.bool_]]
"""Which of the given labels are suspect, by the out-of-sample probabilities of all labels."""


@dataclass(frozen=True)
class LabelIssues:
    """The pairs of text and label that are in doubt.

    Attributes:
        frame: the worst pairs first, `MAX_LISTED` at most. Columns: `text` (normalised), `label`,
            `suggested_label`, `rows` (with that text and label), `text_rows` (with that text),
            `part` ("train", "val", "test"), `reason` ("suspect" or "contradictory"), `quality`
            (0 to 1: how much everything but the row itself says for the label) and `probability`
            (0 to 1: the same for the suggested one).
        pairs: all pairs in doubt, by reason.
        rows: all rows in doubt.
        label_rows: the same by the given label, most first.
        texts: distinct texts that were looked at.
        all_texts: distinct texts of the table; more than `texts` where the corpus holds a sample.

    """

    frame: pl.DataFrame
    pairs: Mapping[str, int]
    rows: int
    label_rows: Mapping[str, int]
    texts: int
    all_texts: int

    def __len__(self) -> int:
        return sum(self.pairs.values())

    def write_csv(self, path: Path) -> None:
        """Write the list, with an empty column in which a person can put the right label.

        UTF-8 with a byte order mark, without which Excel takes it for something else. Values that
        a spreadsheet would compute are guarded (`data.corrections.guarded`).
        """
        names = ("text", "label", "suggested_label")
        frame = self.frame.with_columns(**{name: guarded(pl.col(name)) for name in names})
        frame.select(
            *names, pl.lit(None, pl.String).alias(CORRECTED), pl.exclude(*names)
        ).write_csv(path, include_bom=True, float_precision=4)  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The counts, as plain values."""
        return {
            **self.pairs,
            "rows": self.rows,
            "label_rows": dict(self.label_rows),
            "texts": self.texts,
            "all_texts": self.all_texts,
        }


def distinct(part: LabelledTexts) -> tuple[LabelledTexts, npt.NDArray[np.int64]]:
    """The part with each text once, and where each text stood first; most parts are so already."""
    groups = part.texts.rle_id().to_numpy().astype(np.int64)  # Equal texts stand together.
    first = np.searchsorted(groups, np.arange(groups[-1] + 1 if len(groups) else 0))
    if len(first) == len(part):
        return part, first
    pairs = (
        pl.DataFrame({"text": groups[part.text_index], "label": part.label, "count": part.count})
        .group_by("text", "label")
        .agg(pl.col("count").sum())
        .sort("text", "label")
    )
    text, label, count = (pairs[name].to_numpy() for name in ("text", "label", "count"))
    return LabelledTexts(part.texts[first], text, label, count), first


def cleanlab_suspects(
    label: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]
) -> npt.NDArray[np.bool_]:
    """Those with the least probability, as many as confident learning takes for wrong.

    Args:
        label: given labels. Shape: (texts,).
        probabilities: out-of-sample. Shape: (texts, classes).

    """
    if len(np.unique(label)) < 2:
        return np.zeros(len(label), dtype=np.bool_)
    from cleanlab.filter import find_label_issues

    found: npt.NDArray[np.bool_] = find_label_issues(
        label, probabilities, filter_by="low_self_confidence", n_jobs=1
    )
    return found


def find_doubts(
    triples: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float32],
    suspects: Suspects | None = cleanlab_suspects,
) -> pl.DataFrame:
    """The pairs in doubt.

    Args:
        triples: text index (rising, without gaps), label and count; each pair of text and label
            once. Shape: (3, triples).
        probabilities: of models that did not see the text; may be a memory map. Shape: (texts,
            classes).
        suspects: finds the suspect labels among those of texts that have one label only; None:
            none is suspect.

    Returns:
        Columns `pair` (place in `triples`), `contradictory` (Boolean), `suggested` (label),
        `quality` and `probability` (0 to 1); in no order.

    """
    text, label, count = triples
    texts, classes = probabilities.shape
    rows = np.bincount(text, count, texts)
    own = probabilities[text, label]
    # The best label of a text has the most rows; among equals the model decides.
    order = np.lexsort((own, count, text))
    best = order[np.searchsorted(text, np.arange(texts), side="right") - 1]
    is_best = np.zeros(len(text), dtype=np.bool_)
    is_best[best] = True
    minority = np.flatnonzero(~is_best)
    its_best = best[text[minority]]
    found = [
        pl.DataFrame(
            {
                "pair": minority,
                "contradictory": np.ones(len(minority), dtype=np.bool_),
                "suggested": label[its_best],
                "quality": (own[minority] + count[minority] - 1) / rows[text[minority]],
                "probability": (own[its_best] + count[its_best]) / rows[text[minority]],
            }
        )
    ]
    enough = np.bincount(label[best], minlength=classes) >= MIN_TEXTS
    single = np.flatnonzero(np.bincount(text, minlength=texts) == 1)
    parts = max(1, -(-len(single) * classes // MAX_VALUES)) if suspects is not None else 0
    for part in range(parts):
        # Every n-th text, for neighbours in the alphabet are alike.
        some = single[part::parts]
        pair = best[some]
        evidence = probabilities[some].astype(np.float32)
        place = np.arange(len(some))
        evidence[place, label[pair]] += count[pair] - 1
        evidence /= rows[some, None].astype(np.float32)
        assert suspects is not None
        suspect = suspects(label[pair], evidence) & enough[label[pair]]
        suspect &= evidence.argmax(1) != label[pair]
        chosen = np.flatnonzero(suspect)
        other = evidence[chosen].argmax(1)
        found.append(
            pl.DataFrame(
                {
                    "pair": pair[chosen],
                    "contradictory": np.zeros(len(chosen), dtype=np.bool_),
                    "suggested": other,
                    "quality": evidence[chosen, label[pair[chosen]]],
                    "probability": evidence[chosen, other],
                }
            )
        )
    return pl.concat(
        frame.with_columns(pl.col("quality", "probability").cast(pl.Float64)) for frame in found
    )


def label_issues(
    parts: Sequence[LabelledTexts], doubts: pl.DataFrame, classes: Sequence[str], all_texts: int
) -> LabelIssues:
    """What `find_doubts` found, for people.

    Args:
        parts: train, val and test, each text once, as their triples were given to `find_doubts`
            one part after the other.
        doubts: what it returned.
        classes: names of the labels.
        all_texts: distinct texts of the table.

    """
    begins = np.cumsum([0, *(len(part) for part in parts)])
    pairs = pl.DataFrame(
        {
            "place": np.concatenate(
                [p.text_index + b for p, b in zip(parts, begins, strict=False)]
            ),
            "given": np.concatenate([part.label for part in parts]),
            "rows": np.concatenate([part.count for part in parts]),
            "part": np.repeat(np.arange(len(parts)), [len(part.label) for part in parts]),
        }
    )
    text_rows = np.concatenate([part.text_rows for part in parts])
    doubted = pl.concat([doubts, pairs[doubts["pair"]]], how="horizontal").sort(
        "quality", pl.col("rows") * -1, "pair"
    )
    by_label = (
        doubted.group_by("given").agg(pl.col("rows").sum()).sort(pl.col("rows") * -1, "given")
    )
    listed = doubted.head(MAX_LISTED)
    names = pl.Series(classes, dtype=pl.String)
    texts = pl.concat([part.texts for part in parts])
    contradictory = int(doubted["contradictory"].sum())
    return LabelIssues(
        frame=listed.select(
            text=texts[listed["place"]],
            label=names[listed["given"]],
            suggested_label=names[listed["suggested"]],
            rows="rows",
            text_rows=pl.Series(text_rows[listed["place"].to_numpy()], dtype=pl.Int64),
            part=pl.Series(PARTS, dtype=pl.String)[listed["part"]],
            reason=pl.when("contradictory")
            .then(pl.lit("contradictory"))
            .otherwise(pl.lit("suspect")),
            quality="quality",
            probability="probability",
        ),
        pairs={"suspect": len(doubted) - contradictory, "contradictory": contradictory},
        rows=int(doubted["rows"].sum()),
        label_rows={classes[label]: rows for label, rows in by_label.iter_rows()},
        texts=len(texts),
        all_texts=all_texts,
    )
