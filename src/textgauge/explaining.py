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
from .errors import BundleError, SettingsError, TableError, did_you_mean
from .review.explanation import Explainer, Explanation
from .review.overall import NumberCurve, WordShare, number_curve, words_overall
from .review.rule_summary import RuleSummary, measure_agreement, rule_of
from .text.reader import notation_of
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
        unknown: words of the explanations that the model has not learned: it reads them all alike,
            or by pieces that they share with others.
        labels: where the model gives a text any number of labels: for each text the explanation of
            each label that was explained; then `explanations` are the first of each.

    """

    explanations: tuple[Explanation, ...]
    left_out: int | None
    label_names: dict[str, str]
    classes: tuple[str, ...] = ()
    words: dict[str, list[WordShare]] | None = None
    curve: NumberCurve | None = None
    rules: RuleSummary | None = None
    unknown: frozenset[str] = frozenset()
    labels: tuple[tuple[Explanation, ...], ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """As `textgauge explain --json` prints it."""
        if self.labels is None:
            found = [self._told(each) for each in self.explanations]
        else:
            found = [_together([self._told(each) for each in text]) for text in self.labels]
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

    def _told(self, explanation: Explanation) -> dict[str, Any]:
        told = explanation.to_json()
        for word in told["words"]:
            word["known"] = word["word"] not in self.unknown
        return told


def _together(labels: list[dict[str, Any]]) -> dict[str, Any]:
    """What is said of the labels of one text, in one object."""
    of_text = ("text", "decision")
    own = [{n: v for n, v in each.items() if n not in of_text} for each in labels]
    return {**{name: labels[0][name] for name in of_text}, "labels": own}


def explain_model(
    model: str | Path,
    what: Any,
    *,
    text: str | None = None,
    limit: int | None = None,
    overall: bool = False,
    label: str | None = None,
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
        label: of a model that gives a text any number of labels: the one to explain, decided or
            not; None: those that are decided, or the one that comes nearest.
        tracking_uri: where to look for an address.
        **how: `encoding` and `delimiter` of a text file.

    Raises:
        BundleError: there is no model, it is damaged, or it was saved without what explains it.
        TrackingError: the address can't be found in the tracking store.
        TableError: the table cannot be read, or has no text.
        SettingsError: what matters overall was asked of a single text, or `label` is none of the
            model's, or the model gives one label a text.

    """
    explainer = Explainer.load(resolve_model(str(model), tracking_uri))
    names = explainer.predictor.label_names
    asked = _asked(explainer.predictor, label)

    def explained(texts: Any) -> tuple[list[Explanation], dict[str, Any]]:
        if not explainer.predictor.has_sets:
            return explainer.explain(texts), {}
        labels = tuple(explainer.explain_labels(texts, label=asked))
        return [each[0] for each in labels], {"labels": labels}

    if isinstance(what, str) and not is_table(what):
        if overall:
            raise SettingsError(
                f"--overall needs a table, and {what!r} is taken for a text; give a file."
            )
        alone, more = explained([what])
        unknown = _unknown(explainer.predictor, alone)
        return Explained(tuple(alone), None, names, unknown=unknown, **more)
    column = text or str(explainer.predictor.settings["config"]["text"])
    table = read_table(what, Columns(column, None), **how)
    texts = table.frame["text"].drop_nulls().unique(maintain_order=True)
    if not len(texts):
        raise TableError(f"{table.name} has no text in its column {column!r}; pass --text NAME.")
    chosen = texts if limit is None else texts.head(limit)
    found, more = explained(chosen)
    every = [each for text in more["labels"] for each in text] if more else found
    return Explained(
        tuple(found),
        len(texts) - len(chosen),
        names,
        tuple(explainer.predictor.classes),
        words_overall(_spoken_for(every, asked)) if overall else None,
        number_curve(explainer.predictor, chosen) if overall else None,
        _rules(explainer.predictor, table.frame["text"], chosen) if overall else None,
        _unknown(explainer.predictor, found),
        **more,
    )


def _spoken_for(found: list[Explanation], asked: int | None) -> list[Explanation]:
    """Of labels that come nearest and are not decided, nothing speaks overall."""
    return [each for each in found if each.decided is not False or asked is not None]


def _asked(predictor: Predictor, label: str | None) -> int | None:
    """The index of the label to explain."""
    if label is None:
        return None
    if not predictor.has_sets:
        raise SettingsError(
            "--label is for models that give a text any number of labels; of this one the label "
            "that is decided is explained. Leave it out."
        )
    known = list(predictor.classes)
    named = [value for value, name in predictor.label_names.items() if name == label]
    value = label if label in known or len(named) != 1 else named[0]
    if value not in known:
        raise SettingsError(
            f"the model has no label {label!r}.{did_you_mean(label, known)} It has "
            f"{', '.join(map(repr, known[:10]))}"
            f"{f' and {len(known) - 10:,} more' if len(known) > 10 else ''}."
        )
    return known.index(value)


def _unknown(predictor: Predictor, found: Iterable[Explanation]) -> frozenset[str]:
    """The words that the model does not tell from others."""
    words = pl.Series(sorted({word for each in found for word in each.words}), dtype=pl.String)
    return frozenset(words.filter(~predictor.encoder.knows(words)))


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
            notation=notation_of(predictor.encoder),
        ),
    )
