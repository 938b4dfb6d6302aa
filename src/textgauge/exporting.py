"""A saved model as a folder that needs numpy and onnxruntime only, in 8 bits if that is asked for.

What 8 bits cost is measured on a labelled table before anything is written, and stands in the
folder's card.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .bundle import files
from .bundle.decision import DecisionRule
from .bundle.export import export_bundle
from .bundle.predictor import Predictor, session_from_bytes
from .data.columns import Columns
from .errors import SettingsError
from .folders import refuse_full_folder
from .review.labelled import Labelled, read_labelled
from .review.metrics import Metrics, evaluate
from .tracking.addresses import resolve_model

if TYPE_CHECKING:
    from .text.encoder import Encoded

_TIMED_TEXTS = 20_000
"""Distinct texts at most that the speed is measured on."""

_TIMED = 3
"""Times that they are predicted by each network, in turn; the fastest counts."""


@dataclass(frozen=True)
class Precision:
    """What a network in some precision comes to on a table.

    Attributes:
        accuracy: over rows, of the most probable label, in [0, 1].
        macro_f1: likewise.
        bytes: of the ONNX file.
        texts_per_second: distinct texts through the network, on one core.

    """

    accuracy: float
    macro_f1: float
    bytes: int
    texts_per_second: float


@dataclass(frozen=True)
class Int8:
    """What 8 bits cost.

    Attributes:
        table: name of the table that it was measured on.
        rows: of it.
        texts: distinct ones among them.
        float32: the network as it was trained.
        int8: the network as it is exported.
        equal_decisions: share of the rows that are decided alike, in [0, 1].
        largest_difference: of a probability.

    """

    table: str
    rows: int
    texts: int
    float32: Precision
    int8: Precision
    equal_decisions: float
    largest_difference: float

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            **vars(self),
            "float32": vars(self.float32),
            "int8": vars(self.int8),
            "accuracy_change": self.int8.accuracy - self.float32.accuracy,
            "macro_f1_change": self.int8.macro_f1 - self.float32.macro_f1,
        }

    def table_rows(self) -> list[list[str]]:
        """Figures of both and what changed, for people; the first row is the header."""
        one, other = self.float32, self.int8
        return [
            ["", "float32", "int8", "change"],
            *(
                [name.replace("_", " "), f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}"]
                for name in ("accuracy", "macro_f1")
                for a, b in [(getattr(one, name), getattr(other, name))]
            ),
            *(
                [name, f"{a:,.0f}", f"{b:,.0f}", f"{b / a - 1:+.0%}"]
                for name, a, b in (
                    ("bytes", one.bytes, other.bytes),
                    ("texts a second", one.texts_per_second, other.texts_per_second),
                )
            ),
        ]

    @property
    def sentence(self) -> str:
        """How much changes for whoever reads the decisions."""
        return (
            f"Measured on {self.table} ({self.rows:,} rows, {self.texts:,} distinct texts): "
            f"{self.equal_decisions:.2%} of the rows are decided as before; a probability differs "
            f"by {self.largest_difference:.2g} at most."
        )


@dataclass(frozen=True)
class Exported:
    """What an export came to.

    Attributes:
        folder: where it is.
        files: their sizes in bytes, by name.
        int8: what 8 bits cost; None where the network is as it was trained.

    """

    folder: Path
    files: dict[str, int] = field(default_factory=dict)
    int8: Int8 | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as `textgauge export --json` prints it."""
        return {
            "folder": str(self.folder),
            "files": self.files,
            "bytes": sum(self.files.values()),
            "int8": None if self.int8 is None else self.int8.to_json(),
        }


def export_model(
    model: str | Path,
    folder: Path | str,
    *,
    int8: bool = False,
    data: Any = None,
    text: str | None = None,
    label: str | None = None,
    tracking_uri: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Exported:
    """Write a model into a folder that needs numpy and onnxruntime only.

    Args:
        model: a folder, or a `runs:/` or `models:/` address.
        folder: must not exist, or be empty; it appears whole or not at all.
        int8: store the weights in 8 bits.
        data: a labelled table that the cost of 8 bits is measured on; needed for that alone.
        text: the table's column with the texts; default the one that the model was trained with.
        label: likewise with the labels.
        tracking_uri: where to look for an address.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.

    Raises:
        SettingsError: `int8` without `data`, or `data` without `int8`.
        BundleError: there is no model, or it is damaged.
        TrackingError: the address can't be found in the tracking store.
        TableError: the table can't be read, or has none of the model's labels.
        StorageError: the folder is not empty, or can't be written.

    """
    if int8 and data is None:
        raise SettingsError(
            "8 bits change a model's answers, by how much only texts can tell: name a labelled "
            "table with --data TABLE, best one that the model was not trained on."
        )
    if data is not None and not int8:
        raise SettingsError("a table is read to measure what 8 bits cost: --data needs --int8.")
    target = refuse_full_folder(folder, how="")
    assert target is not None
    bundle = resolve_model(str(model), tracking_uri)
    predictor = Predictor.load(bundle, cores=1)
    if int8 and predictor.has_sets:
        raise SettingsError(
            "what 8 bits cost is not measured yet for models that give a text any number of "
            "labels: export without --int8."
        )
    network, cost, notes = None, None, []
    if int8:
        from .bundle.int8 import to_int8

        trained_with = predictor.settings["config"]
        columns = Columns(text or trained_with["text"], label or trained_with["label"])
        table = read_labelled(
            data, columns, predictor.classes, encoding=encoding, delimiter=delimiter
        )
        before = (bundle / files.ONNX).read_bytes()
        network = to_int8(before)
        cost = _cost(predictor, before, network, table)
        notes = _notes(cost)
    export_bundle(bundle, predictor, target, network=network, notes=notes)
    sizes = {path.name: path.stat().st_size for path in sorted(target.iterdir())}
    return Exported(target, sizes, cost)


def _cost(predictor: Predictor, before: bytes, after: bytes, table: Labelled) -> Int8:
    """Judge both networks on the same texts."""
    texts = table.texts
    both = [
        Predictor(predictor.settings, predictor.encoder, session_from_bytes(each), cores=1)
        for each in (before, after)
    ]
    found = [each.predict(texts.texts).probabilities for each in both]
    seconds = _seconds(both, predictor.encoder.encode_normalised(texts.texts.head(_TIMED_TEXTS)))
    float32, int8 = (
        _precision(
            evaluate(texts, probabilities, predictor.classes).rows, network, len(texts), spent
        )
        for probabilities, network, spent in zip(found, (before, after), seconds, strict=True)
    )
    assert isinstance(predictor.rule, DecisionRule)
    decided = [predictor.rule.decide(each) for each in found]
    equal = (decided[0].label == decided[1].label) & (decided[0].review == decided[1].review)
    equal |= decided[0].review & decided[1].review
    return Int8(
        table.table.name,
        texts.rows,
        len(texts),
        float32,
        int8,
        equal_decisions=float((equal * texts.text_rows).sum() / texts.rows),
        largest_difference=float(np.abs(found[0] - found[1]).max()),
    )


def _precision(rows: Metrics, network: bytes, texts: int, seconds: float) -> Precision:
    per_second = min(texts, _TIMED_TEXTS) / seconds
    return Precision(rows.accuracy, rows.macro_f1, len(network), per_second)


def _seconds(networks: list[Predictor], encoded: Encoded) -> list[float]:
    """How long each needs for the texts, the fastest of several times in turn."""
    found = [float("inf")] * len(networks)
    for _ in range(_TIMED):
        for at, network in enumerate(networks):
            began = time.perf_counter()
            network.probabilities_of(encoded)
            found[at] = min(found[at], time.perf_counter() - began)
    return found


def _notes(cost: Int8) -> list[str]:
    header, *rows = (f"| {' | '.join(row)} |" for row in cost.table_rows())
    return [
        "### Its weights in 8 bits",
        "",
        f"{cost.sentence} The figures further down are those of the model in 32 bits.",
        "",
        header,
        "| --- | ---: | ---: | ---: |",
        *rows,
    ]
