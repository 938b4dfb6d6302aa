"""Whole comparisons: what is chosen and kept, what a budget and an interruption leave."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from e2e import Done, MajorityHere, PeersHere, Quick, Running, notes, runs, textgauge
from made_encoder import make_encoder

import textgauge as python_side
from textgauge import trying
from textgauge.comparing import compare
from textgauge.config import Config
from textgauge.errors import SettingsError, TextgaugeError
from textgauge.training.fit import fit

pytest_plugins = ["e2e_fixtures"]

Command = Callable[..., Done]

SMALL = {"epochs": 2, "hidden_size": 16, "embedding_size": 16, "min_texts": 2}
OPTIONS = ["--epochs=2", "--hidden-size=16", "--embedding-size=16", "--min-texts=2"]


@pytest.fixture
def compared(quick: Quick, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Compare in this process; a bag takes 5 ms for 1,000 texts, and others 20."""
    monkeypatch.setattr("textgauge.review.peers.start", PeersHere)
    costs = {"bag": 5.0}
    monkeypatch.setattr(
        "textgauge.board.measure", lambda bundle, _: costs.get(bundle.parent.name, 20.0)
    )

    def run(*, resume: str | None = None, trials: int = 2, **how: Any) -> Any:
        settings = how.pop("settings", SMALL)
        table = how.pop("table", notes())
        return compare(table, settings, trials=trials, resume=resume, **how)

    return run


def parent_of(quick: Quick) -> Any:
    """The tracker of the last comparison."""
    return quick.trackers[-1]


def trials_of(quick: Quick) -> list[Any]:
    """Those of its trials; one more is opened ahead, and let go of."""
    return [each for each in parent_of(quick).children if each.told]


# ---- the whole command ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Board:
    """What `textgauge compare` left behind that was stopped by Ctrl-C and gone on with.

    Not to be changed. `stopped` is what it said then, `done` what the one said that went on.
    """

    folder: Path
    stopped: Done
    status: str
    done: Done
    result: dict[str, Any]

    def sql(self, query: str, *values: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as connection:
            return connection.execute(query, values).fetchall()

    def tags(self, run_id: str) -> dict[str, str]:
        return dict(self.sql("SELECT key, value FROM tags WHERE run_uuid = ?", run_id))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Path]) -> Board:
    folder = tmp_path_factory.mktemp("board")
    store = new_store(folder)
    notes().write_csv(folder / "notes.csv")
    given = ["notes.csv", "--models", "lstm,bag", "--trials", "2", *OPTIONS, "--cost", "false-0=3"]
    running = Running("compare", *given, cwd=folder)
    running.wait_for("lstm 1 of 2: macro F1")
    running.signal_group(signal.SIGINT)
    stopped = running.end()
    run_id = stopped.err.partition("Go on with: --resume ")[2].split()[0]
    status = runs(store)[run_id]
    more = ("--resume", run_id, "--json", "--register", "parts", "--out", "best")
    done = textgauge("compare", *given, *more, cwd=folder)
    assert done.status == 0, done.err
    return Board(folder, stopped, status, done, done.json)


def test_ctrl_c_ends_as_it_does_a_training_and_says_how_to_go_on(board: Board) -> None:
    assert (board.stopped.status, board.stopped.out) == (130, "")
    assert board.stopped.error == "interrupted."
    assert board.status == "KILLED"
    assert board.result["run_id"] in board.stopped.err
    assert "going on after 2 trials" in board.done.err
    assert "lstm 1 of 2" not in board.done.err, "what was whole is not trained again"
    assert "RUNNING" not in runs(board.folder / "mlflow.db").values()


def test_going_on_ends_as_if_it_had_never_been_stopped(
    board: Board, compared: Callable[..., Any]
) -> None:
    undisturbed = compared(models=["lstm", "bag"], settings={**SMALL, "cost": {"false-0": 3}})
    names = ("model", "trial", "changed", "val_macro_f1", "macro_f1", "macro_f1_interval")
    found, expected = (
        [[row[name] for name in names] for row in rows if row["kind"] == "model"]
        for rows in (board.result["leaderboard"], undisturbed.leaderboard.to_json())
    )
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_the_trials_stand_below_the_run_of_the_comparison(board: Board) -> None:
    parent = board.result["run_id"]
    children = board.sql(
        "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' AND value = ?", parent
    )
    # What was at work when Ctrl-C came may have left a run that was killed.
    states = [board.tags(run).get("textgauge.trial", "killed") for (run,) in children]
    assert states.count("complete") == 4
    assert runs(board.folder / "mlflow.db")[parent] == "FINISHED"
    names = [row[0] for row in board.sql("SELECT name FROM runs ORDER BY start_time")]
    assert {"compare bag, lstm on notes.csv", "bag 1: the defaults"} < set(names)


def test_the_board_has_every_model_and_the_peers(board: Board) -> None:
    rows = {row["model"]: row for row in board.result["leaderboard"]}
    assert set(rows) == {
        "bag", "lstm", "TF-IDF + logistic regression", "TF-IDF + LinearSVC",
    }  # fmt: skip
    for row in rows.values():
        low, high = row["macro_f1_interval"]
        assert low <= row["macro_f1"] <= high
        assert min(row["train_seconds"], row["predict_ms"], row["megabytes"]) > 0
    assert [row["model"] for row in rows.values() if row["best"]] == [board.result["best"]["model"]]
    folder = next((board.folder / "mlruns").glob(f"*/{board.result['run_id']}")) / "artifacts"
    assert {path.name for path in folder.iterdir()} == {
        f"leaderboard.{kind}" for kind in ("json", "csv", "html", "png")
    }
    stored = json.loads((folder / "leaderboard.json").read_text())
    assert stored["leaderboard"] == board.result["leaderboard"]
    assert board.result["trials"]["bag"] == {
        "complete": 2, "pruned": 0, "failed": 0, "stopped": 0,
    }  # fmt: skip


def test_every_row_is_a_whole_run_and_the_best_is_registered_and_saved(board: Board) -> None:
    for row in board.result["leaderboard"]:
        if row["kind"] == "model":
            assert (Path(row["bundle"]) / "MLmodel").exists()
            assert (Path(row["bundle"]).parent / "report.html").exists()
    best = board.result["best"]
    versions = board.sql("SELECT run_id FROM model_versions WHERE name = 'parts'")
    assert versions == [(best["run_id"],)]
    assert board.result["registered"]["registered"] is True
    loaded = python_side.load(board.folder / "best")
    assert loaded.predict(["steel component of 1979"]).labels
    assert loaded.settings["config"]["cost"] == {"false-0": 3.0}
    assert not (board.folder / ".textgauge").exists(), "all trials are done"


def test_a_row_can_be_repeated(board: Board, command: Command) -> None:
    store = f"sqlite:///{board.folder}/mlflow.db"
    done = command(
        *("verify", board.result["best"]["run_id"], "--table", board.folder / "notes.csv"),
        *("--tracking-uri", store, "--json"),
    )
    assert (done.status, done.json["outcome"]) == (0, "identical")


# ---- what is chosen ------------------------------------------------------------------------------


def test_one_seed_gives_one_board_also_in_two_goes(
    compared: Callable[..., Any], quick: Quick
) -> None:
    def told(result: Any) -> list[Any]:
        return [
            (each.model, each.trial, each.changed, each.val_macro_f1, each.macro_f1)
            for each in result.leaderboard.entries
        ]

    settings = {"epochs": 2, "hidden_size": 16}  # Width and words are searched.
    first = compared(models=["bag", "lstm"], trials=3, settings=settings)
    assert [tracker.ended for tracker in trials_of(quick)] == ["FINISHED"] * 6
    again = compared(models=["bag", "lstm"], trials=3, settings=settings)
    assert told(again) == told(first)
    assert len({str(each.told[0][1].params) for each in trials_of(quick)}) == 6


def test_validation_decides_and_the_test_part_is_looked_at_once_a_row(
    compared: Callable[..., Any], quick: Quick
) -> None:
    result = compared(models=["bag"], trials=3)
    trials = trials_of(quick)
    assert sum("eval_macro_f1" in each.metrics for each in trials) == 1
    scores = [each.metrics["best_val_macro_f1"][0][1] for each in trials]
    assert result.best.val_macro_f1 == max(scores)
    assert result.best.run_id == trials[scores.index(max(scores))].run_id


def test_whats_given_is_the_same_in_all_trials(compared: Callable[..., Any], quick: Quick) -> None:
    compared(models=["bag"], trials=3, settings={**SMALL, "lr": 0.02, "seed": 7})
    params = [each.told[0][1].params for each in trials_of(quick)]
    assert {(each["lr"], each["seed"], each["epochs"]) for each in params} == {(0.02, 7, 2)}


# ---- budgets -------------------------------------------------------------------------------------


def test_what_few_texts_decide_is_decided_in_a_trial_as_in_a_training(
    compared: Callable[..., Any], quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textgauge.training.contrast.STEPS", 1)
    folder = str(make_encoder(tmp_path / "encoder", layers=1))
    tuned = {"encoder": folder, "fine_tune": True, "epochs": 1, "device": "cpu"}
    compared(models=["bag", "encoder"], trials=1, settings=tuned)
    params = {each.told[0][1].params["model"]: each.told[0][1].params for each in trials_of(quick)}
    # But for the validation texts, on which what is compared is judged.
    assert params["encoder"]["contrast"] is True and params["encoder"]["refit"] is False
    # What is for the encoder alone is none of the others' business.
    assert params["encoder"]["encoder"] == folder
    assert params["bag"]["encoder"] is None and params["bag"]["fine_tune"] is False


def test_the_command_takes_them_too_and_names_the_file_of_wrong_ones(
    command: Command, workplace: Path
) -> None:
    done = command("compare", "none.csv", "--models", "linear,encoder", "--fine-tune")
    assert "none.csv" in done.error and "--fine-tune" not in done.error
    (workplace / "my.toml").write_text("epoch = 3\n", encoding="utf-8")
    done = command("compare", "none.csv", "--models", "bag", "--config", "my.toml")
    assert "my.toml has no setting 'epoch'. Did you mean 'epochs'?" in done.error


def test_settings_of_an_encoder_are_refused_where_none_is_compared(
    compared: Callable[..., Any],
) -> None:
    with pytest.raises(SettingsError, match=r"--fine-tune is for the model 'encoder' alone; ch"):
        compared(models=["bag"], settings={**SMALL, "fine_tune": True})


def test_whatever_is_compared_learns_from_the_validation_texts_where_that_is_asked_for(
    compared: Callable[..., Any],
) -> None:
    for settings in (SMALL, {**SMALL, "refit": True}):
        compared(settings=settings, models=["bag"], trials=1)
    assert MajorityHere.refits[-2:] == PeersHere.refits[-2:] == [False, True]


def test_a_budget_too_small_for_a_trial_is_told_and_gone_on_with(
    compared: Callable[..., Any], quick: Quick
) -> None:
    with pytest.raises(SettingsError) as error:
        compared(models=["lstm"], budget="0.001s")
    run_id = parent_of(quick).run_id
    message = str(error.value)
    assert message.startswith("the budget of 0.001s is too small for one trial. The quickest was ")
    assert "Pass about --budget " in message
    assert message.endswith(f"what was trained is kept: --resume {run_id}")
    assert parent_of(quick).ended == "FAILED"
    (stopped,) = trials_of(quick)
    assert stopped.ended == "FINISHED"
    assert [told for kind, told in stopped.told if kind == "tags"][-1][
        "textgauge.trial"
    ].startswith("stopped: its time was over")
    result = compared(models=["lstm"], resume=run_id)
    assert result.trials["lstm"].complete == 2


def test_what_there_was_no_time_for_is_told_beside_the_board(
    compared: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, quick: Quick
) -> None:
    """The LSTM's trial is stopped; the bag's is whole, and on the board."""
    real = fit

    def slow(corpus: Any, encoder: Any, config: Config, **how: Any) -> Any:
        if config.model == "lstm" and how.get("on_step"):
            raise trying._StopTrial("stopped", "its time was over after 0 epochs")
        return real(corpus, encoder, config, **how)

    monkeypatch.setattr("textgauge.training.fit.fit", slow)
    result = compared(models=["bag", "lstm"], trials=1, budget="3s")
    assert [each.model for each in result.leaderboard.entries if each.kind == "model"] == ["bag"]
    assert result.resumable
    first, second, last = result.left
    assert first == "The budget of 3s is over; trials that are done: lstm 0 of 1."
    assert second.startswith("lstm has no whole trial and is not on the board: it had 0 epochs")
    assert last.endswith(f"--resume {parent_of(quick).run_id}")
    monkeypatch.setattr("textgauge.training.fit.fit", real)
    done = []
    monkeypatch.setattr(
        "textgauge.training.fit.fit", lambda *a, **k: done.append(1) or real(*a, **k)
    )
    whole = compared(models=["bag", "lstm"], trials=1, resume=result.run.run_id)
    assert {each.model for each in whole.leaderboard.entries} == {"bag", "lstm", "most frequent"}
    assert len(done) == 2, "the LSTM is trained and restored; the bag is neither"
    assert not Path(".textgauge", result.run.run_id, "comparison.json").exists()


# ---- what goes wrong -----------------------------------------------------------------------------


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let trainings of some architectures run out of memory."""

    def let(*models: str) -> None:
        def no_memory(corpus: Any, encoder: Any, config: Config, **how: Any) -> Any:
            if config.model in models:
                raise RuntimeError("CUDA out of memory. Tried to allocate 8 GiB\nand so on")
            return fit(corpus, encoder, config, **how)

        monkeypatch.setattr("textgauge.training.fit.fit", no_memory)

    return let


def test_a_trial_that_fails_is_told_and_the_others_go_on(
    compared: Callable[..., Any], failing: Callable[..., None], quick: Quick
) -> None:
    failing("lstm")
    result = compared(models=["bag", "lstm"], trials=1)
    assert result.failures == ("lstm 1: CUDA out of memory. Tried to allocate 8 GiB",)
    assert result.trials["lstm"].failed == 1
    failed = [each for each in trials_of(quick) if each.ended == "FAILED"]
    assert len(failed) == 1
    assert ("tags", {"textgauge.trial": "failed: CUDA out of memory. Tried to allocate 8 GiB"}) in (
        failed[0].told
    )


def test_where_all_trials_fail_each_reason_is_told_and_no_more_are_tried(
    compared: Callable[..., Any], failing: Callable[..., None], quick: Quick
) -> None:
    failing("bag")
    with pytest.raises(TextgaugeError) as error:
        compared(models=["bag"], trials=10)
    lines = str(error.value).splitlines()
    assert lines[0] == "no trial could be trained:"
    assert [line.partition(":")[0] for line in lines[1:]] == ["bag 1", "bag 2", "bag 3"]
    assert parent_of(quick).ended == "FAILED"


def test_going_on_with_another_comparison_is_refused_and_the_run_stays_as_it_is(
    compared: Callable[..., Any], quick: Quick
) -> None:
    with pytest.raises(SettingsError):
        compared(models=["bag"], budget="0.001s")
    run_id = parent_of(quick).run_id
    for how, words in (
        ({"settings": {**SMALL, "epochs": 9}}, "epochs was 2 and is 9 now"),
        ({"table": notes(200)}, "DataFrame is not the table"),
    ):
        with pytest.raises(SettingsError, match=words):
            compared(models=["bag"], resume=run_id, **how)
        assert "start" not in parent_of(quick).kinds
    with pytest.raises(SettingsError, match="there is no comparison nobody"):
        compared(models=["bag"], resume="nobody")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--models", "lsmt"],
            "there is no model 'lsmt'; there are bag, cnn, encoder, linear, lstm. Did you mean",
        ),
        (["--models", "bag,bag"], "the model 'bag' is named twice"),
        (["--models", ","], "name at least one model"),
        (["--budget", "ten"], "the budget must be a time such as 90s, 10m or 2h"),
        (["--trials", "0"], "must be 1 or more, was '0'"),
        (["--lr", "-1"], "lr must be more than 0"),
        (["--model", "bag"], "unrecognized arguments: --model bag. Did you mean '--models'?"),
        (["--alias", "best"], "--alias needs --register NAME"),
        (["--resume", "nobody"], "there is no comparison nobody to go on with"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_read(
    arguments: list[str], words: str, command: Command, workplace: Path
) -> None:
    done = command("compare", "no_such_table.csv", *arguments)
    assert (done.status, done.out) == (2, "")
    assert words in done.err
    assert not list(workplace.iterdir())


def test_without_optuna_one_sentence_is_told(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "optuna" else real(name)
    )
    done = command("compare", "notes.csv")
    assert (done.status, done.out) == (1, "")
    assert "pip install 'textgauge[compare]'" in done.error


def test_from_python_models_are_named_as_such() -> None:
    with pytest.raises(SettingsError, match=r"models=\['bag', …\]"):
        python_side.compare(pl.DataFrame(), model="bag")


def test_the_best_is_kept_where_it_cannot_be_registered(
    compared: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = compared(models=["bag"], trials=1)
    monkeypatch.setattr("textgauge.comparing.compare", lambda *_, **__: result)
    found = python_side.compare("notes.csv", register="parts", quiet=True)
    assert found.registered is None
    assert result.best.run_id in (found.registration_problem or "")
    assert found.best == result.best
