"""The training loop: the right gradient, early stopping, best weights, the same run twice."""

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from sklearn.utils.class_weight import compute_sample_weight

from textgauge.data.corpus import build_corpus
from textgauge.models.lstm import LSTMClassifier
from textgauge.text.encoder import TextEncoder
from textgauge.training.batches import EncodedTexts
from textgauge.training.checkpoints import Checkpoint
from textgauge.training.history import Epoch
from textgauge.training.loop import (
    GRADIENT_NORM,
    LEAST_GAIN,
    TrainingPlan,
    epochs_without_gain,
    evaluate,
    finished,
    predict_logits,
    train_model,
)

PLAN = TrainingPlan(epochs=3, patience=99, batch_size=16, lr=0.01, balanced=False, seed=0)


def plan(**changes):
    return TrainingPlan(**(vars(PLAN) | changes))


def make_parts(classes=2, distinct=True, noise=0.25, seed=0):
    """Train and validation texts: repeated, of many lengths, with partly wrong labels."""
    random = np.random.default_rng(seed)
    words = [f"{a}{b}" for a in "bcdfg" for b in "aeiou"]
    pool = [
        " ".join(random.choice(words, random.integers(1, 9))) + f" {n % 50}" for n in range(120)
    ]
    index = np.concatenate([np.arange(120), random.integers(0, 120, 280)])
    labels = np.where(random.random(400) < noise, random.integers(0, classes, 400), index % classes)
    labels = np.where((labels == 1) & (random.random(400) < 0.5), 0, labels)  # unbalanced
    frame = pl.DataFrame({"text": [pool[i] for i in index], "label": labels.astype(str)})
    corpus = build_corpus(frame, seed=0, fractions=(0.6, 0.2, 0.2), distinct=distinct)
    encoder = TextEncoder.learn(
        corpus.train.texts.unique(maintain_order=True),
        read_numbers=True,
        number_bins=8,
        min_texts=1,
        max_words=99,
        max_tokens=99,
    )
    return [
        EncodedTexts(encoder.encode_normalised(part.texts), part, classes)
        for part in (corpus.train, corpus.val)
    ]


def make_model(outputs=1, dropout=0.2, seed=0):
    torch.manual_seed(seed)
    return LSTMClassifier(
        vocabulary_size=30,
        outputs=outputs,
        number_bins=8,
        embedding_size=6,
        hidden_size=8,
        dropout=dropout,
        recurrent_dropout=dropout,
    )


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal_weights(ours, other):
    assert ours.keys() == other.keys()
    return all(torch.equal(ours[name], other[name]) for name in ours)


def without_seconds(history):
    return [{**epoch.to_json(), "seconds": 0} for epoch in history]


def as_rows(logits, texts):
    """Logits, labels and texts of every row, texts being repeated as often as they occur."""
    triple = texts.labelled
    repeat = np.repeat(np.arange(len(triple.label)), triple.count)
    return logits[triple.text_index[repeat]], triple.label[repeat]


def softmax(logits):
    return torch.softmax(torch.as_tensor(logits, dtype=torch.float64), 1).numpy()


@pytest.fixture(scope="module")
def parts():
    return make_parts()


# ---- figures


@pytest.mark.parametrize("classes", [2, 4])
def test_loss_and_accuracy_are_those_over_the_rows(classes):
    train, _ = make_parts(classes)
    model = make_model(1 if classes == 2 else classes)
    loss, accuracy = evaluate(model, train)
    logits, labels = as_rows(predict_logits(model, train), train)
    assert len(labels) == train.labelled.rows > len(train.encoded)
    assert loss == pytest.approx(log_loss(labels, softmax(logits), labels=range(classes)), rel=1e-5)
    assert accuracy == pytest.approx(accuracy_score(labels, logits.argmax(1)))


def test_logits_come_in_the_order_of_the_texts_with_a_column_a_label(parts, monkeypatch):
    train, _ = parts
    monkeypatch.setattr("textgauge.training.loop.EVALUATION_BATCH", 10)
    model = make_model().eval()
    logits = predict_logits(model.train(), train)  # dropout is switched off for it
    assert logits.shape == (len(train.encoded), 2)
    assert not logits[:, 0].any()
    for row in (0, 7, len(logits) - 1):
        batch = train.batch(np.array([row]))
        one = model.eval()(batch.ids, batch.positions, batch.lengths)
        assert logits[row, 1] == pytest.approx(one.item(), abs=1e-6)


def test_validation_figures_are_taken_without_dropout_and_without_label_weights(parts):
    train, val = parts
    model = make_model()
    trained = train_model(model, train, val, plan(epochs=1, balanced=True))
    (epoch,) = trained.history
    assert (epoch.val_loss, epoch.val_accuracy) == evaluate(model, val)


@pytest.mark.parametrize(("balanced", "smoothing"), [(False, 0.0), (True, 0.0), (True, 0.3)])
def test_training_figures_are_those_of_the_weighted_rows(parts, balanced, smoothing):
    train, val = parts
    model = make_model(dropout=0.0)
    logits, labels = as_rows(predict_logits(model, train), train)
    # With so small a learning rate the weights stay as they are for the whole epoch.
    asked = plan(epochs=1, lr=1e-9, balanced=balanced, smoothing=smoothing)
    (epoch,) = train_model(model, train, val, asked).history
    weights = compute_sample_weight("balanced" if balanced else None, labels)
    expected = log_loss(labels, softmax(logits), sample_weight=weights)
    assert epoch.train_loss == pytest.approx(expected, rel=1e-4)
    assert epoch.train_accuracy == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert (epoch.epoch, epoch.lr) == (1, 1e-9)
    assert epoch.seconds > 0


# ---- the gradient


def last_gradient(model, train, val, **changes):
    """Gradient of an epoch that is one step over all texts."""
    train_model(model, train, val, plan(epochs=1, batch_size=10_000, lr=1e-9, **changes))
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_distinct_weighted_texts_give_the_gradient_of_the_rows(classes, balanced):
    outputs = 1 if classes == 2 else classes
    gradients = [
        last_gradient(
            make_model(outputs, dropout=0.0), *make_parts(classes, distinct), balanced=balanced
        )
        for distinct in (True, False)
    ]
    assert sum(g.abs().sum() for g in gradients[0].values()) > 0.1
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-3)


def test_smoothed_labels_give_another_gradient(parts):
    plain, smooth = (
        last_gradient(make_model(dropout=0.0), *parts, smoothing=share) for share in (0.0, 0.2)
    )
    assert (plain["output.bias"] - smooth["output.bias"]).abs() > 1e-4


def test_the_gradient_is_that_of_the_mean_loss_a_row(parts):
    train, val = parts
    ours = last_gradient(make_model(dropout=0.0), train, val)
    model = make_model(dropout=0.0)
    everything = train.batch(np.arange(len(train.encoded)))
    logits = model(everything.ids, everything.positions, everything.lengths)[:, 0]
    text, label = everything.targets.nonzero(as_tuple=True)
    repeats = everything.targets[text, label].long()
    rows, labels = text.repeat_interleave(repeats), label.repeat_interleave(repeats)
    torch.nn.functional.binary_cross_entropy_with_logits(logits[rows], labels.float()).backward()
    theirs = {name: p.grad for name, p in model.named_parameters()}
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-3)


def test_what_is_computed_part_by_part_is_the_whole(parts):
    train, val = parts
    whole, cut = make_model(dropout=0.0), make_model(dropout=0.0)
    cut.most_tokens = 20  # Of texts of 2 to 9 tokens.
    sizes = []
    cut.register_forward_pre_hook(lambda module, inputs: sizes.append(inputs[0].numel()))
    torch.testing.assert_close(
        last_gradient(cut, train, val), last_gradient(whole, train, val), atol=1e-6, rtol=1e-3
    )
    assert evaluate(cut, val) == pytest.approx(evaluate(whole, val), abs=1e-6)
    np.testing.assert_allclose(predict_logits(cut, val), predict_logits(whole, val), atol=1e-6)
    assert len(sizes) > 10 and max(sizes) <= 20


def test_long_gradients_are_shortened(parts):
    train, val = parts
    model = make_model(dropout=0.0)
    with torch.no_grad():
        model.output.weight.mul_(1000)
    gradient = last_gradient(model, train, val)
    norm = torch.stack([g.norm() for g in gradient.values()]).norm()
    assert float(norm) == pytest.approx(GRADIENT_NORM, rel=1e-3)


def test_one_step_is_adams(parts):
    train, val = parts
    model, start = make_model(dropout=0.0), weights_of(make_model(dropout=0.0))
    gradient = last_gradient(make_model(dropout=0.0), train, val)
    train_model(model, train, val, plan(epochs=1, batch_size=10_000, lr=0.01))
    for name, value in model.named_parameters():
        # Adam's first step: lr · g / (|g| + eps), its moments being corrected for their start.
        step = 0.01 * gradient[name] / (gradient[name].abs() + 1e-8)
        torch.testing.assert_close(value, start[name] - step, atol=1e-4, rtol=0)


# ---- steps and epochs


def test_every_step_and_epoch_is_told(parts):
    train, val = parts
    steps, epochs = [], []
    trained = train_model(
        make_model(),
        train,
        val,
        plan(epochs=2),
        on_step=lambda *step: steps.append(step),
        on_epoch=epochs.append,
    )
    count = -(-len(train.encoded) // 16)
    assert steps == [(n, count) for n in range(1, count + 1)] * 2
    assert tuple(epochs) == trained.history
    assert [epoch.epoch for epoch in epochs] == [1, 2]
    assert trained.batch_size == 16


def test_the_batch_size_is_chosen_where_none_is_given(parts):
    assert train_model(make_model(), *parts, plan(epochs=1, batch_size=None)).batch_size == 16


# ---- early stopping


def history_of(*val_losses):
    return [Epoch(n, 0, 0, loss, 0, 0, 0) for n, loss in enumerate(val_losses, start=1)]


@pytest.mark.parametrize(
    ("val_losses", "epochs"),
    [
        ([0.7], 0),
        ([0.7, 0.6, 0.5], 0),
        ([0.7, 0.6, 0.61], 1),
        ([0.7, 0.71, 0.72, 0.69], 0),
        ([0.5, 0.4995, 0.4991], 2),  # gains smaller than 0.001
        ([0.5, 0.4995, 0.499], 0),  # together they reach it
        ([0.5, 0.4, 0.5, 0.45, 0.41], 3),
        ([0.5, float("nan"), float("nan")], 2),
        ([float("nan"), 0.5, 0.4], 2),
    ],
)
def test_worked_epochs_without_gain(val_losses, epochs):
    assert LEAST_GAIN == 0.001
    assert epochs_without_gain(history_of(*val_losses)) == epochs


def test_training_ends_at_the_last_epoch_or_when_patience_does():
    three = plan(epochs=9, patience=3)
    assert not finished([], three)
    assert not finished(history_of(0.5, 0.6, 0.6), three)
    assert finished(history_of(0.5, 0.6, 0.6, 0.6), three)
    assert not finished(history_of(0.5, 0.6, 0.6, 0.4), three)
    falling = [1 - n / 10 for n in range(9)]
    assert not finished(history_of(*falling[:8]), three)
    assert finished(history_of(*falling), three)


def test_training_stops_early_and_keeps_the_best_weights(parts):
    train, val = parts
    model, snapshots = make_model(dropout=0.0), {}
    trained = train_model(
        model,
        train,
        val,
        plan(epochs=60, patience=3, lr=0.01),
        on_epoch=lambda epoch: snapshots.update({epoch.epoch: weights_of(model)}),
    )
    count = len(trained.history)
    assert 4 < count < 60
    assert epochs_without_gain(trained.history) == 3
    assert 1 < trained.best.epoch < count
    assert trained.best.val_loss == min(epoch.val_loss for epoch in trained.history)
    assert equal_weights(weights_of(model), snapshots[trained.best.epoch])
    assert not equal_weights(weights_of(model), snapshots[count])
    assert evaluate(model, val) == (trained.best.val_loss, trained.best.val_accuracy)
    assert not model.training


# ---- the same run twice


def train_once(parts, seed=0, model_seed=0, **settings):
    model = make_model(seed=model_seed)
    trained = train_model(model, *parts, plan(seed=seed), **settings)
    return weights_of(model), without_seconds(trained.history)


def test_equal_seeds_give_equal_weights(parts):
    first, second = train_once(parts), train_once(parts)
    assert equal_weights(first[0], second[0])
    assert first[1] == second[1]


def test_the_surroundings_random_numbers_play_no_role(parts):
    model = make_model()
    torch.manual_seed(99)
    torch.rand(5)
    train_model(model, *parts, PLAN)
    assert equal_weights(weights_of(model), train_once(parts)[0])


def test_other_seeds_give_other_weights(parts):
    assert not equal_weights(train_once(parts)[0], train_once(parts, seed=1)[0])


# ---- going on after an interruption


@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_resumed_run_ends_with_the_same_bits(parts, tmp_path, after):
    train, val = parts
    settings = plan(epochs=5, lr=0.03)
    whole = make_model()
    expected = train_model(whole, train, val, settings)

    path, newest = tmp_path / "checkpoint.safetensors", []

    def interrupt(epoch):
        if epoch.epoch == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_model(
            make_model(), train, val, settings, on_epoch=interrupt, on_checkpoint=newest.append
        )
    assert len(newest) == after
    newest[-1].save(path, "run")

    resumed = make_model(seed=77)  # its own first weights play no role
    checkpoint = Checkpoint.load(path, "run")
    told = []
    trained = train_model(
        resumed, train, val, settings, start_from=checkpoint, on_epoch=told.append
    )
    assert [epoch.epoch for epoch in told] == list(range(after + 1, 6))
    assert without_seconds(trained.history) == without_seconds(expected.history)
    assert equal_weights(weights_of(resumed), weights_of(whole))


def test_the_best_weights_of_before_the_interruption_are_not_lost(parts):
    train, val = parts
    settings = plan(epochs=40, patience=3, lr=0.01)
    checkpoints, whole = [], make_model(dropout=0.0)
    expected = train_model(whole, train, val, settings, on_checkpoint=checkpoints.append)
    after_the_best = checkpoints[expected.best.epoch]  # one epoch later
    resumed = make_model(dropout=0.0, seed=5)
    trained = train_model(resumed, train, val, settings, start_from=after_the_best)
    assert trained.best == expected.best
    assert equal_weights(weights_of(resumed), weights_of(whole))


def test_training_on_does_not_change_a_kept_checkpoint(parts):
    kept, copies = [], []

    def keep(checkpoint):
        kept.append(checkpoint)
        groups = (checkpoint.weights, checkpoint.best_weights, checkpoint.optimizer)
        copies.append([{name: t.clone() for name, t in group.items()} for group in groups])

    train_model(make_model(), *parts, PLAN, on_checkpoint=keep)
    for checkpoint, (weights, best, optimizer) in zip(kept, copies, strict=True):
        assert equal_weights(checkpoint.weights, weights)
        assert equal_weights(checkpoint.best_weights, best)
        assert equal_weights(checkpoint.optimizer, optimizer)


def test_a_run_that_was_finished_only_gives_back_its_best_weights(parts):
    newest, model = [], make_model()
    expected = train_model(model, *parts, PLAN, on_checkpoint=newest.append)
    again = make_model(seed=4)
    trained = train_model(again, *parts, PLAN, start_from=newest[-1])
    assert trained.history == expected.history
    assert equal_weights(weights_of(again), weights_of(model))


def test_a_finished_run_can_be_continued_with_more_epochs(parts):
    newest = []
    train_model(make_model(), *parts, PLAN, on_checkpoint=newest.append)
    longer, whole = make_model(seed=4), make_model()
    train_model(longer, *parts, plan(epochs=5), start_from=newest[-1])
    train_model(whole, *parts, plan(epochs=5))
    assert equal_weights(weights_of(longer), weights_of(whole))
