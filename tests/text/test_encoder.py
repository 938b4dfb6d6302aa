"""Texts to ids and positions: a worked example, its corners, and the way to JSON and back."""

import json

import numpy as np
import polars as pl
import pytest

from textgauge.text import encoder as encoder_module
from textgauge.text.encoder import Encoded, TextEncoder
from textgauge.text.vocabulary import NUMBER, UNKNOWN

TRAIN = ["steel part 10", "steel bolt 20", "iron part 30", "iron 1,040.5"]


def learned(texts=TRAIN, **settings):
    defaults = {
        "read_numbers": True,
        "number_bins": 64,
        "min_texts": 1,
        "max_words": 1000,
        "max_tokens": 100,
    }
    return TextEncoder.learn(pl.Series(texts, dtype=pl.String), **(defaults | settings))


def encode(encoder, *texts):
    return encoder.encode(pl.Series(texts, dtype=pl.String))


# ---- learning


def test_numbers_are_learned_as_a_scale_and_not_as_words():
    encoder = learned()
    assert encoder.vocabulary.words[3:] == ("iron", "part", "steel", "bolt")
    assert encoder.numbers.edges.tolist() == [10, 20, 30, 1040.5]


def test_numbers_are_words_where_numbers_are_off():
    encoder = learned(read_numbers=False)
    assert encoder.numbers is None
    words = ("iron", "part", "steel", "1,040.5", "10", "20", "30", "bolt")
    assert encoder.vocabulary.words[3:] == words
    encoded = encode(encoder, "10 steel 11")
    assert encoded.ids.tolist() == [words.index("10") + 3, words.index("steel") + 3, UNKNOWN]
    assert not encoded.positions.any()


def test_a_single_number_stays_a_word():
    encoder = learned(["m 8 bolt", "m 8 nut"])
    assert encoder.numbers is None
    assert "8" in encoder.vocabulary.words


def test_rare_words_and_words_beyond_the_most_frequent_are_unknown():
    assert learned(min_texts=2).vocabulary.words[3:] == ("iron", "part", "steel")
    assert learned(max_words=1).vocabulary.words[3:] == ("iron",)


def test_the_scale_has_the_wanted_bins():
    texts = [f"part {n}" for n in range(100)]
    assert learned(texts, number_bins=5).numbers.bins == 5


def test_only_the_first_tokens_are_learned_from():
    encoder = learned(["a b c 1", "a 2 d 3"], max_tokens=2)
    assert encoder.vocabulary.words[3:] == ("a", "2", "b")
    assert encoder.numbers is None  # of the numbers only the 2 is seen: a word


def test_nothing_can_be_learned_from_empty_texts():
    encoder = learned(["", "", None])
    assert encoder.vocabulary.words[3:] == ()
    assert encode(encoder, "steel 5").ids.tolist() == [UNKNOWN, UNKNOWN]


# ---- encoding


def test_a_worked_encoding():
    encoded = encode(learned(), "Steel 15 widget", "IRON  bolt", "0 30 99,999")
    assert encoded.ids.tolist() == [5, NUMBER, UNKNOWN, 3, 6, NUMBER, NUMBER, NUMBER]
    assert encoded.positions.tolist() == [0, 0.5, 0, 0, 0, 0, 2, 3]
    assert encoded.lengths.tolist() == [3, 2, 3]
    assert encoded.starts.tolist() == [0, 3, 5]
    assert len(encoded) == 3
    assert (encoded.ids.dtype, encoded.positions.dtype) == (np.int32, np.float32)


def test_a_text_without_tokens_is_one_unknown_word():
    encoded = encode(learned(), "", "steel", None, " \t", "")
    assert encoded.ids.tolist() == [UNKNOWN, 5, UNKNOWN, UNKNOWN, UNKNOWN]
    assert encoded.lengths.tolist() == [1, 1, 1, 1, 1]
    assert encode(learned(), "").ids.tolist() == [UNKNOWN]


def test_raw_texts_and_their_normal_forms_are_encoded_alike():
    encoder = learned()
    raw = encode(encoder, " STEEL\t\uff12\uff10 ")
    normal = encoder.encode_normalised(pl.Series(["steel 20"]))
    assert raw.ids.tolist() == normal.ids.tolist() == [5, NUMBER]
    assert raw.positions.tolist() == normal.positions.tolist() == [0, 1]


def test_a_text_is_encoded_alike_alone_and_among_others():
    # Few tokens are looked up in a dictionary, many by a join.
    encoder = learned()
    texts = ["steel 15 widget", "", "iron", "1,040.5 bolt"]
    many = encode(encoder, *texts * 20)
    alone = [encode(encoder, text) for text in texts]
    assert many.ids.tolist() == [i for one in alone for i in one.ids.tolist()] * 20
    assert many.positions.tolist() == [p for one in alone for p in one.positions.tolist()] * 20
    assert many.lengths.tolist() == [one.lengths[0] for one in alone] * 20


def test_longer_texts_are_read_up_to_the_last_allowed_token():
    encoded = encode(learned(max_tokens=2), "steel iron part", "iron")
    assert encoded.lengths.tolist() == [2, 1]
    assert len(encoded.ids) == 3


def test_a_number_too_long_for_a_float_stands_at_the_end_of_the_scale():
    assert encode(learned(), "9" * 400).positions.tolist() == [3]


# ---- rectangles


def test_a_worked_rectangle():
    encoded = Encoded(
        ids=np.array([5, 6, 7, 8, 2, 9], dtype=np.int32),
        positions=np.array([0, 0, 0, 0, 1.5, 0], dtype=np.float32),
        lengths=np.array([3, 1, 2], dtype=np.int32),
    )
    ids, positions, lengths = encoded.padded(np.array([2, 0]))
    assert ids.tolist() == [[2, 9, 0], [5, 6, 7]]
    assert positions.tolist() == [[1.5, 0, 0], [0, 0, 0]]
    assert lengths.tolist() == [2, 3]
    assert (ids.dtype, positions.dtype, lengths.dtype) == (np.int64, np.float32, np.int64)
    assert encoded.padded(np.array([1]))[0].tolist() == [[8]]
    for ours, other in zip(
        encoded.padded(np.array([1, 2])),
        encoded.padded(np.array([1, 2]), encoded.starts),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, other)


def test_rectangles_hold_each_text_and_nothing_else():
    random = np.random.default_rng(0)
    lengths = random.integers(1, 9, 50).astype(np.int32)
    encoded = Encoded(
        random.integers(1, 99, lengths.sum()).astype(np.int32),
        random.random(lengths.sum(), dtype=np.float32),
        lengths,
    )
    rows = random.permutation(50)[:20]
    ids, positions, _ = encoded.padded(rows)
    for row, text_ids, text_positions in zip(rows, ids, positions, strict=True):
        text = slice(lengths[:row].sum(), lengths[: row + 1].sum())
        np.testing.assert_array_equal(text_ids[: lengths[row]], encoded.ids[text])
        np.testing.assert_array_equal(text_positions[: lengths[row]], encoded.positions[text])
        assert not text_ids[lengths[row] :].any()
        assert not text_positions[lengths[row] :].any()


def test_no_texts_make_an_empty_rectangle():
    ids, positions, lengths = encode(learned(), "steel").padded(np.array([], dtype=np.int64))
    assert len(ids) == len(positions) == len(lengths) == 0


# ---- what a person and a file get to see


def test_a_worked_description():
    assert learned().describe("Steel widget 1,000 25") == [
        {"token": "steel", "id": 5, "known_as": "steel", "value": None, "position": None},
        {"token": "widget", "id": 1, "known_as": "<unk>", "value": None, "position": None},
        {
            "token": "1,000",
            "id": 2,
            "known_as": "<num>",
            "value": 1000.0,
            "position": pytest.approx(2 + 970 / 1010.5),
        },
        {"token": "25", "id": 2, "known_as": "<num>", "value": 25.0, "position": 1.5},
    ]


def test_descriptions_of_an_empty_and_of_a_long_text():
    (row,) = learned().describe(" ")
    assert (row["token"], row["known_as"]) == ("", "<unk>")
    assert len(learned(max_tokens=2).describe("a b c d")) == 2


def test_a_description_says_what_is_encoded():
    for encoder in (learned(), learned(read_numbers=False)):
        text = "iron part 20, new: 1,040.5"
        encoded, described = encode(encoder, text), encoder.describe(text)
        assert [row["id"] for row in described] == encoded.ids.tolist()
        assert [row["position"] or 0 for row in described] == encoded.positions.tolist()
        assert json.loads(json.dumps(described)) == described


def test_the_share_of_unknown_tokens():
    encoder = learned()
    assert encoder.unknown_share(encode(encoder, "steel widget", "gadget 5")) == 0.5
    assert encoder.unknown_share(encode(encoder)) == 0.0


@pytest.mark.parametrize("read_numbers", [True, False])
def test_an_encoder_survives_json(read_numbers):
    encoder = learned(
        [f"part {n / 7:.3f} é{n % 3}" for n in range(90)], read_numbers=read_numbers, max_tokens=4
    )
    again = TextEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    texts = ["part 3.2 É1 x", "9 8 7 6 5", ""]
    before, after = encode(encoder, *texts), encode(again, *texts)
    np.testing.assert_array_equal(before.ids, after.ids)
    np.testing.assert_array_equal(before.positions, after.positions)
    np.testing.assert_array_equal(before.lengths, after.lengths)
    assert again.to_json() == encoder.to_json()


# ---- texts that read alike


def alike_one_by_one(encoded):
    """The same, with a dictionary."""
    first, seen = [], {}
    for text, (start, length) in enumerate(zip(encoded.starts, encoded.lengths, strict=True)):
        ids = encoded.ids[start : start + length].tolist()
        read = (*ids, *encoded.positions[start : start + length].tolist())
        first.append(seen.setdefault((int(length), read), text))
    return first


def made_at_random(texts, seed):
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 4, texts).astype(np.int32)
    ids = random.integers(0, 4, lengths.sum()).astype(np.int32)
    positions = np.where(ids == 2, random.integers(0, 3, len(ids)) / 2, 0).astype(np.float32)
    return Encoded(ids, positions, lengths)


@pytest.mark.parametrize("texts", [1, 2, 500])
def test_the_first_text_that_reads_alike(texts):
    encoded = made_at_random(texts, seed=texts)
    found = encoded.first_alike().tolist()
    assert found == alike_one_by_one(encoded)
    if texts == 500:
        assert len(set(found)) < 250


def test_of_no_texts_none_read_alike():
    nothing = np.zeros(0, dtype=np.int32)
    assert Encoded(nothing, nothing.astype(np.float32), nothing).first_alike().tolist() == []


def test_a_hash_that_tells_nothing_apart_makes_no_texts_alike(monkeypatch):
    monkeypatch.setattr(encoder_module, "_ODD", (np.uint64(0),))
    encoded = made_at_random(60, seed=7)
    found = encoded.first_alike().tolist()
    expected = alike_one_by_one(encoded)
    for text, first in enumerate(found):
        assert first == text or expected[text] == expected[first]
