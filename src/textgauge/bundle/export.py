"""A folder that predicts where neither textgauge nor polars is installed.

DIR/
  model.onnx         the network
  model.json         labels, words, number scale, which characters make a token, the decision
  predict.py         the example: numpy and onnxruntime, nothing else; of an encoder tokenizers, too
  requirements.txt   these, pinned
  Dockerfile         the same as an image
  README.md          the model card
"""

from __future__ import annotations

import json
import platform
import re
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from ..errors import StorageError
from ..text.notation import MINUS
from ..text.pretrained import PretrainedReader, unknown_piece
from ..text.reader import notation_of
from . import files
from .decision import DecisionRule
from .label_sets import SetRule
from .predictor import Predictor

SETTINGS = "model.json"
PROGRAM, EXAMPLE = "predict.py", "example.py"
REQUIREMENTS = "requirements.txt"
DOCKERFILE = "Dockerfile"

FORMAT_VERSION = 1
"""Of `model.json`."""

PACKAGES = ("numpy", "onnxruntime")
"""All that `predict.py` needs besides Python, where words are read."""

TOKENIZERS = "tokenizers"
"""What it needs where the model has a tokenizer of its own."""

_STANDALONE = Path(__file__).parent / "standalone"
_USE = re.compile(r"## Use\n.*?(?=\n## |\Z)", re.DOTALL)


def export_bundle(
    bundle: Path,
    predictor: Predictor,
    folder: Path,
    *,
    network: bytes | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write the files into `folder`, which appears whole or not at all.

    Args:
        bundle: the saved model.
        predictor: the same, loaded.
        folder: must not exist, or be empty.
        network: stands in for the bundle's ONNX file.
        notes: Markdown lines that the card shall have beside the bundle's own.

    Raises:
        StorageError: the folder can't be written.

    """
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as staging:
            made = Path(staging) / folder.name
            made.mkdir()
            made.joinpath(files.ONNX).write_bytes(network or (bundle / files.ONNX).read_bytes())
            values = json.dumps(settings_of(predictor), allow_nan=False)
            made.joinpath(SETTINGS).write_text(values + "\n", encoding="utf-8")
            reader = predictor.encoder.to_json()
            # The example shows how one label is found, from whole words.
            simple = not (predictor.has_sets or {"tokenizer", "pieces"} & reader.keys())
            for program in (PROGRAM, EXAMPLE) if simple else (PROGRAM,):
                made.joinpath(program).write_bytes((_STANDALONE / program).read_bytes())
            needed = requirements("tokenizer" in reader)
            made.joinpath(REQUIREMENTS).write_text(needed, encoding="utf-8")
            made.joinpath(DOCKERFILE).write_text(dockerfile(), encoding="utf-8")
            card = bundle / files.CARD
            told = card.read_text(encoding="utf-8") if card.is_file() else "# Text classifier\n"
            made.joinpath(files.CARD).write_text(_card(told, notes), encoding="utf-8")
            made.replace(folder)
    except OSError as error:
        raise StorageError(
            f"the export cannot be written to {folder}: {error.strerror or error}. Make room, or "
            "give another folder."
        ) from error


def settings_of(predictor: Predictor) -> dict[str, Any]:
    """What `predict.py` must know besides the network, as plain JSON values."""
    letters, spaces, joined = character_classes()
    encoder, rule = predictor.encoder, predictor.rule
    notation = notation_of(encoder)
    reader = encoder.to_json()
    if isinstance(encoder, PretrainedReader):
        reader["unknown_piece"] = unknown_piece(reader["tokenizer"])
    return {
        "format_version": FORMAT_VERSION,
        "made_by": f"textgauge {predictor.settings.get('version')}",
        "classes": predictor.classes,
        "label_names": predictor.label_names,
        **_deciding(rule),
        "review_below": rule.review_below,
        # `Notation.number`, with what its \B means there spelled out.
        "number": rf"(?:(?<![{joined}])[-{MINUS}])?(?:{notation.unsigned})"
        if notation.signed
        else notation.unsigned,
        "thousands": notation.thousands,
        "decimal": notation.decimal,
        "grouped": notation.grouped,
        "letters": letters,
        "spaces": spaces,
        **reader,
    }


def _deciding(rule: DecisionRule | SetRule) -> dict[str, Any]:
    """How the probabilities are made, and decided by."""
    if isinstance(rule, SetRule):
        return {
            "decision_weights": None,
            "thresholds": list(rule.thresholds),
            "separator": rule.separator,
        }
    return {"decision_weights": None if rule.weights is None else list(rule.weights)}


def character_classes() -> tuple[str, str, str]:
    r"""Letters with their marks, white space, and what `\w` is, each inside of a `[…]` in `re`.

    Asked of the regular expressions that read the training texts, because Python's have no `\p{L}`,
    take U+001C to U+001F for white space, and know the Unicode of their own version.
    """
    every = pl.Series([chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000])
    letters, spaces, joined = (
        _ranges([ord(each) for each in every.filter(every.str.contains(pattern))])
        for pattern in (r"[\p{L}\p{M}]", r"\s", r"\w")
    )
    return letters, spaces, joined


def _ranges(codes: Sequence[int]) -> str:
    """Rising code points as ranges.

    >>> _ranges([97, 98, 99, 181])
    'a-cµ'
    """
    found: list[list[int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(chr(low) if low == high else f"{chr(low)}-{chr(high)}" for low, high in found)


def requirements(own_tokenizer: bool = False) -> str:
    """The packages at the versions installed here."""
    needed = (*PACKAGES, TOKENIZERS) if own_tokenizer else PACKAGES
    return "".join(f"{name}=={version(name)}\n" for name in needed)


def dockerfile() -> str:
    """An image that predicts, as nobody in particular and without a network."""
    python = ".".join(platform.python_version_tuple()[:2])
    return f"""\
# docker build --tag classifier .
# docker run --rm --network none classifier "a text" "another"
# docker run --rm --network none --interactive classifier < texts.txt
FROM python:{python}-slim
WORKDIR /model
COPY {REQUIREMENTS} ./
RUN pip install --no-cache-dir -r {REQUIREMENTS}
COPY --chmod=444 {PROGRAM} {SETTINGS} {files.ONNX} {files.CARD} ./
USER 65534:65534
ENTRYPOINT ["python", "-B", "-I", "{PROGRAM}"]
"""


def _card(card: str, notes: Sequence[str]) -> str:
    """The bundle's card, where it says how to use it changed to what holds here."""
    use = "\n".join(
        [
            "## Use",
            "",
            "```sh",
            f"pip install -r {REQUIREMENTS}",
            f'python {PROGRAM} "a text" "another"',
            f"python {PROGRAM} < texts.txt",
            "```",
            "",
            "Each text gives a line of JSON: `predicted_label`, `probability`, `decision`. "
            f"`{DOCKERFILE}` makes an image of it.",
            *(["", *notes] if notes else []),
            "",
        ]
    )
    if _USE.search(card):
        return _USE.sub(lambda _: use, card, count=1)
    return f"{card.rstrip()}\n\n{use}"
