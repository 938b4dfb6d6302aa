"""`TextClassifier` among scikit-learn's own: parameters, labels of any kind, checks, copies."""

import copy
import io
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.base import clone, is_classifier
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from textgauge import TextClassifier
from textgauge.config import Config
from textgauge.data.component_notes import make_component_notes
from textgauge.errors import SettingsError, TableError

NOTES = make_component_notes(240)
X = NOTES["text"].to_list()
Y = NOTES["label"].cast(pl.Int64).to_numpy()
QUICK = {"epochs": 2, "lr": 0.01}

PARAMETERS = {
    "preset": "best",
    "encoder": "minilm",
    "fine_tune": True,
    "contrast": False,
    "refit": True,
    "model": "cnn",
    "vectors": "glove.txt",
    "freeze_vectors": True,
    "numbers": False,
    "epochs": 3,
    "patience": 2,
    "batch_size": 32,
    "lr": 0.01,
    "class_weight": "balanced",
    "val_fraction": 0.3,
    "random_state": 7,
    "cost": {"a": 5.0},
}


@pytest.fixture(scope="module")
def fitted():
    return TextClassifier(epochs=4, lr=0.01).fit(X, Y)


def refused(texts, labels, kind=ValueError, **parameters):
    """The message of the error that fitting ends in; nothing is fitted then."""
    classifier = TextClassifier(**{**QUICK, **parameters})
    with pytest.raises(kind) as error:
        classifier.fit(texts, labels)
    with pytest.raises(NotFittedError):
        classifier.predict(["steel"])
    return str(error.value)


# ---- costs


def test_a_cost_moves_the_threshold_and_nothing_else():
    doubtful = np.where(np.random.default_rng(0).random(len(Y)) < 0.3, 1 - Y, Y)
    plain = TextClassifier(**QUICK).fit(X, doubtful)
    careful = TextClassifier(**QUICK, cost={1: 10}).fit(X, doubtful)
    assert np.array_equal(careful.predict_proba(X), plain.predict_proba(X))
    second = careful.predict_proba(X)[:, 1].astype(float)
    assert np.array_equal(careful.predict(X), (second > careful.threshold_).astype(int))
    assert (careful.predict(X) == 1).sum() < (plain.predict(X) == 1).sum()
    assert plain.threshold_ is None


@pytest.mark.parametrize("names", [("10", "9"), ("b", "a")])
def test_a_cost_is_of_its_label_however_labels_are_sorted(names):
    labels = np.array([names[label] for label in Y])
    found = TextClassifier(**QUICK, cost={names[1]: 0.0}).fit(X, labels)
    assert set(found.predict(X)) == {names[1]}
    second = found.predict_proba(X)[:, 1].astype(float) > found.threshold_
    assert np.array_equal(found.predict(X), found.classes_[second.astype(int)])


def test_costs_of_three_labels_are_weighed():
    labels = np.array(["metal" if "steel" in x or "iron" in x else "fiber" for x in X], object)
    labels[Y == 1] = "bad"
    found = TextClassifier(**QUICK, cost={"bad": 0.0}).fit(X, labels)
    assert set(found.predict(X)) == {"bad"}
    assert found.threshold_ is None


def test_a_copy_decides_as_the_original():
    found = TextClassifier(**QUICK, cost={1: 20}).fit(X, Y)
    again = pickle.loads(pickle.dumps(found))
    assert np.array_equal(again.predict(X), found.predict(X))
    assert again.threshold_ == found.threshold_


def test_costs_that_cannot_be_used_are_refused():
    assert refused(X, Y, cost={2: 5}) == "cost must name labels of y, [0, 1], had 2."
    assert "cost must be a number of 0 or more" in refused(X, Y, SettingsError, cost={1: -5})
    assert "all costs are 0" in refused(X, Y, SettingsError, cost={0: 0, 1: 0})


# ---- parameters


def test_every_parameter_can_be_read_set_and_cloned():
    assert TextClassifier().get_params().keys() == PARAMETERS.keys()
    classifier = TextClassifier().set_params(**PARAMETERS)
    assert classifier.get_params() == PARAMETERS
    assert TextClassifier(**PARAMETERS).get_params() == PARAMETERS
    assert clone(classifier).get_params() == PARAMETERS
    assert all(value != PARAMETERS[name] for name, value in TextClassifier().get_params().items())


def test_the_defaults_are_those_of_the_settings():
    assert TextClassifier()._config() == Config()


def test_every_parameter_reaches_the_setting_of_its_kind():
    expected = dict(PARAMETERS) | {"preset": None, "encoder": None, "fine_tune": False}
    found = TextClassifier(**expected)._config()
    expected["class_weights"] = expected.pop("class_weight")
    expected["seed"] = expected.pop("random_state")
    del expected["cost"]  # It is of labels, which come with `fit`.
    assert found == Config(**expected)
    of_encoder = {"encoder": "minilm", "fine_tune": True}
    found = TextClassifier(model="encoder", **of_encoder)._config()
    assert found == Config(model="encoder", **of_encoder)
    found = TextClassifier(preset="best", encoder="minilm")._config()
    assert found == Config(preset="best", encoder="minilm")


def test_a_clone_is_not_fitted(fitted):
    with pytest.raises(NotFittedError):
        clone(fitted).predict(X)


def test_parameters_are_checked_when_it_is_fitted():
    assert refused(X, Y, SettingsError, epochs=0) == "epochs must be 1 or more, was 0."
    assert refused(X, Y, class_weight={0: 2}) == (
        'class_weight must be None or "balanced", was {0: 2}.'
    )


def test_numpys_numbers_are_fine_parameters():
    classifier = TextClassifier(epochs=np.int64(1), lr=np.float32(0.01), numbers=np.True_)
    assert classifier.fit(X, Y).n_iter_ == 1


# ---- predictions


def test_it_learns_and_predicts_as_scikit_learns_classifiers_do(fitted):
    assert is_classifier(fitted)
    probabilities, predicted = fitted.predict_proba(X), fitted.predict(X)
    assert probabilities.shape == (len(X), 2)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert np.array_equal(predicted, fitted.classes_[probabilities.argmax(1)])
    assert fitted.score(X, Y) == accuracy_score(Y, predicted)
    assert fitted.score(X, Y) > 0.9


def test_fit_gives_back_the_classifier_and_keeps_the_history(fitted):
    assert fitted.n_iter_ == len(fitted.history_) == 4
    assert [epoch["epoch"] for epoch in fitted.history_] == [1, 2, 3, 4]
    assert fitted.history_[-1]["val_loss"] < fitted.history_[0]["val_loss"]
    classifier = TextClassifier(**QUICK)
    assert classifier.fit(X, Y) is classifier


def test_before_it_is_fitted_it_says_so():
    for use in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError, match="This TextClassifier instance is not fitted yet"):
            getattr(TextClassifier(), use)(X)
    with pytest.raises(NotFittedError):
        TextClassifier().score(X, Y)


def test_the_same_seed_gives_the_same_model_and_another_another():
    first, again, other = (
        TextClassifier(**QUICK, random_state=seed).fit(X, Y).predict_proba(X) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-3)


def test_the_first_model_of_a_process_is_no_exception(fresh_python):
    # torch starts with as many threads as there are cores, and makes other first weights then.
    script = """
from textgauge import TextClassifier
from textgauge.data.component_notes import make_component_notes
notes = make_component_notes(60)
for _ in range(2):
    classifier = TextClassifier(epochs=1, lr=0.01).fit(notes["text"], notes["label"])
    print(classifier.predict_proba(notes["text"].head(3)).tolist())
"""
    first, second = fresh_python(script).splitlines()
    assert first == second


def test_fitting_again_starts_afresh():
    classifier = TextClassifier(**QUICK).fit(X, [f"other {label}" for label in Y])
    classifier.fit(X, Y)
    fresh = TextClassifier(**QUICK).fit(X, Y)
    assert np.array_equal(classifier.predict_proba(X), fresh.predict_proba(X))
    assert classifier.classes_.tolist() == [0, 1]


def test_a_failed_fit_leaves_the_earlier_one_whole():
    classifier = TextClassifier(**QUICK).fit(X, Y)
    expected = classifier.predict(X)
    with pytest.raises(TableError):
        classifier.fit(["", ""], ["good", "bad"])
    assert np.array_equal(classifier.predict(X), expected)


# ---- labels and texts


@pytest.mark.parametrize(
    ("zero", "one"),
    [(0, 1), (-5, 3), ("a", "b"), (False, True), (0.0, 2.0), ("no label", "été"), (10, 9)],
)
def test_labels_come_back_in_their_own_kind_and_order(zero, one):
    labels = [one if label else zero for label in Y]
    classifier = TextClassifier(epochs=4, lr=0.01).fit(X, labels)
    assert classifier.classes_.tolist() == sorted([zero, one])
    assert classifier.classes_.dtype == np.asarray(labels).dtype
    assert classifier.predict(X).dtype == np.asarray(labels).dtype
    assert set(classifier.predict(X).tolist()) == {zero, one}
    assert classifier.score(X, labels) > 0.9
    place = sorted([zero, one]).index(one)
    assert np.array_equal(classifier.predict_proba(X)[:, place] > 0.5, classifier.predict(X) == one)


@pytest.mark.parametrize(
    "kind",
    [list, tuple, np.array, pd.Series, pl.Series, lambda y: np.array(y, dtype=object)],
    ids=["list", "tuple", "array", "pandas", "polars", "objects"],
)
def test_texts_and_labels_may_come_in_any_sequence(kind):
    expected = TextClassifier(epochs=1).fit(X, Y).predict_proba(X[:5])
    classifier = TextClassifier(epochs=1).fit(kind(X), kind(Y.tolist()))
    assert np.array_equal(classifier.predict_proba(kind(X[:5])), expected)
    assert classifier.classes_.tolist() == [0, 1]


def test_more_than_ten_labels_keep_their_columns():
    texts = [f"{word} number {n}" for n in range(6) for word in "abcdefghijkl"]
    labels = [("abcdefghijkl".index(text[0]) - 5) * 3 for text in texts]
    classifier = TextClassifier(epochs=30, lr=0.03).fit(texts, labels)
    assert classifier.classes_.tolist() == sorted(set(labels))
    assert classifier.score(texts, labels) > 0.9


def test_a_label_without_any_text_keeps_a_column_of_zeros():
    classifier = TextClassifier(**QUICK).fit([*X, "", " "], [*Y, -1, 7])
    assert classifier.classes_.tolist() == [-1, 0, 1, 7]
    probabilities = classifier.predict_proba(X)
    assert (probabilities[:, [0, 3]] == 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


def test_a_column_of_labels_is_taken_with_scikit_learns_warning():
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        classifier = TextClassifier(epochs=1).fit(X, Y[:, None])
    assert classifier.predict(X).shape == (len(X),)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("steel", r"X must be a sequence of texts, was a single string; pass [text]."),
        ([["steel"], ["iron"]], "X must be one-dimensional, a text each, was of shape (2, 1)."),
        ([["steel"], ["iron", "nut"]], "X must hold strings, found ['steel'] of type list."),
        (np.eye(2), "X must be one-dimensional, a text each, was of shape (2, 2)."),
        (scipy.sparse.eye(2), "X must be one-dimensional, a text each, was of shape ()."),
        (3, "X must be one-dimensional, a text each, was of shape ()."),
        ([1, 2], "X must hold strings, found 1 of type int."),
        (["steel", 1], "X must hold strings, found 1 of type int."),
        (["steel", None], "X must hold strings, found None of type NoneType."),
        (["steel", float("nan")], "X must hold strings, found nan of type float."),
        ([b"steel", b"iron"], "X must hold strings, found b'steel' of type bytes."),
        (pd.Series(["steel", None]), "X must hold strings, found None of type NoneType."),
        (pl.Series(["steel", None]), "X must hold strings, found None of type NoneType."),
        (pl.Series([1, 2]), "X must hold strings, found 1 of type int."),
    ],
)
def test_what_is_no_sequence_of_texts_is_refused(fitted, texts, message):
    assert refused(texts, [0, 1]) == message
    with pytest.raises(ValueError) as error:
        fitted.predict(texts)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0], "X and y must be equally long, were 2 and 1."),
        ([0, 1, 0], "X and y must be equally long, were 2 and 3."),
        (None, "TextClassifier requires y to be passed, but the target y is None."),
        ([[0, 1], [0, 1]], "y must hold two labels or more, found [1]."),
        ([0, 0], "y must hold two labels or more, found one class: [0]."),
        (["a", "a"], "y must hold two labels or more, found one class: ['a']."),
        (["a", 1], "y must hold labels of one kind, found 'a' and 1."),
        (["a", None], "y must hold labels of one kind, found 'a' and None."),
        (["a", float("nan")], "y must hold labels of one kind, found 'a' and nan."),
        (
            [1, float("nan")],
            "y must have a label for every text; input y contains NaN or infinity.",
        ),
        (
            [1, float("inf")],
            "y must have a label for every text; input y contains NaN or infinity.",
        ),
        ([0.5, 2.5], "Unknown label type: y must hold labels, found continuous numbers; where"),
        ([1, None], "y must hold labels that can be sorted: '<' not supported between"),
        ([pd.NA, 1], "y must hold labels that can be sorted: boolean value of NA is ambiguous"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(labels, message):
    assert refused(["steel", "iron"], labels).startswith(message)


def test_texts_without_any_word_are_refused_by_their_labels_names():
    message = refused(["steel", " ", ""], ["good", "bad", "bad"], TableError)
    assert "'good'" in message


def test_one_long_text_does_not_widen_the_others():
    # As an array of strings of equal width these would take 100 GB.
    texts = [*X, "steel " * 1_000_000]
    texts = texts * 40
    assert TextClassifier(epochs=1).fit(X, Y).predict(texts).shape == (len(texts),)


# ---- among scikit-learn's tools


def through_joblib(classifier):
    file = io.BytesIO()
    joblib.dump(classifier, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize(
    "copy_of",
    [
        copy.deepcopy,
        lambda classifier: pickle.loads(pickle.dumps(classifier)),
        through_joblib,
    ],
    ids=["deepcopy", "pickle", "joblib"],
)
def test_a_copy_predicts_the_same_and_so_does_the_original(fitted, copy_of):
    expected = fitted.predict_proba(X)
    copied = copy_of(fitted)
    assert np.array_equal(copied.predict_proba(X), expected)
    assert np.array_equal(copied.classes_, fitted.classes_)
    assert copied.history_ == fitted.history_
    assert np.array_equal(fitted.predict_proba(X), expected)
    again = copy_of(copied)
    assert np.array_equal(again.predict_proba(X), expected)


def test_what_is_not_fitted_can_be_copied_too():
    copied = pickle.loads(pickle.dumps(TextClassifier(epochs=3)))
    assert copied.get_params() == TextClassifier(epochs=3).get_params()


def test_it_works_in_a_pipeline_and_in_cross_validation():
    strip = FunctionTransformer(lambda texts: [text.replace("component", "") for text in texts])
    pipeline = make_pipeline(strip, TextClassifier(epochs=3, lr=0.02))
    scores = cross_val_score(pipeline, X, Y, cv=2, error_score="raise")
    assert scores.shape == (2,)
    assert scores.min() > 0.7
    assert pipeline.fit(X, Y).predict(X[:3]).shape == (3,)


def test_parameters_can_be_searched():
    search = GridSearchCV(
        TextClassifier(epochs=2), {"lr": [1e-6, 0.02]}, cv=2, error_score="raise"
    ).fit(X, Y)
    assert search.best_params_ == {"lr": 0.02}
    assert search.predict(X[:2]).shape == (2,)


def test_its_tags_say_that_it_reads_texts():
    tags = TextClassifier().__sklearn_tags__()
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array
    assert not tags.input_tags.sparse


class RowsAsTexts(TextClassifier):
    """Reads each row of a matrix as a text, so that scikit-learn's checks of estimators apply."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = False
        return tags

    def fit(self, X, y):  # noqa: N803 - scikit-learn's name
        return super().fit(self._as_texts(X), y)

    def predict_proba(self, X):  # noqa: N803
        return super().predict_proba(self._as_texts(X))

    @staticmethod
    def _as_texts(values):
        """A text like "a 0.5 b -1.25" of each row."""
        matrix = values if scipy.sparse.issparse(values) else np.asarray(values)
        if matrix.ndim != 2 or scipy.sparse.issparse(matrix):
            return matrix
        return [
            " ".join(f"{chr(97 + place)} {value}" for place, value in enumerate(row))
            for row in matrix.tolist()
        ]


EXPECTED_TO_FAIL = {
    "check_n_features_in_after_fitting": "texts have no number of features",
    "check_n_features_in": "texts have no number of features",
    "check_classifiers_train": "its last step wants an error for another number of features",
    "check_estimators_empty_data_messages": "a matrix of no columns becomes texts without words, "
    "and that is a TableError",
    "check_estimators_nan_inf": "here NaN is written into a text like any other number",
    "check_estimator_sparse_tag": "texts are never sparse; the error says that X must hold them",
    "check_estimator_sparse_array": "texts are never sparse",
    "check_estimator_sparse_matrix": "texts are never sparse",
    "check_class_weight_classifiers": "class_weight is None or 'balanced', no dictionary",
    "check_fit2d_predict1d": "one-dimensional is what X must be; the error is about numbers",
}


def test_scikit_learns_own_checks_fail_only_where_texts_are_no_matrix():
    results = check_estimator(
        RowsAsTexts(epochs=2),
        expected_failed_checks=EXPECTED_TO_FAIL,
        on_fail=None,
        on_skip=None,
    )
    unexpected = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert unexpected == {}
    assert {r["check_name"] for r in results if r["status"] == "xfail"} == EXPECTED_TO_FAIL.keys()
    assert sum(r["status"] == "passed" for r in results) > 30
