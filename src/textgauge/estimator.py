"""`TextClassifier`: the deep model as a scikit-learn estimator on lists of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, column_or_1d

from .bundle.predictor import Prediction, Predictor
from .config import FALSE, ClassWeights, Config, ModelName, Preset
from .data.corpus import Corpus, build_corpus

JOINED = "\x1f"
"""Between the labels of a set, which may hold any character that people write."""

if TYPE_CHECKING:
    from .bundle.decision import DecisionRule
    from .review.deciding import Asked
    from .training.fit import Fitted


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Fit on texts and labels, predict labels.

    X is a sequence of strings (a list, an array, a pandas or Polars Series); labels may be of
    any one kind that numpy can sort, and come back as they were given. A share of the texts is
    kept for early stopping; nothing is tracked (for that there is `textgauge.train`).

    Where a text has any number of labels, y is a sequence of lists, tuples or sets of them, or an
    indicator matrix (an array, a sparse matrix or a DataFrame of 0 and 1, a column a label). Then
    `predict` gives an indicator matrix, as scikit-learn's classifiers do, and `predict_sets` the
    labels; `predict_proba` gives the probability of each label by itself.

    Args:
        model: the architecture: "lstm", "cnn", "bag", "linear", or "encoder": a pretrained one.
        preset: "fast", "balanced" or "best": choose the model by the texts, instead of `model`.
        encoder: which pretrained encoder, as in `Config.encoder`; None: one installed.
        fine_tune: train it, too.
        contrast: begin that with which texts are alike; None: of at most 1,000 texts.
        vectors: word vectors, as in `Config.vectors`.
        freeze_vectors: do not train them further.
        numbers: read numbers as magnitudes.
        epochs: passes at most.
        patience: epochs without a better validation loss before it stops; None takes the
            architecture's.
        batch_size: texts a step; None chooses.
        refit: learn from the texts to stop by, too, in the end; None takes the architecture's.
        lr: learning rate of Adam; None takes the architecture's.
        class_weight: None or "balanced", as scikit-learn calls it.
        val_fraction: share of the texts to stop by, in (0, 1).
        random_state: the seed.
        cost: what it costs to decide a label where it is not so, by label; others cost 1. Then
            `predict` gives the label of least expected cost: of two labels by the threshold that
            costs least on the texts kept for early stopping.

    Attributes:
        classes_: the labels, sorted; of an indicator matrix in the order of its columns. Shape:
            (classes,).
        multilabel_: whether a text has any number of labels.
        thresholds_: then the probability from which on each label is given, found on the texts kept
            for early stopping; else None. Shape: (classes,).
        history_: every epoch's figures.
        n_iter_: epochs trained.
        threshold_: what the probability of the second label must exceed for `predict` to give it;
            None unless two labels have a `cost`.

    """

    def __init__(
        self,
        *,
        model: ModelName = "lstm",
        preset: Preset | None = None,
        encoder: str | None = None,
        fine_tune: bool = False,
        contrast: bool | None = None,
        vectors: str | None = None,
        freeze_vectors: bool = False,
        numbers: bool = True,
        epochs: int = 40,
        patience: int | None = None,
        batch_size: int | None = None,
        refit: bool | None = None,
        lr: float | None = None,
        class_weight: str | None = None,
        val_fraction: float = 0.2,
        random_state: int = 0,
        cost: Mapping[Any, float] | None = None,
    ) -> None:
        self.model = model
        self.preset = preset
        self.encoder = encoder
        self.fine_tune = fine_tune
        self.contrast = contrast
        self.vectors = vectors
        self.freeze_vectors = freeze_vectors
        self.numbers = numbers
        self.epochs = epochs
        self.patience = patience
        self.batch_size = batch_size
        self.refit = refit
        self.lr = lr
        self.class_weight = class_weight
        self.val_fraction = val_fraction
        self.random_state = random_state
        self.cost = cost

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: Sequence[str], y: Any, classes: Sequence[Any] | None = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Train on texts X (n,) and labels y (n,), or sets of labels, or an indicator matrix.

        Args:
            X: texts.
            y: see the class. Nested lists and arrays of equal lengths are read as by scikit-learn:
                of 0 and 1 as an indicator matrix, of one value each as a column of labels.
            classes: the labels of the columns, where y is an indicator matrix; None: 0, 1, 2 …, or
                the columns' names of a DataFrame.

        Raises:
            ValueError: X is not one-dimensional, not of strings, or not as long as y; y has missing
                values, values of different kinds, or fewer than two labels.
            SettingsError: a parameter has a value that cannot be used.
            TableError: there are too few different texts.

        """
        from .bundle.predictor import session_from_bytes
        from .presets import settle
        from .review.deciding import asked_of
        from .text.learn import learn_encoder
        from .training.fit import fit

        texts = _texts(X)
        config = self._config()
        matrix = indicator_of(y, classes, len(texts))
        if matrix is not None:
            return self._fit_sets(texts, *matrix, config)
        found, codes = _labels(y, len(texts))
        if self.cost is not None:
            config = replace(config, cost=_costs(self.cost, found.tolist()))
        names = [str(label) for label in found.tolist()]
        frame = pl.DataFrame({"text": texts, "label": [names[code] for code in codes]})
        fractions = (1 - config.val_fraction, config.val_fraction, 0.0)
        corpus = build_corpus(frame, seed=config.seed, fractions=fractions)
        asked = asked_of(config, corpus.classes)
        config, _ = settle(config, corpus)
        encoder = learn_encoder(corpus.train.texts, config)
        fitted = fit(corpus, encoder, config)
        self.history_ = [epoch.to_json() for epoch in fitted.trained.history]
        self.n_iter_ = len(self.history_)
        network = fitted.model.to_onnx().SerializeToString()
        self.classes_ = found
        rule = _choose_rule(asked, corpus, fitted)
        settings = {"classes": corpus.classes, "label_names": {}, "decision": rule.to_json()}
        self._predictor = Predictor(settings, encoder, session_from_bytes(network))
        self._columns = [names.index(name) for name in corpus.classes]
        threshold = self._predictor.rule.threshold
        # Labels are sorted here as numpy does, in the corpus as a person would.
        self.threshold_ = (
            threshold if threshold is None or self._columns == [0, 1] else 1 - threshold
        )
        self.thresholds_: npt.NDArray[np.float64] | None = None
        self.multilabel_ = False
        self._network = network
        return self

    def _fit_sets(
        self,
        texts: pl.Series,
        classes: npt.NDArray[Any],
        matrix: npt.NDArray[np.bool_],
        config: Config,
    ) -> Self:
        from .bundle.predictor import probabilities_by, session_from_bytes
        from .presets import settle
        from .review.deciding import Asked
        from .review.set_rule import choose_set_rule
        from .text.learn import learn_encoder
        from .training.fit import fit

        if self.cost is not None:
            raise ValueError("cost is not for texts with any number of labels; leave it out.")
        config = replace(config, multi_label=True)
        names = [str(label) for label in classes.tolist()]
        sets = [JOINED.join(sorted(names[at] for at in np.flatnonzero(row))) for row in matrix]
        corpus = build_corpus(
            pl.DataFrame({"text": texts, "label": pl.Series(sets, dtype=pl.String)}),
            seed=config.seed,
            fractions=(1 - config.val_fraction, config.val_fraction, 0.0),
            separator=JOINED,
        )
        config, _ = settle(config, corpus)
        encoder = learn_encoder(corpus.train.texts, config)
        fitted = fit(corpus, encoder, config)
        self.history_ = [epoch.to_json() for epoch in fitted.trained.history]
        self.n_iter_ = len(self.history_)
        network = fitted.model.to_onnx().SerializeToString()
        on_val = probabilities_by(fitted.calibrated.logits, has_sets=True)
        rule = choose_set_rule(Asked(), corpus.val, on_val).rule
        self.classes_ = classes
        settings = {
            "classes": corpus.classes,
            "label_names": {},
            "multi_label": True,
            "decision": rule.to_json(),
        }
        self._predictor = Predictor(settings, encoder, session_from_bytes(network))
        # A column without any 1 is no label of the corpus, and is never given.
        self._columns = [names.index(name) for name in corpus.classes]
        self.threshold_ = None
        thresholds = np.full(len(classes), 0.5)
        thresholds[self._columns] = rule.thresholds
        self.thresholds_ = thresholds
        self.multilabel_ = True
        self._network = network
        return self

    def predict_proba(self, X: Sequence[str]) -> npt.NDArray[np.float32]:  # noqa: N803
        """Probabilities, columns as `classes_`. Shape: (n,) -> (n, classes).

        Of any number of labels each has its own, and they do not add up to 1.
        """
        check_is_fitted(self)
        found = self._predictor.predict(_texts(X)).probabilities
        probabilities = np.zeros((len(found), len(self.classes_)), dtype=np.float32)
        probabilities[:, self._columns] = found
        return probabilities

    def predict(self, X: Sequence[str]) -> npt.NDArray[Any]:  # noqa: N803
        """The most probable label of each text, or that of least `cost`. Shape: (n,) -> (n,).

        Of any number of labels 1 for each that is given, else 0. Shape: (n,) -> (n, classes).
        """
        check_is_fitted(self)
        if self.thresholds_ is not None:
            found = self.predict_proba(X) >= self.thresholds_.astype(np.float32)
            matrix: npt.NDArray[Any] = found.astype(np.int64)
            return matrix
        if self._predictor.rule:
            predicted = self._predictor.predict(_texts(X))
            assert isinstance(predicted, Prediction)
            places = np.array(self._columns)[predicted.decided.label]
        else:
            places = self.predict_proba(X).argmax(1)
        labels: npt.NDArray[Any] = self.classes_[places]
        return labels

    def predict_sets(self, X: Sequence[str]) -> list[tuple[Any, ...]]:  # noqa: N803
        """The labels of each text, in the order of `classes_`, where it has any number of them.

        Raises ValueError where it was fitted on one label a text.
        """
        check_is_fitted(self)
        if not self.multilabel_:
            raise ValueError("it was fitted on one label a text: call predict.")
        return [tuple(self.classes_[np.flatnonzero(row)].tolist()) for row in self.predict(X)]

    def score(self, X: Sequence[str], y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """Share of the texts that are predicted rightly, of any number of labels all of them."""
        check_is_fitted(self)
        if self.multilabel_:
            found = indicator_of(y, self.classes_, len(_texts(X)), known=True)
            if found is None:
                raise ValueError("y must hold sets of labels or be an indicator matrix, as in fit.")
            right = (self.predict(X) == found[1]).all(1)
            return float(np.average(right, weights=sample_weight))
        return float(super().score(X, y, sample_weight))

    def _config(self) -> Config:
        weights: ClassWeights = "balanced" if self.class_weight == "balanced" else "none"
        if self.class_weight not in (None, "balanced"):
            raise ValueError(f'class_weight must be None or "balanced", was {self.class_weight!r}.')
        values = {
            **({"model": self.model} if self.preset is None else {"preset": self.preset}),
            "encoder": self.encoder,
            "fine_tune": self.fine_tune,
            "contrast": self.contrast,
            "vectors": self.vectors,
            "freeze_vectors": self.freeze_vectors,
            "numbers": self.numbers,
            "epochs": self.epochs,
            "patience": self.patience,
            "batch_size": self.batch_size,
            "refit": self.refit,
            "lr": self.lr,
            "class_weights": weights,
            "val_fraction": self.val_fraction,
            "seed": self.random_state,
        }
        # A search over parameters hands in numpy's numbers.
        plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}
        return Config.from_mapping(plain)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        # A session of onnxruntime can't be copied; it is made again from the network's bytes.
        predictor = state.pop("_predictor", None)
        if predictor is not None:
            state["_encoder"] = predictor.encoder.to_json()
            state["_settings"] = predictor.settings
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        from .bundle.predictor import session_from_bytes
        from .text.reader import reader_from_json

        encoder, settings = state.pop("_encoder", None), state.pop("_settings", None)
        super().__setstate__(state)
        if encoder is not None:
            self._predictor = Predictor(
                settings, reader_from_json(encoder), session_from_bytes(self._network)
            )


def indicator_of(
    y: Any, classes: Any, texts: int, *, known: bool = False
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]] | None:
    """The labels and, for each text, which of them it has; None where y has one label a text.

    Args:
        y: what `fit` was given.
        classes: the labels of an indicator's columns; with `known` those of sets, too.
        texts: how many there are.
        known: whether sets may hold labels of `classes` only.

    Returns:
        Shapes: (classes,), (texts, classes).

    Raises:
        ValueError: y is of another length, holds no 0 and 1, or no labels of one kind; `classes`
            does not fit it.

    """
    if hasattr(y, "toarray"):
        y = y.toarray()
    if hasattr(y, "columns") and hasattr(y, "to_numpy"):
        classes = list(y.columns) if classes is None else classes
        y = y.to_numpy()
    if isinstance(y, list | tuple) and _is_matrix(y):
        y = np.array([np.asarray(each) for each in y])
    if isinstance(y, np.ndarray) and y.ndim == 2 and y.shape[1] > 1:
        found = _columns_of(y, classes)
    elif _holds_sets(y):
        found = _sets_of(list(y), classes if known else None)
    elif classes is not None and not known:
        raise ValueError("classes names the columns of an indicator matrix, and y is none.")
    else:
        return None
    labels, matrix = found
    if len(matrix) != texts:
        raise ValueError(f"X and y must be equally long, were {texts} and {len(matrix)}.")
    if not known and matrix.any(0).sum() < 2:
        raise ValueError(f"y must hold two labels or more, found {labels[matrix.any(0)].tolist()}.")
    if not known and (matrix == matrix[0]).all():
        raise ValueError("y has the same labels for every text: nothing can be learned.")
    return labels, matrix


def _holds_sets(y: Any) -> bool:
    if not isinstance(y, list | tuple | pl.Series | np.ndarray):
        return False
    if isinstance(y, np.ndarray) and y.ndim != 1:
        return False
    kinds = (list, tuple, set, frozenset, pl.Series)
    return len(y) > 0 and all(
        isinstance(each, kinds) or (isinstance(each, np.ndarray) and each.ndim == 1) for each in y
    )


def _is_matrix(y: Sequence[Any]) -> bool:
    """Whether scikit-learn takes nested lists or arrays for a matrix: a column, or of 0 and 1."""
    if not y or not all(isinstance(each, list | np.ndarray) for each in y):
        return False
    width = len(y[0])
    if not width or any(len(each) != width for each in y):
        return False
    return width == 1 or all(value in (0, 1) for each in y for value in each)


def _columns_of(
    y: npt.NDArray[Any], classes: Any
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    labels = np.arange(y.shape[1]) if classes is None else np.asarray(classes)
    if labels.shape != (y.shape[1],) or len(set(labels.tolist())) != len(labels):
        raise ValueError(
            f"classes must name each of the {y.shape[1]} columns of y once, was {classes!r}."
        )
    if not np.isin(y, (0, 1)).all():
        raise ValueError("an indicator matrix must hold 0 and 1 only; y holds other values.")
    return labels, y.astype(bool)


def _sets_of(y: list[Any], classes: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    every = [label for each in y for label in each]
    if any(isinstance(label, list | tuple | set | Mapping) or label is None for label in every):
        raise ValueError("the labels in y must be single values, found lists or None among them.")
    if classes is None:
        labels = _labels(every, len(every))[0] if every else np.array([])
    else:
        labels = np.asarray(classes)
    place = {label: at for at, label in enumerate(labels.tolist())}
    if unknown := [label for label in every if label not in place][:1]:
        raise ValueError(f"y must hold labels that it was fitted on, found {unknown[0]!r}.")
    matrix = np.zeros((len(y), len(labels)), dtype=np.bool_)
    for row, each in enumerate(y):
        matrix[row, [place[label] for label in each]] = True
    return labels, matrix


def _choose_rule(asked: Asked, corpus: Corpus, fitted: Fitted) -> DecisionRule:
    """How to decide, by what the network says of the texts kept for early stopping."""
    from .bundle.predictor import to_probabilities
    from .review.deciding import choose_rule

    probabilities = None
    if asked.of_validation:
        probabilities = to_probabilities(fitted.calibrated.logits)
    return choose_rule(asked, corpus.val, probabilities).rule


def _costs(cost: Mapping[Any, float], labels: list[Any]) -> dict[str, float]:
    """As `Config.cost` names them. Raises ValueError where a label is none of y's."""
    unknown = [label for label in cost if label not in labels]
    if unknown:
        raise ValueError(f"cost must name labels of y, {labels[:10]}, had {unknown[0]!r}.")
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in cost.items()}
    # 1 == 1.0 == True: the label as y has it names it.
    return {FALSE + str(labels[labels.index(label)]): value for label, value in plain.items()}


def _texts(values: Any) -> pl.Series:
    """A column of strings from whatever X is."""
    if isinstance(values, str):
        raise ValueError("X must be a sequence of texts, was a single string; pass [text].")
    # As objects: numpy would turn [1, "a"] into two strings, and give all the longest one's width.
    array = np.asarray(values, dtype=object)
    if array.ndim != 1:
        raise ValueError(f"X must be one-dimensional, a text each, was of shape {array.shape}.")
    odd = [item for item in array if not isinstance(item, str)][:1]
    if odd:
        raise ValueError(f"X must hold strings, found {odd[0]!r} of type {type(odd[0]).__name__}.")
    return pl.Series("text", array.tolist(), dtype=pl.String)


def _labels(values: Any, texts: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The different labels, sorted, and the place of each text's. Shapes: (classes,), (texts,)."""
    if values is None:
        raise ValueError("TextClassifier requires y to be passed, but the target y is None.")
    labels = column_or_1d(values, warn=True)
    if len(labels) != texts:
        raise ValueError(f"X and y must be equally long, were {texts} and {len(labels)}.")
    # Looked for among the objects: numpy would turn [nan, "a"] into two strings.
    objects = np.asarray(values, dtype=object).ravel()
    strings = {isinstance(label, str): label for label in objects}
    if len(strings) > 1:
        raise ValueError(
            f"y must hold labels of one kind, found {strings[True]!r} and {strings[False]!r}."
        )
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("y must have a label for every text; input y contains NaN or infinity.")
    if labels.dtype.kind == "f" and np.mod(labels, 1).any():
        raise ValueError(
            "Unknown label type: y must hold labels, found continuous numbers; where they are "
            "labels all the same, pass them as strings."
        )
    try:
        classes, codes = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise ValueError(f"y must hold labels that can be sorted: {error}.") from None
    if len(classes) < 2:
        raise ValueError(f"y must hold two labels or more, found one class: {classes.tolist()}.")
    return classes, codes
