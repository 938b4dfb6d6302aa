"""Options for the settings of a training, the fields of `Config`."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import Any

from ..config import FALSE
from .shared import (
    store_options,
)


def config_options(parser: argparse.ArgumentParser, *groups: str) -> None:
    """Options for fields of `Config`; those not given stay out of the parsed result."""
    given: dict[str, Any] = {"default": argparse.SUPPRESS}
    table = parser.add_argument_group("the table")
    table.add_argument("--text", metavar="COLUMN", help="column with the texts", **given)
    table.add_argument("--label", metavar="COLUMN", help="column with the labels", **given)
    if "table" not in groups:
        return
    table.add_argument(
        "--label-names", type=_label_names, metavar="0=good,1=bad", help="names of labels", **given
    )
    table.add_argument(
        "--multi-label",
        action="store_true",
        help="a row has any number of labels, joined in a text or in a list",
        **given,
    )
    table.add_argument(
        "--label-separator", metavar="S", help="what joins the labels of a row (|)", **given
    )
    split = parser.add_argument_group("the split (default: by a hash of the text)")
    for name, text in (
        ("split", "that says train, val or test in each row"),
        ("group", "whose equal values stay in one part"),
        ("time", "by which the earliest rows train and the latest test"),
    ):
        split.add_argument(f"--{name}-column", metavar="COLUMN", help=f"column {text}", **given)
    split.add_argument("--val-fraction", type=float, metavar="X", help="share (0.2)", **given)
    split.add_argument("--test-fraction", type=float, metavar="X", help="share (0.2)", **given)
    split.add_argument("--seed", type=int, metavar="N", help="decides all chance (0)", **given)
    words = parser.add_argument_group("text to numbers")
    words.add_argument(
        "--no-numbers", dest="numbers", action="store_false", help="read numbers as words", **given
    )
    words.add_argument("--number-bins", type=int, metavar="N", help="at most (64)", **given)
    words.add_argument(
        "--min-texts",
        type=int,
        metavar="N",
        help="texts that a known word stands in (2; linear: 1)",
        **given,
    )
    words.add_argument(
        "--max-words", type=int, metavar="N", help="at most (50000; linear: 500000)", **given
    )
    words.add_argument(
        "--max-tokens",
        type=int,
        metavar="N",
        help="of a text (256; encoder, linear: 5000)",
        **given,
    )
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings from a file")
    if "training" not in groups:
        return
    table.add_argument(
        "--slice",
        dest="slice_column",
        metavar="COLUMN",
        help="judge the test rows of each value of this column, too",
        **given,
    )
    words.add_argument(
        "--vectors", metavar="PATH", help="GloVe/word2vec text, .npz, .npy or a package", **given
    )
    words.add_argument(
        "--freeze-vectors", action="store_true", help="do not train them further", **given
    )
    model = parser.add_argument_group("model and training")
    if "models" not in groups:  # Who compares several names them otherwise.
        model.add_argument(
            "--preset", metavar="HOW", help="fast, balanced or best: choose the model", **given
        )
        model.add_argument(
            "--model", metavar="NAME", help="bag, cnn, encoder, linear or lstm (default)", **given
        )
    for name, kind, text in (
        ("embedding-size", int, "width of a word (100)"),
        ("hidden-size", int, "width of the state (100)"),
        ("dropout", float, "of the LSTM's inputs (0.2)"),
        ("recurrent-dropout", float, "of its state (0.2)"),
        ("filters", int, "of each of the CNN's widths (100)"),
        ("filter-dropout", float, "of the CNN's maxima (0.5)"),
        (
            "penalty",
            float,
            "of the linear model, and of encoder's linear part, for a wrong row (1)",
        ),
        ("epochs", int, "at most (40)"),
        ("patience", int, "epochs without gain before it stops (4; --fine-tune: 2)"),
        ("batch-size", int, "texts a step (default: by the number of texts)"),
        ("lr", float, "learning rate of Adam (0.001; bag: 0.01)"),
        (
            "label-smoothing",
            float,
            "share of a label spread over all (0; encoder: 0.05, --fine-tune: 0)",
        ),
        ("threads", int, "of the training (1; --fine-tune: all cores)"),
    ):
        metavar = "N" if kind is int else "X"
        model.add_argument(f"--{name}", type=kind, metavar=metavar, help=text, **given)
    model.add_argument(
        "--encoder", metavar="PATH", help="a pretrained encoder: folder, package or name", **given
    )
    model.add_argument(
        "--fine-tune", action="store_true", help="train the encoder, too (a GPU helps)", **given
    )
    model.add_argument(
        "--contrast",
        action=argparse.BooleanOptionalAction,
        help="begin with which texts are alike (--fine-tune with at most 1,000 texts: yes)",
        **given,
    )
    model.add_argument(
        "--refit",
        action=argparse.BooleanOptionalAction,
        help="learn from the validation texts, too, in the end (linear and encoder: yes, "
        "--fine-tune: with at most 1,000 texts)",
        **given,
    )
    model.add_argument(
        "--bidirectional", action="store_true", help="the LSTM reads from the end, too", **given
    )
    model.add_argument(
        "--device", metavar="WHERE", help="auto, cpu or cuda: where to train (auto)", **given
    )
    model.add_argument(
        "--class-weights", metavar="HOW", help="none, or balanced: labels weigh alike", **given
    )
    model.add_argument(
        "--every-row",
        dest="distinct",
        action="store_false",
        help="train on every row, not on distinct texts (slower, for comparison)",
        **given,
    )
    _decision_options(parser)


def _decision_options(parser: argparse.ArgumentParser) -> None:
    decision = parser.add_argument_group("the decision (default: the most probable label)")
    decision.add_argument(
        "--cost",
        type=_cost,
        metavar="false-LABEL=COST,…",
        help="what deciding LABEL costs where it is not so; the others cost 1",
        default=argparse.SUPPRESS,
    )
    band = decision.add_mutually_exclusive_group()
    band.add_argument(
        "--review-below",
        type=_share,
        metavar="P",
        help="a person decides what is less certain: 0.9 or 90%%",
        default=argparse.SUPPRESS,
    )
    band.add_argument(
        "--review-rate",
        type=_share,
        metavar="R",
        help="a person decides the least certain rows: 0.05 or 5%% of those of validation",
        default=argparse.SUPPRESS,
    )


def _cost(value: str) -> dict[str, float]:
    """`false-LABEL=COST,…`; a label may hold commas and equals signs."""
    found: dict[str, float] = {}
    for part in re.split(rf",\s*(?={FALSE})", value.strip()):
        key, _, cost = part.rpartition("=")
        key = key.strip()
        try:
            number = float(cost)
        except ValueError:
            number = -1.0
        if len(key) <= len(FALSE) or not key.startswith(FALSE) or not 0 <= number < math.inf:
            raise argparse.ArgumentTypeError(
                "must look like false-compliant=10,false-non-compliant=1, each cost 0 or more, "
                f"was {value!r}"
            )
        if key in found:
            raise argparse.ArgumentTypeError(f"names {key!r} twice")
        found[key] = number
    return found


def _share(value: str) -> float:
    """A share, as 0.05 or as 5%."""
    number, percent = value.strip().removesuffix("%"), value.strip().endswith("%")
    try:
        return float(number) / (100 if percent else 1)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a share such as 0.05 or 5%, was {value!r}"
        ) from None


def _label_names(value: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in value.split(",") if pair]
    if not pairs or not all(label and equals and name for label, equals, name in pairs):
        raise argparse.ArgumentTypeError(
            f"must look like 0=compliant,1=non-compliant, was {value!r}"
        )
    return {label.strip(): name.strip() for label, _, name in pairs}


def run_options(parser: argparse.ArgumentParser) -> None:
    """How a run is tracked and resumed."""
    tracking = parser.add_argument_group("tracking")
    tracking.add_argument("--experiment", metavar="NAME", help="MLflow experiment (textgauge)")
    store_options(tracking)  # type: ignore[arg-type]
    _registration_options(tracking)
    tracking.add_argument("--out", type=Path, metavar="DIR", help="a new folder for the model")


def _registration_options(tracking: Any) -> None:
    tracking.add_argument(
        "--register", metavar="NAME", help="register the model (Unity Catalog: CATALOG.SCHEMA.NAME)"
    )
    alias = tracking.add_mutually_exclusive_group()
    alias.add_argument(
        "--alias", metavar="NAME", help="points to the registered version (challenger)"
    )
    alias.add_argument(
        "--no-alias",
        action="store_true",
        help="set none (in Unity Catalog only a model's owner may)",
    )
