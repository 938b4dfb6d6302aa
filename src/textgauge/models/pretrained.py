"""A pretrained Hugging Face encoder as a module and as an ONNX graph: ids in, features out."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import MissingPackageError, SettingsError
from ..text.encoder_folder import EncoderFolder
from ..text.pretrained import FIRST
from ..text.vocabulary import NUMBER, PAD, UNKNOWN
from .onnx_graph import IR_VERSION, OPSET

MASKED = -1e9
"""What is added to the attention that nothing shall get."""


class PretrainedEncoder(nn.Module):
    """Ids of `PretrainedReader` -> features of each text.

    Args:
        folder: of the encoder, whose weights it begins with.
        depths: behind how many layers the states are looked at, beside those behind the last; their
            means stand before what the encoder's own pooling makes of the last.

    Raises:
        MissingPackageError: transformers is not installed.
        SettingsError: the weights are damaged, or are another model's.

    """

    def __init__(self, folder: EncoderFolder, depths: Sequence[int] = ()) -> None:
        super().__init__()
        self.module: Any = _load(folder)
        self._depths = tuple(depths)
        self._pad, self._pooling, self._unit = folder.pad, folder.pooling, folder.unit
        self._longest = folder.max_tokens
        piece = torch.arange(-FIRST, int(folder.config["vocab_size"]))
        piece[PAD], piece[UNKNOWN], piece[NUMBER] = folder.pad, folder.unknown, folder.number
        for name, values in (
            ("piece", piece),
            ("before", torch.tensor(folder.before, dtype=torch.int64)),
            ("behind", torch.tensor(folder.behind, dtype=torch.int64)),
        ):
            self.register_buffer(name, values, persistent=False)

    piece: Tensor
    before: Tensor
    behind: Tensor

    def make_trainable(self) -> None:
        """Compute as is quickest in training, and touch only those pieces that a batch has."""
        self._attend("sdpa")
        embeddings = self.module.get_input_embeddings()
        if isinstance(embeddings, nn.Embedding):
            embeddings.sparse = True

    def _attend(self, how: str) -> None:
        """Compute attention by torch's one operation for it, or step by step, if there is both."""
        with suppress(ValueError, AttributeError):
            self.module.set_attn_implementation(how)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """The features; what stands behind a text's end changes nothing.

        Args:
            ids: of which so many are read as the encoder can. Shape: (texts, tokens), int64.
            lengths: tokens of each text. Shape: (texts,).

        Returns:
            Shape: (texts, width), for each depth and behind them for the last layer.

        """
        ends = lengths.unsqueeze(1).long().clamp(max=self._longest)
        pieces = self.piece[ids[:, : self._longest]]
        texts = pieces.shape[0]
        pieces = torch.cat(
            [
                self.before.expand(texts, -1),
                pieces,
                torch.full_like(self.behind, self._pad).expand(texts, -1),
            ],
            1,
        )
        column = torch.arange(pieces.shape[1], device=ids.device).unsqueeze(0)
        ends = ends + len(self.before)
        pieces = torch.where(column < ends, pieces, self._pad)
        for piece in self.behind:
            pieces = torch.where(column == ends, piece, pieces)
            ends = ends + 1
        inside = column < ends  # (texts, pieces)
        mask = torch.where(inside, 0.0, MASKED)[:, None, None, :]
        mask = mask.expand(-1, 1, pieces.shape[1], -1)
        read = self.module(
            input_ids=pieces, attention_mask=mask, output_hidden_states=bool(self._depths)
        )
        weight = inside.unsqueeze(2).to(mask.dtype)

        def mean(states: Tensor) -> Tensor:
            return (states * weight).sum(1) / weight.sum(1)

        states: Tensor = read.last_hidden_state
        last = states[:, 0] if self._pooling == "cls" else mean(states)
        if self._unit:
            last = last / last.norm(dim=1, keepdim=True).clamp(min=1e-12)
        before = [mean(read.hidden_states[depth]) for depth in self._depths]
        return torch.cat([*before, last], 1) if before else last

    def to_onnx(self) -> bytes:
        """The same function as an ONNX graph: `ids` and `lengths` (int32) -> `features`.

        Raises:
            SettingsError: it cannot be written as one.

        """
        training, device = self.training, self.piece.device
        attended = self.module.config._attn_implementation
        self._attend("eager")  # In steps that any runtime knows.
        file = io.BytesIO()
        example = (torch.full((2, 5), FIRST), torch.tensor([5, 3], dtype=torch.int32))
        try:
            with warnings.catch_warnings():
                # Of tracing: what it warns of are constants of the architecture.
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    self.to("cpu").eval(),
                    example,
                    file,  # type: ignore[arg-type]
                    input_names=["ids", "lengths"],
                    output_names=["features"],
                    dynamic_axes={
                        "ids": {0: "texts", 1: "tokens"},
                        "lengths": {0: "texts"},
                        "features": {0: "texts"},
                    },
                    opset_version=OPSET,
                    dynamo=False,  # The other exporter needs a package more.
                )
        except (RuntimeError, ValueError, TypeError, torch.onnx.errors.OnnxExporterError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise SettingsError(
                f"this encoder cannot be written as an ONNX graph ({first}); give a smaller one, "
                "or one of another kind."
            ) from None
        finally:
            self.to(device).train(training)
            self._attend(attended)
        import onnx

        model = onnx.load_from_string(file.getvalue())
        model.ir_version = IR_VERSION
        written: bytes = model.SerializeToString()
        return written


def _load(folder: EncoderFolder) -> nn.Module:
    try:
        import transformers
    except ImportError:
        raise MissingPackageError(
            "a pretrained encoder needs the package transformers; run pip install "
            "'textgauge[encoder]'."
        ) from None
    try:
        with _silent(transformers):
            module, told = transformers.AutoModel.from_pretrained(
                folder.path,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                attn_implementation="eager",
                dtype=torch.float32,
                output_loading_info=True,
            )
    except Exception as error:  # What a damaged file raises depends on where it is damaged.
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SettingsError(
            f"the encoder in {folder.path} cannot be loaded ({first}); copy it again."
        ) from None
    # Some encoders are stored without the layer behind them, which is not used here.
    lacking = sorted(name for name in told["missing_keys"] if not name.startswith("pooler."))
    if lacking or told["mismatched_keys"]:
        what = lacking[0] if lacking else sorted(told["mismatched_keys"])[0]
        raise SettingsError(
            f"{folder.path} holds files of different models: its weights do not fit its "
            f"config.json (the first that does not is {what}); copy the folder again."
        )
    if getattr(module, "pooler", None) is not None:
        module.pooler = None
    encoder: nn.Module = module
    return encoder


@contextmanager
def _silent(transformers: Any) -> Iterator[None]:
    """Without the bars and the reports that transformers prints when it loads."""
    logging = transformers.utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
