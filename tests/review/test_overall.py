"""What matters overall: words by their mean share, and the curve of a number."""

import numpy as np
import polars as pl
import pytest

from textgauge.review import overall as module
from textgauge.review.explanation import Explanation
from textgauge.review.overall import NumberCurve, number_curve, words_overall


def explanation(text, shares, decision="1"):
    words = tuple(text.split())
    return Explanation(text, decision, 0.9, words, np.array(shares, dtype=float), 0.1)


def test_words_are_told_by_their_mean_share_with_an_example(monkeypatch):
    monkeypatch.setattr(module, "SEEN", 2)
    found = words_overall(
        [
            explanation("iron part", [0.8, 0.0]),
            explanation("iron nut", [0.4, 0.1]),
            explanation("poor nut", [0.9, 0.3]),
            explanation("new part", [0.7, 0.1], decision="0"),
            explanation("new nut", [0.5, -0.2], decision="0"),
        ]
    )
    assert list(found) == ["0", "1"]
    (new,) = found["0"]
    assert (new.word, new.share, new.texts, new.example) == (
        "new",
        pytest.approx(0.6),
        2,
        "new part",
    )
    # "poor" stands in one text only.
    assert [each.word for each in found["1"]] == ["iron", "nut"]
    assert found["1"][0].share == pytest.approx(0.6)
    assert found["1"][1].example == "poor nut"


def test_numbers_are_taken_together_and_repetitions_added(monkeypatch):
    monkeypatch.setattr(module, "SEEN", 1)
    found = words_overall([explanation("1980 iron 1,990 iron", [0.2, 0.1, 0.3, 0.1])])
    assert [(each.word, each.share) for each in found["1"]] == [
        ("<number>", pytest.approx(0.5)), ("iron", pytest.approx(0.2)),
    ]  # fmt: skip


def test_of_many_words_the_strongest_are_told(monkeypatch):
    monkeypatch.setattr(module, "SEEN", 1)
    words = [f"w{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(100)]
    found = words_overall([explanation(" ".join(words), np.linspace(0.01, 1, 100))])
    assert [each.word for each in found["1"]] == words[::-1][: module.WORDS]


def test_nothing_explained_has_nothing_to_tell():
    assert words_overall([]) == {}


def test_a_step_is_found():
    curve = NumberCurve(
        np.array([1.0, 2.0, 5.0]), np.array([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1]]), 4
    )
    assert curve.step(1) == (2.0, 5.0, pytest.approx(-0.7))
    assert curve.to_json()["values"] == [1.0, 2.0, 5.0]


def test_the_curve_is_the_mean_of_texts_with_another_number(trained):
    from textgauge.bundle.predictor import Predictor

    predictor = Predictor.load(trained.folder)
    texts = ["iron component manufactured in 1980", "new part of 1999 and 2001", "no number"]
    curve = number_curve(predictor, pl.Series([*texts, None]))
    assert curve.texts == 2
    assert curve.values.tolist() == predictor.encoder.numbers.edges.tolist()
    for at in (0, 20, len(curve.values) - 1):
        year = f"{curve.values[at]:g}"
        changed = [texts[0].replace("1980", year), texts[1].replace("1999", year)]
        expected = predictor.predict(changed).probabilities.mean(0)
        assert curve.probabilities[at] == pytest.approx(expected, abs=1e-5)


def test_without_numbers_there_is_no_curve(trained):
    from textgauge.bundle.predictor import Predictor

    predictor = Predictor.load(trained.folder)
    assert number_curve(predictor, pl.Series(["no number", ""])) is None
    assert number_curve(predictor, pl.Series([], dtype=pl.String)) is None
