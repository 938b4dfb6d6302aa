"""The figures of an epoch, and which epoch is the best."""

import json

from textgauge.training.history import Epoch, best_epoch


def epoch(number, val_loss):
    return Epoch(number, 0.5, 0.75, val_loss, 0.875, 0.001, 2.5)


def test_the_best_epoch_has_the_lowest_validation_loss():
    history = [epoch(1, 0.9), epoch(2, 0.4), epoch(3, 0.6)]
    assert best_epoch(history) is history[1]


def test_among_equals_the_earlier_epoch_is_the_best():
    history = [epoch(1, 0.9), epoch(2, 0.4), epoch(3, 0.4)]
    assert best_epoch(history) is history[1]


def test_a_loss_that_is_no_number_is_not_the_best():
    history = [epoch(1, 0.9), epoch(2, float("nan")), epoch(3, 0.8)]
    assert best_epoch(history) is history[2]


def test_five_figures_are_tracked_by_step():
    assert epoch(3, 0.25).metrics() == {
        "train_loss": 0.5,
        "train_accuracy": 0.75,
        "val_loss": 0.25,
        "val_accuracy": 0.875,
        "lr": 0.001,
    }


def test_an_epoch_survives_json():
    values = json.loads(json.dumps(epoch(3, 0.1 + 0.2).to_json()))
    assert Epoch(**values) == epoch(3, 0.1 + 0.2)
