"""Training on sets of labels: the loss, its weights, the temperature, and what is learned."""

import numpy as np
import polars as pl
import pytest
import torch

from textgauge.bundle.label_sets import to_set_probabilities
from textgauge.config import Config
from textgauge.data.corpus import build_corpus
from textgauge.text.learn import learn_encoder
from textgauge.training.batches import EncodedTexts
from textgauge.training.calibration import find_set_temperature
from textgauge.training.fit import fit, in_shards, start_from_shares
from textgauge.training.loop import evaluate, predict_logits
from textgauge.training.loss import (
    SetsOfLabels,
    balanced_set_weights,
    set_losses,
)

WORDS = {"iron": "metal", "plastic": "polymer", "rust": "defect", "crack": "defect", "old": "age"}


def notes(rows=500):
    """Notes whose words decide their labels, some of them none."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(rows):
        words = random.choice(list(WORDS), random.integers(0, 4), replace=False)
        labels = sorted({WORDS[word] for word in words})
        found.append((" ".join(["part", *words, str(random.integers(1, 99))]), "|".join(labels)))
    return pl.DataFrame(found, schema=["text", "label"], orient="row")


@pytest.fixture(scope="module")
def corpus():
    return build_corpus(notes(), seed=0, fractions=(0.6, 0.2, 0.2), separator="|")


def conflicting():
    """One text with the sets "", "a" and "a|b", and others."""
    rows = [("same", ""), ("same", "a"), ("same", "a|b")] + [(f"t{n}", "b") for n in range(9)]
    frame = pl.DataFrame(rows, schema=["text", "label"], orient="row")
    return build_corpus(frame, seed=0, fractions=(1 / 3, 1 / 3, 1 / 3), separator="|")


def test_the_loss_is_that_of_the_rows_one_by_one():
    torch.manual_seed(0)
    logits, rows = torch.randn(5, 3), torch.tensor([1.0, 4, 2, 3, 1])
    targets = torch.minimum(torch.randint(0, 4, (5, 3)).float(), rows[:, None])
    found = set_losses(logits, targets, rows, torch.ones(2, 3))
    for text in range(5):
        expected = 0.0
        for label in range(3):
            truth = [1.0] * int(targets[text, label])
            truth += [0.0] * int(rows[text] - targets[text, label])
            expected += torch.nn.functional.binary_cross_entropy_with_logits(
                logits[text, label].expand(len(truth)), torch.tensor(truth), reduction="sum"
            )
        assert found[text] == pytest.approx(float(expected), rel=1e-5)


def test_extreme_logits_give_finite_losses():
    logits = torch.tensor([[-200.0, 200.0]])
    targets = torch.tensor([[1.0, 0.0]])
    assert set_losses(logits, targets, torch.ones(1), torch.ones(2, 2)).tolist() == [400.0]


def test_balanced_weights_give_with_and_without_the_same_total():
    weights = balanced_set_weights(np.array([10, 25, 0, 50]), 50)
    assert (weights[1] * [10, 25, 0, 50])[:2] == pytest.approx([25, 25])
    assert (weights[0] * [40, 25, 50, 0])[:2] == pytest.approx([25, 25])
    assert weights[:, 2:].tolist() == [[1, 1], [1, 1]]


def test_a_batch_holds_the_rows_of_each_label_and_of_each_set():
    corpus = conflicting()
    (part,) = [p for p in (corpus.train, corpus.val, corpus.test) if "same" in p.texts.to_list()]
    encoder = learn_encoder(part.texts, Config(min_texts=1))
    encoded = EncodedTexts(encoder.encode_normalised(part.texts), part, 2)
    at = part.texts.to_list().index("same")
    batch = encoded.take(np.array([at])).batch(np.array([0]))
    assert batch.targets.tolist() == [[2.0, 1.0]]
    assert batch.sets.rows.tolist() == [3.0]
    assert batch.sets.count.tolist() == [1.0, 1.0, 1.0]
    # Of the sets "", a and a|b exactly one is met by each decision that one of them is.
    for decided in ([-1.0, -1.0], [1.0, -1.0], [1.0, 1.0]):
        assert SetsOfLabels().right(torch.tensor([decided]), batch).sum() == 1
    assert SetsOfLabels().right(torch.tensor([[-1.0, 1.0]]), batch).sum() == 0


def test_parts_of_a_batch_keep_the_rows_of_each_set(corpus):
    encoder = learn_encoder(corpus.train.texts, Config())
    texts = EncodedTexts(encoder.encode_normalised(corpus.train.texts), corpus.train, 4)
    whole = texts.batch(np.arange(12)).sets
    parts = [part.sets for part in texts.batch(np.arange(12)).parts(1)]
    assert len(parts) == 12
    for at, part in enumerate(parts):
        assert part.rows.tolist() == [whole.rows[at]]
        assert part.text.tolist() == [0] * len(part.count)
        np.testing.assert_array_equal(part.members, whole.members[whole.text == at])
        np.testing.assert_array_equal(part.count, whole.count[whole.text == at])


def test_the_temperature_is_the_best_of_many_tried():
    random = np.random.default_rng(0)
    logits = random.normal(0, 4, (300, 4)).astype(np.float32)
    rows = random.integers(1, 4, 300)
    chance = 1 / (1 + np.exp(-logits / 2.5))
    targets = random.binomial(rows[:, None], chance).astype(np.float32)
    found = find_set_temperature(logits, targets, rows)

    def loss(temperature):
        p = to_set_probabilities(logits / np.float32(temperature)).astype(np.float64)
        p = np.clip(p, 1e-9, 1 - 1e-9)
        return -(targets * np.log(p) + (rows[:, None] - targets) * np.log(1 - p)).sum()

    tried = np.linspace(1, 5, 401)
    assert found == pytest.approx(tried[np.argmin([loss(t) for t in tried])], abs=0.1)
    assert find_set_temperature(logits[:0], targets[:0], rows[:0]) == 1.0


@pytest.mark.parametrize("model", ["bag", "cnn", "lstm"])
def test_each_architecture_learns_sets(corpus, model):
    config = Config(
        model=model, multi_label=True, epochs=1 if model == "lstm" else 12, embedding_size=16,
        hidden_size=8, filters=8, lr=0.05,
    )  # fmt: skip
    encoder = learn_encoder(corpus.train.texts, config)
    fitted = fit(corpus, encoder, config)
    first, last = fitted.trained.history[0], fitted.trained.best
    assert fitted.architecture["outputs"] == len(corpus.classes) == 4
    texts = fitted.encode(corpus.val)
    loss, accuracy = evaluate(fitted.model, texts)
    assert loss <= last.val_loss + 1e-6  # The temperature makes it no worse.
    logits = predict_logits(fitted.model, texts)
    part = corpus.val
    exact = ((logits >= 0) == part.sets.matrix(part.main_label)).all(1)
    assert accuracy == pytest.approx((exact * part.text_rows).sum() / part.rows)
    if model != "lstm":
        assert last.val_accuracy > 0.9 > first.val_accuracy


def test_two_labels_have_an_output_each_and_begin_with_their_shares():
    corpus = conflicting()
    config = Config(model="bag", multi_label=True, epochs=1, min_texts=1)
    encoder = learn_encoder(corpus.train.texts, config)
    fitted = fit(corpus, encoder, config)
    assert fitted.architecture["outputs"] == 2
    train = fitted.encode(corpus.train)
    start_from_shares(fitted.model, train)
    share = (train.label_rows + 0.5) / (train.rows + 1)
    assert torch.sigmoid(fitted.model.output.bias).tolist() == pytest.approx(share.tolist())


def test_shards_are_trained_on_as_texts_in_memory_are(corpus, monkeypatch):
    monkeypatch.setattr("textgauge.training.shards.SHARD_TEXTS", 40)
    encoder = learn_encoder(corpus.train.texts, Config())
    whole = EncodedTexts(encoder.encode_normalised(corpus.train.texts), corpus.train, 4)
    cut = in_shards(whole, seed=0)
    assert cut.has_sets
    assert len(cut.shards) > 1
    batches = list(cut.shuffled(16, np.random.default_rng(0)))
    assert sum(float(batch.sets.rows.sum()) for batch in batches) == whole.rows
    total = sum(batch.targets.sum(0) for batch in batches)
    assert total.tolist() == whole.label_rows.tolist()
