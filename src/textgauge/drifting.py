"""Hold a table against what a model was trained on, or against another table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .bundle.label_sets import SetRule
from .bundle.predictor import Predictor
from .data.columns import Columns
from .data.corpus import normalise_once
from .data.tables import Table, is_table, read_table
from .errors import BundleError, SettingsError, TableError
from .review.differences import Drift
from .review.drift import find_drift
from .review.reference import Reference, labels_of
from .text.counts import count_column
from .text.notation import learn_notation
from .tracking.addresses import resolve_model


def drift_of_table(
    source: Any,
    against: Any,
    *,
    text: str | None = None,
    label: str | None = None,
    tracking_uri: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    separator: str | None = None,
) -> Drift:
    """Tell how a table differs from what a model was trained on, or from another table.

    Args:
        source: what `read_table` takes.
        against: a model (a folder, or a `runs:/` or `models:/` address), or another table.
        text: the column with the texts, of both tables; default the model's, else "text".
        label: the column with the labels, which must be there; default the model's, else "label",
            where the table has such a column.
        tracking_uri: where to look for an address.
        encoding: of text files that are not UTF-8.
        delimiter: of text files, where it should not be guessed.
        separator: where rows have several labels: what joins them; a model that gives several
            knows its own.

    Raises:
        TableError: a table can't be read, or has no text.
        BundleError: there is no model, it is damaged, or does not tell what it was trained on.
        TrackingError: the address can't be found in the tracking store.
        SettingsError: both are standard input.

    """
    if isinstance(source, str) and source == "-" == against:
        raise SettingsError("standard input can be read once: name a file after --against.")
    how: dict[str, Any] = {
        "encoding": encoding, "delimiter": delimiter, "separator": separator
    }  # fmt: skip
    is_model = isinstance(against, Path | str) and not is_table(str(against))
    if is_model:
        predictor = Predictor.load(resolve_model(str(against), tracking_uri))
        if isinstance(predictor.rule, SetRule):
            separator = how["separator"] = separator or predictor.rule.separator
        found = Reference.of_model(predictor)
        if found is None:
            raise BundleError(
                f"{against} does not tell what it was trained on: an earlier textgauge saved it. "
                "Train again, or compare with the table that it was trained on: --against TABLE."
            )
        reference, names = found, predictor.settings["config"]
    else:
        names = {"text": "text", "label": "label"}
        other = _read(against, text, label, names, how)
        texts = other.frame["text"]
        notation = learn_notation(normalise_once(texts.drop_nulls()).unique())
        counts = count_column(texts, max_tokens=None, magnitudes=True, notation=notation)
        known = labels_of(other.frame, separator)
        reference = Reference.of_table(other.name, counts, known, notation)
    table = _read(source, text, label, names, how)
    labels = labels_of(table.frame, separator)
    return find_drift(reference.count(table.frame["text"]), labels, reference)


def _read(
    source: Any, text: str | None, label: str | None, names: dict[str, str], how: dict[str, Any]
) -> Table:
    columns = Columns(text or names["text"], label or names["label"])
    table = read_table(source, columns, **how, label_may_lack=label is None)
    if table.frame["text"].null_count() == len(table.frame):
        raise TableError(
            f"{table.name} has no text in its column {columns.text!r}; pass --text NAME."
        )
    return table
