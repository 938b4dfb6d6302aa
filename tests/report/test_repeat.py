"""The command that is told gives the same settings back."""

import shlex

import pytest

from textgauge.cli import make_parser
from textgauge.commands.shared import config_of
from textgauge.config import Config
from textgauge.report.repeat import command_of


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(label_names={"0": "compliant", "1": "not at all"}, group_column="year", seed=7),
        Config(numbers=False, distinct=False, text="the text", lr=0.01, class_weights="balanced"),
        Config(slice_column="plant", cost={"false-1": 10.5}, review_rate=0.05),
        Config(label_names={"0": "a b"}, cost={"false-a b": 3, "false-1": 0}, review_below=0.9),
        Config(
            vectors="my vectors/glove.txt", freeze_vectors=True, batch_size=64, val_fraction=0.1
        ),
    ],
)
def test_the_command_has_the_same_settings(config):
    program, *arguments = shlex.split(command_of(config, "my notes'.csv").replace("\\\n", " "))
    options = make_parser().parse_args(arguments)
    assert (program, options.command, options.table) == ("textgauge", "train", "my notes'.csv")
    assert config_of(options) == config


def test_only_what_differs_from_the_default_is_told():
    assert command_of(Config(), "notes.csv") == "textgauge train notes.csv"
