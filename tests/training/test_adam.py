"""Adam, held against torch's own."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from textgauge.training.adam import Adam, shorten


def make_model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    model.unused = nn.Parameter(torch.ones(2))
    return model


def train(model, optimizer, first, last):
    for step in range(first, last):
        inputs = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        (model(inputs) - inputs.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()


def test_the_weights_equal_those_of_torch():
    ours, theirs = make_model(), make_model()
    train(ours, Adam(dict(ours.named_parameters()), lr=0.01), 0, 50)
    train(theirs, torch.optim.Adam(theirs.parameters(), lr=0.01), 0, 50)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(ours[0].weight, make_model()[0].weight, atol=0.01)


def test_a_parameter_without_a_gradient_stays():
    model = make_model()
    train(model, Adam(dict(model.named_parameters()), lr=0.01), 0, 3)
    assert torch.equal(model.unused, torch.ones(2))


def test_going_on_from_a_state_is_as_if_nothing_had_happened():
    whole = make_model()
    train(whole, Adam(dict(whole.named_parameters()), lr=0.01), 0, 8)
    model = make_model()
    first = Adam(dict(model.named_parameters()), lr=0.01)
    train(model, first, 0, 5)
    state = first.state()
    train(make_model(), first, 5, 6)  # The state is a copy: later steps leave it alone.
    second = Adam(dict(model.named_parameters()), lr=0.01)
    second.load_state(state)
    train(model, second, 5, 8)
    for mine, other in zip(model.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_training_does_not_load_the_compiler():
    script = """
import sys
from textgauge import TextClassifier
TextClassifier(epochs=1).fit([f"part {n}" for n in range(20)], [0, 1] * 10)
assert "torch._dynamo" not in sys.modules, "torch's compiler was loaded"
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


# ---- tables of which a batch uses few rows


def table_after(optimizer_of, *, sparse, batches):
    torch.manual_seed(0)
    table = nn.Embedding(50, 3, sparse=sparse)
    optimizer = optimizer_of(table)
    for ids in batches:
        table.weight.grad = None
        (table(torch.tensor(ids)).sum(1).sin().sum()).backward()
        optimizer.step()
    return table.weight.detach()


BATCHES = [[1, 2, 2, 7], [3], [2, 40], [1, 1, 1], [7, 9]] * 4


def test_a_sparse_step_is_torchs_and_touches_only_the_rows_of_the_batch():
    ours = table_after(
        lambda table: Adam({"t": table.weight}, lr=0.01), sparse=True, batches=BATCHES
    )
    theirs = table_after(
        lambda table: torch.optim.SparseAdam([table.weight], lr=0.01), sparse=True, batches=BATCHES
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    torch.manual_seed(0)
    first = nn.Embedding(50, 3).weight
    untouched = sorted(set(range(50)) - {row for batch in BATCHES for row in batch})
    assert torch.equal(ours[untouched], first[untouched])


def test_the_same_rows_each_step_are_a_dense_table():
    every = [list(range(50))] * 6
    sparse, dense = (
        table_after(lambda table: Adam({"t": table.weight}, lr=0.01), sparse=kind, batches=every)
        for kind in (True, False)
    )
    torch.testing.assert_close(sparse, dense, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("longest", [0.01, 100.0])
def test_gradients_are_shortened_together_as_torch_does(longest):
    def gradients(sparse):
        torch.manual_seed(0)
        table, linear = nn.Embedding(50, 3, sparse=sparse), nn.Linear(3, 2)
        linear(table(torch.tensor([1, 2, 2, 7]))).square().sum().backward()
        return [table.weight, *linear.parameters()]

    ours, theirs = gradients(True), gradients(False)
    shorten(ours, longest)
    nn.utils.clip_grad_norm_(theirs, longest)
    for mine, other in zip(ours, theirs, strict=True):
        grad = mine.grad.to_dense() if mine.grad.is_sparse else mine.grad
        torch.testing.assert_close(grad, other.grad)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_share_of_a_step_is_a_step_at_that_share_of_the_rate(sparse):
    moved = []
    for lr, share in ((0.01, 0.25), (0.0025, 1.0)):
        torch.manual_seed(0)
        table = nn.Embedding(9, 3, sparse=sparse)
        optimizer = Adam({"t": table.weight}, lr=lr)
        for rows in ([1, 2], [2, 5]):
            optimizer.zero_grad()
            table(torch.tensor(rows)).square().sum().backward()
            optimizer.step(share)
        moved.append(table.weight.detach().clone())
    torch.testing.assert_close(moved[0], moved[1])
