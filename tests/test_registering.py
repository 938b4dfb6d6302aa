"""`textgauge register`: what has to hold, what is changed when it does, and nothing when not."""

from __future__ import annotations

import compileall
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from e2e import Done, FinishedRun, MajorityHere, notes

import textgauge as python_side
from textgauge.bundle import files
from textgauge.bundle.stored import write_digests
from textgauge.errors import BundleError, ProofError, SettingsError, TableError, TrackingError
from textgauge.registered import Gate

pytest_plugins = ["e2e_fixtures"]

Command = Callable[..., Done]


@pytest.fixture(scope="module")
def two_runs(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with the finished run and a better one on a copy of the table. Not to be changed."""
    folder = tmp_path_factory.mktemp("two runs")
    table = shutil.copy(finished.table, folder)
    shutil.copy(finished.store, folder / "mlflow.db")
    sizes = {"epochs": 12, "hidden_size": 24, "embedding_size": 24, "lr": 0.01}
    names = {"0": "compliant", "1": "non-compliant"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("textgauge.review.baselines.start", MajorityHere)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        better = python_side.train(
            table, tracking_uri=uri, quiet=True, label_names=names, **sizes
        ).to_json()
    assert better["eval_macro_f1"] > finished.result["eval_macro_f1"]
    return folder / "mlflow.db", str(better["run_id"])


class Store:
    """A store of the test's own, with both runs in it."""

    def __init__(self, path: Path, worse: str, better: str) -> None:
        self.path, self.worse, self.better = path, worse, better
        self.uri = f"sqlite:///{path}"

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(question).fetchall()

    @property
    def aliases(self) -> dict[str, int]:
        return dict(self.ask("SELECT alias, version FROM registered_model_aliases"))

    @property
    def versions(self) -> list[tuple[Any, ...]]:
        return self.ask("SELECT version, run_id FROM model_versions ORDER BY version")

    def tags(self, version: int) -> dict[str, str]:
        return dict(
            self.ask(f"SELECT key, value FROM model_version_tags WHERE version = {version}")
        )

    def register(self, run: str, **options: Any) -> Any:
        how = {"tracking_uri": self.uri, "quiet": True, **options}
        return python_side.register(run, "notes", **how)


@pytest.fixture
def store(two_runs: tuple[Path, str], finished: FinishedRun, workplace: Path) -> Store:
    path = Path(shutil.copy(two_runs[0], workplace / "mlflow.db"))
    return Store(path, finished.run_id, two_runs[1])


# ---- it holds ------------------------------------------------------------------------------------


def test_the_first_version_becomes_the_champion(store: Store, command: Command) -> None:
    done = command("register", store.worse, "notes", "--min", "macro_f1=0.1", "--json", "--quiet")
    assert done.status == 0, done.err
    found = done.json
    assert (found["registered"], found["version"], found["new_version"]) == (True, "1", True)
    assert (found["champion_check"], found["changes"]) == ("no champion", [])
    (gate,) = found["gates"]
    assert (gate["name"], gate["needed"], gate["holds"]) == ("eval_macro_f1", 0.1, True)
    assert found["proof"]["texts"] > 200
    assert (store.aliases, store.versions) == ({"champion": 1}, [(1, store.worse)])
    tags = store.tags(1)
    assert tags["textgauge.run_id"] == store.worse
    assert tags["textgauge.gates"].startswith("eval_macro_f1 0.")
    assert tags["textgauge.champion_check"] == "no champion"
    # Again, by each of its addresses: the same version, and nothing more.
    folder = python_side.load("models:/notes@champion", store.uri)
    assert folder.classes == ["0", "1"]
    bundle = store.ask(f"SELECT artifact_uri FROM runs WHERE run_uuid = '{store.worse}'")[0][0]
    # MLflow's loader leaves compiled code behind, which is no reason to refuse a model.
    assert compileall.compile_dir(f"{bundle}/model/code", quiet=2)
    for address in (f"runs:/{store.worse}/model", "models:/notes@champion", f"{bundle}/model"):
        again = store.register(address)
        assert (again.promoted.version, again.promoted.created) == ("1", False)
        assert again.champion_check == "is the champion"
    assert (store.aliases, store.versions) == ({"champion": 1}, [(1, store.worse)])


def test_a_better_run_takes_the_place_and_what_changed_is_told(
    store: Store, command: Command
) -> None:
    store.register(store.worse)
    done = command("register", store.better, "notes", "--quiet")
    assert done.status == 0, done.err
    assert store.aliases == {"champion": 2, "previous": 1}
    assert "not worse than champion" in done.out
    assert "On notes.csv (" in done.out
    assert "McNemar's test: p = " in done.out
    assert "setting hidden_size" in done.out
    assert "Version 1 was the champion, and is 'previous' now." in done.out
    assert store.tags(2)["textgauge.compared_with"] == "version 1"
    ((description,),) = store.ask("SELECT description FROM model_versions WHERE version = 2")
    assert "| setting hidden_size | 16 | 24 |" in description
    # The champion may go back: the one before was as good as it, with a margin.
    back = store.register(store.worse, margin=0.9)
    assert (back.promoted.version, back.promoted.previous) == ("1", "2")
    assert store.aliases == {"champion": 1, "previous": 2}


def test_figures_are_those_that_evaluate_gives(store: Store, finished: FinishedRun) -> None:
    from textgauge.evaluating import evaluate_table
    from textgauge.scoring import load_predictor

    store.register(store.worse)
    table = notes(2_000).filter(pl.col("text").str.contains("steel|iron"))
    table = pl.concat([table, pl.DataFrame({"text": ["steel"], "label": ["unheard of"]})])
    found = store.register(store.better, data=table)
    duel = found.champion.found
    for run, figures in ((store.better, duel.new), (store.worse, duel.old)):
        predictor = load_predictor(f"runs:/{run}/model", store.uri)
        expected = evaluate_table(predictor, table).evaluation.rows
        assert (figures.accuracy, figures.macro_f1) == (expected.accuracy, expected.macro_f1)
    # Both were trained on the same 300 rows, of which some are in this table.
    trained_on = found.champion.champion_trained_on
    assert trained_on == found.champion.trained_on
    assert 0 < trained_on < found.champion.found.texts
    assert found.champion.table == "DataFrame"


def test_a_challenger_leaves_the_champion_alone(store: Store, command: Command) -> None:
    store.register(store.worse)
    found = store.register(store.better, alias="challenger")
    assert (found.promoted.version, found.promoted.previous) == ("2", None)
    assert store.aliases == {"champion": 1, "challenger": 2}


# ---- it does not hold ----------------------------------------------------------------------------


def everything(store: Store) -> list[list[tuple[Any, ...]]]:
    tables = ("registered_models", "model_versions", "model_version_tags")
    return [store.ask(f"SELECT * FROM {name}") for name in (*tables, "registered_model_aliases")]


def test_a_gate_that_fails_changes_nothing_and_all_are_shown(
    store: Store, command: Command
) -> None:
    store.register(store.better)
    before = everything(store)
    least = ("--min", "eval_accuracy=0.2", "--min", "macro_f1=0.9999")
    done = command("register", store.worse, "notes", *least, "--quiet")
    assert done.status == 1
    rows = [
        line.split() for line in done.out.splitlines() if line.split()[-1:] in (["yes"], ["NO"])
    ]
    assert [(row[0], row[-1]) for row in rows] == [
        ("eval_accuracy", "yes"),
        ("eval_macro_f1", "NO"),
        ("not", "NO"),
    ]
    assert "Not registered, and nothing was changed: eval_macro_f1 0." in done.out
    done = command("register", store.worse, "notes", *least, "--json", "--quiet")
    assert (done.status, done.json["registered"], done.json["version"]) == (1, False, None)
    assert everything(store) == before
    never = command("register", store.worse, "screws", "--min", "macro_f1=0.9999", "--quiet")
    assert never.status == 1
    assert everything(store) == before, "no registered model was made"


def test_the_margin_is_what_it_may_be_worse(store: Store) -> None:
    store.register(store.better)
    (gate,) = store.register(store.worse).gates
    short = gate.needed - gate.found
    assert short > 0
    assert not store.register(store.worse, margin=short - 1e-6).registered
    assert store.register(store.worse, margin=short + 1e-6).registered


def test_what_is_no_number_holds_nothing() -> None:
    assert not Gate("eval_loss", 0.0, float("nan")).holds
    assert Gate("eval_loss", 0.5, 0.5).holds
    assert Gate("eval_loss", 0.0, float("nan")).to_json()["found"] is None


def test_without_the_table_it_says_what_to_pass(store: Store, two_runs: tuple[Path, str]) -> None:
    store.register(store.worse)
    before = everything(store)
    table = two_runs[0].with_name("notes.csv")
    held = table.rename(table.with_name("moved.csv"))
    try:
        with pytest.raises(TableError, match=r"no file is now.*pass --data TABLE, or --no-champ"):
            store.register(store.better)
        table.write_text(held.read_text() + "steel,0\n")
        with pytest.raises(TableError, match="no more the table that the run was trained on"):
            store.register(store.better)
        assert everything(store) == before
        found = store.register(store.better, data=held)
        assert found.champion.trained_on is None, "the table that it was trained on is not there"
        assert found.registered
        found = store.register(store.worse, champion_check=False)
    finally:
        held.rename(table)
    assert (found.champion, found.champion_check, found.registered) == (None, "left out", True)
    assert store.tags(1)["textgauge.champion_check"] == "left out"


# ---- faults --------------------------------------------------------------------------------------


def test_what_cannot_be_registered_is_told(store: Store, command: Command, workplace: Path) -> None:
    before = everything(store)
    with pytest.raises(TrackingError, match="has no run feedbeef"):
        store.register("feedbeef")
    with pytest.raises(SettingsError, match=r"no metric 'macro_f2'\. Did you mean 'macro_f1'\?"):
        store.register(store.worse, least={"macro_f2": 0.5})
    with pytest.raises(SettingsError, match="must be a number, was inf"):
        store.register(store.worse, least={"macro_f1": float("inf")})
    with pytest.raises(SettingsError, match="letters, digits"):
        store.register(store.worse, alias="the best")
    with pytest.raises(SettingsError, match="the margin must be 0 or more"):
        store.register(store.worse, margin=-0.1)
    with pytest.raises(TrackingError, match="no models:/notes/7 that was made of a run"):
        store.register("models:/notes/7")
    (workplace / "bundle").mkdir()
    with pytest.raises(BundleError, match="does not say of which run it is"):
        store.register("bundle")
    done = command("register", store.worse, "a/b", "--quiet")
    assert (done.status, "name" in done.error.lower()) == (1, True)
    assert command("register", store.worse, "notes", "--min", "macro_f1").status == 2
    done = command("register", store.worse, "notes", "--tracking-uri", "http://127.0.0.1:1")
    assert done.status == 1
    assert "does not answer" in done.error
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute(f"UPDATE runs SET status = 'FAILED' WHERE run_uuid = '{store.worse}'")
    with pytest.raises(TrackingError, match="is FAILED, not FINISHED"):
        store.register(store.worse)
    assert everything(store) == before


@pytest.fixture
def changed(store: Store, workplace: Path) -> Iterator[Callable[[Callable[[Path], object]], None]]:
    """Have the run's model lie in a copy that the test may change."""

    def change(do: Callable[[Path], object]) -> None:
        ((artifacts,),) = store.ask(
            f"SELECT artifact_uri FROM runs WHERE run_uuid = '{store.worse}'"
        )
        copy = Path(shutil.copytree(artifacts, workplace / "artifacts"))
        do(copy / "model")
        with closing(sqlite3.connect(store.path)) as connection, connection:
            connection.execute(
                "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (str(copy), store.worse)
            )

    return change


def edit(name: str, do: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change a JSON file of the model."""

    def change(folder: Path) -> None:
        values = json.loads((folder / name).read_text())
        do(values)
        (folder / name).write_text(json.dumps(values))
        write_digests(folder, files.DIGESTED)

    return change


def better_figures(values: dict[str, Any]) -> None:
    next(iter(values["figures"].values()))["rows"]["macro_f1"] = 0.99999


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (lambda f: (f / "model.pkl").write_bytes(b""), BundleError, "model.pkl is a pickle"),
        (edit("textgauge.json", better_figures), BundleError, "is not the model of run"),
        (
            edit("textgauge.json", lambda v: v["data"].update(digest="ab")),
            BundleError,
            "another table's digest",
        ),
        (lambda f: (f / "model.onnx").write_bytes(b"no"), BundleError, "is damaged"),
        (shutil.rmtree, BundleError, "that folder does not exist"),
    ],
    ids=["pickle", "figures", "digest", "network", "no model"],
)
def test_a_folder_that_was_changed_is_refused(
    store: Store, changed: Any, change: Any, error: type[Exception], told: str
) -> None:
    changed(change)
    with pytest.raises(error, match=told):
        store.register(store.worse)
    assert store.versions == []


def test_another_network_is_found_out_by_the_run_s_test_part(
    store: Store, changed: Any, two_runs: tuple[Path, str], finished: FinishedRun
) -> None:
    """All files fit together, and a fresh process predicts the same: only not what was measured."""
    import onnx
    from onnx import numpy_helper

    def turn(folder: Path) -> None:
        network = onnx.load(folder / "model.onnx")
        for tensor in network.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.dtype == "float32":
                tensor.CopyFrom(numpy_helper.from_array(-values, tensor.name))
        onnx.save(network, folder / "model.onnx")
        write_digests(folder, files.DIGESTED)

    store.register(store.better)
    changed(turn)
    with pytest.raises(ProofError, match="is not the one that was measured"):
        store.register(store.worse)
    assert store.aliases == {"champion": 1}


def test_a_champion_that_is_no_model_of_ours_is_told(store: Store, workplace: Path) -> None:
    store.register(store.better)
    (workplace / "other").mkdir()
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute(
            "UPDATE model_versions SET run_id = NULL, source = ?, storage_location = ?",
            (str(workplace / "other"), str(workplace / "other")),
        )
    with pytest.raises(BundleError, match=r"champion \(version 1\) cannot be compared with: .*no-"):
        store.register(store.worse)
    (workplace / "other").rmdir()
    with pytest.raises(BundleError, match=r"champion of notes cannot be compared with: .*no-"):
        store.register(store.worse)
    found = store.register(store.worse, champion_check=False)
    assert (found.promoted.previous, found.champion_check, found.changes) == ("1", "left out", ())
