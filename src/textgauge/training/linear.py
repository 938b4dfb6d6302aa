"""The linear model's features and weights: a support vector machine on weighted words and pieces.

By itself the model `linear`, and a part of the model `encoder`, whose words are its tokenizer's.

A text is a row of three kinds of features. Each token has one, and so has each known pair of
neighbours, weighted by how few texts have it (the inverse document frequency); together they are
divided by the root of the sum of all tokens' and pairs' squares. Each known piece of a word has
one, weighted and divided alike, but among pieces. And a number has those of its magnitude, one for
each edge that it passes. That a token counts in the size as often as it stands there keeps the size
a sum over tokens: the saved model then needs one row a token, whatever pieces it consists of.

The weights are those of Fan et al., "LIBLINEAR: A Library for Large Linear Classification" (2008):
one label against the others, squared hinge loss.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from ..config import Config
from ..errors import SettingsError
from ..models.linear import TINY, LinearClassifier
from ..models.pairs import hashes_of
from ..text.encoder import Encoded
from ..text.reader import TextReader
from ..text.vocabulary import NUMBER
from .batches import EncodedTexts
from .history import Epoch
from .loop import Trained, evaluate

_REST = -1
"""Stands for all labels of other parts."""

TOLERANCE = 0.3
"""How exactly the weights are found: as far as decisions depend on it."""

NUMBER_SCALE = 2.0
"""Size of the features of a number that passes all edges, beside a word's inverse frequency."""

NEVER = -5.0
"""Bias of a label that no training text has: below what any other gets, and no further, or the
temperature would be chosen for such labels alone."""

AT_ONCE = 500
"""Labels whose weights are found in one go; of more in parts, and between them is told how far."""

MOST_WEIGHTS = 2**29
"""Weights at most: 4 GiB while they are found."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """What the features are; `W` words, `P` pairs, `G` pieces.

    Attributes:
        place: the row of each bucket's pair, as `models.pairs.places_of` gives it.
        of_words: weight of each word. Shape: (W,).
        of_pairs: weight of each known pair. Shape: (P,).
        pieces: weight of each piece in each word, and behind the words in itself: a word that is
            not known is read as its pieces. Shape: (W + G, G).
        edges: that a number can pass.

    """

    place: npt.NDArray[np.int32]
    of_words: Floats
    of_pairs: Floats
    pieces: sparse.csr_matrix
    edges: int

    @classmethod
    def learn(
        cls, model: LinearClassifier, reader: TextReader, train: Encoded
    ) -> tuple[Features, sparse.csr_matrix]:
        """Weigh what the training texts have; gives the features of these texts, too."""
        place = model.place.numpy()
        pieces = _pieces_of(reader)
        tokens = _tokens_of(train, pieces.shape[0])
        pairs = _pairs_of(train, place, model.pairs.num_embeddings - 1)
        found = (tokens @ pieces).tocsr()
        there = np.unique(found.indices)  # What no training text has would get no weight.
        weighted = (pieces[:, there] @ sparse.diags(_rarity(found[:, there]))).tocsr()
        edges = 0 if reader.numbers is None else reader.numbers.bins
        of_words = _rarity(tokens[:, : reader.whole])
        of_words[:NUMBER] = 0  # Neither filling nor an unknown word adds anything.
        features = cls(place, of_words, _rarity(pairs), weighted.astype(np.float32), edges)
        return features, features._rows(train, tokens, pairs)

    def of(self, texts: Encoded) -> sparse.csr_matrix:
        """The features of texts. Shape: (texts, W + P + G + edges), float64."""
        tokens = _tokens_of(texts, self.pieces.shape[0])
        return self._rows(texts, tokens, _pairs_of(texts, self.place, len(self.of_pairs)))

    def _rows(
        self, texts: Encoded, tokens: sparse.csr_matrix, pairs: sparse.csr_matrix
    ) -> sparse.csr_matrix:
        """As `of`; `tokens` and `pairs` are how often each text has each."""
        words = tokens[:, : len(self.of_words)]
        # As the saved model adds it up: each token and pair by itself.
        whole = _inverse_root(words @ self.of_words**2 + pairs @ self.of_pairs**2)
        of_pieces = _inverse_root(tokens @ self.squares_of_pieces)
        return sparse.hstack(
            [
                _scaled(words, whole) @ sparse.diags(self.of_words),
                _scaled(pairs, whole) @ sparse.diags(self.of_pairs),
                _scaled(tokens, of_pieces) @ self.pieces,
                _scaled(self._passed(texts), whole * self.number_scale),
            ],
            format="csr",
            dtype=np.float64,
        )

    @cached_property
    def squares_of_pieces(self) -> Floats:
        """The square of the size of each id's pieces. Shape: (W + G,)."""
        found: Floats = self.pieces.power(2).sum(1).A1
        return found

    @property
    def number_scale(self) -> float:
        """What a number has of each edge that it passes."""
        return NUMBER_SCALE / math.sqrt(max(self.edges, 1))

    def _passed(self, texts: Encoded) -> sparse.csr_matrix:
        """How many of a text's numbers pass each edge, those in between by a part."""
        numbers = np.flatnonzero(texts.ids == NUMBER) if self.edges else np.zeros(0, np.int64)
        text = np.repeat(np.arange(len(texts)), texts.lengths)[numbers]
        passed = np.clip(texts.positions[numbers][:, None] - np.arange(self.edges), 0, 1)
        at, edge = np.nonzero(passed)
        values = passed[at, edge].astype(np.float32)
        return sparse.csr_matrix((values, (text[at], edge)), shape=(len(texts), self.edges))

    def give(self, model: LinearClassifier, weights: Floats, bias: Floats) -> None:
        """Store weights in a model as what each token and pair adds.

        Args:
            model: whose tables are filled.
            weights: of the features. Shape: (outputs, features).
            bias: Shape: (outputs,).

        """
        words, pairs, pieces, edges = np.split(
            weights.T,
            np.cumsum([len(self.of_words), len(self.of_pairs), self.pieces.shape[1]]),
        )
        tokens = np.hstack(
            [
                np.zeros((self.pieces.shape[0], weights.shape[0] + 1), dtype=np.float32),
                self.pieces @ pieces,
                self.squares_of_pieces[:, None],
            ]
        )
        of_words = self.of_words[:, None]
        tokens[: len(of_words), : weights.shape[0] + 1] = np.hstack([of_words * words, of_words**2])
        neighbours = np.hstack([self.of_pairs[:, None] * pairs, self.of_pairs[:, None] ** 2])
        with torch.no_grad():
            model.embedding.weight.copy_(torch.from_numpy(tokens))
            model.pairs.weight[1:] = torch.from_numpy(neighbours)
            model.bias.copy_(torch.from_numpy(bias))
            if model.numbers is not None:
                found = torch.from_numpy(edges * (self.number_scale / model.numbers.scale))
                model.numbers.weight[:, : model.outputs] = found


@dataclass(frozen=True)
class Weighed:
    """Texts to learn from, as rows of features.

    Attributes:
        features: what they are.
        texts: encoded, with their labels.
        rows: Shape: (texts, features).

    """

    features: Features
    texts: EncodedTexts
    rows: sparse.csr_matrix

    @classmethod
    def learn(cls, model: LinearClassifier, reader: TextReader, texts: EncodedTexts) -> Weighed:
        """Weigh what these texts have."""
        features, rows = Features.learn(model, reader, texts.encoded)
        return cls(features, texts, rows)

    def joined(self, other: EncodedTexts) -> Weighed:
        """These texts and others of the same table, which are weighed by what these have."""
        rows = sparse.vstack([self.rows, self.features.of(other.encoded)], format="csr")
        return Weighed(self.features, self.texts.joined(other), rows)

    def give_weights(
        self,
        model: LinearClassifier,
        config: Config,
        label_weights: Floats | None,
        on_step: Callable[[int, int], None] = lambda step, steps: None,
    ) -> None:
        """Give `model` the weights that suit these texts.

        `on_step` is called now and then where there are very many labels, with how many of how many
        parts of them are done.

        Raises:
            SettingsError: there are too many labels and words for it.

        """
        from sklearn.exceptions import ConvergenceWarning

        _refuse_too_many(self.rows.shape[1], model.outputs, self.texts.classes, config.model)
        with warnings.catch_warnings():  # Weights that are not yet exact decide as well.
            warnings.simplefilter("ignore", ConvergenceWarning)
            weights, bias = _solve(self.rows, self.texts, config, label_weights, on_step)
        self.features.give(model, weights, bias)
        model.eval()


def train_linear(
    model: LinearClassifier,
    reader: TextReader,
    train: EncodedTexts,
    val: EncodedTexts,
    config: Config,
    label_weights: Floats | None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> tuple[Trained, Weighed]:
    """Find the weights of `model` in place.

    Returns:
        A history of one epoch, and the training texts as they were weighed.

    Raises:
        SettingsError: there are too many labels and words for it.

    """
    began = time.perf_counter()
    weighed = Weighed.learn(model, reader, train)
    weighed.give_weights(model, config, label_weights, on_step)
    train_loss, train_accuracy = evaluate(model, train)
    val_loss, val_accuracy = evaluate(model, val)
    epoch = Epoch(
        epoch=1,
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        lr=config.step,
        seconds=time.perf_counter() - began,
    )
    return Trained((epoch,), train.texts), weighed


def _solve(
    rows: sparse.csr_matrix,
    train: EncodedTexts,
    config: Config,
    label_weights: Floats | None,
    on_step: Callable[[int, int], None],
) -> tuple[Floats, Floats]:
    """Weights and bias. Shapes: (outputs, features), (outputs,)."""
    from sklearn.svm import LinearSVC

    solver = LinearSVC(C=config.penalty, tol=TOLERANCE, random_state=config.seed % 2**32)
    if train.has_sets:
        return _solve_sets(solver, rows, train, label_weights)
    labelled = train.labelled
    counts = labelled.count.astype(np.float64)
    if label_weights is not None:
        counts = counts * label_weights[labelled.label]
    # A text with several labels stands there once for each.
    single = len(labelled.text_index) == rows.shape[0]
    rows = rows if single else rows[labelled.text_index]
    weights = np.zeros((train.classes, rows.shape[1]), dtype=np.float32)
    bias = np.full(train.classes, NEVER, dtype=np.float32)
    present = np.unique(labelled.label)
    parts = np.array_split(present, -(-len(present) // AT_ONCE))
    for step, part in enumerate(parts, start=1):
        label = labelled.label
        if len(parts) > 1:
            label = np.where(np.isin(label, part), label, _REST)
        solver.fit(rows, label, counts)
        if train.classes == 2:
            return solver.coef_.astype(np.float32), solver.intercept_.astype(np.float32)
        found, found_bias = solver.coef_, solver.intercept_
        if len(solver.classes_) == 2:  # One row for both.
            found = np.concatenate([-found, found])
            found_bias = np.concatenate([-found_bias, found_bias])
        mine = solver.classes_ != _REST
        weights[part], bias[part] = found[mine], found_bias[mine]
        if len(parts) > 1:
            on_step(step, len(parts))
    return weights, bias


def _solve_sets(
    solver: Any, rows: sparse.csr_matrix, train: EncodedTexts, label_weights: Floats | None
) -> tuple[Floats, Floats]:
    """As `_solve` where a row has a set of labels: each label by itself."""
    having = train.targets().astype(np.float64)
    lacking = train.labelled.text_rows[:, None] - having
    if label_weights is not None:
        lacking, having = lacking * label_weights[0], having * label_weights[1]
    weights = np.zeros((train.classes, rows.shape[1]), dtype=np.float32)
    bias = np.full(train.classes, NEVER, dtype=np.float32)
    for label in range(train.classes):
        without, with_it = np.flatnonzero(lacking[:, label]), np.flatnonzero(having[:, label])
        if not len(without) or not len(with_it):
            bias[label] = NEVER if len(without) else -NEVER
            continue
        counts = np.concatenate([lacking[without, label], having[with_it, label]])
        has_it = np.repeat([0, 1], [len(without), len(with_it)])
        solver.fit(rows[np.concatenate([without, with_it])], has_it, counts)
        weights[label], bias[label] = solver.coef_[0], solver.intercept_[0]
    return weights, bias


def _refuse_too_many(features: int, outputs: int, classes: int, name: str) -> None:
    needed = features * outputs
    if needed > MOST_WEIGHTS:
        raise SettingsError(
            f"the model '{name}' has a weight for each of {classes:,} labels and {features:,} "
            f"words, pairs and pieces: {needed:,} in all, at most {MOST_WEIGHTS:,} can be found. "
            "Pass --model bag, or know fewer words with --min-texts."
        )


def _tokens_of(texts: Encoded, ids: int) -> sparse.csr_matrix:
    """How often each text has each known token. Shape: (texts, ids)."""
    text = np.repeat(np.arange(len(texts)), texts.lengths)
    known = texts.ids >= NUMBER
    return _counts(text[known], texts.ids[known], len(texts), ids)


def _pairs_of(texts: Encoded, place: npt.NDArray[np.int32], pairs: int) -> sparse.csr_matrix:
    """And each known pair. Shape: (texts, pairs)."""
    text, hashes = hashes_of(texts)
    rows = place[hashes % len(place)]
    return _counts(text[rows > 0], rows[rows > 0] - 1, len(texts), pairs)


def _pieces_of(reader: TextReader) -> sparse.csr_matrix:
    """How often each id has each piece. Shape: (W + G, G)."""
    of, piece = reader.pieces_of_ids()
    shape = (len(reader.names), int(piece.max(initial=-1)) + 1)
    return sparse.csr_matrix((np.ones(len(of), dtype=np.float32), (of, piece)), shape=shape)


def _counts(
    text: npt.NDArray[np.integer], column: npt.NDArray[np.integer], texts: int, columns: int
) -> sparse.csr_matrix:
    """How often each text has each column. Shape: (texts, columns)."""
    ones = np.ones(len(text), dtype=np.float32)
    return sparse.csr_matrix((ones, (text, column)), shape=(texts, columns))


def _rarity(counts: sparse.csr_matrix) -> Floats:
    """The smoothed inverse document frequency of each column, 1 in all texts, else more."""
    having = np.bincount(counts.indices, minlength=counts.shape[1])
    rarity: Floats = (np.log((1 + counts.shape[0]) / (1 + having)) + 1).astype(np.float32)
    return rarity


def _inverse_root(squares: npt.NDArray[np.floating]) -> Floats:
    found: Floats = (1 / np.sqrt(np.maximum(squares, TINY))).astype(np.float32)
    return found


def _scaled(rows: sparse.csr_matrix, factors: Floats) -> sparse.csr_matrix:
    """Each row by a factor."""
    data = rows.data * np.repeat(factors, np.diff(rows.indptr))
    return sparse.csr_matrix((data, rows.indices, rows.indptr), shape=rows.shape)
