"""Where a training computes."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch

from ..errors import SettingsError

CPU = torch.device("cpu")


def device_named(name: str) -> torch.device:
    """The device of `Config.device`: "cpu", "cuda", or "auto" for a GPU where torch sees one.

    Raises:
        SettingsError: a GPU is asked for, and torch sees none.

    """
    if name == "cpu":
        return CPU
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if name == "auto":
        return CPU
    built = torch.version.cuda
    reason = (
        f"torch {torch.__version__} is built for CUDA {built} and sees no GPU: look at its driver"
        if built
        else f"torch {torch.__version__} is built without CUDA: install a build with it"
    )
    raise SettingsError(f"device is 'cuda', but {reason}, or pass --device cpu.")


def half_where_it_pays(device: torch.device, mixed: bool) -> AbstractContextManager[object]:
    """Matrix products in bfloat16 where hardware multiplies these faster, if the model takes it."""
    if mixed and (device.type == "cuda" or _multiplies_halves()):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def _multiplies_halves() -> bool:
    """Whether the processor has instructions for products in bfloat16."""
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)
