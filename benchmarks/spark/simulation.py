"""Plays what scoring does: tasks given to slots, chunks of rows, and a memory that is bounded.

The formula of cost.py has averages; here every row draws its text, a process remembers what it has
predicted until its memory is full (`engines/spark/worker.py`), and a task waits for a free slot.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

CHUNK = 100_000
"""Rows that are predicted together, as in `worker.CHUNK_ROWS`."""

REMEMBERED = 500_000
"""Texts that fit into `worker.MEMORY_BYTES`: some 130 bytes each, predictions included."""

SHUFFLED_AT_MOST = 20_000_000
"""Rows up to which the whole table is shuffled, so that each text stands there equally often."""


def predicted(
    rows: int, kinds: int, slots: int, tasks: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """How many texts are predicted in each task of one slot, the first of `slots`.

    Args:
        rows: of the table, in no order.
        kinds: different texts, each as often as the others.
        slots: that share the rows.
        tasks: of the whole table.
        rng: draws the texts.

    Returns:
        Shape: (tasks of the slot,).

    """
    mine = rows // slots
    if rows <= SHUFFLED_AT_MOST:
        texts = rng.permutation(rows)[:mine] % kinds
    else:
        texts = rng.integers(0, kinds, mine)
    known, remembered = np.zeros(kinds, dtype=bool), 0
    counts = []
    for task in np.array_split(texts, max(round(tasks / slots), 1)):
        count = 0
        for begin in range(0, len(task), CHUNK):
            wanted = np.unique(task[begin : begin + CHUNK])
            new = wanted[~known[wanted]]
            known[new] = True
            count += len(new)
            remembered += len(new)
            if remembered > REMEMBERED:
                known[:], remembered = False, 0
        counts.append(count)
    return np.array(counts)


def last_end(seconds: Sequence[float], slots: int) -> float:
    """When the last of the tasks ends, each begun as soon as a slot is free.

    >>> last_end([3.0, 1.0, 1.0, 2.0], 2)
    4.0
    """
    free = [0.0] * slots
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def scoring_seconds(
    rows: int,
    kinds: int,
    slots: int,
    tasks: int,
    *,
    start: float,
    each_row: float,
    each_text: float,
    spread: float,
    times: int = 200,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Seconds of a scoring that is played `times` times.

    Args:
        rows: of the table.
        kinds: different texts.
        slots: tasks that run at the same time.
        tasks: of the whole table.
        start: seconds that are spent once.
        each_row: seconds of a row that is read and written.
        each_text: seconds of a text that is predicted.
        spread: how far tasks of the same work differ (standard deviation of the logarithm).
        times: how often the tasks are given out, with other speeds each time.
        seed: of texts and speeds.

    Returns:
        The median, and the 5th and 95th percentile.

    """
    rng = np.random.default_rng(seed)
    counts = predicted(rows, kinds, slots, tasks, rng)
    work = np.resize(counts, tasks) * each_text + rows / tasks * each_row
    ends = [
        start + last_end((work * rng.lognormal(0.0, spread, tasks)).tolist(), slots)
        for _ in range(times)
    ]
    low, middle, high = np.percentile(ends, [5, 50, 95])
    return float(middle), float(low), float(high)
