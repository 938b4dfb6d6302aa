"""What one step of the training loop is made of: its time, its operations, its matrix products."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from textgauge.config import Config
from textgauge.data.tables import read_table
from textgauge.run import checked_corpus
from textgauge.text.learn import learn_encoder
from textgauge.training.batches import choose_batch_size
from textgauge.training.fit import fit
from textgauge.training.progress import NoProgress

EPOCHS = 4  # The first warms up.
PROFILED = 20  # Steps of the second epoch, in a training of its own: profiling slows it.
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")


@dataclass(frozen=True)
class Step:
    """A step on `texts` texts: the median of its seconds, the mean of everything else.

    `operations` are those that forward, backward and optimizer ask for, `inner_operations` those
    that an operation calls in turn, many of them views that compute nothing. `product_seconds` is
    what the matrix products would take if there were nothing else to do.
    """

    texts: int
    seconds: float
    operations: float
    inner_operations: float
    products: float
    product_seconds: float


class _Stopwatch(NoProgress):
    """Notes what each step takes, the making of its batch included."""

    def __init__(self) -> None:
        self.epochs: list[list[float]] = []
        self._last = 0.0

    def step(self, step: int, steps: int) -> None:
        now = time.perf_counter()
        if step == 1:  # Before it lies the validation of the epoch before.
            self.epochs.append([])
        else:
            self.epochs[-1].append(now - self._last)
        self._last = now


class _Profiled(NoProgress):
    """Profiles the steps from the second of the second epoch on."""

    def __init__(self) -> None:
        self.profile = profile(activities=[ProfilerActivity.CPU], record_shapes=True)
        self._epoch = 0

    def step(self, step: int, steps: int) -> None:
        self._epoch += step == 1
        if self._epoch == 2 and step == 1:
            self.profile.start()
        elif self._epoch == 2 and step == 1 + PROFILED:
            self.profile.stop()


def measure_steps(table: Path) -> Step:
    """Train on `table` with the settings that users get by default: timed first, then profiled."""
    config = Config(epochs=EPOCHS, patience=EPOCHS)
    corpus, _ = checked_corpus(read_table(table), config, NoProgress())
    encoder = learn_encoder(corpus.train.texts, config)
    stopwatch, profiled = _Stopwatch(), _Profiled()
    fit(corpus, encoder, config, progress=stopwatch)
    fit(corpus, encoder, dataclasses.replace(config, epochs=2), progress=profiled)
    events = [event for event in profiled.profile.events() if _is_operation(event)]
    inner = sum(any(map(_is_operation, _around(event))) for event in events)
    products = [event for event in events if event.name in PRODUCTS]
    return Step(
        texts=choose_batch_size(len(corpus.train)),
        seconds=statistics.median(second for epoch in stopwatch.epochs[1:] for second in epoch),
        operations=(len(events) - inner) / PROFILED,
        inner_operations=inner / PROFILED,
        products=len(products) / PROFILED,
        product_seconds=_seconds_alone(products) / PROFILED,
    )


def _is_operation(event: Any) -> bool:
    """Whether an event is an operation on tensors; others are autograd's own."""
    return bool(event.name.startswith("aten::"))


def _around(event: Any) -> Iterator[Any]:
    """The events that an event is a part of."""
    while (event := event.cpu_parent) is not None:
        yield event


@torch.no_grad()
def _seconds_alone(products: Sequence[Any], repeats: int = 5) -> float:
    """The time of products of these shapes, one after the other and nothing between them.

    Factors of one shape are one tensor: in training too, the same weights stay in the cache.
    """
    made: dict[tuple[int, ...], Tensor] = {}

    def factors(event: Any) -> list[Tensor]:
        shapes = [tuple(shape) for shape in event.input_shapes if len(shape) >= 2]
        return [made.setdefault(shape, torch.randn(shape)) for shape in shapes[-2:]]

    pairs = [factors(event) for event in products]
    results = [torch.matmul(left, right) for left, right in pairs]
    took = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for (left, right), result in zip(pairs, results, strict=True):
            torch.matmul(left, right, out=result)
        took.append(time.perf_counter() - begin)
    return statistics.median(took)
