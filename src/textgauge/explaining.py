"""Explain decisions of a saved model: of a text, or of the texts of a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from .bundle.predictor import Predictor
from .data.columns import Columns
from .data.normal_form import normalise
from .data.tables import is_table, read_table
from .errors import BundleError, SettingsError, TableError
from .review.explanation import Explainer, Explanation
from .review.overall import NumberCurve, WordShare, number_curve, words_overall
from .review.rule_summary import RuleSummary, measure_agreement, rule_of
from .text.tokens import is_number
from .text.vocabulary import UNKNOWN
from .tracking.addresses import resolve_model


@dataclass(frozen=True)
class Explained:
    """Explanations of some texts.

    Attributes:
        explanations: one for each distinct text, in the order in which they first stand.
        left_out: further distinct texts of a table, which were not explained; None for a text that
            was given by itself.
        label_names: what to call label values.
        classes: the labels.
        words: where it was asked, the words that matter for each label overall.
        curve: where it was asked, how the decision follows a number; None where texts have none.
        rules: where it was asked, the model's rule summary with its agreement on these texts; None
            where the model was saved without.
        unknown: words of the explanations that the model does not know: it reads them all alike.

    """

    explanations: tuple[Explanation, ...]
    left_out: int | None
    label_names: dict[str, str]
    classes: tuple[str, ...] = ()
    words: dict[str, list[WordShare]] | None = None
    curve: NumberCurve | None = None
    rules: RuleSummary | None = None
    unknown: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """As `textgauge explain --json` prints it."""
        found = [each.to_json() for each in self.explanations]
        for explanation in found:
            for word in explanation["words"]:
                word["known"] = word["word"] not in self.unknown
        if self.left_out is None:
            return found[0]
        if self.words is not None:
            words = {label: [vars(each) for each in told] for label, told in self.words.items()}
            curve = None if self.curve is None else self.curve.to_json()
            return {
                "classes": list(self.classes),
                "words": words,
                "numbers": curve,
                "rule_summary": None if self.rules is None else self.rules.to_json(),
                "explained": len(found),
                "left_out": self.left_out,
            }
        return {"explanations": found, "left_out": self.left_out}


def explain_model(
    model: str | Path,
    what: Any,
    *,
    text: str | None = None,
    limit: int | None = None,
    overall: bool = False,
    tracking_uri: str | None = None,
    **how: Any,
) -> Explained:
    """Explain what a saved model decides, from the model alone.

    Args:
        model: a folder, or a `runs:/` or `models:/` address.
        what: a text; or a table: a file, "-" for standard input, or a DataFrame.
        text: the table's column with the texts; default the one that the model was trained with.
        limit: how many texts of a table at most; None: all.
        overall: whether to tell what matters over all of them.
        tracking_uri: where to look for an address.
        **how: `encoding` and `delimiter` of a text file.

    Raises:
        BundleError: there is no model, it is damaged, or it was saved without what explains it.
        TrackingError: the address can't be found in the tracking store.
        TableError: the table cannot be read, or has no text.
        SettingsError: what matters overall was asked of a single text.

    """
    explainer = Explainer.load(resolve_model(str(model), tracking_uri))
    names = explainer.predictor.label_names
    if isinstance(what, str) and not is_table(what):
        if overall:
            raise SettingsError(
                f"--overall needs a table, and {what!r} is taken for a text; give a file."
            )
        alone = tuple(explainer.explain([what]))
        return Explained(alone, None, names, unknown=_unknown(explainer.predictor, alone))
    column = text or str(explainer.predictor.settings["config"]["text"])
    table = read_table(what, Columns(column, None), **how)
    texts = table.frame["text"].drop_nulls().unique(maintain_order=True)
    if not len(texts):
        raise TableError(f"{table.name} has no text in its column {column!r}; pass --text NAME.")
    chosen = texts if limit is None else texts.head(limit)
    found = tuple(explainer.explain(chosen))
    return Explained(
        found,
        len(texts) - len(chosen),
        names,
        tuple(explainer.predictor.classes),
        words_overall(found) if overall else None,
        number_curve(explainer.predictor, chosen) if overall else None,
        _rules(explainer.predictor, table.frame["text"], chosen) if overall else None,
        _unknown(explainer.predictor, found),
    )


def _unknown(predictor: Predictor, found: Iterable[Explanation]) -> frozenset[str]:
    """The words that the model has no id for."""
    words = pl.Series(sorted({word for each in found for word in each.words}), dtype=pl.String)
    encoder = predictor.encoder
    has_none = encoder.vocabulary.ids(words) == UNKNOWN
    if encoder.numbers is not None:
        has_none &= ~is_number(words)
    return frozenset(words.filter(has_none))


def _rules(predictor: Predictor, rows: pl.Series, chosen: pl.Series) -> RuleSummary | None:
    """The rules that the model was saved with, and how often it decides like them here.

    Raises BundleError where they are damaged.
    """
    if "rules" not in predictor.settings:
        return None
    try:
        rule = rule_of(predictor.settings["rules"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"the model's rule summary is damaged ({type(error).__name__}: {error}); copy the "
            "model again or train again."
        ) from None
    counted = (
        pl.DataFrame({"text": chosen})
        .join(rows.rename("text").value_counts(name="rows"), on="text", maintain_order="left")
        .with_columns(text=normalise(chosen))
        .group_by("text", maintain_order=True)
        .agg(pl.col("rows").sum())
    )
    texts = counted["text"]
    return RuleSummary(
        rule,
        measure_agreement(
            rule,
            texts,
            predictor.predict(texts).label_index,
            counted["rows"].cast(pl.Int64).to_numpy(),
            predictor.classes,
            predictor.encoder.max_tokens,
        ),
    )
