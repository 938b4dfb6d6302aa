"""What could stand in the place of a word: worked examples, and what nothing is known of."""

import json

import numpy as np
import polars as pl
import pytest

from textgauge.text import fills as module
from textgauge.text.encoder import TextEncoder
from textgauge.text.fills import Fills, learn_fills
from textgauge.text.vocabulary import NUMBER, PAD, UNKNOWN

NOTES = [
    f"{material} part from {year} in {condition} shape"
    for material in ("steel", "iron")
    for year in (1970, 1980, 1990)
    for condition in ("good", "poor")
]


def encoder_of(texts, min_texts=1):
    return TextEncoder.learn(
        pl.Series(texts),
        read_numbers=True,
        number_bins=8,
        min_texts=min_texts,
        max_words=100,
        max_tokens=50,
    )


def drawn(fills, encoder, text, times=200):
    """The words that are drawn for each place of a text."""
    encoded = encoder.encode(pl.Series([text]))
    ids, _, lengths = encoded.padded(np.array([0]))
    shares = np.random.default_rng(0).random((times, *ids.shape))
    found = fills.draw(ids, lengths, shares)
    assert found.shape == (times, *ids.shape)
    words = encoder.vocabulary.words
    return [{words[i] for i in found[:, 0, at]} for at in range(ids.shape[1])]


@pytest.fixture
def learned():
    encoder = encoder_of(NOTES)
    return learn_fills(pl.Series(NOTES), encoder), encoder


def test_a_place_takes_what_stands_between_the_same_neighbours(learned):
    assert drawn(*learned, "steel part from 1970 in good shape") == [
        {"steel", "iron"}, {"part"}, {"from"}, {"<num>"}, {"in"}, {"good", "poor"}, {"shape"},
    ]  # fmt: skip


def test_words_come_as_often_as_they_stood_there():
    texts = [f"a {word} z {n}" for n in range(30) for word in ("x", "x", "y")]
    encoder = encoder_of(texts)
    fills = learn_fills(pl.Series(texts), encoder)
    ids = encoder.vocabulary.ids(pl.Series(["a", "x", "z"])).to_numpy().astype(np.int64)[None]
    shares = np.linspace(0, 1, 300, endpoint=False)[:, None, None].repeat(3, axis=2)
    found = fills.draw(ids, np.array([3]), shares)[:, 0, 1]
    y = encoder.vocabulary.ids(pl.Series(["y"]))[0]
    assert (found == y).mean() == pytest.approx(1 / 3, abs=0.01)


def test_where_the_neighbours_are_unknown_the_one_before_is_asked(learned):
    # "in _ part" was never seen; after "in" stand good and poor.
    found = drawn(*learned, "in steel part")
    assert found[1] == {"good", "poor"}


def test_where_nothing_is_known_any_word_is_taken(learned):
    fills, encoder = learned
    found = drawn(fills, encoder, "zebra zebra zebra")[1]
    assert {"steel", "part", "<num>", "shape"} <= found
    assert "<unk>" not in found


def test_a_place_that_was_hardly_seen_gives_no_choice_and_is_not_asked():
    # "b _ d" was seen four times, with c alone; after b stand c and x.
    texts = ["a b c d"] * 4 + ["b x e"] * 9
    found = drawn(learn_fills(pl.Series(texts), encoder_of(texts)), encoder_of(texts), "b c d")
    assert found[1] == {"c", "x"}


def test_behind_the_end_nothing_is_filled_in(learned):
    fills, encoder = learned
    encoded = encoder.encode(pl.Series(["steel part", "iron part from 1980 in good shape"]))
    ids, _, lengths = encoded.padded(np.array([0, 1]))
    found = fills.draw(ids, lengths, np.full(ids.shape, 0.5))
    assert (found[0, 2:] == PAD).all()
    assert (found[:, :2] != PAD).all()


def test_words_without_an_id_are_never_filled_in():
    texts = [f"part {word} here" for word in ("aa", "bb", "cc", "dd", "ee", "steel", "steel")]
    encoder = encoder_of(texts, min_texts=2)
    assert drawn(learn_fills(pl.Series(texts), encoder), encoder, "part aa here")[1] <= {
        "steel", "part", "here",
    }  # fmt: skip


def test_what_is_written_is_read_again(learned):
    fills, encoder = learned
    again = Fills.from_json(json.loads(json.dumps(fills.to_json())))
    ids, _, lengths = encoder.encode(pl.Series(NOTES)).padded(np.arange(len(NOTES)))
    shares = np.random.default_rng(1).random((5, *ids.shape))
    assert np.array_equal(fills.draw(ids, lengths, shares), again.draw(ids, lengths, shares))


def test_only_so_many_places_and_words_are_remembered(monkeypatch):
    monkeypatch.setattr(module, "MOST_PLACES", 3)
    monkeypatch.setattr(module, "MOST_WORDS", 2)
    texts = [f"p{place} w{word} q" for place in range(9) for word in range(9)]
    values = learn_fills(pl.Series(texts), encoder_of(texts)).to_json()
    assert len(values["between"]["places"]) <= 3
    assert len(values["between"]["words"]) <= 6


def test_of_many_texts_some_are_learned_from(monkeypatch):
    monkeypatch.setattr(module, "MOST_TEXTS", 4)
    fills = learn_fills(pl.Series(NOTES), encoder_of(NOTES))
    assert sum(fills.to_json()["anywhere"]["counts"]) == 4 * 7


def test_no_texts_with_words_still_give_something():
    encoder = encoder_of(["steel"])
    fills = Fills.learn(encoder.encode(pl.Series(["", "zebra"])), len(encoder.vocabulary))
    assert fills.draw(np.array([[UNKNOWN]]), np.array([1]), np.array([[0.3]])) == [[UNKNOWN]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v.pop("after"),
        lambda v: v["between"]["words"].append(3),
        lambda v: v["between"]["words"].__setitem__(0, 10_000),
        lambda v: v.update(vocabulary="many"),
        lambda v: v.update(anywhere=[]),
    ],
)
def test_what_does_not_fit_together_is_refused(learned, spoil):
    values = learned[0].to_json()
    spoil(values)
    with pytest.raises((KeyError, TypeError, ValueError)):
        Fills.from_json(values)


def test_a_number_is_a_word_like_others(learned):
    fills, encoder = learned
    ids, _, lengths = encoder.encode(pl.Series([NOTES[0]])).padded(np.array([0]))
    assert fills.draw(ids, lengths, np.full(ids.shape, 0.9))[0, 3] == NUMBER
