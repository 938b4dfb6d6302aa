"""The worst errors and what mattered, within a bounded number of tokens."""

from copy import copy

import numpy as np
import pytest

from textgauge.bundle.decision import DecisionRule
from textgauge.review import findings as module
from textgauge.review.explanation import Explainer
from textgauge.review.findings import find


@pytest.fixture(scope="module")
def explainer(trained):
    return Explainer.load(trained.folder)


@pytest.fixture
def wrong_often(trained):
    """Probabilities that are wrong on a third of the test texts, by ever more."""
    test = trained.corpus.test
    sure = np.full((len(test), 2), 0.2, dtype=np.float32)
    sure[np.arange(len(test)), test.main_label] = 0.8
    wrong = np.arange(0, len(test), 3)
    of_label = np.linspace(0.45, 0.01, len(wrong), dtype=np.float32)
    sure[wrong, test.main_label[wrong]] = of_label
    sure[wrong, 1 - test.main_label[wrong]] = 1 - of_label
    return sure, wrong


def test_errors_come_worst_first(trained, explainer, wrong_often):
    sure, wrong = wrong_often
    test = trained.corpus.test
    found = find(explainer, test, sure, trained_texts=0)
    assert found.wrong_texts == len(wrong)
    places = wrong[::-1][: module.ERRORS]
    assert [each.text for each in found.errors] == test.texts.gather(places).to_list()
    first = found.errors[0]
    assert (first.label, first.predicted) == (test.main_label[places[0]], 1 - first.label)
    assert first.probability == pytest.approx(0.99)
    assert first.rows == test.text_rows[places[0]]


def test_only_the_first_errors_are_explained(trained, explainer, wrong_often, monkeypatch):
    monkeypatch.setattr(module, "ERRORS_EXPLAINED", 3)
    found = find(explainer, trained.corpus.test, wrong_often[0], trained_texts=0)
    explained = [each.explanation for each in found.errors]
    assert [each is not None for each in explained] == [True] * 3 + [False] * (len(explained) - 3)
    assert [each.text for each in explained[:3]] == [each.text for each in found.errors[:3]]


def test_long_trainings_afford_more_than_short_ones(trained, explainer, wrong_often, monkeypatch):
    monkeypatch.setattr(module, "ERRORS_WORK", 2_000)
    monkeypatch.setattr(module, "OVERALL_WORK", 5_000)
    test = trained.corpus.test
    short = find(explainer, test, wrong_often[0], trained_texts=0)
    long = find(explainer, test, wrong_often[0], trained_texts=1_000_000)
    assert sum(each.explanation is not None for each in short.errors) == 1
    assert 3 <= short.explained <= 6  # of some 800 to 1,000 tokens each
    assert sum(each.explanation is not None for each in long.errors) == module.ERRORS_EXPLAINED
    assert long.explained == len(test)


def test_texts_too_long_for_the_time_are_left_unexplained(
    trained, explainer, wrong_often, monkeypatch
):
    monkeypatch.setattr(module, "ERRORS_WORK", 10)
    monkeypatch.setattr(module, "OVERALL_WORK", 10)
    found = find(explainer, trained.corpus.test, wrong_often[0], trained_texts=0)
    assert all(each.explanation is None for each in found.errors)
    assert (found.explained, found.words, found.curve) == (0, {}, None)


def test_two_runs_tell_the_same(trained, explainer, wrong_often):
    first, second = (
        find(explainer, trained.corpus.test, wrong_often[0], trained_texts=0, seed=3)
        for _ in range(2)
    )
    assert first.words == second.words
    assert (first.curve.probabilities == second.curve.probabilities).all()


def test_no_error_leaves_what_matters(trained, explainer):
    test = trained.corpus.test
    found = find(explainer, test, np.eye(2, dtype=np.float32)[test.main_label], trained_texts=0)
    assert (found.errors, found.wrong_texts) == ((), 0)
    assert found.words


def test_errors_are_those_of_the_decision_that_costs_make(trained, explainer, wrong_often):
    sure, _ = wrong_often
    test = trained.corpus.test
    predictor = copy(explainer.predictor)
    predictor.rule = DecisionRule((0.05, 0.95), None, (1.0, 19.0))  # 1 only above 95 %.
    found = find(Explainer(predictor, explainer._fills), test, sure, trained_texts=0)
    decided = (sure[:, 1] > 0.95).astype(int)
    assert found.wrong_texts == (decided != test.main_label).sum()
    for each in found.errors[:10]:
        assert each.predicted == (each.probability > 0.95 if each.label == 0 else 0)
