"""Small trees: hand-worked splits, and agreement with scikit-learn's."""

import doctest

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from textgauge.review import tree as module
from textgauge.review.tree import Columns, grow


def columns_of(marks, values=()):
    """From a 0/1 table (texts, marks) and rows of numbers."""
    marks = np.asarray(marks)
    text, mark = np.nonzero(marks)
    values = np.asarray(values, dtype=float).reshape(-1, len(marks))
    return Columns(text, mark, marks.shape[1], values)


def shape_of(node):
    """The tree as nested tuples."""
    if node.cut is None:
        return tuple(node.weights)
    return (node.cut.column, shape_of(node.yes), shape_of(node.no))


def test_docstrings():
    assert doctest.testmod(module).failed == 0


def test_a_mark_that_tells_the_labels_apart_is_asked_for():
    columns = columns_of([[1, 0], [0, 0], [1, 1], [0, 1]])
    found = grow(columns, np.array([0, 0, 1, 1]), np.array([1.0, 2, 3, 4]), 2, leaves=8, depth=5)
    assert shape_of(found) == (1, (0, 7), (3, 0))


def test_a_number_is_cut_between_neighbours_and_texts_without_one_say_no():
    columns = columns_of(np.zeros((5, 1)), [[1994, 1995, 1970, 2001, np.nan]])
    found = grow(columns, np.array([1, 0, 1, 0, 0]), np.ones(5), 2, leaves=8, depth=5)
    assert (found.cut.column, found.cut.low, found.cut.high) == (1, 1994, 1995)
    assert shape_of(found) == (1, (0, 2), (3, 0))


def test_of_equal_questions_the_first_is_asked():
    marks = [[1, 1], [1, 1], [0, 0], [0, 0]]
    found = grow(columns_of(marks), np.array([0, 0, 1, 1]), np.ones(4), 2, leaves=8, depth=5)
    assert found.cut.column == 0


@pytest.mark.parametrize(
    ("limits", "leaves"),
    [
        ({"leaves": 3}, 3),
        ({"depth": 1}, 2),
        ({"texts": 4}, 2),
        ({"gain": 0.4}, 1),
        ({"gain": 0.3}, 4),
        ({}, 4),
    ],
)
def test_limits_hold(limits, leaves):
    marks = [[a, b] for a in (0, 1) for b in (0, 1) for _ in range(2)]
    label = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    found = grow(columns_of(marks), label, np.ones(8), 4, **{"leaves": 8, "depth": 5, **limits})

    def count(node):
        return 1 if node.cut is None else count(node.yes) + count(node.no)

    assert count(found) == leaves


def test_one_label_needs_no_question():
    found = grow(columns_of([[1], [0]]), np.zeros(2, int), np.ones(2), 2, leaves=8, depth=5)
    assert found.cut is None


@pytest.mark.parametrize("seed", range(8))
def test_it_decides_as_scikit_learn_s(seed):
    random = np.random.default_rng(seed)
    marks = (random.random((400, 12)) < random.uniform(0.05, 0.6, 12)).astype(int)
    number = random.normal(size=(2, 400))
    score = marks[:, 0] * 2 - marks[:, 3] + number[0] + 0.3 * random.normal(size=400)
    label = np.digitize(score, [-0.5, 1.0])
    weight = random.uniform(0.5, 3, 400)
    ours = grow(columns_of(marks, number), label, weight, 3, leaves=7, depth=4, texts=5)
    theirs = DecisionTreeClassifier(
        max_leaf_nodes=7, max_depth=4, min_samples_leaf=5, random_state=0
    ).fit(np.c_[marks, number.T], label, sample_weight=weight)

    def decide(node, at):
        if node.cut is None:
            return node.weights.argmax()
        column = node.cut.column
        yes = marks[at, column] if column < 12 else number[column - 12, at] <= node.cut.low
        return decide(node.yes if yes else node.no, at)

    mine = [decide(ours, at) for at in range(400)]
    assert mine == theirs.predict(np.c_[marks, number.T]).tolist()
