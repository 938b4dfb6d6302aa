"""Which words get an id, in which order, and how ids are looked up."""

import random
from collections import Counter

import polars as pl
import pytest

from textgauge.text.vocabulary import NUMBER, PAD, SPECIAL, UNKNOWN, Vocabulary


def learned(*texts, min_texts=1, max_words=1000):
    lists = pl.Series([text.split() for text in texts], dtype=pl.List(pl.String))
    return Vocabulary.learn(lists, min_texts=min_texts, max_words=max_words)


def test_the_first_three_words_are_the_special_ones():
    vocabulary = learned("steel")
    assert vocabulary.words == ("<pad>", "<unk>", "<num>", "steel")
    assert [vocabulary.words[i] for i in (PAD, UNKNOWN, NUMBER)] == list(SPECIAL)
    assert len(vocabulary) == 4


def test_words_are_ordered_by_frequency_then_alphabet():
    vocabulary = learned("d c", "c d", "c b", "z b", "a")
    assert vocabulary.words[3:] == ("c", "b", "d", "a", "z")


def test_the_order_of_the_texts_plays_no_role():
    chance = random.Random(3)
    texts = [" ".join(chance.choices("abcdefgh", k=4)) for _ in range(60)]
    first = learned(*texts).words
    chance.shuffle(texts)
    assert learned(*texts).words == first


def test_frequency_counts_texts_not_occurrences():
    assert learned("a a a a", "b", "b").words[3:] == ("b", "a")
    assert learned("a a a a", "b", "b", min_texts=2).words[3:] == ("b",)


def test_learning_equals_an_independent_count():
    chance = random.Random(5)
    texts = [
        " ".join(chance.choices("abcdefghijklmnop", range(1, 17), k=chance.randint(0, 6)))
        for _ in range(200)
    ]
    counts = Counter(word for text in texts for word in set(text.split()))
    expected = sorted((w for w, n in counts.items() if n >= 20), key=lambda w: (-counts[w], w))
    assert 4 < len(expected) < 16
    assert learned(*texts, min_texts=20).words[3:] == tuple(expected)
    assert learned(*texts, min_texts=20, max_words=4).words[3:] == tuple(expected[:4])


def test_texts_without_words_teach_nothing():
    assert learned("", "").words == SPECIAL
    assert learned().words == SPECIAL
    lists = pl.Series([None, ["a"]], dtype=pl.List(pl.String))
    assert Vocabulary.learn(lists, min_texts=1, max_words=9).words[3:] == ("a",)


def test_unknown_words_and_nulls_get_the_unknown_id():
    vocabulary = Vocabulary([*SPECIAL, "a", "b"])
    tokens = pl.Series(["b", None, "zebra", "a"])
    assert vocabulary.ids(tokens).to_list() == [4, UNKNOWN, UNKNOWN, 3]


def test_few_and_many_tokens_are_looked_up_alike():
    vocabulary = Vocabulary([*SPECIAL, *"abcdefg"])
    few = ["g", None, "a", "zebra", "c", "g"]
    assert len(few) < len(vocabulary) <= len(few * 4)
    expected = [9, UNKNOWN, 3, UNKNOWN, 5, 9]
    small, large = vocabulary.ids(pl.Series(few)), vocabulary.ids(pl.Series(few * 4))
    assert small.to_list() == expected
    assert large.to_list() == expected * 4
    assert small.dtype == large.dtype == pl.Int32


def test_no_tokens_give_no_ids():
    assert Vocabulary(SPECIAL).ids(pl.Series([], dtype=pl.String)).to_list() == []


def test_other_first_words_are_refused():
    with pytest.raises(ValueError, match=r"the first words must be .*'<num>'\), were \('a',"):
        Vocabulary(["a", "b"])


def test_a_word_listed_twice_is_refused():
    with pytest.raises(ValueError, match="words must be distinct"):
        Vocabulary([*SPECIAL, "a", "a"])
