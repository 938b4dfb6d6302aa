"""Texts as the pieces of a pretrained encoder, with numbers as magnitudes."""

import json
import sys

import numpy as np
import polars as pl
import pytest
from made_encoder import make_encoder
from odd_texts import ODD
from tokenizers import Tokenizer

from textgauge.data.normal_form import normalise
from textgauge.errors import MissingPackageError
from textgauge.text.encoder_folder import find_encoder
from textgauge.text.pretrained import PLACE, PretrainedReader
from textgauge.text.reader import reader_from_json
from textgauge.text.vocabulary import NUMBER, UNKNOWN

TRAIN = pl.Series(["steel bolt made in 1970", "iron bolt of 1,990.5 m", "2000 bolts"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_encoder(tmp_path_factory.mktemp("reading"))


@pytest.fixture(scope="module")
def reader(folder):
    return learned(folder)


def learned(folder, *, numbers=True, max_tokens=30):
    tokenizer = find_encoder(str(folder)).tokenizer
    return PretrainedReader.learn(
        TRAIN, tokenizer, read_numbers=numbers, number_bins=8, max_tokens=max_tokens
    )


def names(reader, text):
    return [reader.names[each] for each in reader.encode(pl.Series([text])).ids]


def test_numbers_have_one_id_and_their_place_on_the_scale(reader):
    found = reader.encode(pl.Series(["Steel M1970 bolts, 1,995.25 in 3000", "iron"]))
    assert [reader.names[each] for each in found.ids] == [
        *("steel", "m", "<num>", "bolt", "##s", ",", "<num>", "in", "<num>", "iron")
    ]
    assert found.positions[found.ids == NUMBER].tolist() == [0.0, 1.5, 2.0]
    assert found.outside[found.ids == NUMBER].tolist() == [False, False, True]
    assert found.lengths.tolist() == found.found.tolist() == [9, 1]


def test_without_numbers_the_tokenizer_reads_the_text_as_it_is(folder):
    reader = learned(folder, numbers=False)
    texts = normalise(pl.Series(["steel bolts, 1970", "it's made"]))
    alone = Tokenizer.from_file(str(folder / "tokenizer.json"))
    expected = [alone.encode(text, add_special_tokens=False).tokens for text in texts.to_list()]
    found = [[name.replace("<unk>", "[UNK]") for name in names(reader, text)] for text in texts]
    assert found == expected
    assert reader.numbers is None


def test_what_is_not_known_and_what_is_empty_read_as_unknown(reader):
    found = reader.encode(pl.Series(["zebra", "", None, " "]))
    assert found.ids.tolist() == [UNKNOWN] * 4
    assert found.found.tolist() == [1, 0, 0, 0]
    assert reader.unknown_share(found) == 1.0
    known = reader.knows(pl.Series(["bolts", "zebra", "1999", ""]))
    assert known.to_list() == [True, False, True, False]


def test_a_text_cannot_name_a_special_token_or_the_placeholder(reader):
    assert names(reader, f"[MASK] {PLACE} bolt")[-1] == "bolt"
    assert NUMBER not in reader.encode(pl.Series([f"a {PLACE} b"])).ids
    assert not {"[MASK]", "[CLS]", "[SEP]"} & set(names(reader, "[MASK] [CLS] [SEP]"))


def test_long_texts_are_cut_with_their_numbers(folder):
    reader = learned(folder, max_tokens=5)
    found = reader.encode(pl.Series(["1970 bolt 2000 m n 1990", "2000", "bolt " * 10_000]))
    assert found.lengths.tolist() == [5, 1, 5]
    assert found.positions[:6].tolist() == [0.0, 0.0, 2.0, 0.0, 0.0, 2.0]


def test_texts_in_any_script_have_as_many_pieces_as_their_words_say(reader):
    texts = normalise(pl.Series([*ODD, "bolts made of 1,990.5 zebra's ##s", ""]))
    encoded = reader.encode_normalised(texts)
    words = reader.words(texts)
    assert [sum(pieces for _, pieces in each) for each in words] == encoded.found.tolist()
    assert words[-2][:4] == [("bolts", 2), ("made", 1), ("of", 1), ("1,990.5", 1)]
    alone = [reader.encode_normalised(texts[at : at + 1]) for at in range(len(texts))]
    assert np.array_equal(np.concatenate([each.ids for each in alone]), encoded.ids)


def test_it_is_the_same_after_json(reader):
    again = reader_from_json(json.loads(json.dumps(reader.to_json())))
    for name in ("ids", "positions", "lengths"):
        texts = pl.Series(["steel bolt of 1985", "", *ODD])
        assert np.array_equal(
            getattr(reader.encode(texts), name), getattr(again.encode(texts), name)
        )
    assert (again.max_tokens, again.names) == (reader.max_tokens, reader.names)


def test_how_a_text_is_read_is_told_piece_by_piece(reader):
    rows = reader.describe("bolts 1,980")
    assert [(row["token"], row["value"]) for row in rows] == [
        *(("bolt", None), ("##s", None), ("1980", 1980.0))
    ]
    assert rows[2]["position"] == pytest.approx(10 / 20.5)


def test_without_the_package_one_sentence_says_what_to_install(reader, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingPackageError, match="pip install tokenizers"):
        reader_from_json(reader.to_json())


def test_a_decimal_comma_is_read_where_training_has_such(folder):
    reader = PretrainedReader.learn(
        pl.Series(["bolt 0,5", "bolt 1.200,5"]),
        find_encoder(str(folder)).tokenizer,
        read_numbers=True,
        number_bins=8,
        max_tokens=30,
    )
    found = reader.encode(pl.Series(["bolt 600,5", "1.200,5 0,1"]))
    assert found.positions[found.ids == NUMBER].tolist() == [0.5, 1.0, 0.0]
    again = reader_from_json(reader.to_json())
    assert [row["value"] for row in again.describe("bolt 600,5")] == [None, 600.5]
    assert reader.words(pl.Series(["bolt 0,5"])) == [[("bolt", 1), ("0,5", 1)]]


def test_a_minus_is_read_with_its_number_where_training_has_such(folder):
    reader = PretrainedReader.learn(
        pl.Series(["bolt at -40", "bolt at 20"]),
        find_encoder(str(folder)).tokenizer,
        read_numbers=True,
        number_bins=8,
        max_tokens=30,
    )
    found = reader.encode(pl.Series(["bolt -10", "bolt \u221210", "20-40"]))
    assert found.lengths.tolist() == [2, 2, 3]
    assert found.positions[found.ids == NUMBER].tolist() == [0.5, 0.5, 1.0, 1.0]
    assert reader.describe("bolt -10")[1]["value"] == -10.0
    assert reader.words(pl.Series(["bolt -10"])) == [[("bolt", 1), ("-10", 1)]]
