"""A few rules that imitate a model: the planted regulation, odd texts, honest agreement."""

import json

import numpy as np
import polars as pl
import pytest

from textgauge.data.component_notes import make_component_notes
from textgauge.data.corpus import build_corpus, gather_texts
from textgauge.review import rule_summary as module
from textgauge.review.rule_summary import (
    LEAVES,
    RuleSummary,
    fit_rules,
    measure_agreement,
    rule_of,
    summarise,
    texts_to_imitate,
)
from textgauge.review.rules import Condition, Leaf, Split, leaves, sentences


def corpus_of(texts, labels):
    return gather_texts(pl.DataFrame({"text": texts, "label": labels}), sorted(set(labels)))


def test_the_planted_regulation_comes_out():
    """Of a model that has learned it; whole years are held out."""
    notes = make_component_notes(100_000).select("text", "label", group=pl.col("year").cast(str))
    corpus = build_corpus(notes, seed=0, fractions=(0.6, 0.2, 0.2))
    train, test = corpus.train, corpus.test
    found = summarise(train, train.main_label, test, test.main_label, corpus.classes)
    told = sentences(found.rule)
    assert set(told["1"].split(", or ")) == {
        "number < 1995", '"iron"', '"plastic"', '"fair"', '"poor"',
    }  # fmt: skip
    assert told["0"] == "all else"
    assert found.agreement.rows == found.agreement.texts == 1
    # All alike on 480 texts is not all alike ever.
    assert 0.99 < found.agreement.interval.low < 1
    assert found.stands
    assert found.verdict("LSTM").startswith(
        "LSTM decides like these rules on 100.0% of the test rows (99.2%"
    )
    assert sum(leaf.share for _, leaf in leaves(found.rule)) == pytest.approx(1)


def test_it_imitates_decisions_not_labels():
    texts = pl.Series([f"{colour} part {n}" for n in range(20) for colour in ("red", "blue")])
    decided = np.tile([1, 0], 20)
    rule = fit_rules(texts, decided, np.ones(40, int), ["a", "b"])
    assert set(sentences(rule).values()) == {'"blue"', "all else"}
    agreement = measure_agreement(rule, texts, 1 - decided, np.ones(40, int), ["a", "b"])
    assert agreement.rows == agreement.texts == 0


def test_rows_count_over_rows_and_texts_over_texts():
    rule = Leaf("a", 1.0, 1.0)
    found = measure_agreement(
        rule, pl.Series(["x", "y", "z"]), np.array([0, 1, 1]), np.array([8, 1, 1]), ["a", "b"]
    )
    assert (found.rows, found.texts, found.most_frequent) == (
        pytest.approx(0.8), pytest.approx(1 / 3), pytest.approx(0.8),
    )  # fmt: skip
    assert found.interval.low <= 0.8 <= found.interval.high


def test_neighbours_are_asked_for_where_words_do_not_tell():
    good = [f"not bad but good {n}" for n in "abcdefghij"]
    bad = [f"not good but bad {n}" for n in "abcdefghij"]
    texts, decided = pl.Series(good + bad), np.repeat([0, 1], 10)
    rule = fit_rules(texts, decided, np.ones(20, int), ["good", "bad"])
    assert " " in rule.condition.words
    assert measure_agreement(rule, texts, decided, np.ones(20, int), ["good", "bad"]).rows == 1


def test_the_lowest_of_several_numbers_may_decide():
    random = np.random.default_rng(0)
    pairs = random.integers(1, 100, (200, 2))
    decided = (pairs.min(1) < 30).astype(int)
    texts = pl.Series([f"from {a} to {b}" for a, b in pairs])
    rule = fit_rules(texts, decided, np.ones(200, int), ["0", "1"])
    assert rule.condition.number == "lowest number"
    assert rule.condition.below == 30


def test_many_labels_are_told_honestly():
    texts = pl.Series([f"w{chr(97 + n % 26)}{chr(97 + n // 26 % 26)} {n}" for n in range(3_000)])
    decided = np.arange(3_000) % 150
    classes = [str(n) for n in range(150)]
    train, test = texts[:2_000], texts[2_000:]
    rule = fit_rules(train, decided[:2_000], np.ones(2_000, int), classes)
    assert len(list(leaves(rule))) <= LEAVES
    found = RuleSummary(
        rule, measure_agreement(rule, test, decided[2_000:], np.ones(1_000, int), classes)
    )
    assert not found.stands
    assert found.verdict("LSTM").endswith("too simple to stand for it.")
    assert json.dumps(found.to_json(), allow_nan=False)


def test_a_model_that_always_says_the_same_has_no_rules():
    texts = pl.Series([f"{n} part" for n in range(30)])
    zeros, ones = np.zeros(30, int), np.ones(30, int)
    rule = fit_rules(texts, zeros, ones, ["a", "b"])
    found = RuleSummary(rule, measure_agreement(rule, texts, zeros, ones, ["a", "b"]))
    assert sentences(rule) == {"a": "always"}
    assert found.verdict("LSTM") == (
        "LSTM gives 100.0% of the test rows the same label; no rule tells the others apart."
    )


def test_rules_no_better_than_the_most_frequent_label_do_not_stand():
    rule = Split(Condition("odd"), Leaf("b", 0.5, 1.0), Leaf("a", 0.5, 1.0))
    texts = pl.Series([f"t {n}" for n in range(95)] + [f"u {n}" for n in range(5)])
    decided = np.array([0] * 95 + [1] * 5)
    found = RuleSummary(rule, measure_agreement(rule, texts, decided, np.ones(100, int), "ab"))
    assert found.agreement.rows == found.agreement.most_frequent == 0.95
    assert not found.stands


@pytest.mark.parametrize(
    "texts",
    [
        ["one"],
        ["!!!", "", "鉄 部品", "<b>bold</b>"],
        ["9" * 400, "1" + "0" * 330, "5"],
        ["iron " * 5_000, "steel"],
    ],
)
def test_odd_texts_are_survived(texts):
    decided = np.arange(len(texts)) % 2
    rows = np.ones(len(texts), int)
    series = pl.Series(texts * 10)
    rule = fit_rules(series, np.tile(decided, 10), np.tile(rows, 10), ["a", "b"])
    agreement = measure_agreement(rule, series, np.tile(decided, 10), np.tile(rows, 10), ["a", "b"])
    found = RuleSummary(rule, agreement)
    assert json.dumps(found.to_json(), allow_nan=False)
    assert rule_of(found.to_json()) == rule


def test_a_sample_is_drawn_by_hash_and_bounded(monkeypatch):
    texts = corpus_of([f"text {n}" for n in range(100)] * 2, ["a", "b"] * 100)
    assert len(texts_to_imitate(texts)) == 100
    monkeypatch.setattr(module, "TEXTS", 30)
    few = texts_to_imitate(texts)
    assert len(few) == 30
    assert few.texts.to_list() == texts_to_imitate(texts).texts.to_list()
    assert few.text_rows.tolist() == [2] * 30
    monkeypatch.setattr(module, "TOKENS", 20)
    assert 1 <= len(texts_to_imitate(texts)) <= 10


def test_the_order_of_the_texts_changes_nothing():
    notes = make_component_notes(3_000).unique("text", maintain_order=True)
    decided = notes["label"].cast(int).to_numpy()
    rows = np.ones(len(notes), int)
    order = np.random.default_rng(0).permutation(len(notes))
    first = fit_rules(notes["text"], decided, rows, ["0", "1"])
    assert fit_rules(notes["text"][order], decided[order], rows, ["0", "1"]) == first
