"""The command that is told gives the same settings back."""

import shlex

import pytest

from textgauge.cli import make_parser
from textgauge.commands.shared import config_of
from textgauge.config import Config
from textgauge.report.repeat import command_of, fix_command


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
    # A learning rate that is the architecture's own is no choice.
    told = command_of(Config(model="bag"), "notes.csv")
    assert told.split() == ["textgauge", "train", "notes.csv", "\\", "--model", "bag"]


def test_how_the_file_was_read_is_told_too():
    origin = {"source": "/home/me/notes.csv", "encoding": "cp1252", "delimiter": ";"}
    told = command_of(Config(), "notes.csv", origin)
    options = make_parser().parse_args(shlex.split(told.replace("\\\n", " "))[1:])
    assert (options.encoding, options.delimiter) == ("cp1252", ";")


@pytest.mark.parametrize(
    ("config", "table", "origin"),
    [
        (Config(), "notes.csv", None),
        (Config(text="the note's", label="$(label)"), "my `notes'.csv", {"encoding": "cp1252"}),
        (Config(text="-note"), "-notes.csv", {"encoding": None, "delimiter": "\t"}),
    ],
)
def test_the_command_for_corrections_can_be_pasted(config, table, origin):
    program, *arguments = shlex.split(fix_command(config, table, origin).replace("\\\n", " "))
    options = make_parser().parse_args(arguments)
    assert (program, options.command) == ("textgauge", "check")
    assert options.table.removeprefix("./") == table
    assert (str(options.fix), str(options.out)) == ("label_issues.csv", "corrected.csv")
    read = config_of(options)
    assert (read.text, read.label) == (config.text, config.label)
    assert options.encoding == (origin or {}).get("encoding")
    assert options.delimiter == (origin or {}).get("delimiter")
