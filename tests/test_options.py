"""Every option reaches its setting, and a wrong one is told in a sentence, with status 2."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from e2e import Done

from textgauge.cli import make_parser
from textgauge.config import Config
from textgauge.errors import TextgaugeError
from textgauge.tracking.protocol import Registration

pytest_plugins = ["e2e_fixtures"]

Command = Callable[..., Done]

COMMANDS: Mapping[str, argparse.ArgumentParser] = next(
    action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)
).choices

OPTIONS: dict[str, tuple[list[str], Any]] = {
    "text": (["--text", "note"], "note"),
    "label": (["--label", "verdict"], "verdict"),
    "split_column": (["--split-column", "part"], "part"),
    "group_column": (["--group-column", "year"], "year"),
    "time_column": (["--time-column", "day"], "day"),
    "slice_column": (["--slice", "plant"], "plant"),
    "multi_label": (["--multi-label"], True),
    "label_separator": (["--label-separator", ";"], ";"),
    "label_names": (["--label-names", "0=good, 1=not good"], {"0": "good", "1": "not good"}),
    "val_fraction": (["--val-fraction", "0.1"], 0.1),
    "test_fraction": (["--test-fraction", ".3"], 0.3),
    "seed": (["--seed", "7"], 7),
    "numbers": (["--no-numbers"], False),
    "number_bins": (["--number-bins", "8"], 8),
    "min_texts": (["--min-texts", "1"], 1),
    "max_words": (["--max-words", "900"], 900),
    "max_tokens": (["--max-tokens", "12"], 12),
    "vectors": (["--vectors", "glove.txt"], "glove.txt"),
    "freeze_vectors": (["--freeze-vectors"], True),
    "model": (["--model", "cnn"], "cnn"),
    "embedding_size": (["--embedding-size", "50"], 50),
    "hidden_size": (["--hidden-size", "60"], 60),
    "dropout": (["--dropout", "0"], 0.0),
    "recurrent_dropout": (["--recurrent-dropout=0.5"], 0.5),
    "bidirectional": (["--bidirectional"], True),
    "filters": (["--filters", "40"], 40),
    "filter_dropout": (["--filter-dropout", "0.25"], 0.25),
    "penalty": (["--penalty", "2"], 2.0),
    "device": (["--device", "cpu"], "cpu"),
    "epochs": (["--epochs", "3"], 3),
    "patience": (["--patience", "2"], 2),
    "batch_size": (["--batch-size", "32"], 32),
    "lr": (["--lr", "1e-2"], 0.01),
    "label_smoothing": (["--label-smoothing", "0.1"], 0.1),
    "class_weights": (["--class-weights", "balanced"], "balanced"),
    "distinct": (["--every-row"], False),
    "threads": (["--threads", "2"], 2),
    "cost": (
        ["--cost", "false-good=10, false-a=b, c=0.5"],
        {"false-good": 10.0, "false-a=b, c": 0.5},
    ),
    "review_below": (["--review-below", "90%"], 0.9),
    "review_rate": (["--review-rate", "0.05"], 0.05),
    "encoder": (["--encoder", "minilm"], "minilm"),
    "fine_tune": (["--fine-tune"], True),
    "contrast": (["--no-contrast"], False),
    "preset": (["--preset", "best"], "best"),
    "refit": (["--refit"], True),
}
OF_ENCODER = ("encoder", "fine_tune")


class ReachedError(TextgaugeError):
    """Stands for the training that a command would now begin."""


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Config, dict[str, Any]]]:
    """What `textgauge.run.train` was called with: table, settings, and the rest."""
    calls: list[tuple[Any, Config, dict[str, Any]]] = []

    def train(source: Any, config: Config, **rest: Any) -> None:
        calls.append((source, config, rest))
        raise ReachedError("reached")

    monkeypatch.setattr("textgauge.run.train", train)
    return calls


# ---- what is given arrives -----------------------------------------------------------------------


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Config)])
def test_an_option_of_train_sets_its_setting_and_no_other(
    name: str, command: Command, called: list[Any]
) -> None:
    arguments, value = OPTIONS[name]
    model = {"model": "encoder"} if name in OF_ENCODER else {}
    command("train", "notes.csv", *arguments, *(("--model", "encoder") if model else ()))
    ((source, config, _),) = called
    assert source == "notes.csv"
    assert config == Config(**{**model, name: value})


@pytest.mark.parametrize(
    "value", ["good=10", "false-good", "false-=1", "false-good=-1", "false-good=inf", "", "5"]
)
def test_a_cost_that_cannot_be_read_is_told(value: str, command: Command) -> None:
    done = command("train", "notes.csv", "--cost", value)
    assert done.status == 2
    assert "must look like false-compliant=10,false-non-compliant=1" in done.err


def test_a_label_that_is_named_twice_is_told(command: Command) -> None:
    done = command("train", "notes.csv", "--cost", "false-a=1,false-a=2")
    assert "names 'false-a' twice" in done.err


def test_a_share_that_is_none_is_told(command: Command) -> None:
    assert "such as 0.05 or 5%" in command("train", "a.csv", "--review-rate", "few").err
    assert "at least 0 and less than 1" in command("train", "a.csv", "--review-rate", "500%").error


def test_two_bands_are_one_too_many(command: Command) -> None:
    done = command("train", "notes.csv", "--review-below", "0.9", "--review-rate", "5%")
    assert (done.status, "not allowed with" in done.err) == (2, True)


def test_where_a_run_goes_and_how_the_table_is_read_arrive_too(
    command: Command, called: list[Any]
) -> None:
    run = ("--experiment", "notes", "--tracking-uri", "sqlite:///a.db", "--out", "m")
    model = ("--register", "bolts", "--alias", "best")
    table = ("--encoding", "cp1252", "--delimiter", ";", "--resume", "abc")
    command("train", "-", *run, *model, *table)
    ((source, config, rest),) = called
    assert (source, config) == ("-", Config())
    progress, started = rest.pop("progress"), rest.pop("started")
    assert rest == {
        "experiment": "notes",
        "tracking_uri": "sqlite:///a.db",
        "registration": Registration("bolts", "best"),
        "out": Path("m"),
        "encoding": "cp1252",
        "delimiter": ";",
        "resume": "abc",
        "engine": "local",
        "spark_master": None,
        "spark_workers": None,
        "spark_folder": None,
    }
    assert progress is not None
    assert isinstance(started, float)


def test_a_model_is_registered_if_it_is_given_a_name(command: Command, called: list[Any]) -> None:
    command("train", "notes.csv")
    command("train", "notes.csv", "--register", "bolts")
    command("train", "notes.csv", "--register", "bolts", "--no-alias")
    registrations = [rest["registration"] for _, _, rest in called]
    assert registrations == [None, Registration("bolts", "challenger"), Registration("bolts", None)]


@pytest.mark.parametrize("arguments", [["train", "notes.csv"], ["demo"]])
@pytest.mark.parametrize("alias", [["--alias", "best"], ["--no-alias"]])
def test_an_alias_without_a_model_is_told(
    arguments: list[str], alias: list[str], command: Command
) -> None:
    done = command(*arguments, *alias)
    assert (done.status, done.out) == (2, "")
    assert f"textgauge {arguments[0]}: error: {alias[0]} needs --register NAME" in done.err


def test_an_alias_and_none_is_told(command: Command) -> None:
    done = command("train", "notes.csv", "--register", "bolts", "--alias", "best", "--no-alias")
    assert done.status == 2
    assert "--no-alias: not allowed with argument --alias" in done.err


WORKSPACE = (
    "azureml:///subscriptions/1234/resourceGroups/lab/providers"
    "/Microsoft.MachineLearningServices/workspaces/notes"
)


@pytest.mark.parametrize("command_name", ["train", "demo"])
def test_an_azure_ml_workspace_is_an_address(
    command_name: str, command: Command, called: list[Any], workplace: Path
) -> None:
    table = ("notes.csv",) if command_name == "train" else ("--rows", "50")
    (workplace / "config.json").write_text(
        '{"subscription_id": "1234", "resource_group": "lab", "workspace_name": "notes"}'
    )
    for name in ("1234/lab/notes", "config.json", "."):
        command(command_name, *table, "--azureml", name)
    assert [rest["tracking_uri"] for _, _, rest in called] == [WORKSPACE] * 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "t.csv", "--tracking-uri", "databricks"],
        ["demo", "--tracking-uri", "sqlite:///mlflow.db"],
        ["check", "--tracking", "--tracking-uri", ""],
        ["evaluate", "m", "t.csv", "--tracking-uri", "http://x"],
        ["score", "m", "t.csv", "--out", "o.csv", "--tracking-uri", "http://x"],
        ["sync", "--to", "http://x"],
        ["ui", "--tracking-uri", "http://x"],
    ],
)
def test_two_places_for_a_run_are_one_too_many(arguments: list[str], command: Command) -> None:
    done = command(*arguments, "--azureml", "1234/lab/notes")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"textgauge {arguments[0]}: error: pass --")
    assert " or --azureml, not both" in done.err


def test_a_workspace_that_is_named_wrongly_is_told(command: Command) -> None:
    done = command("train", "notes.csv", "--azureml", "notes")
    assert done.status == 1
    assert done.error.startswith("notes is not SUBSCRIPTION/GROUP/WORKSPACE.")


def test_the_demo_trains_on_the_notes_that_it_made(
    command: Command, called: list[Any], workplace: Path
) -> None:
    done = command("demo", "--rows", "50", "--experiment", "demo")
    ((source, config, rest),) = called
    assert Path(source).read_text().count("\n") == 51
    assert Path(source).resolve().parent == workplace
    assert config.label_names == {"0": "compliant", "1": "non-compliant"}
    assert rest["experiment"] == "demo"
    assert "made component_notes.csv" in done.err
    again = command("demo", "--rows", "50")
    assert "found component_notes.csv" in again.err


@pytest.mark.parametrize("command_name", ["train", "check"])
def test_a_default_in_a_help_text_is_the_default(command_name: str) -> None:
    """`--epochs N  at most (40)`: the number in brackets at the end is what a run takes."""
    defaults = Config()
    told = {
        action.dest: re.search(r"\(([\d.]+)(; [\w, ]+: [\d.]+)?\)$", action.help or "")
        for action in COMMANDS[command_name]._actions
    }
    numbers = {name: float(found[1]) for name, found in told.items() if found}
    assert len(numbers) >= 7
    for name, number in numbers.items():
        assert number == getattr(defaults, name), name


def test_the_engine_of_a_training_arrives(command: Command, called: list[Any]) -> None:
    spark = ("--engine", "spark", "--spark-workers", "2", "--spark-folder", "/shared")
    command("train", "lab.notes", *spark)
    ((source, _, rest),) = called
    assert source == "lab.notes"
    assert (rest["engine"], rest["spark_workers"]) == ("spark", 2)
    assert (rest["spark_folder"], rest["spark_master"]) == ("/shared", None)


@pytest.mark.parametrize("name", ["master", "workers", "folder"])
def test_settings_of_spark_need_spark(name: str, command: Command) -> None:
    done = command("train", "notes.csv", f"--spark-{name}", "2")
    assert done.status == 2
    assert f"--spark-{name} needs --engine spark" in done.err


def test_a_training_needs_a_worker(command: Command) -> None:
    done = command("train", "lab.notes", "--engine", "spark", "--spark-workers", "0")
    assert (done.status, "must be 1 or more, was '0'" in done.err) == (2, True)


# ---- score ---------------------------------------------------------------------------------------


def test_the_engine_of_score_arrives(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    def score_model(*places: Any, **rest: Any) -> None:
        calls.append({"places": places, **rest})
        raise ReachedError("reached")

    monkeypatch.setattr("textgauge.scoring.score_model", score_model)
    command("score", "m", "t.csv", "--out", "o.csv")
    spark = ("--engine", "spark", "--spark-master", "local[2]")
    command("score", "m", "lab.notes", "--out", "lab.scored", "--text", "note", *spark)
    here, there = calls
    assert (here["engine"], here["spark_master"], here["text"]) == ("local", None, None)
    assert there["places"] == ("m", "lab.notes", "lab.scored")
    assert (there["engine"], there["spark_master"]) == ("spark", "local[2]")
    assert there["text"] == "note"


def test_a_master_without_spark_is_told(command: Command) -> None:
    done = command("score", "m", "t.csv", "--out", "o.csv", "--spark-master", "local[2]")
    assert (done.status, done.out) == (2, "")
    assert "--spark-master needs --engine spark" in done.err


def test_an_unknown_engine_names_the_nearest(command: Command) -> None:
    done = command("score", "m", "t.csv", "--out", "o.csv", "--engine", "sparc")
    assert done.status == 2
    assert "argument --engine: invalid choice: 'sparc'" in done.err
    assert "Did you mean 'spark'?" in done.err


# ---- the file of settings ------------------------------------------------------------------------


def test_settings_of_a_file_hold_unless_the_command_line_says_otherwise(
    command: Command, called: list[Any], workplace: Path
) -> None:
    (workplace / "train.toml").write_text(
        'epochs = 7\nlr = 0.01\nnumbers = false\nlabel_names = {0 = "good", 1 = "bad"}\n'
    )
    command("train", "notes.csv", "--config", "train.toml", "--epochs", "3", "--seed", "1")
    ((_, config, _),) = called
    assert config == Config(
        epochs=3, lr=0.01, numbers=False, label_names={"0": "good", "1": "bad"}, seed=1
    )


def test_one_file_of_settings_serves_check_and_train(command: Command, workplace: Path) -> None:
    (workplace / "train.toml").write_text('label = "verdict"\nepochs = 7\n')
    (workplace / "notes.csv").write_text("text,verdict\n" + "a b,0\nc d,1\ne f,0\ng h,1\n" * 2)
    done = command("check", "notes.csv", "--config", "train.toml", "--json")
    assert [label["label"] for label in done.json["profile"]["labels"]] == ["0", "1"]


def test_all_that_is_wrong_with_a_file_is_told_at_once(command: Command, workplace: Path) -> None:
    (workplace / "train.toml").write_text('epoch = 3\nlable = "x"\nlr = "fast"\nseed = -1\n')
    done = command("train", "notes.csv", "--config", "train.toml", "--dropout", "2")
    assert done.status == 2
    assert done.error.splitlines() == [
        "train.toml has no setting 'epoch'. Did you mean 'epochs'?",
        "train.toml has no setting 'lable'. Did you mean 'label'?",
        "lr must be of type float or nothing, was 'fast'.",
        "seed must be 0 or more, was -1.",
        "dropout must be at least 0 and less than 1, was 2.0.",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no file train.toml; check the path after --config."),
        ("text,label\n", "train.toml cannot be read as TOML: Expected '='"),
        ("\x00", "train.toml cannot be read as TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_told(
    content: str | None, words: str, command: Command, workplace: Path
) -> None:
    if content is not None:
        (workplace / "train.toml").write_text(content)
    done = command("train", "notes.csv", "--config", "train.toml")
    assert done.status == 2
    assert done.error.startswith(words)


# ---- wrong usage ---------------------------------------------------------------------------------


def test_several_bad_values_are_told_at_once(command: Command, workplace: Path) -> None:
    bad = ("--epochs", "0", "--lr", "-1", "--class-weights", "balance", "--model", "lsmt")
    done = command("train", "notes.csv", *bad)
    assert done.status == 2
    assert done.error.splitlines() == [
        "model must be one of 'bag', 'cnn', 'encoder', 'linear', 'lstm', was 'lsmt'. Did you mean "
        "'lstm'?",
        "class_weights must be one of 'none', 'balanced', was 'balance'. Did you mean 'balanced'?",
        "epochs must be 1 or more, was 0.",
        "lr must be more than 0 and at most 10, was -1.0.",
    ]
    assert not list(workplace.iterdir())


def test_a_model_besides_a_preset_is_one_too_many(command: Command) -> None:
    done = command("train", "notes.csv", "--preset", "best", "--model", "lstm", "--fine-tune")
    assert done.status == 2
    assert done.error.splitlines() == [
        "--model is chosen by the preset; leave it or --preset out.",
        "--fine-tune is chosen by the preset; leave it or --preset out.",
    ]


def test_two_ways_to_split_are_one_too_many(command: Command) -> None:
    done = command("train", "notes.csv", "--split-column", "a", "--time-column", "b")
    assert done.status == 2
    assert done.error == (
        "only one way to split can be chosen, found --split-column a and --time-column b."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "t.csv", "--lable", "x"], "--lable x. Did you mean '--label'?"),
        (["train", "t.csv", "--lable=x"], "--lable=x. Did you mean '--label'?"),
        (["train", "t.csv", "--epoch", "2"], "--epoch 2. Did you mean '--epochs'?"),
        (["train", "t.csv", "--number-bin", "2"], "--number-bin 2. Did you mean '--number-bins'?"),
        (["check", "t.csv", "--epochs", "2"], "--epochs 2."),
        (["score", "m", "t.csv", "--out", "o", "--txt", "x"], "--txt x. Did you mean '--text'?"),
        (["demo", "--row", "5"], "--row 5. Did you mean '--rows'?"),
        (["train", "a.csv", "b.csv"], "b.csv."),
    ],
)
def test_an_unknown_option_names_the_nearest(
    arguments: list[str], message: str, command: Command
) -> None:
    done = command(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        f"textgauge {arguments[0]}: error: unrecognized arguments: {message}\n"
        f"See what there is with: textgauge {arguments[0]} --help\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "textgauge: error: the following arguments are required: COMMAND"),
        (["trian", "t.csv"], "textgauge: error: there is no command 'trian'. Did you mean 'train'"),
        (["help"], "textgauge: error: there is no command 'help'."),
        (["train"], "textgauge train: error: the following arguments are required: TABLE"),
        (["check"], "textgauge check: error: the following arguments are required: TABLE (or --t"),
        (
            ["check", "--json"],
            "textgauge check: error: the following arguments are required: TABLE",
        ),
        (["score", "m", "t.csv"], "textgauge score: error: the following arguments are required:"),
        (["train", "t", "--epochs", "two"], "textgauge train: error: argument --epochs: invalid"),
        (
            ["score", "m", "t", "--engine", "sprak"],
            "textgauge score: error: argument --engine: inv",
        ),
        (["train", "t", "--lr"], "textgauge train: error: argument --lr: expected one argument"),
        (["demo", "--rows", "many"], "textgauge demo: error: argument --rows: invalid int value"),
    ],
)
def test_wrong_usage_is_told_in_two_lines(
    arguments: list[str], message: str, command: Command
) -> None:
    done = command(*arguments)
    assert (done.status, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith(message)
    assert second == f"See what there is with: {message.partition(':')[0]} --help"


@pytest.mark.parametrize("names", ["01", "0=", "=good", "0:good", "0=good,1", ","])
def test_label_names_of_another_form_are_told(names: str, command: Command) -> None:
    done = command("train", "notes.csv", "--label-names", names)
    assert done.status == 2
    assert f"must look like 0=compliant,1=non-compliant, was {names!r}" in done.err
