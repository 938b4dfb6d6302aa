"""Plots: places, ticks, and text that stays text."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from textgauge.report.svg import HEIGHT, WIDTH, Axis, Series, _ticks, plot


def drawn(*series, x=None, y=None, **how):
    made = plot("Title", "It says.", series, x or Axis("along"), y or Axis("up"), **how)
    return made, ElementTree.fromstring(made.svg)


def points(root, number=0):
    group = root.findall(".//g")[number]
    return [tuple(map(float, pair.split(","))) for pair in group.get("data-points").split()]


def test_values_stand_where_they_belong():
    made, root = drawn(Series("a", [0, 1, 2], [0, 1, 0.5]), y=Axis("up", 0, 1))
    (left, low), (middle, high), (right, half) = points(root)
    assert left < middle < right < WIDTH
    assert middle - left == pytest.approx(right - middle, abs=0.2)
    assert 0 < high < half < low < HEIGHT
    assert half - high == pytest.approx(low - half, abs=0.2)
    assert root.find(".//path").get("d").startswith(f"M{left:g} {low:g}L")
    assert made.rows == [["0", "0"], ["1", "1"], ["2", "0.5"]]


def test_ticks_and_grid_stand_at_the_values_that_they_name():
    _, root = drawn(Series("a", [0, 10], [0, 1]), y=Axis("up", 0, 1, percent=True))
    ticks = {text.text: float(text.get("x")) for text in root.findall("text[@class='tick mid']")}
    (left, _), (right, _) = points(root)
    assert ticks["0"] == left
    assert ticks["10"] == right
    assert ticks["4"] == pytest.approx(left + 0.4 * (right - left), abs=0.2)
    sides = [text.text for text in root.findall("text[@class='tick end']")]
    assert sides == ["0%", "20%", "40%", "60%", "80%", "100%"]


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (1970, 2019), (-3e9, 7e12), (0.0001, 0.00012), (5, 5.5)]
)
def test_ticks_are_few_round_and_inside(low, high):
    found = _ticks(low, high, whole=False)
    assert 2 <= len(found) <= 8
    assert all(low - 1e-9 * abs(low) <= tick <= high + 1e-9 * abs(high) for tick in found)
    assert np.diff(found) == pytest.approx(found[1] - found[0])


def test_whole_ticks_stay_whole():
    assert _ticks(1, 3, whole=True) == [1, 2, 3]


def test_one_value_and_none_can_be_drawn():
    assert points(drawn(Series("a", [3], [0.25]))[1])
    made, root = drawn(Series("a", [], []))
    assert made.rows == []
    assert root.get("data-frame")


def test_points_have_areas_and_need_no_line():
    _, root = drawn(Series("a", [0, 1], [0, 1], sizes=[1.0, 0.25], line=False))
    large, small = (float(circle.get("r")) for circle in root.iter("circle"))
    assert large - 2.5 == pytest.approx(2 * (small - 2.5), abs=0.1)
    assert root.find(".//path") is None


def test_ranks_are_told_by_the_values_that_they_stand_for():
    axis = Axis("along", whole=True, values=[5.0, 7.0, 2_500_000.0])
    made, root = drawn(Series("a", [0.0, 1.0, 2.0], [0, 1, 2]), x=axis)
    assert [row[0] for row in made.rows] == ["5", "7", "2.5 m"]
    assert root.find(".//g").get("data-told").startswith("5;0|7;1|2.5 m;")


def test_names_are_text():
    name = '<script>"&'
    made, root = drawn(Series(name, [0, 1], [0, 1]))
    assert root.find(".//g").get("data-name") == name
    assert "<script>" not in made.svg


def test_of_many_values_the_table_shows_some():
    made, _ = drawn(Series("a", list(range(1000)), list(range(1000))))
    assert 25 <= len(made.rows) <= 50
