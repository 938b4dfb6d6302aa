"""Stopped by Ctrl-C, by a machine that shuts down, or killed: what is left, and how to go on."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from e2e import Done, Quick, Running, notes, runs, textgauge
from waiting import wait_until

from textgauge.errors import BundleError

pytest_plugins = ["e2e_fixtures"]

Command = Callable[..., Done]

SETTINGS: dict[str, Any] = {
    "epochs": 4,
    "patience": 4,
    "hidden_size": 32,
    "embedding_size": 16,
    "batch_size": 16,
}
"""An epoch of some tenths of a second, so that a signal comes in the middle of one."""

OPTIONS = [
    *(f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()),
    "--every-row",
]
ROWS = 2000


@dataclass(frozen=True)
class Stopped:
    """A training that was stopped: where, how it ended, and its run."""

    folder: Path
    done: Done
    run_id: str

    @property
    def status(self) -> str:
        """How MLflow says that the run ended."""
        return runs(self.folder / "mlflow.db")[self.run_id]

    def metric(self, name: str) -> list[tuple[int, float]]:
        """The curve of a metric: step and value."""
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as connection:
            return connection.execute(
                "SELECT step, value FROM metrics WHERE run_uuid = ? AND key = ? ORDER BY step",
                [self.run_id, name],
            ).fetchall()

    def tags(self) -> dict[str, str]:
        """The run's tags."""
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as connection:
            return dict(
                connection.execute("SELECT key, value FROM tags WHERE run_uuid = ?", [self.run_id])
            )

    @property
    def again(self) -> list[str]:
        """The same command again, to go on with the run."""
        return ["train", "notes.csv", *OPTIONS, "--resume", self.run_id]


@pytest.fixture(scope="module")
def stop(
    tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Path]
) -> Callable[..., Stopped]:
    """Train in a folder of its own, and send a signal as soon as a line begins so."""

    def train_and_stop(line: str, number: int, *options: str, everyone: bool = True) -> Stopped:
        folder = tmp_path_factory.mktemp("stopped")
        store = new_store(folder)
        notes(ROWS).write_csv(folder / "notes.csv")
        given = [*OPTIONS, *options, "--out", "model"]
        running = Running("train", "notes.csv", *given, cwd=folder)
        running.wait_for(line)
        (running.signal_group if everyone else running.signal)(number)
        done = running.end()

        # After kill -9 it is the tracking's own process that marks the run, which it may even have
        # to begin first.
        def marked(found: dict[str, str]) -> bool:
            return bool(found) and "RUNNING" not in found.values()

        (run_id,) = wait_until(lambda: runs(store), marked)
        return Stopped(folder, done, run_id)

    return train_and_stop


@pytest.fixture(scope="module")
def by_ctrl_c(stop: Callable[..., Stopped]) -> Stopped:
    """Stopped by Ctrl-C in the middle of the third epoch. Gone on with by the last test only."""
    return stop("2 ", signal.SIGINT)


@pytest.fixture
def undisturbed(quick: Quick) -> Any:
    """The same training, never stopped."""
    return quick.train(notes(ROWS), distinct=False, **SETTINGS)


def names(folder: Path) -> set[str]:
    """Everything in a folder, hidden things too, but for the store's lock file."""
    return {path.name for path in folder.iterdir()} - {".mlflow.db.lock"}


# ---- Ctrl-C --------------------------------------------------------------------------------------


def test_ctrl_c_ends_with_one_word_and_says_how_to_go_on(by_ctrl_c: Stopped) -> None:
    done = by_ctrl_c.done
    assert done.status == 130
    assert done.out == ""
    assert done.error == "interrupted."
    assert done.err.endswith(
        f"Go on with: --resume {by_ctrl_c.run_id}\ntextgauge: error: interrupted.\n"
    )


def test_ctrl_c_marks_the_run_as_killed_and_keeps_its_curves(by_ctrl_c: Stopped) -> None:
    assert by_ctrl_c.status == "KILLED"
    assert [step for step, _ in by_ctrl_c.metric("val_loss")] == [1, 2]
    assert by_ctrl_c.metric("eval_loss") == []


def test_ctrl_c_leaves_nothing_that_looks_like_a_model(
    by_ctrl_c: Stopped, command: Command
) -> None:
    assert names(by_ctrl_c.folder) == {"notes.csv", "mlflow.db", "mlruns", ".textgauge"}
    assert names(by_ctrl_c.folder / ".textgauge" / by_ctrl_c.run_id) == {"checkpoint.safetensors"}
    done = command(
        *("score", f"runs:/{by_ctrl_c.run_id}/model", by_ctrl_c.folder / "notes.csv"),
        *("--out", "scored.csv", "--tracking-uri", f"sqlite:///{by_ctrl_c.folder}/mlflow.db"),
    )
    assert done.status == 1
    assert "The run may have ended before it stored a model" in done.error


def test_going_on_with_other_settings_is_refused_and_the_run_stays_as_it_is(
    by_ctrl_c: Stopped, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(by_ctrl_c.folder)
    done = command(*by_ctrl_c.again, "--lr", "0.5")
    assert (done.status, done.out) == (1, "")
    assert "belongs to another table or other settings" in done.error
    assert by_ctrl_c.status == "KILLED"


def test_going_on_ends_as_if_it_had_never_been_stopped(
    by_ctrl_c: Stopped, undisturbed: Any, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = textgauge(*by_ctrl_c.again, "--json", "--out", "model", cwd=by_ctrl_c.folder)
    assert done.status == 0, done.err
    assert "going on after epoch 2" in done.err
    result = done.json
    assert result["run_id"] == by_ctrl_c.run_id
    assert by_ctrl_c.status == "FINISHED"
    expected = undisturbed.to_json()
    for name in ("eval_loss", "eval_accuracy", "eval_macro_f1", "rows", "epochs", "best_epoch"):
        assert result[name] == expected[name]
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        assert by_ctrl_c.metric(name) == [
            (epoch.epoch, getattr(epoch, name)) for epoch in undisturbed.history
        ]
    (stored,) = (by_ctrl_c.folder / "mlruns").rglob("history.json")
    history = json.loads(stored.read_text())["epochs"]
    assert [epoch["val_loss"] for epoch in history] == [e.val_loss for e in undisturbed.history]
    left = {"notes.csv", "mlflow.db", "mlruns", "model"}
    assert names(by_ctrl_c.folder) == left  # nothing to go on with any more
    monkeypatch.chdir(by_ctrl_c.folder)
    again = command(*by_ctrl_c.again)
    assert again.status == 1
    assert "there is no checkpoint at" in again.error
    assert by_ctrl_c.status == "FINISHED"


# ---- at other moments, and by other signals ------------------------------------------------------


def test_a_machine_that_shuts_down_stops_a_training_as_ctrl_c_does(
    stop: Callable[..., Stopped],
) -> None:
    stopped = stop("1 ", signal.SIGTERM)
    assert stopped.done.status == 130
    assert stopped.done.error == "interrupted."
    assert stopped.status == "KILLED"
    assert f"Go on with: --resume {stopped.run_id}\n" in stopped.done.err
    assert "model" not in names(stopped.folder)


def test_kill_9_still_marks_the_run(
    stop: Callable[..., Stopped], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = stop("1 ", signal.SIGKILL, everyone=False)
    assert stopped.done.status == -signal.SIGKILL
    assert stopped.status == "KILLED"
    assert stopped.tags()["textgauge.ended"].startswith("the training process ended without a word")
    assert "model" not in names(stopped.folder)
    monkeypatch.chdir(stopped.folder)
    done = command(*stopped.again)
    assert done.status == 1
    assert done.error.startswith("there is no checkpoint at .textgauge/")
    assert done.error.endswith("Train again without --resume.")
    assert stopped.status == "KILLED"


def test_ctrl_c_while_the_model_is_saved_leaves_none(stop: Callable[..., Stopped]) -> None:
    stopped = stop("saving", signal.SIGINT, "--epochs=1")
    assert stopped.done.status == 130
    assert stopped.done.error == "interrupted."
    assert stopped.status == "KILLED"
    assert names(stopped.folder) == {"notes.csv", "mlflow.db", "mlruns", ".textgauge"}


def test_ctrl_c_before_the_model_is_proved_leaves_none(
    quick: Quick, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textgauge.bundle.proof import RunningProof

    def interrupted(_: RunningProof) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RunningProof, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quick.train(notes(), out=workplace / "model")
    assert quick.tracker.ended == "KILLED"
    assert names(workplace) == {".textgauge"}


def test_ctrl_c_while_torch_is_loaded_ends_well(stop: Callable[..., Stopped]) -> None:
    stopped = stop("loading torch", signal.SIGINT)
    assert stopped.done.status == 130
    assert stopped.done.error == "interrupted."
    assert stopped.status == "KILLED"
    assert names(stopped.folder) == {"notes.csv", "mlflow.db", "mlruns"}


def test_ctrl_c_while_the_table_is_awaited_leaves_nothing(workplace: Path) -> None:
    running = Running("train", "-", cwd=workplace)
    running.wait_for("reading")
    running.signal_group(signal.SIGINT)
    done = running.end()
    assert done.status == 130
    assert done.error == "interrupted."
    assert names(workplace) == set()


# ---- one signal, one interruption ----------------------------------------------------------------


@pytest.fixture
def run_instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], int]:
    """Run a function as if it were a command."""
    from textgauge import cli

    def run(function: Callable[[], None]) -> int:
        monkeypatch.setitem(cli._COMMANDS, "check", (lambda _: None, lambda _: function(), "work"))
        return cli.run_command(["check"])

    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cuts_off_no_clean_up_that_it_began_itself(
    number: int, run_instead: Callable[[Callable[[], None]], int]
) -> None:
    done = []

    def work() -> None:
        try:
            raise KeyboardInterrupt  # Polars does, for a signal that then comes to Python, too.
        except KeyboardInterrupt:
            signal.raise_signal(number)
            done.append("cleaned up")
            signal.raise_signal(number)  # Pressed again.
            done.append("never")

    assert run_instead(work) == 130
    assert done == ["cleaned up"]


def test_each_command_can_be_interrupted_and_leaves_the_handlers_as_they_were(
    run_instead: Callable[[Callable[[], None]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    for _ in range(2):
        assert run_instead(lambda: signal.raise_signal(signal.SIGINT)) == 130
        assert capsys.readouterr().err == "textgauge: error: interrupted.\n"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_what_an_interrupted_import_says_is_not_taken_for_a_fault(
    run_instead: Callable[[Callable[[], None]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        try:
            raise ImportError("initialization failed") from KeyboardInterrupt()
        except ImportError:
            raise BundleError("the model is damaged") from None

    assert run_instead(work) == 130
    assert capsys.readouterr().err == "textgauge: error: interrupted.\n"
