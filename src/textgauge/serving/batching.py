"""Requests that come at the same time are computed together, in one thread beside the event loop.

A request that comes alone starts at once. Where the last ones came together, the next wait for each
other: until as many are there as last time, and never longer than `GATHER_SECONDS`. While the
thread is at work, what comes waits anyway, and goes together when it is done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from .faults import RefusedError
from .limits import BATCH_CHARACTERS, BATCH_TEXTS, GATHER_SECONDS, Limits
from .metrics import Metrics
from .model import Answer, ServedModel

Result = TypeVar("Result")


@dataclass(eq=False)
class _Waiting:
    """A request in the queue: texts to predict, or other work for the thread."""

    work: Sequence[str] | Callable[[], Any]
    future: asyncio.Future[Any]
    timer: asyncio.TimerHandle


class Batcher:
    """The queue before the model. All methods belong to the event loop's thread."""

    def __init__(self, current: Callable[[], ServedModel], limits: Limits, metrics: Metrics):
        self._current, self._limits, self._metrics = current, limits, metrics
        self._texts: deque[_Waiting] = deque()
        self._others: deque[_Waiting] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="textgauge-model")
        self._busy, self._together, self._others_next = False, 1, False
        self._start: asyncio.Handle | None = None
        metrics.watch_queue(lambda: len(self))

    def __len__(self) -> int:
        return len(self._texts) + len(self._others)

    async def predict(self, texts: Sequence[str]) -> tuple[ServedModel, list[Answer]]:
        """What the model at work says of some texts, and which model that was.

        Raises:
            RefusedError: 429 where too many wait, 503 where it waited too long.

        """
        model = self._current()
        self._metrics.texts.inc(len(texts))
        known = [model.recent.get(text) for text in texts]
        answers = [each for each in known if each is not None]
        if len(answers) == len(texts):
            self._metrics.remembered.inc(len(texts))
            return model, answers
        while True:
            parts = []
            for some in _portions(texts):
                part: tuple[ServedModel, list[Answer]] = await self._wait_in(self._texts, some)
                parts.append(part)
            told_by = parts[0][0]
            # All of a request are told by one model, so what was told while it changed is not told.
            if all(by is told_by for by, _ in parts):
                return told_by, [answer for _, told in parts for answer in told]

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` gives, done in the model's thread.

        Raises:
            RefusedError: as `predict`, and what `work` raises.

        """
        result: Result = await self._wait_in(self._others, work)
        return result

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _wait_in(self, queue: deque[_Waiting], work: Any) -> Any:
        if len(self) >= self._limits.queue:
            raise RefusedError(
                429,
                f"{len(self):,} requests wait for the model already. Come again in a moment, or "
                "send several texts in one request.",
            )
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        waiting = _Waiting(work, future, None)  # type: ignore[arg-type]
        waiting.timer = loop.call_later(self._limits.queue_seconds, self._give_up, queue, waiting)
        queue.append(waiting)
        if not self._busy:
            self._schedule(loop)
        try:
            return await future
        except asyncio.CancelledError:
            self._leave(queue, waiting)
            raise

    def _give_up(self, queue: deque[_Waiting], waiting: _Waiting) -> None:
        if self._leave(queue, waiting) and not waiting.future.done():
            seconds = self._limits.queue_seconds
            waiting.future.set_exception(
                RefusedError(
                    503, f"The model was not free within {seconds:g} s. Come again in a moment."
                )
            )

    @staticmethod
    def _leave(queue: deque[_Waiting], waiting: _Waiting) -> bool:
        waiting.timer.cancel()
        try:
            queue.remove(waiting)
        except ValueError:
            return False  # Its work has begun.
        return True

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        complete = len(self._texts) >= self._together or bool(self._others)
        if self._start is not None:
            if not complete:
                return
            self._start.cancel()
        if complete:
            # Not before what came in the same moment was read, too.
            self._start = loop.call_soon(self._begin)
        else:
            self._start = loop.call_later(GATHER_SECONDS, self._begin)

    def _begin(self) -> None:
        self._start = None
        if self._busy or not len(self):
            return
        self._busy = True
        loop = asyncio.get_running_loop()
        # By turns, so that many predictions cannot keep an explanation waiting for ever.
        if self._others and (self._others_next or not self._texts):
            self._others_next = False
            waiting = self._others.popleft()
            waiting.timer.cancel()
            done = loop.run_in_executor(self._thread, waiting.work)  # type: ignore[arg-type]
            done.add_done_callback(lambda done: self._finish_other(waiting, done))
            return
        self._others_next = True
        batch = self._take()
        distinct = list(dict.fromkeys(text for waiting in batch for text in waiting.work))  # type: ignore[union-attr]
        model = self._current()
        self._metrics.batch.observe(len(distinct))
        answered = loop.run_in_executor(self._thread, model.answer, distinct)
        answered.add_done_callback(lambda done: self._finish(batch, model, distinct, done))

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        texts = characters = 0
        while self._texts:
            work = self._texts[0].work
            assert not callable(work)
            texts, characters = texts + len(work), characters + sum(map(len, work))
            if batch and (texts > BATCH_TEXTS or characters > BATCH_CHARACTERS):
                break
            batch.append(self._texts.popleft())
            batch[-1].timer.cancel()
        self._together = len(batch)
        return batch

    def _finish(
        self,
        batch: list[_Waiting],
        model: ServedModel,
        distinct: list[str],
        done: asyncio.Future[list[Answer]],
    ) -> None:
        fault = _exception_of(done)
        if fault is None:
            answer_of = dict(zip(distinct, done.result(), strict=True))
            for text, answer in answer_of.items():
                model.recent.put(text, answer)
        for waiting in batch:
            if waiting.future.done():
                continue  # Its client went away.
            if fault is not None:
                waiting.future.set_exception(fault)
            else:
                waiting.future.set_result((model, [answer_of[text] for text in waiting.work]))  # type: ignore[union-attr]
        self._go_on()

    def _finish_other(self, waiting: _Waiting, done: asyncio.Future[Any]) -> None:
        if not waiting.future.done():
            fault = _exception_of(done)
            if fault is not None:
                waiting.future.set_exception(fault)
            else:
                waiting.future.set_result(done.result())
        elif not done.cancelled():
            done.exception()  # Looked at, so that nobody complains that nobody did.
        self._go_on()

    def _go_on(self) -> None:
        self._busy = False
        if len(self):
            self._begin()


def _exception_of(done: asyncio.Future[Any]) -> Exception | None:
    """What went wrong. A panic of Polars is no `Exception`, and would end more than the request."""
    fault = done.exception()
    if fault is None or isinstance(fault, Exception):
        return fault
    return RuntimeError(f"{type(fault).__name__}: {fault}")


def _portions(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts of a request, cut so that others have their turn in between."""
    begin = characters = 0
    for at, text in enumerate(texts):
        characters += len(text)
        if at > begin and (at - begin == BATCH_TEXTS or characters > BATCH_CHARACTERS):
            yield texts[begin:at]
            begin, characters = at, len(text)
    yield texts[begin:]
