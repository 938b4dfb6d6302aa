"""Every setting of the text reaches the encoder, and only the training texts are learned from."""

import numpy as np
import polars as pl

from textgauge.config import Config
from textgauge.data.corpus import build_corpus
from textgauge.text.learn import learn_encoder
from textgauge.text.tokens import tokenize
from textgauge.text.vocabulary import UNKNOWN

TEXTS = pl.Series(["steel part 10 old", "steel bolt 20 old", "iron part 30 new"])


def test_words_and_numbers_come_from_the_training_texts_alone():
    texts = [f"part {n} of lot {chr(97 + n % 10)}{chr(97 + n // 10 % 6)}" for n in range(120)]
    frame = pl.DataFrame({"text": texts, "label": ["a", "b"] * 60})
    corpus = build_corpus(frame, seed=0, fractions=(0.6, 0.2, 0.2))
    encoder = learn_encoder(corpus.train.texts, Config(min_texts=1, number_bins=8))
    tokens = set(tokenize(corpus.train.texts).explode())
    words = {token for token in tokens if not token[0].isdigit()}
    assert set(encoder.vocabulary.words[3:]) == words
    numbers = [float(token) for token in tokens - words]
    np.testing.assert_allclose(encoder.numbers.edges, np.quantile(numbers, np.linspace(0, 1, 9)))
    unseen = [t for t in set(tokenize(corpus.test.texts).explode()) - tokens if t[0].isalpha()]
    assert unseen
    assert set(encoder.encode(pl.Series(unseen)).ids) == {UNKNOWN}


def test_every_setting_is_passed_on():
    words = learn_encoder(TEXTS, Config(min_texts=1)).vocabulary.words[3:]
    assert words == ("old", "part", "steel", "bolt", "iron", "new")
    assert learn_encoder(TEXTS, Config()).vocabulary.words[3:] == ("old", "part", "steel")
    assert learn_encoder(TEXTS, Config(max_words=1)).vocabulary.words[3:] == ("old",)
    assert learn_encoder(TEXTS, Config(max_tokens=1)).vocabulary.words[3:] == ("steel",)
    assert learn_encoder(TEXTS, Config(max_tokens=5)).max_tokens == 5
    assert learn_encoder(TEXTS, Config(number_bins=1)).numbers.edges.tolist() == [10, 30]
    assert learn_encoder(TEXTS, Config(numbers=False)).numbers is None
