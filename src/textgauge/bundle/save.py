"""Write a bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StorageError
from ..text.fills import Fills
from ..text.profile import TextProfile
from ..text.reader import TextReader, notation_of
from . import files
from .carried import carry_code
from .stored import write_digests

if TYPE_CHECKING:
    from ..models.reading import Classifier


def save_bundle(
    folder: Path,
    model: Classifier,
    encoder: TextReader,
    fills: Fills,
    *,
    settings: dict[str, Any],
    card: str,
    profile: TextProfile | None = None,
) -> None:
    """Write the model into `folder`, which appears whole or not at all.

    Args:
        folder: must not exist, or be empty.
        model: the trained model.
        encoder: what reads its texts.
        fills: what stands in which place of the training texts.
        settings: `classes`, `label_names`, `architecture`, `config`, `decision` (see
            `DecisionRule.to_json`; None: the most probable label), `multi_label` (True: `decision`
            is as `SetRule.to_json` gives it) and what else a reader wants.
        card: the model card, Markdown.
        profile: what the training texts are like.

    Raises:
        StorageError: the folder can't be written.

    """
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        reader = encoder.to_json()
        version = files.DECIDING_VERSION if settings.get("decision") else files.FORMAT_VERSION
        if settings.get("multi_label"):
            version = files.SETS_VERSION
        if "tokenizer" in reader or "pieces" in reader:
            version = files.PIECES_VERSION
        if notation_of(encoder).signed:
            version = files.SIGNED_VERSION
        if "notation" in reader:
            version = files.NOTATION_VERSION
        _write_json(partial / files.SETTINGS, {"format_version": version, **settings})
        _write_json(partial / files.VOCABULARY, reader)
        (partial / files.FILLS).write_text(json.dumps(fills.to_json()) + "\n", encoding="utf-8")
        if profile is not None:
            # In ASCII and strict: half a surrogate or a NaN would make it unreadable.
            found = json.dumps(profile.to_json(), allow_nan=False)
            (partial / files.PROFILE).write_text(found + "\n", encoding="utf-8")
        (partial / files.ONNX).write_bytes(model.to_onnx().SerializeToString())
        (partial / files.WEIGHTS).write_bytes(weights_of(model))
        (partial / files.CARD).write_text(card, encoding="utf-8")
        write_digests(partial, files.DIGESTED)
        carry_code(partial)
        partial.rename(folder)
    except OSError as error:
        raise StorageError(
            f"the model cannot be saved in {folder}: {error.strerror or error}. "
            "Make room or give another folder with --out."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def weights_of(model: Classifier) -> bytes:
    """The weights as a bundle keeps them: equal weights give equal bytes."""
    from safetensors.torch import save

    return save({name: value.contiguous() for name, value in model.state_dict().items()})


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(
        json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
