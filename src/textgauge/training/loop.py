"""The training loop: Adam, early stopping, the best weights kept, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .adam import Adam, shorten
from .batches import EncodedTexts, Texts, choose_batch_size
from .chance import begin_epoch
from .checkpoints import Checkpoint
from .devices import half_where_it_pays
from .history import Epoch, best_epoch
from .loss import Loss, loss_of, two_sided
from .world import Alone, World

EVALUATION_BATCH = 1024
GRADIENT_NORM = 5.0
"""Longer gradients are shortened to this; an LSTM's can explode on a single odd text."""

LEAST_GAIN = 0.001
"""Nats a row: a smaller gain in validation loss is not worth another epoch."""


@dataclass(frozen=True)
class TrainingPlan:
    """What the loop needs to know.

    `batch_size` None chooses by the number of texts; `balanced` weighs labels alike;
    `patience` counts epochs without a validation loss that is better by `LEAST_GAIN`. What
    `smoothing` is, `Loss.of_texts` says.
    """

    epochs: int
    patience: int
    batch_size: int | None
    lr: float
    balanced: bool
    seed: int
    smoothing: float = 0.0


@dataclass(frozen=True)
class Trained:
    """What came of it: the model holds the weights of its best epoch."""

    history: tuple[Epoch, ...]
    batch_size: int

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept."""
        return best_epoch(self.history)


def train_model(
    model: nn.Module,
    train: Texts,
    val: Texts | None,
    plan: TrainingPlan,
    *,
    world: World | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
    on_checkpoint: Callable[[Checkpoint], None] = lambda checkpoint: None,
    start_from: Checkpoint | None = None,
) -> Trained:
    """Fit `model` in place and leave it with the weights of its best epoch.

    Args:
        model: returns logits from ids, positions and lengths.
        train: texts to learn from.
        val: texts to stop by; None: train for all epochs, and keep the last weights.
        plan: the settings; a batch is that of all workers together.
        world: the workers that train this model together, each with its share of the texts; None:
            this process alone.
        on_epoch: called after each epoch with its figures.
        on_step: called after each step with its number and the steps of the epoch.
        on_checkpoint: called after each epoch, before `on_epoch`, with the state to go on from.
        start_from: the state to go on from.

    """
    world = world or Alone()
    model.to(world.device)
    mixed, most = bool(getattr(model, "takes_half", False)), getattr(model, "most_tokens", None)
    batch_size = plan.batch_size or choose_batch_size(train.texts)
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizer = Adam(parameters, plan.lr, getattr(model, "pace", {}))
    loss_to_take = loss_of(train)
    weights = loss_to_take.weights(train.label_rows, train.rows, balanced=plan.balanced)
    mean_weight = loss_to_take.total(weights, train) / train.texts
    weights = weights.to(world.device)
    history: list[Epoch] = []
    best = _copy(model.state_dict())
    if start_from is not None:
        history = list(start_from.history)
        best = dict(start_from.best_weights)
        model.load_state_dict(dict(start_from.weights))
        optimizer.load_state(start_from.optimizer)
    shared = world.share(model)
    while not (finished(history, plan) if val is not None else len(history) >= plan.epochs):
        begin = time.perf_counter()
        number = len(history) + 1
        random = begin_epoch(plan.seed, number, world.rank)
        loss, accuracy = _one_epoch(
            *(shared, train, batch_size, optimizer, loss_to_take, weights, mean_weight, random),
            *(world, on_step, mixed, most, plan.smoothing),
        )
        val_loss, val_accuracy = (
            (math.nan, math.nan) if val is None else evaluate(model, val, world)
        )
        epoch = Epoch(
            epoch=number,
            train_loss=loss,
            train_accuracy=accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            lr=plan.lr,
            seconds=time.perf_counter() - begin,
        )
        history.append(epoch)
        if val is None or best_epoch(history) is epoch:
            best = _copy(model.state_dict())
        on_checkpoint(
            Checkpoint(
                weights=_copy(model.state_dict()),
                best_weights=best,
                optimizer=optimizer.state(),
                history=tuple(history),
            )
        )
        on_epoch(epoch)
    model.to("cpu").load_state_dict(best)
    model.eval()
    return Trained(tuple(history), batch_size)


def finished(history: Sequence[Epoch], plan: TrainingPlan) -> bool:
    """Whether the last epoch was the last."""
    if not history:
        return False
    return len(history) >= plan.epochs or epochs_without_gain(history) >= plan.patience


def epochs_without_gain(history: Sequence[Epoch]) -> int:
    """Epochs since the validation loss last fell by `LEAST_GAIN` below its earlier mark."""
    mark, since = history[0].val_loss, 0
    for epoch in history[1:]:
        since += 1
        if epoch.val_loss <= mark - LEAST_GAIN:
            mark, since = epoch.val_loss, 0
    return since


def _one_epoch(
    model: nn.Module,
    train: Texts,
    batch_size: int,
    optimizer: Adam,
    to_take: Loss,
    weights: Tensor,
    mean_weight: float,
    random: np.random.Generator,
    world: World,
    on_step: Callable[[int, int], None],
    mixed: bool,
    most_tokens: int | None,
    smoothing: float,
) -> tuple[float, float]:
    """One pass; returns loss and accuracy over rows.

    Dividing by the mean weight of a text, not by the batch's own weight, keeps each step an
    unbiased estimate of the loss over rows.
    """
    model.train()
    steps = -(-train.texts // batch_size)
    losses = correct = torch.zeros((), device=world.device)
    batches = train.shuffled(max(batch_size // world.size, 1), random)
    for step, (batch, texts) in enumerate(world.in_step(batches, train.classes), start=1):
        optimizer.zero_grad()
        # What does not fit the memory at once is computed part by part, and the gradients add up.
        for part in batch.parts(most_tokens):
            with half_where_it_pays(world.device, mixed):
                logits = model(*part.inputs)
            logits = logits.float()
            per_text = to_take.of_texts(logits, part, weights, smoothing)
            # The workers' gradients are averaged; the loss is a mean over the texts of them all.
            loss = per_text.sum() * world.size / (mean_weight * texts)
            loss.backward()  # type: ignore[no-untyped-call]
            if smoothing:  # What is told is comparable with what validation loses.
                per_text = to_take.of_texts(logits.detach(), part, weights)
            losses = losses + per_text.detach().sum()
            correct = correct + to_take.right(logits.detach(), part).sum()
        shorten(model.parameters(), GRADIENT_NORM)
        optimizer.step()
        on_step(step, steps)
    losses, correct = world.sum(torch.stack([losses, correct])).unbind()
    return float(losses) / (mean_weight * train.texts), float(correct) / train.rows


@torch.no_grad()
def evaluate(model: nn.Module, texts: Texts, world: World | None = None) -> tuple[float, float]:
    """Loss (nats a row) and accuracy over rows, dropout off, all labels weighing alike."""
    world, to_take = world or Alone(), loss_of(texts)
    weights = to_take.weights(texts.label_rows, texts.rows, balanced=False).to(world.device)
    model.eval()
    loss = correct = 0.0
    most = getattr(model, "most_tokens", None)
    for _, each in texts.in_order(EVALUATION_BATCH):
        for part in each.parts(most):
            batch = part.on(world.device)
            logits = model(*batch.inputs)
            loss += float(to_take.of_texts(logits, batch, weights).sum())
            correct += float(to_take.right(logits, batch).sum())
    sums = world.sum(torch.tensor([loss, correct], dtype=torch.float64))
    return float(sums[0]) / texts.rows, float(sums[1]) / texts.rows


@torch.no_grad()
def predict_logits(model: nn.Module, texts: EncodedTexts) -> npt.NDArray[np.float32]:
    """Logits with a column for every label. Shape: (texts, classes)."""
    model.eval()
    result = np.empty((len(texts.encoded), texts.classes), dtype=np.float32)
    most = getattr(model, "most_tokens", None)
    for rows, batch in texts.in_order(EVALUATION_BATCH):
        logits = torch.cat([model(*part.inputs) for part in batch.parts(most)])
        result[rows] = two_sided(logits).numpy()
    return result


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies that stay as they are, in the main memory."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}
