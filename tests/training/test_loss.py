"""The loss over distinct texts is torch's loss over the rows."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from textgauge.training.batches import Batch, BatchSets
from textgauge.training.loss import (
    OneLabel,
    SetsOfLabels,
    balanced_weights,
    correct_rows,
    row_losses,
    two_sided,
)


def rows_of(targets):
    """Each text repeated for each of its rows: text index and label of every row."""
    text, label = targets.nonzero(as_tuple=True)
    repeats = targets[text, label].long()
    return text.repeat_interleave(repeats), label.repeat_interleave(repeats)


def random_targets(texts, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 4, (texts, classes), generator=generator).float()
    targets[:, 0] += 1
    return targets


def test_one_logit_gives_binary_cross_entropy_over_the_rows():
    torch.manual_seed(0)
    logits = torch.randn(12, 1) * 4
    targets = random_targets(12, 2)
    text, label = rows_of(targets)
    expected = functional.binary_cross_entropy_with_logits(
        logits[text, 0], label.float(), reduction="none"
    )
    per_text = torch.zeros(12).index_add(0, text, expected)
    torch.testing.assert_close(row_losses(logits, targets), per_text)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_many_logits_give_cross_entropy_over_the_rows(classes):
    torch.manual_seed(0)
    logits = torch.randn(12, classes) * 4
    targets = random_targets(12, classes)
    text, label = rows_of(targets)
    expected = functional.cross_entropy(logits[text], label, reduction="none")
    per_text = torch.zeros(12).index_add(0, text, expected)
    torch.testing.assert_close(row_losses(logits, targets), per_text)


@pytest.mark.parametrize("outputs", [1, 3])
def test_gradients_are_those_of_torchs_loss_over_the_rows(outputs):
    torch.manual_seed(1)
    logits = torch.randn(8, outputs, requires_grad=True)
    targets = random_targets(8, max(outputs, 2))
    (ours,) = torch.autograd.grad(row_losses(logits, targets).sum(), logits)
    text, label = rows_of(targets)
    if outputs == 1:
        loss = functional.binary_cross_entropy_with_logits(
            logits[text, 0], label.float(), reduction="sum"
        )
    else:
        loss = functional.cross_entropy(logits[text], label, reduction="sum")
    torch.testing.assert_close(ours, torch.autograd.grad(loss, logits)[0])


@pytest.mark.parametrize("outputs", [1, 5])
def test_smoothed_labels_give_torchs_smoothed_loss_over_the_rows(outputs):
    torch.manual_seed(2)
    logits, targets = torch.randn(9, outputs), random_targets(9, max(outputs, 2))
    text, label = rows_of(targets)
    found = functional.cross_entropy(
        two_sided(logits)[text], label, reduction="none", label_smoothing=0.2
    )
    ids = torch.zeros(9, 1, dtype=torch.int64)
    batch = Batch(ids, ids.float(), ids[:, 0], targets)
    ones = torch.ones(targets.shape[1])
    torch.testing.assert_close(
        OneLabel().of_texts(logits, batch, ones, smoothing=0.2),
        torch.zeros(9).index_add(0, text, found),
    )


def test_smoothed_sets_are_a_little_likelier_both_with_and_without_each_label():
    logits = torch.tensor([[1.0, -2.0]])
    rows, targets = torch.tensor([3.0]), torch.tensor([[2.0, 0.0]])
    ids = torch.zeros(1, 1, dtype=torch.int64)
    sets = BatchSets(rows, ids[0], torch.zeros(1, 2, dtype=torch.bool), rows)
    batch = Batch(ids, ids.float(), ids[0], targets, sets)
    found = SetsOfLabels().of_texts(logits, batch, torch.ones(2, 2), smoothing=0.1)
    # Two rows of three have the first label, none the second: 1.95 and 0.15 of them count so.
    with_it = torch.tensor([[0.9 * 2 + 0.05 * 3, 0.05 * 3]])
    expected = functional.binary_cross_entropy_with_logits(
        logits, with_it / 3, reduction="none"
    ).sum(1)
    torch.testing.assert_close(found, 3 * expected)


def test_weighted_targets_give_weighted_cross_entropy():
    torch.manual_seed(2)
    logits, weights = torch.randn(10, 3), torch.tensor([0.5, 2.0, 7.0])
    targets = random_targets(10, 3)
    text, label = rows_of(targets)
    expected = functional.cross_entropy(logits[text], label, weight=weights, reduction="sum")
    torch.testing.assert_close(row_losses(logits, targets * weights).sum(), expected)


def test_large_logits_stay_finite():
    logits = torch.tensor([[500.0], [-500.0]])
    losses = row_losses(logits, torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    assert losses.tolist() == [500, 1000]


def test_a_single_logit_stands_for_two_columns():
    assert two_sided(torch.tensor([[2.0], [-3.0]])).tolist() == [[0, 2], [0, -3]]
    many = torch.randn(4, 3)
    assert two_sided(many) is many


def test_rows_with_the_most_probable_label_are_correct():
    targets = torch.tensor([[3.0, 1.0], [3.0, 1.0], [0.0, 5.0]])
    assert correct_rows(torch.tensor([[0.1], [-0.1], [-4.0]]), targets).tolist() == [1, 3, 0]
    logits = torch.tensor([[0.0, 2.0, 1.0], [5.0, 2.0, 1.0]])
    targets = torch.tensor([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    assert correct_rows(logits, targets).tolist() == [2, 1]


@pytest.mark.parametrize("counts", [[10, 30], [1, 1], [7, 90, 3], [1000, 1, 50, 20]])
def test_balanced_weights_are_scikit_learns(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    weights = balanced_weights(np.array(counts))
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert weights.dtype == np.float32


def test_balanced_weights_give_labels_equal_totals_and_rows_a_mean_of_one():
    counts = np.array([7, 0, 90, 3])
    totals = balanced_weights(counts) * counts
    np.testing.assert_allclose(totals, [100 / 3, 0, 100 / 3, 100 / 3], rtol=1e-6)


def test_a_label_without_rows_weighs_nothing():
    assert balanced_weights(np.array([5, 0, 5])).tolist() == [1, 0, 1]
