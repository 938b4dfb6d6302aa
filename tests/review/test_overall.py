"""What matters overall: words by their mean share, and the curve of a number."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from textgauge.review import overall as module
from textgauge.review.explanation import Explanation
from textgauge.review.overall import NumberCurve, number_curve, words_overall
from textgauge.text.numbers import NumberScale


def explanation(text, shares, decision="1"):
    words = tuple(text.split())
    return Explanation(text, decision, 0.9, words, np.array(shares, dtype=float), 0.1, decision)


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
    assert set(predictor.encoder.numbers.edges) <= set(curve.values)
    for at in (0, 20, len(curve.values) - 1):
        year = f"{curve.values[at]:g}"
        changed = [texts[0].replace("1980", year), texts[1].replace("1999", year)]
        expected = predictor.predict(changed).probabilities.mean(0)
        assert curve.probabilities[at] == pytest.approx(expected, abs=1e-5)


def with_scale(trained, edges):
    """The trained predictor with another scale of numbers, and the values of its curve."""
    from textgauge.bundle.predictor import Predictor

    predictor = Predictor.load(trained.folder)
    scale = NumberScale(np.array(edges, dtype=float))
    predictor.encoder = replace(predictor.encoder, numbers=scale)
    return predictor


def test_between_whole_edges_the_curve_is_drawn_at_the_whole_numbers(trained):
    predictor = with_scale(trained, [1970, 1980, 1992, 1999])
    curve = number_curve(predictor, pl.Series(["iron component manufactured in 1980.5"]))
    assert curve.values.tolist() == list(range(1970, 2000))
    expected = predictor.predict(["iron component manufactured in 1994"]).probabilities[0]
    assert curve.probabilities[24] == pytest.approx(expected, abs=1e-5)


def test_between_other_edges_the_curve_is_drawn_at_the_texts_own_numbers(trained, monkeypatch):
    predictor = with_scale(trained, [0.5, 3, 1970, 5e6])
    texts = pl.Series([f"part of {n / 8:g}" for n in range(1, 1000)])
    curve = number_curve(predictor, pl.concat([texts, pl.Series(["part of 0.1", "of 9e9"])]))
    assert {0.5, 3, 1970, 5e6} < set(curve.values)
    assert len(curve.values) == module.CURVE_VALUES
    assert (curve.values[0], curve.values[-1]) == (0.5, 5e6)
    assert (np.diff(curve.values) > 0).all()
    monkeypatch.setattr(module, "CURVE_VALUES", 3)
    assert number_curve(predictor, texts).values.tolist() == [0.5, 3, 1970, 5e6]


def test_without_numbers_there_is_no_curve(trained):
    from textgauge.bundle.predictor import Predictor

    predictor = Predictor.load(trained.folder)
    assert number_curve(predictor, pl.Series(["no number", ""])) is None
    assert number_curve(predictor, pl.Series([], dtype=pl.String)) is None
