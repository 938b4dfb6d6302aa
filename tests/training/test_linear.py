"""The linear model: its features, its weights, and what is stored of them."""

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from textgauge.config import Config
from textgauge.data.component_notes import make_component_notes
from textgauge.data.corpus import build_corpus
from textgauge.engines.local import open_table
from textgauge.errors import SettingsError
from textgauge.text.learn import learn_encoder
from textgauge.training import linear
from textgauge.training.fit import fit, new_model
from textgauge.training.linear import Features
from textgauge.training.loop import predict_logits
from textgauge.training.progress import NoProgress

PARTS = (0.6, 0.2, 0.2)  # The column decides.

TEXTS = {
    "rust": ["rusty steel frame", "the frame is rusted", "rust on a steel bolt", "a rusty bolt"],
    "leak": ["oil leak at the pump", "the pump leaks oil", "leaking pump seal", "oil on the seal"],
    "worn": ["worn tyre tread", "the tread is worn", "tyre worn at the rim", "a worn rim"],
}


def corpus_of(texts=TEXTS, val=1, extra=()):
    """Each label's last texts for validation, the others for training."""
    rows = [
        (text, label, "val" if at >= len(some) - val else "train")
        for label, some in texts.items()
        for at, text in enumerate(some)
    ]
    rows += [(text, label, "test") for label, (text, *_) in texts.items()]
    frame = pl.DataFrame([*rows, *extra], schema=["text", "label", "split"], orient="row")
    return build_corpus(frame.with_row_index("row", 1), seed=0, fractions=PARTS, distinct=False)


def fitted(corpus, **settings):
    config = Config(model="linear", **settings)
    return fit(corpus, learn_encoder(corpus.train.texts, config), config)


def notes_with_years_held_out():
    notes = make_component_notes(6000, seed=3).unique(maintain_order=True)
    year = pl.col("text").str.extract(r"(\d{4})").cast(pl.Int32)
    tested = (year >= 2012) | (year % 2 == 0)
    part = pl.when(tested).then(pl.lit("test")).otherwise(pl.lit("train"))
    notes = notes.with_columns(part.alias("split")).with_row_index("row", 1)
    val = (pl.col("split") == "train") & (pl.col("row") % 8 == 0)
    return notes.with_columns(pl.when(val).then(pl.lit("val")).otherwise("split").alias("split"))


def features_of(corpus, **settings):
    config = Config(model="linear", **settings)
    encoder = learn_encoder(corpus.train.texts, config)
    encoded = encoder.encode_normalised(corpus.train.texts)
    model, *_ = new_model(encoder, config, len(corpus.classes), NoProgress(), encoded)
    return model, encoder, encoded, *Features.learn(model, encoder, encoded)


# ---- features


def test_words_and_pairs_are_weighted_as_scikit_learn_does():
    corpus = corpus_of()
    _, encoder, _, features, rows = features_of(corpus)
    whole = len(features.of_words) + len(features.of_pairs)
    ours = rows.toarray()[:, :whole]
    texts = corpus.train.texts.to_list()
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+").fit(texts)
    counts = (words.transform(texts) > 0).sum(0).A1
    names = words.get_feature_names_out()
    known = [n for n, c in zip(names, counts, strict=True) if " " not in n or c >= 2]
    theirs = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", vocabulary=known)
    # Pairs and words in another order: the similarities of the texts are the same.
    expected = theirs.fit_transform(texts).toarray()
    np.testing.assert_allclose(ours @ ours.T, expected @ expected.T, atol=1e-6)
    assert len(encoder.vocabulary) - 3 == sum(" " not in name for name in known)


def test_words_that_share_pieces_are_alike_and_others_are_not():
    corpus = corpus_of()
    *_, features, rows = features_of(corpus)
    pieces = rows[:, len(features.of_words) + len(features.of_pairs) :]
    texts = corpus.train.texts.to_list()
    rusty, rusted = texts.index("rusty steel frame"), texts.index("the frame is rusted")
    tread = texts.index("worn tyre tread")
    both = pieces.toarray()
    assert both[rusty] @ both[rusted] > 0.3 > both[rusty] @ both[tread]
    # As long as one, but for what a text repeats.
    np.testing.assert_allclose((both[[rusty, rusted]] ** 2).sum(1), 1, atol=0.2)


def test_a_number_passes_the_edges_below_it():
    texts = {
        "old": [f"made in {year}" for year in range(1970, 1990)],
        "new": [f"made in {year}" for year in range(1990, 2010)],
    }
    _, _, encoded, features, rows = features_of(corpus_of(texts), number_bins=8)
    rows = rows.toarray()[:, -features.edges :]
    passed = rows / rows.max()
    size = np.clip(encoded.positions[encoded.positions > 0][:, None] - np.arange(8), 0, 1)
    np.testing.assert_allclose(passed[(passed > 0).any(1)], size, atol=1e-6)


# ---- what is stored


def test_the_model_gives_what_weights_times_features_give():
    corpus = corpus_of(
        {"a": ["one steel bolt bolt 3", "two bolts 4", "a bolt 5"], "b": ["x 9", "y 8", "z 7"]}
        | TEXTS
    )
    model, _, encoded, features, rows = features_of(corpus)
    random = np.random.default_rng(0)
    weights = random.normal(size=(5, rows.shape[1])).astype(np.float32)
    bias = random.normal(size=5).astype(np.float32)
    features.give(model, weights, bias)
    ids, positions, lengths = encoded.padded(np.arange(len(encoded)))
    with torch.no_grad():
        logits = model(*map(torch.from_numpy, (ids, positions, lengths)))
    np.testing.assert_allclose(logits, rows @ weights.T + bias, atol=1e-4)
    model.divide_logits(4.0)
    with torch.no_grad():
        cooler = model(*map(torch.from_numpy, (ids, positions, lengths)))
    np.testing.assert_allclose(cooler, logits / 4, atol=1e-5)


def test_a_word_that_is_not_known_adds_its_pieces():
    model, encoder, _, features, rows = features_of(corpus_of())
    weights = np.random.default_rng(0).normal(size=(3, rows.shape[1])).astype(np.float32)
    features.give(model, weights, np.zeros(3, dtype=np.float32))
    read = encoder.encode_normalised(pl.Series(["rustier xyzzy"]))
    names = [encoder.names[at] for at in read.ids]
    assert names == ["##<rus", "##rust", "<unk>"]
    columns = [encoder.pieces.index(name[2:]) for name in names if name != "<unk>"]
    rarity = np.array([features.pieces[len(features.of_words) + at, at] for at in columns])
    at = len(features.of_words) + len(features.of_pairs)
    expected = weights[:, at + np.array(columns)] @ rarity / np.linalg.norm(rarity)
    with torch.no_grad():
        logits = model(*map(torch.from_numpy, read.padded(np.arange(1))))[0]
    np.testing.assert_allclose(logits, expected, atol=1e-5)


@pytest.mark.parametrize("labels", [2, 3])
def test_the_decisions_are_those_of_the_solver_on_the_same_features(labels):
    corpus = corpus_of(dict(list(TEXTS.items())[:labels]))
    *_, rows = features_of(corpus)
    label = corpus.train.label[np.argsort(corpus.train.text_index)]
    found = LinearSVC(C=2.0, tol=1e-6).fit(rows, label)
    expected = found.decision_function(rows)
    got = fitted(corpus, penalty=2.0)
    logits = predict_logits(got.model, got.encode(corpus.train)) * got.calibrated.temperature
    if labels == 2:
        logits = logits[:, 1] - logits[:, 0]
    np.testing.assert_allclose(logits, expected, atol=0.15)


def test_very_many_labels_are_found_in_parts_and_decided_alike(monkeypatch):
    corpus, told = corpus_of(), []
    whole = fitted(corpus, penalty=10.0).model.state_dict()
    monkeypatch.setattr(linear, "AT_ONCE", 2)
    monkeypatch.setattr(linear, "TOLERANCE", 1e-4)
    config = Config(model="linear", penalty=10.0)

    class Telling(NoProgress):
        def step(self, step, steps):
            told.append((step, steps))

    parts = fit(corpus, learn_encoder(corpus.train.texts, config), config, progress=Telling())
    assert told == [(1, 2), (2, 2)] * 2  # The second time from the validation texts, too.
    logits = predict_logits(parts.model, parts.encode(corpus.train))
    assert logits.argmax(1).tolist() == corpus.train.main_label.tolist()
    assert parts.model.state_dict().keys() == whole.keys()
    for name, weights in whole.items():
        near = parts.model.state_dict()[name]
        assert (near - weights).abs().max() < 0.3 * max(float(weights.abs().max()), 1e-6), name


def test_a_long_text_is_not_computed_with_all_the_short_ones(monkeypatch):
    texts = {"a": [f"steel bolt {at}" for at in range(200)], "b": ["oil " * 4_000, "leak"]}
    seen = []
    real = linear.LinearClassifier.forward

    def forward(self, ids, positions, lengths):
        seen.append(ids.numel())
        return real(self, ids, positions, lengths)

    monkeypatch.setattr(linear.LinearClassifier, "forward", forward)
    fitted(corpus_of(texts))
    assert 4_000 <= max(seen) <= linear.LinearClassifier.most_tokens < 200 * 4_000


def test_a_second_training_gives_the_same_weights():
    one, other = (fitted(corpus_of(), seed=7).model.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_checkpoint_is_the_whole_training():
    corpus, kept, told = corpus_of(), [], []
    config = Config(model="linear")
    encoder = learn_encoder(corpus.train.texts, config)
    first = fit(corpus, encoder, config, on_checkpoint=kept.append, on_epoch=told.append)
    again = fit(corpus, encoder, config, start_from=kept[0], on_epoch=told.append)
    one, other = first.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert again.trained == first.trained
    assert told == list(first.trained.history)


# ---- what it learns


@pytest.mark.parametrize("distinct", [True, False])
def test_years_that_no_training_text_has_are_judged_right(distinct):
    frame = notes_with_years_held_out()
    corpus = build_corpus(frame, seed=0, fractions=PARTS, distinct=distinct)
    got = fitted(corpus)
    logits = predict_logits(got.model, got.encode(corpus.test))
    rows = got.encode(corpus.test).targets()
    assert rows[np.arange(len(rows)), logits.argmax(1)].sum() / rows.sum() >= 0.99
    assert len(got.trained.history) == 1
    assert got.trained.best.val_accuracy > 0.98


def test_a_finer_tolerance_decides_alike(monkeypatch):
    corpus = build_corpus(notes_with_years_held_out(), seed=0, fractions=PARTS)
    coarse = fitted(corpus)
    monkeypatch.setattr(linear, "TOLERANCE", 1e-5)
    fine = fitted(corpus)
    one, other = (predict_logits(got.model, got.encode(corpus.test)) for got in (coarse, fine))
    assert not np.array_equal(one, other)
    assert (one.argmax(1) == other.argmax(1)).mean() >= 0.99


def test_a_text_that_stands_there_with_two_labels_goes_to_the_more_frequent():
    both = [("rusty steel frame", "leak", "train")] * 5
    assert decided(corpus_of(extra=both), "rusty steel frame") == "leak"
    assert decided(corpus_of(), "rusty steel frame") == "rust"


def decided(corpus, text):
    got = fitted(corpus)
    at = corpus.train.texts.to_list().index(text)
    return corpus.classes[predict_logits(got.model, got.encode(corpus.train))[at].argmax()]


def test_a_label_that_no_training_text_has_is_never_decided():
    extra = [("cracked glass", "crack", "val"), ("a crack", "crack", "test")]
    corpus = corpus_of(extra=extra)
    got = fitted(corpus)
    logits = predict_logits(got.model, got.encode(corpus.test))
    assert "crack" not in {corpus.classes[at] for at in logits.argmax(1)}


# ---- what is refused


def test_too_many_weights_are_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(linear, "MOST_WEIGHTS", 50)
    with pytest.raises(SettingsError, match=r"3 labels and .* in all, at most 50 .*--model bag"):
        fitted(corpus_of())


def test_word_vectors_are_refused():
    with pytest.raises(SettingsError, match="'linear' has no word vectors; leave --vectors out"):
        fitted(corpus_of(), vectors="glove.txt")


# ---- sets of labels

MORE = ["rusty pump leaks oil", "a bolt"]


def test_each_label_of_a_set_is_found_by_itself():
    table = pl.DataFrame(
        {
            "text": [
                *(t for some in TEXTS.values() for t in some),
                "rusty pump leaks oil",
                "a bolt",
            ],
            "label": [*(label for label in TEXTS for _ in range(4)), "rust|leak", ""],
        }
    )
    parts = ["train"] * 14
    for at in (3, 7, 11):
        parts[at] = "val"
    tests = pl.DataFrame({"text": ["the rusted tyre"], "label": ["rust|worn"], "split": ["test"]})
    source = pl.concat([table.with_columns(split=pl.Series(parts)), tests])
    config = Config(model="linear", multi_label=True, split_column="split")
    prepared = open_table(source, config, NoProgress())
    got = prepared.fit(
        prepared.learn_encoder(),
        progress=NoProgress(),
        on_epoch=lambda epoch: None,
        on_checkpoint=lambda checkpoint: None,
        start_from=None,
    )
    train = prepared.corpus.train
    logits = predict_logits(got.model, got.encode(train))
    both = logits[train.texts.to_list().index("rusty pump leaks oil")]
    neither = logits[train.texts.to_list().index("a bolt")]
    of = dict(zip(prepared.corpus.classes, both, strict=True))
    assert of["rust"] > 0 and of["leak"] > 0 > of["worn"]
    assert (neither < 0).all()
