"""Labels in doubt: worked examples, agreement with plain cleanlab, and the list that is written."""

import csv
import io

import numpy as np
import polars as pl
import pytest
from cleanlab.filter import find_label_issues

from textgauge.data.corpus import LabelledTexts
from textgauge.review import label_issues as module
from textgauge.review.label_issues import (
    LabelIssues,
    cleanlab_suspects,
    distinct,
    find_doubts,
    label_issues,
)


def part_of(*pairs):
    """A part of (text, label, count), sorted by text."""
    texts = list(dict.fromkeys(text for text, _, _ in pairs))
    index = np.array([texts.index(text) for text, _, _ in pairs], dtype=np.int64)
    label, count = (np.array([pair[at] for pair in pairs], dtype=np.int64) for at in (1, 2))
    return LabelledTexts(pl.Series(texts, dtype=pl.String), index, label, count)


def triples_of(part):
    return np.stack([part.text_index, part.label, part.count])


def nobody(label, _):
    return np.zeros(len(label), dtype=np.bool_)


def everybody(label, _):
    return np.ones(len(label), dtype=np.bool_)


def noisy(texts=2000, classes=4, seed=0):
    """Labels of which 5 % were turned around, and probabilities that mostly know better."""
    random = np.random.default_rng(seed)
    true = random.integers(0, classes, texts)
    given, wrong = true.copy(), random.random(texts) < 0.05
    given[wrong] = (given[wrong] + 1) % classes
    scores = random.random((texts, classes))
    scores[np.arange(texts), true] += 2 * random.random(texts)
    probabilities = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
    return given, probabilities, wrong


# ---- contradictory


def test_the_label_with_fewer_rows_is_in_doubt_whatever_the_model_says():
    part = part_of(("a", 0, 2), ("a", 1, 1), ("b", 1, 3))
    probabilities = np.array([[0.1, 0.9], [0.5, 0.5]], dtype=np.float32)
    (found,) = find_doubts(triples_of(part), probabilities, nobody).to_dicts()
    assert (found["pair"], found["contradictory"], found["suggested"]) == (1, True, 0)
    # What speaks beside the row itself: the model's 0.9 for it, two rows and 0.1 against it.
    assert found["quality"] == pytest.approx(0.9 / 3)
    assert found["probability"] == pytest.approx(2.1 / 3)


def test_among_equals_the_model_decides():
    part = part_of(("a", 0, 2), ("a", 1, 2), ("a", 2, 2))
    probabilities = np.array([[0.2, 0.5, 0.3]], dtype=np.float32)
    found = find_doubts(triples_of(part), probabilities, everybody).sort("pair")
    assert found["pair"].to_list() == [0, 2]
    assert found["suggested"].to_list() == [1, 1]
    assert found["quality"].to_list() == pytest.approx([1.2 / 6, 1.3 / 6])


def test_the_best_label_of_a_contradictory_text_is_never_suspect():
    part = part_of(*((f"t{at}", at % 2, 1) for at in range(20)), ("z", 0, 3), ("z", 1, 2))
    probabilities = np.tile(np.array([0.01, 0.99], dtype=np.float32), (21, 1))
    found = find_doubts(triples_of(part), probabilities, everybody)
    assert 20 not in found["pair"]
    assert 21 in found.filter("contradictory")["pair"]


# ---- suspect


def test_suspects_are_cleanlabs_where_every_text_stands_once():
    given, probabilities, wrong = noisy()
    part = part_of(*((f"{at:05}", label, 1) for at, label in enumerate(given)))
    found = find_doubts(triples_of(part), probabilities)
    expected = find_label_issues(given, probabilities, filter_by="low_self_confidence", n_jobs=1)
    expected &= probabilities.argmax(1) != given
    assert sorted(found["pair"]) == np.flatnonzero(expected).tolist()
    assert wrong[expected].mean() > 0.5  # They are what it is about.
    pairs = found["pair"].to_numpy()
    np.testing.assert_allclose(found["quality"], probabilities[pairs, given[pairs]], rtol=1e-6)
    np.testing.assert_allclose(found["probability"], probabilities[pairs].max(1), rtol=1e-6)
    assert (found["suggested"].to_numpy() == probabilities[pairs].argmax(1)).all()


def test_other_rows_of_the_text_speak_for_their_label():
    many = [(f"t{at}", at % 2, 1) for at in range(20)]
    probabilities = np.tile(np.array([0.9, 0.1], dtype=np.float32), (20, 1))
    once = find_doubts(triples_of(part_of(*many)), probabilities, everybody)
    assert 1 in once["pair"]
    many[1] = ("t1", 1, 3)
    thrice = find_doubts(triples_of(part_of(*many)), probabilities, everybody)
    assert 1 not in thrice["pair"]  # (0.1 + 2) / 3 for the label that two other rows have.
    assert len(thrice) == len(once) - 1


def test_a_suspect_whose_label_is_still_the_likeliest_is_not_listed():
    part = part_of(*((f"t{at}", 0, 1) for at in range(10)))
    probabilities = np.tile(np.array([0.6, 0.4], dtype=np.float32), (10, 1))
    assert len(find_doubts(triples_of(part), probabilities, everybody)) == 0


def test_labels_of_few_texts_are_no_suspects():
    rare = [(f"a{at}", 1, 1) for at in range(4)]
    part = part_of(*rare, *((f"b{at}", 0, 1) for at in range(20)))
    probabilities = np.tile(np.array([1, 0], dtype=np.float32), (25, 1))
    assert len(find_doubts(triples_of(part), probabilities[:24], everybody)) == 0
    more = part_of(*rare, ("a5", 1, 1), *((f"b{at}", 0, 1) for at in range(20)))
    assert len(find_doubts(triples_of(more), probabilities, everybody)) == 5


def test_a_text_for_each_label_leaves_nothing_in_doubt():
    part = part_of(*((f"t{at:03}", at, 1) for at in range(150)))
    probabilities = np.full((150, 150), 1 / 150, dtype=np.float32)
    assert len(find_doubts(triples_of(part), probabilities)) == 0


@pytest.mark.parametrize("certain", [0.0, 1.0])
def test_all_wrong_and_all_right(certain):
    given = np.arange(40) % 2
    part = part_of(*((f"t{at:02}", label, 1) for at, label in enumerate(given)))
    probabilities = np.full((40, 2), 1 - certain, dtype=np.float32)
    probabilities[np.arange(40), given] = certain
    found = find_doubts(triples_of(part), probabilities)
    assert len(found) == (0 if certain else 40)


def test_no_texts_and_one_label_only():
    assert len(find_doubts(np.zeros((3, 0), dtype=np.int64), np.zeros((0, 2), np.float32))) == 0
    assert not cleanlab_suspects(np.zeros(9, np.int64), np.full((9, 2), 0.5, np.float32)).any()


def test_a_label_that_no_text_has_is_no_obstacle():
    given, probabilities, _ = noisy(classes=4)
    wide = np.concatenate([probabilities, np.zeros((len(given), 2), np.float32)], axis=1)
    assert (cleanlab_suspects(given, wide) == cleanlab_suspects(given, probabilities)).all()


def test_many_texts_are_examined_in_pieces(monkeypatch):
    given, probabilities, _ = noisy()
    part = part_of(*((f"{at:05}", label, 1) for at, label in enumerate(given)))
    sizes = []

    def seen(label, evidence):
        sizes.append(len(label))
        return cleanlab_suspects(label, evidence)

    whole = find_doubts(triples_of(part), probabilities)
    monkeypatch.setattr(module, "MAX_VALUES", 4 * 700)
    pieces = find_doubts(triples_of(part), probabilities, seen)
    assert sizes == [667, 667, 666]
    same = set(whole["pair"]) & set(pieces["pair"])
    assert len(same) > 0.8 * len(whole)
    assert pieces["pair"].n_unique() == len(pieces)


# ---- parts and the list


def test_a_part_whose_texts_repeat_is_gathered():
    part = LabelledTexts(
        pl.Series(["a", "a", "b", "c", "c"]),
        np.arange(5),
        np.array([0, 1, 1, 0, 0]),
        np.ones(5, dtype=np.int64),
    )
    once, first = distinct(part)
    assert once.texts.to_list() == ["a", "b", "c"]
    assert first.tolist() == [0, 2, 3]
    assert triples_of(once).T.tolist() == [[0, 0, 1], [0, 1, 1], [1, 1, 1], [2, 0, 2]]
    again, places = distinct(once)
    assert again is once
    assert places.tolist() == [0, 1, 2]


@pytest.fixture
def listed():
    """Doubts in all three parts."""
    train = part_of(("=a", 0, 3), ("=a", 1, 1), ("b", 1, 1))
    val = part_of()
    test = part_of(("c, \"d\"", 1, 2), ("c, \"d\"", 0, 1), ("e", 0, 4))  # fmt: skip
    doubts = pl.DataFrame(
        {
            "pair": [4, 1, 5],
            "contradictory": [True, True, False],
            "suggested": [1, 0, 1],
            "quality": [0.25, 0.125, 0.125],
            "probability": [0.75, 0.875, 0.5],
        }
    )
    return label_issues((train, val, test), doubts, ["-1", "no"], all_texts=9)


def test_the_worst_come_first_and_of_equals_those_with_most_rows(listed):
    assert listed.frame.rows() == [
        ("e", "-1", "no", 4, 4, "test", "suspect", 0.125, 0.5),
        ("=a", "no", "-1", 1, 4, "train", "contradictory", 0.125, 0.875),
        ('c, "d"', "-1", "no", 1, 3, "test", "contradictory", 0.25, 0.75),
    ]


def test_everything_is_counted_though_not_everything_is_listed(listed, monkeypatch):
    assert len(listed) == 3
    assert listed.to_json() == {
        "suspect": 1,
        "contradictory": 2,
        "rows": 6,
        "label_rows": {"-1": 5, "no": 1},
        "texts": 4,
        "all_texts": 9,
    }
    monkeypatch.setattr(module, "MAX_LISTED", 2)
    part = part_of(*((f"t{at}", 0, 1) for at in range(5)))
    doubts = pl.DataFrame(
        {
            "pair": range(5),
            "contradictory": [False] * 5,
            "suggested": [1] * 5,
            "quality": [0.5, 0.4, 0.3, 0.2, 0.1],
            "probability": [0.5] * 5,
        }
    )
    found = label_issues((part,), doubts, ["0", "1"], all_texts=5)
    assert found.frame["text"].to_list() == ["t4", "t3"]
    assert (len(found), found.rows) == (5, 5)


def test_the_file_has_an_empty_column_and_no_formulas(listed, tmp_path):
    listed.write_csv(tmp_path / "list.csv")
    content = (tmp_path / "list.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbftext,label,suggested_label,corrected_label,rows,")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row["text"] for row in rows] == ["e", "'=a", 'c, "d"']
    assert [row["label"] for row in rows] == ["-1", "no", "-1"]
    assert {row["corrected_label"] for row in rows} == {""}
    assert rows[0]["quality"] == "0.1250"


def test_an_empty_list_has_its_header(tmp_path):
    part = part_of(("a", 0, 1), ("b", 1, 1))
    doubts = find_doubts(triples_of(part), np.full((2, 2), 0.5, np.float32))
    empty = label_issues((part, part_of(), part_of()), doubts, ["0", "1"], all_texts=2)
    assert isinstance(empty, LabelIssues)
    assert len(empty) == 0
    empty.write_csv(tmp_path / "list.csv")
    assert (tmp_path / "list.csv").read_text("utf-8-sig").splitlines() == [
        "text,label,suggested_label,corrected_label,rows,text_rows,part,reason,quality,probability"
    ]
