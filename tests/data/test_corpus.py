"""Distinct texts with their labels: counted right, cut without leaks, whatever the rows' order."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

from textgauge.data.component_notes import make_component_notes
from textgauge.data.corpus import LabelledTexts, build_corpus, gather_texts, label_order
from textgauge.errors import TableError

USUAL = (0.6, 0.2, 0.2)
PARTS = ("train", "val", "test")


def build(frame, seed=0, fractions=USUAL, **settings):
    return build_corpus(frame, seed=seed, fractions=fractions, **settings)


def messy_table(rows=600, seed=0):
    """Repeated texts in many spellings, with three labels that contradict each other."""
    random = np.random.default_rng(seed)
    spellings = (
        str,
        str.upper,
        lambda t: f"  {t}\t",
        lambda t: t.replace(" ", "\u00a0 "),
        lambda t: t.replace("note", "\uff4e\uff4f\uff54\uff45"),
    )
    texts = [
        spellings[random.integers(5)](f"note number {chr(97 + n // 10)}{n % 10}")
        for n in random.integers(0, 90, rows)
    ]
    return pl.DataFrame({"text": texts, "label": random.choice(["x", "y", "z"], rows)})


def counted(part, classes):
    """(text, label) -> rows."""
    found = Counter()
    for text, label, count in zip(part.text_index, part.label, part.count, strict=True):
        found[part.texts[int(text)], classes[label]] += int(count)
    return found


# ---- gathering


def test_every_row_is_counted_once_under_its_text_and_label():
    frame = messy_table()
    corpus = build(frame)
    found = sum((counted(getattr(corpus, name), corpus.classes) for name in PARTS), Counter())
    clean = [" ".join(t.lower().split()) for t in frame["text"].str.normalize("NFKC")]
    assert found == Counter(zip(clean, frame["label"], strict=True))


def test_texts_are_distinct_and_sorted_and_triples_follow_them():
    corpus = build(messy_table())
    for name in PARTS:
        part = getattr(corpus, name)
        assert part.texts.to_list() == sorted(set(part.texts))
        triples = list(zip(part.text_index, part.label, strict=True))
        assert triples == sorted(set(triples))
        assert set(part.text_index) == set(range(len(part)))
        assert part.rows == part.text_rows.sum() == part.label_rows(3).sum()


def test_contradictory_duplicates_become_soft_labels():
    frame = pl.DataFrame(
        {
            "text": ["Worn belt", "worn  belt", "WORN BELT", "new belt", "new belt", "old belt"],
            "label": ["bad", "good", "bad", "good", "bad", "good"],
        }
    )
    texts = gather_texts(frame, ["good", "bad"])
    assert texts.texts.to_list() == ["new belt", "old belt", "worn belt"]
    assert texts.text_index.tolist() == [0, 0, 1, 2, 2]
    assert texts.label.tolist() == [0, 1, 0, 0, 1]
    assert texts.count.tolist() == [1, 1, 1, 1, 2]
    assert texts.text_rows.tolist() == [2, 1, 3]
    assert texts.main_label.tolist() == [0, 0, 1]  # the first among equals, else the frequent one
    assert texts.label_rows(3).tolist() == [3, 3, 0]
    assert (len(texts), texts.rows) == (3, 6)


def test_main_labels_equal_a_plain_count():
    frame = messy_table(3000)
    texts = gather_texts(frame, ["x", "y", "z"])
    counts = np.zeros((len(texts), 3))
    counts[texts.text_index, texts.label] = texts.count
    np.testing.assert_array_equal(texts.main_label, counts.argmax(1))
    np.testing.assert_array_equal(texts.text_rows, counts.sum(1))


def test_no_texts_gather_to_nothing():
    empty = gather_texts(
        pl.DataFrame({"text": [], "label": []}, schema=dict.fromkeys(("text", "label"), pl.String)),
        ["a", "b"],
    )
    assert (len(empty), empty.rows) == (0, 0)
    assert empty.text_rows.tolist() == empty.main_label.tolist() == []
    assert empty.label_rows(2).tolist() == [0, 0]


def test_gathering_few_repeats_and_many_gives_the_same_texts():
    # Where texts repeat, each different one is normalised once.
    once = pl.DataFrame({"text": ["A b", " c", "D"], "label": ["0", "1", "0"]})
    many = pl.concat([once] * 10)
    first, second = gather_texts(once, ["0", "1"]), gather_texts(many, ["0", "1"])
    assert first.texts.to_list() == second.texts.to_list() == ["a b", "c", "d"]
    assert (second.count == 10).all()


# ---- labels


@pytest.mark.parametrize(
    ("labels", "ordered"),
    [
        (["10", "9", "1"], ["1", "9", "10"]),
        (["1.5", "-2", "1e1"], ["-2", "1.5", "1e1"]),
        (["1.0", "1"], ["1", "1.0"]),
        (["b", "10", "a", "9"], ["10", "9", "a", "b"]),
        (["inf", "1"], ["1", "inf"]),
        ([], []),
    ],
)
def test_labels_are_sorted_as_a_person_would(labels, ordered):
    assert label_order(labels) == ordered
    assert label_order(labels[::-1]) == ordered


def test_a_label_called_nan_is_a_word():
    for labels in (["nan", "1", "0"], ["1", "nan", "0"], ["0", "1", "nan"]):
        assert label_order(labels) == ["0", "1", "nan"]


def test_classes_are_kept_as_the_table_holds_them():
    frame = pl.DataFrame({"text": [f"n {n}" for n in range(30)], "label": ["10", "2", "1"] * 10})
    assert build(frame).classes == ("1", "2", "10")


# ---- the parts


def test_no_spelling_of_a_text_straddles():
    for seed in range(5):
        corpus = build(messy_table(seed=seed), seed=seed)
        texts = [set(getattr(corpus, name).texts) for name in PARTS]
        assert not texts[0] & texts[1] | texts[0] & texts[2] | texts[1] & texts[2]
        assert corpus.test_texts_in_train == 0


def test_test_texts_in_train_are_counted_where_the_user_wants_them():
    frame = pl.DataFrame(
        {
            "text": ["a", "b", "c", "d", "A", "b ", "b", "e", "e"],
            "label": ["0", "1", "0", "1", "0", "1", "1", "0", "0"],
            "split": ["train", "train", "train", "val", "test", "test", "test", "test", "test"],
        }
    )
    corpus = build(frame)
    assert corpus.test_texts_in_train == 2  # a and b; e is in test alone
    assert corpus.test.texts.to_list() == ["a", "b", "e"]
    assert build(frame, distinct=False).test_texts_in_train == 2


def test_rows_that_were_left_out_stand_in_no_part():
    frame = pl.DataFrame(
        {
            "text": [f"note {n}" for n in range(10)] + ["note 0"],
            "label": ["0", "1"] * 5 + ["0"],
            "time": range(11),
        }
    )
    corpus = build(frame)
    assert corpus.left_out_rows == 1
    assert sum(getattr(corpus, name).rows for name in PARTS) == 10


def test_the_share_of_a_random_split_is_taken_over_all_texts():
    repeated = pl.concat([pl.DataFrame({"text": [f"n{n}" for n in range(20)]})] * 2)
    corpus = build(repeated.with_columns(label=pl.Series(["a", "b"] * 20)))
    assert corpus.random_split_share == pytest.approx(0.24 / 0.36)
    assert build(make_component_notes(100_000)).random_split_share > 0.9999


def test_rows_without_text_or_label_are_dropped_and_counted():
    good = pl.DataFrame({"text": [f"n {n}" for n in range(10)], "label": ["a", "b"] * 5})
    bad = pl.DataFrame(
        {"text": [None, "", " \t", "fine", None], "label": ["a", "b", "a", None, None]}
    )
    corpus = build(pl.concat([bad, good]))
    assert corpus.dropped_rows == 5
    assert sum(getattr(corpus, name).rows for name in PARTS) == 10
    assert corpus.digest == build(good).digest


# ---- the digest


def test_the_digest_does_not_depend_on_the_order_of_the_rows():
    frame = messy_table()
    shuffled = frame[np.random.default_rng(1).permutation(len(frame))]
    assert build(frame).digest == build(shuffled).digest
    assert len(build(frame).digest) == 64


def test_the_digest_changes_with_a_label_a_text_a_count_and_the_part():
    frame = pl.DataFrame(
        {
            "text": [f"n {n}" for n in range(50)],
            "label": ["a", "b"] * 25,
            "split": (["train"] * 3 + ["val", "test"]) * 10,
        }
    )

    def with_first(column, value):
        return frame.with_columns(pl.Series(column, [value, *frame[column][1:]]))

    others = [
        with_first("label", "b"),
        with_first("text", "m 0"),
        with_first("split", "val"),
        pl.concat([frame, frame[:1]]),
        frame.with_columns(frame["label"].replace({"b": "c"})),
    ]
    assert len({build(table).digest for table in (frame, *others)}) == 6
    by_hash = frame.drop("split")
    assert build(by_hash).digest != build(by_hash, seed=1).digest


# ---- every row for itself


def test_every_row_for_itself_counts_the_same_rows():
    frame = messy_table()
    distinct, every = build(frame), build(frame, distinct=False)
    assert every.classes == distinct.classes
    assert every.random_split_share == distinct.random_split_share
    assert every.test_texts_in_train == 0
    for name in PARTS:
        part, rows = getattr(distinct, name), getattr(every, name)
        assert counted(part, distinct.classes) == counted(rows, every.classes)
        assert part.label_rows(3).tolist() == rows.label_rows(3).tolist()
        assert len(rows) == rows.rows == part.rows > len(part)
        assert (rows.count == 1).all()


# ---- what can't be trained on


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            {"text": ["a", "b"], "label": ["x", "x"]},
            "training needs at least two labels, but every labelled row says 'x'. "
            "Check the label column (--label NAME).",
        ),
        (
            {"text": [None, "b"], "label": ["x", None]},
            "training needs at least two labels, but no row has a text and a label. "
            "Check the label column (--label NAME).",
        ),
        (
            {
                "text": ["a", "b", "c", "d"],
                "label": ["x", "x", "x", "y"],
                "split": ["train", "train", "val", "test"],
            },
            "only one label is left to train on: 'y' stands in too few different texts. "
            "Give the rarer labels more examples.",
        ),
    ],
)
def test_a_single_label_is_refused(frame, message):
    with pytest.raises(TableError) as caught:
        build(pl.DataFrame(frame))
    assert str(caught.value) == message


def test_a_label_that_train_lacks_is_fine_where_two_are_left():
    frame = pl.DataFrame(
        {
            "text": ["a", "b", "c", "d", "e"],
            "label": ["x", "y", "x", "z", "x"],
            "split": ["train", "train", "val", "test", "test"],
        }
    )
    corpus = build(frame)
    assert corpus.classes == ("x", "y", "z")
    assert corpus.train.label_rows(3).tolist() == [1, 1, 0]
    assert isinstance(corpus.test, LabelledTexts)
