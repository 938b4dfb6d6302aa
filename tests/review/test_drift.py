"""A table held against a reference: worked examples, and plain counts beside them."""

import json
import re

import numpy as np
import polars as pl
import pytest

from textgauge.bundle.predictor import Predictor
from textgauge.data.corpus import gather_texts
from textgauge.errors import BundleError
from textgauge.review.cautions import reading_warnings
from textgauge.review.drift import find_drift, learn_profile
from textgauge.review.reference import Reference, labels_of
from textgauge.text.counts import count_column
from textgauge.text.encoder import TextEncoder
from textgauge.text.reading import RowsRead

YEARS = range(1970, 2020)
OLD = pl.DataFrame(
    {
        "text": [f"{what} bolt of {year}" for year in YEARS for what in ("steel", "iron")],
        "label": ["0", "1"] * 50,
    }
)


def compared(new: pl.DataFrame, old: pl.DataFrame = OLD):
    """`new` against the table `old`."""
    counts = count_column(old["text"], max_tokens=None, magnitudes=True)
    reference = Reference.of_table("old.csv", counts, labels_of(old))
    return find_drift(reference.count(new["text"]), labels_of(new), reference)


def of_model(new: pl.DataFrame, old: pl.DataFrame = OLD, test: pl.DataFrame = OLD):
    """`new` against a model that was trained on `old` and tested on `test`."""
    encoder = TextEncoder.learn(
        old["text"].unique().sort(),
        **{"read_numbers": True, "number_bins": 8, "min_texts": 2, "max_words": 99,
           "max_tokens": 20},
    )  # fmt: skip
    train, tested = (gather_texts(each, ["0", "1"]) for each in (old, test))
    profile = learn_profile(train, tested, ["0", "1"], encoder)
    edges = encoder.numbers.edges
    reference = Reference(
        "the texts it was trained on", profile, encoder.knows,
        (edges[0], edges[-1]), is_model=True, max_tokens=20,
    )  # fmt: skip
    return find_drift(reference.count(new["text"]), labels_of(new), reference), encoder, profile


def test_a_table_is_like_itself():
    found = compared(OLD)
    assert found.warnings == found.new_words == found.gone_words == found.beyond == ()
    assert {each.distance for each in found.differences.values()} == {0.0}
    assert found.differences.keys() == {"lengths", "with a number", "numbers", "labels"}
    assert (found.rows, found.texts, found.reference_rows) == (100, 100, 100)
    assert (found.number_range, found.outside_number_range_share) == ((1970, 2019), 0.0)


def test_new_words_and_words_that_are_gone_are_told():
    new = OLD.with_columns(pl.col("text").str.replace("steel", "Unobtanium"))
    found = compared(pl.concat([new, new.head(1)]))
    (word,) = found.new_words
    assert (word.word, word.rows, word.texts) == ("unobtanium", 51, 50)
    assert "unobtanium" in word.example
    assert [(each.word, each.share) for each in found.gone_words] == [("steel", 0.5)]
    assert found.unknown_word_share == pytest.approx(51 / (4 * 101))
    assert found.warnings == (
        "12.6% of the words do not stand in old.csv. The most frequent: 'unobtanium' (51 rows).",
    )


def test_numbers_outside_the_range_are_told_with_their_share_and_an_example():
    new = pl.concat([
        OLD, pl.DataFrame({"text": ["steel bolt of 2031"] * 4 + ["iron bolt of 7 for 1980"],
                           "label": ["0"] * 5}),
    ])  # fmt: skip
    found, *_ = of_model(new)
    assert found.outside_number_range_share == pytest.approx(5 / 105)
    assert [(each.side, each.limit, each.rows) for each in found.beyond] == [
        ("above", 2019, 4), ("below", 1970, 1),
    ]  # fmt: skip
    assert found.warnings[:2] == (
        "3.8% of the rows hold a number above 2019, the largest it was trained on, such as "
        "'steel bolt of 2031'. It reads them as 2019: its answers there are guesses.",
        "1.0% of the rows hold a number below 1970, the smallest it was trained on, such as "
        "'iron bolt of 7 for 1980'. It reads them as 1970: its answers there are guesses.",
    )


def test_a_model_is_told_apart_from_what_it_was_tested_on():
    # Its test part has other years and words: that is normal for it.
    test = OLD.with_columns(
        pl.col("text").str.replace("of ", "of 1").str.replace("steel", "plastic")
    )
    found, _, profile = of_model(test, test=test)
    assert profile.outside_number_range_share == 1.0
    assert profile.unknown_word_share == pytest.approx(50 / 400)
    assert profile.distances["numbers"] == 1.0
    assert found.warnings == ()
    assert found.new_words[0].word == "plastic"
    strange, *_ = of_model(test)
    assert len(strange.warnings) == 3


def test_unknown_words_are_those_that_the_encoder_does_not_know():
    rows = ["steel nut of 1990", "steel nut of 1990", "copper ring", "", "iron (bolt)", None]
    found, encoder, _ = of_model(pl.DataFrame({"text": rows}))
    texts = pl.Series([row for row in rows if row is not None])
    read = encoder.encode(texts).reading().summed(np.ones(len(texts), np.int64))
    assert found.unknown_word_share == read.unknown_share == (1 + 1 + 2 + 2) / (4 + 4 + 2 + 4)


def test_other_shares_of_the_labels_are_told():
    new = pl.concat([OLD.filter(pl.col("label") == "0"), OLD.head(20)])
    found = compared(new)
    assert found.differences["labels"].distance == pytest.approx(60 / 70 - 0.5)
    assert found.warnings[0].startswith(
        "The labels have other shares than in old.csv (a distance of 0.36): '0' 85.7%, there 50.0%;"
    )
    few = compared(OLD.filter(pl.col("label") == "0").head(8))
    assert few.differences["labels"].distance == 0.5
    assert not few.differences["labels"].matters  # chance does as much in eight texts


def test_labels_that_are_new_are_told():
    new = OLD.with_columns(label=pl.Series(["0", "1"] * 49 + ["2", "2"]))
    assert compared(new).new_labels == {"2": 2}
    assert compared(new).warnings == ("Labels that old.csv does not have: '2' (2 rows).",)
    assert of_model(new)[0].warnings == ("Labels that the model cannot give: '2' (2 rows).",)


def test_a_table_without_labels_is_compared_without_them():
    for found in (compared(OLD.drop("label")), compared(OLD, OLD.drop("label"))):
        assert (found.labels, found.new_labels) == (None, {})
        assert "labels" not in found.differences


def test_other_lengths_are_told():
    new = OLD.with_columns(pl.col("text") + " bolt bolt bolt")
    found = compared(new)
    assert found.differences["lengths"].distance == 1.0
    assert found.warnings == (
        "The texts are of other lengths than in old.csv: half have at most 7 words, there 4 (a "
        "distance of 1.00).",
    )


def test_numbers_that_lie_elsewhere_or_are_gone_are_told():
    late = compared(OLD.filter(pl.col("text").str.contains("of 20")))
    assert late.differences["numbers"].distance == pytest.approx(0.6)
    assert "half are at most 2009, there 1994" in late.warnings[0]
    letters = pl.col("text").str.replace_many(list("0123456789"), list("abcdefghij"))
    gone = compared(OLD.with_columns(letters))
    assert "0.0% of the rows hold a number, of old.csv 100.0%." in gone.warnings
    assert "numbers" not in gone.differences
    assert compared(OLD, OLD.with_columns(text=pl.lit("no number"))).number_range is None


def test_halves_of_one_table_are_not_told_apart():
    random = np.random.default_rng(3)
    for _ in range(20):
        half = random.random(100) < 0.5
        found = compared(OLD.filter(half), OLD.filter(~half))
        assert not any(each.matters for each in found.differences.values())


@pytest.mark.parametrize(
    "rows",
    [
        ["9" * 400, "1e5", "0"],
        ["<p>&nbsp;</p>", "日本語", "ا٣", "😀"],
        ["x " * 20_000],
        [""],
        ["one"] * 50,
    ],
)
def test_odd_tables_are_compared_too(rows):
    odd = pl.DataFrame({"text": rows, "label": ["0"] * len(rows)})
    for found in (compared(odd), compared(OLD, odd), compared(odd, odd)):
        json.dumps(found.to_json(), allow_nan=False)
    assert all(len(each) < 1000 for each in compared(odd).warnings)


# ---- from a bundle


def test_a_saved_model_knows_what_it_was_trained_on(trained):
    predictor = Predictor.load(trained.folder, cores=1)
    reference = Reference.of_model(predictor)
    train = trained.corpus.train
    assert (reference.profile.rows, reference.profile.texts) == (train.rows, len(train))
    assert {label: rows for label, (rows, _) in reference.profile.labels.items()} == dict(
        zip(trained.corpus.classes, train.label_rows(2).tolist(), strict=True)
    )
    years = [int(year) for text in train.texts for year in re.findall(r"\d+", text)]
    assert reference.span == (min(years), max(years))
    found = find_drift(reference.count(train.texts), None, reference)
    assert found.warnings == ()


def test_a_damaged_profile_is_told(trained):
    predictor = Predictor.load(trained.folder, cores=1)
    predictor.profile = {"rows": 3}
    with pytest.raises(BundleError, match=r"profile\.json of the model is damaged"):
        Reference.of_model(predictor)
    predictor.profile = None
    assert Reference.of_model(predictor) is None


# ---- from sums alone


def test_scored_rows_are_warned_of_by_their_sums():
    normal = {"unknown_word_share": 0.01, "outside_number_range_share": 0.02}
    few = RowsRead(rows=100, tokens=1000, unknown=29, outside=2)
    assert reading_warnings(few, normal, (1970, 2019)) == ()
    many = RowsRead(rows=1000, tokens=1000, unknown=31, outside=73)
    words, numbers = reading_warnings(many, normal, (1970, 2019))
    assert words == (
        "3.1% of the words are unknown to the model (1.0% in its test part): it cannot tell them "
        "apart."
    )
    assert numbers.startswith("7.3% of the rows hold a number below 1970 or above 2019, the range")
    assert reading_warnings(many, normal, None) == (words,)
    assert reading_warnings(many, None, (1970, 2019)) == ()
    assert reading_warnings(many, {"unknown_word_share": "much"}, (1, 2)) == ()
    assert RowsRead().unknown_share == RowsRead().outside_share == 0.0
