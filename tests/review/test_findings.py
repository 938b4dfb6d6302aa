"""The worst errors and what mattered, within a bounded number of tokens."""

from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from textgauge.bundle.decision import DecisionRule
from textgauge.review import findings as module
from textgauge.review.effort import LEVELS, level_of_each
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
    monkeypatch.setattr(module, "OVERALL_WORK", 8_000)
    monkeypatch.setattr(module, "FEWEST", 3)
    test = trained.corpus.test
    short = find(explainer, test, wrong_often[0], trained_texts=0)
    long = find(explainer, test, wrong_often[0], trained_texts=1_000_000)
    # Of some 300 tokens each, explained as coarsely as can be.
    assert 5 <= sum(each.explanation is not None for each in short.errors) <= 10
    assert 20 <= short.explained <= 40
    assert sum(each.explanation is not None for each in long.errors) == module.ERRORS_EXPLAINED
    assert long.explained == len(test)


def test_all_of_the_worst_are_explained_if_long_ones_may_be_explained_coarsely(
    trained, explainer, wrong_often
):
    sure, _ = wrong_often
    test = trained.corpus.test
    tail = " component in good condition made of steel and manufactured in 1999" * 20
    long = replace(test, texts=test.texts + tail)
    found = find(explainer, long, sure, trained_texts=0)
    explained = [each.explanation for each in found.errors[: module.ERRORS_EXPLAINED]]
    assert None not in explained
    assert found.together
    assert len({round(float(share), 12) for share in explained[0].contributions}) < 65
    lengths = [len(each.words) for each in explained]
    assert min(lengths) > 200
    levels = level_of_each(np.array(lengths, dtype=np.int32), module.ERRORS_WORK)
    work = [
        float(LEVELS[level].work(np.array([n]))[0])
        for level, n in zip(levels, lengths, strict=True)
    ]
    assert sum(work) <= module.ERRORS_WORK
    # Twice the time, and some are explained more finely.
    assert level_of_each(np.array(lengths), 2 * module.ERRORS_WORK).sum() < levels.sum()
    assert not find(explainer, test, sure, trained_texts=0).together
    right = np.eye(2, dtype=np.float32)[test.main_label]
    assert find(explainer, long, right, trained_texts=0).together  # What matters overall.


def test_from_few_texts_nothing_is_told_overall(trained, explainer, wrong_often, monkeypatch):
    sure, _ = wrong_often
    monkeypatch.setattr(module, "FEWEST", len(trained.corpus.test) + 1)
    found = find(explainer, trained.corpus.test, sure, trained_texts=0)
    assert (found.explained, found.words, found.curve) == (0, {}, None)
    monkeypatch.setattr(module, "FEWEST", len(trained.corpus.test))
    found = find(explainer, trained.corpus.test, sure, trained_texts=0)
    assert found.explained == len(trained.corpus.test)
    assert found.words


def test_the_curve_of_a_number_takes_a_share_of_the_time_too(
    trained, explainer, wrong_often, monkeypatch
):
    monkeypatch.setattr(module, "OVERALL_WORK", 40_000)
    monkeypatch.setattr(module, "FEWEST", 3)
    found = find(explainer, trained.corpus.test, wrong_often[0], trained_texts=0)
    assert 10 <= found.curve.texts < 40 < found.explained


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


def test_what_goes_to_a_person_is_told_apart_and_comes_last(trained, explainer, wrong_often):
    sure, wrong = wrong_often
    test = trained.corpus.test
    predictor = copy(explainer.predictor)
    predictor.rule = DecisionRule(None, 0.8)
    found = find(Explainer(predictor, explainer._fills), test, sure, trained_texts=0)
    sent = sure.max(1)[wrong] < 0.8
    assert 0 < sent.sum() < len(wrong)
    assert (found.wrong_texts, found.sent_texts) == ((~sent).sum(), sent.sum())
    marks = [each.review for each in found.errors]
    assert marks == sorted(marks)
    assert marks.count(False) == found.wrong_texts
    for each in found.errors:
        assert each.review == (each.probability < 0.8)
        assert each.of_label == pytest.approx(1 - each.probability, abs=1e-6)
    # With costs even what is called with a high probability may be too uncertain.
    predictor.rule = DecisionRule((0.05, 0.95), 0.8, (1.0, 19.0))
    found = find(Explainer(predictor, explainer._fills), test, sure, trained_texts=0)
    marks = [each.review for each in found.errors]
    assert marks == sorted(marks)
    decided, sent = (
        [each.of_label for each in found.errors if each.review is goes] for goes in (False, True)
    )
    assert min(sent) < max(decided)
    assert decided == sorted(decided)


def test_the_range_of_the_training_numbers_is_told(trained, explainer, wrong_often):
    found = find(explainer, trained.corpus.test, wrong_often[0], trained_texts=0)
    numbers = trained.corpus.train.texts.str.extract(r"(\d+)").cast(float)
    assert found.numbers == (numbers.min(), numbers.max())
    predictor = copy(explainer.predictor)
    predictor.encoder = replace(predictor.encoder, numbers=None)
    words = Explainer(predictor, explainer._fills)
    assert find(words, trained.corpus.test, wrong_often[0], trained_texts=0).numbers is None
