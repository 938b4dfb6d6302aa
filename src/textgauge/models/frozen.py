"""A pretrained encoder that is not trained: the features of each distinct text, computed once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..cores import available_cores
from ..text.encoder import Encoded
from ..text.encoder_folder import EncoderFolder
from .feature_cache import FeatureCache, cache_folder
from .pretrained import PretrainedEncoder

VERSION = 2
"""Of how ids become features; another one makes other features of the same encoder."""

DEPTHS = 3
"""Depths at which the states are looked at, evenly from the embeddings on, before the last: what
earlier layers know of a text, the last one, trained for a purpose of its own, has partly forgotten.
"""

BATCH_TOKENS = 4_096
"""Tokens of a batch; more are no faster, and fewer tell sooner how far it is."""

KEEP_EVERY = 2.0
"""Seconds after which what was computed is kept on disk: so much is lost at most by Ctrl-C."""

Floats = npt.NDArray[np.float32]


class FrozenEncoder:
    """Gives features of texts, from memory, from disk, or computed.

    On the processor onnxruntime computes them with the graph that predictions are made with, in
    batches of texts of the same length. So a text has the same features, to the last bit, whatever
    other texts are computed with it.

    Args:
        folder: of the encoder.
        cuda: compute on a GPU, with torch.

    """

    def __init__(self, folder: EncoderFolder, *, cuda: bool = False) -> None:
        self._folder, self._cuda = folder, cuda
        digest = hashlib.sha256(f"{VERSION} {cuda} {folder.digest()}".encode()).hexdigest()
        self._cache = FeatureCache(digest[:32], self.width_of(folder))
        self._known: dict[bytes, Floats] = {}

    @staticmethod
    def width_of(folder: EncoderFolder) -> int:
        """Components of the features of a text."""
        return folder.width * (len(depths_of(folder)) + 1)

    @cached_property
    def graph(self) -> bytes:
        """The encoder as an ONNX graph; see `PretrainedEncoder.to_onnx`."""
        found = self._cache.graph()
        if found is None:
            found = self._module.to_onnx()
            self._cache.put_graph(found)
        return found

    @cached_property
    def _module(self) -> PretrainedEncoder:
        module = PretrainedEncoder(self._folder, depths_of(self._folder))
        return module.eval().requires_grad_(False)

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        return onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])

    def run(self, ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Floats:
        """Features of one rectangle of texts. Shapes: (texts, tokens), (texts,)."""
        if self._cuda:
            with torch.no_grad():
                module = self._module.to("cuda")
                found = module(torch.from_numpy(ids).cuda(), torch.from_numpy(lengths).cuda())
            on_gpu: Floats = found.cpu().numpy()
            return on_gpu
        feed = {"ids": ids, "lengths": lengths.astype(np.int32)}
        result: Floats = self._session.run(["features"], feed)[0]
        return result

    def features(self, encoded: Encoded, tell: Callable[[int, int], None]) -> Floats:
        """Features of each text.

        Args:
            encoded: the texts.
            tell: called now and then with how many distinct texts are computed, and of how many.

        Returns:
            Shape: (texts, width).

        """
        # Magnitudes of numbers are none of the encoder's business, nor what it does not read.
        plain = _cut(encoded, self._folder.max_tokens)
        alike = plain.first_alike()
        distinct = np.flatnonzero(alike == np.arange(len(plain)))
        starts = plain.starts
        keys = {
            int(row): hashlib.blake2b(
                plain.ids[starts[row] : starts[row] + plain.lengths[row]].tobytes(), digest_size=16
            ).digest()
            for row in distinct
        }
        asked = [key for key in keys.values() if key not in self._known]
        if asked:
            self._known |= self._cache.get(asked)
        left = np.array([row for row, key in keys.items() if key not in self._known], np.int64)
        if len(left):
            self._compute(plain, starts, left, keys, tell)
        result = np.empty((len(plain), self.width_of(self._folder)), dtype=np.float32)
        for row, key in keys.items():
            result[row] = self._known[key]
        return result[alike]

    def _compute(
        self,
        plain: Encoded,
        starts: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        keys: dict[int, bytes],
        tell: Callable[[int, int], None],
    ) -> None:
        """Compute the texts `rows`, the long ones first, and keep them now and then."""
        done, new, kept_at = 0, dict[bytes, Floats](), time.monotonic()
        tell(0, len(rows))

        def run(some: npt.NDArray[np.int64]) -> Floats:
            # Never one text alone, whose sums are added up in another order.
            pair = some if len(some) > 1 else np.repeat(some, 2)
            ids, _, lengths = plain.padded(pair, starts)
            return self.run(ids, lengths)[: len(some)]

        workers = 1 if self._cuda else available_cores()
        if not self._cuda:
            self._session  # noqa: B018 - made before several threads want it
        batches = list(_batches(rows, plain.lengths[rows]))
        with ThreadPoolExecutor(workers) as pool:
            waiting = [pool.submit(run, batch) for batch in batches]
            try:
                for batch, each in zip(batches, waiting, strict=True):
                    found = {
                        keys[int(row)]: one for row, one in zip(batch, each.result(), strict=True)
                    }
                    self._known |= found
                    new |= found
                    done += len(batch)
                    tell(done, len(rows))
                    if time.monotonic() - kept_at > KEEP_EVERY:
                        self._cache.put(new)
                        new, kept_at = {}, time.monotonic()
            finally:
                for each in waiting:
                    each.cancel()
                self._cache.put(new)


def _cut(encoded: Encoded, most: int) -> Encoded:
    """So many tokens of each text at most, without the magnitudes of numbers."""
    column = np.arange(len(encoded.ids)) - np.repeat(encoded.starts, encoded.lengths)
    ids = encoded.ids[column < most]
    lengths = np.minimum(encoded.lengths, most, dtype=np.int32)
    return Encoded(ids, np.zeros(len(ids), dtype=np.float32), lengths)


def depths_of(folder: EncoderFolder) -> list[int]:
    """After how many layers the states are looked at, beside those after the last."""
    return sorted({folder.layers * at // DEPTHS for at in range(DEPTHS)} - {folder.layers})


def frozen_encoder(folder: EncoderFolder, *, cuda: bool = False) -> FrozenEncoder:
    """A frozen encoder; the one that was asked for last stays in memory, with its features."""
    return _kept(folder, cuda, cache_folder())


@lru_cache(maxsize=1)
def _kept(folder: EncoderFolder, cuda: bool, cache: Path) -> FrozenEncoder:
    return FrozenEncoder(folder, cuda=cuda)


def _batches(
    rows: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]
) -> Iterator[npt.NDArray[np.int64]]:
    """Texts of the same length together, the longest first."""
    order = rows[np.argsort(-lengths, kind="stable")]
    rising = -np.sort(-lengths, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(rising)) + 1, len(rising))
    begin = 0
    for end in ends:
        size = max(BATCH_TOKENS // int(rising[begin]), 1)
        for start in range(begin, end, size):
            yield order[start : min(start + size, end)]
        begin = int(end)
