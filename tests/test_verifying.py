"""A run is trained again: the same to the last bit, or what differs, and why that may be."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from e2e import Done, FinishedRun, Quick, notes, textgauge

import textgauge as python_side
from textgauge.bundle import files
from textgauge.bundle.stored import write_digests
from textgauge.config import Config
from textgauge.errors import BundleError, EngineError, TableError, TrackingError
from textgauge.run import train
from textgauge.tracking.addresses import model_of_run
from textgauge.tracking.journal import Entry, Journal
from textgauge.verifying import verify_run

pytest_plugins = ["e2e_fixtures"]

Command = Callable[..., Done]
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def doctored(finished: FinishedRun, workplace: Path) -> Callable[[Change], Path]:
    """A copy of the finished run's model whose record is changed."""

    def make(change: Change) -> Path:
        model = Path(shutil.copytree(finished.bundle, workplace / "model"))
        record = json.loads((model / "textgauge.json").read_text())
        change(record)
        (model / "textgauge.json").write_text(json.dumps(record))
        write_digests(model, files.DIGESTED)
        return model

    return make


# ---- the same ------------------------------------------------------------------------------------


def test_a_run_is_repeated_to_the_last_bit(finished: FinishedRun) -> None:
    before = sorted(finished.folder.rglob("*"))
    done = textgauge("verify", finished.run_id, cwd=finished.folder)
    assert done.status == 0, done.err
    assert done.out.startswith(f"The same to the last bit: run {finished.run_id} on notes.csv.")
    assert "all weights are identical" in done.out
    assert "other than then" not in done.out
    # Nothing is tracked or saved.
    assert [p for p in sorted(finished.folder.rglob("*")) if "mlruns" in p.parts] == [
        p for p in before if "mlruns" in p.parts
    ]
    with closing(sqlite3.connect(finished.store)) as store:
        assert store.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_json_says_all_that_was_compared(finished: FinishedRun, command: Command) -> None:
    store = f"sqlite:///{finished.store}"
    done = command("verify", finished.run_id, "--tracking-uri", store, "--json")
    assert done.status == 0, done.err
    found = done.json
    assert (found["same"], found["outcome"], found["weights_identical"]) == (True, "identical", 1)
    assert found["figures"]["largest_difference"] == found["epochs"]["largest_difference"] == 0
    assert found["figures"]["compared"] > 50
    assert found["epochs"]["compared"] == 3 + 2 * 5
    assert found["decisions"]["texts"] == finished.result["unique_texts"]["test"]
    assert (found["data"], found["surroundings"], found["not_compared"]) == ([], [], [])


def test_the_order_of_the_rows_is_no_difference(finished: FinishedRun, workplace: Path) -> None:
    moved = notes().sample(fraction=1, shuffle=True, seed=1)
    found = python_side.verify(finished.bundle, moved, quiet=True)
    assert (found.outcome, found.table) == ("identical", "DataFrame")


def test_a_resumed_run_is_repeated_from_its_beginning(quick: Quick, workplace: Path) -> None:
    quick.fail_after = 2
    with pytest.raises(TrackingError):
        quick.train(notes(), epochs=4)
    quick.fail_after = None
    run_id = quick.tracker.run_id
    quick.train(notes(), epochs=4, resume=run_id, out=workplace / "model")
    assert verify_run("model", table=notes()).outcome == "identical"


def test_a_file_is_read_again_as_it_was(quick: Quick, workplace: Path) -> None:
    rows = [f"{'maß' if label == '1' else 'alt'} {text}|{label}" for text, label in notes().rows()]
    Path("notes.txt").write_bytes("\n".join(["text|label", *rows]).encode("latin-1"))
    config = Config(epochs=1, hidden_size=8, embedding_size=8)
    train("notes.txt", config, out="model", encoding="latin-1", delimiter="|")
    assert verify_run("model").outcome == "identical"


# ---- what is another now -------------------------------------------------------------------------


def test_another_version_is_told_and_no_difference_by_itself(
    doctored: Callable[[Change], Path], command: Command
) -> None:
    model = doctored(lambda record: record["made_with"]["versions"].update(torch="2.0.0"))
    done = command("verify", model, "--quiet")
    assert done.status == 0, done.err
    assert done.out.startswith("The same to the last bit")
    assert "other than then   recorded" in done.out
    assert "\ntorch                2.0.0" in done.out


def test_a_changed_label_is_told_before_anything_is_trained(
    finished: FinishedRun, workplace: Path, command: Command
) -> None:
    lines = finished.table.read_text().splitlines()
    lines[1] = lines[1][:-1] + ("0" if lines[1].endswith("1") else "1")
    Path("changed.csv").write_text("\n".join(lines))
    done = command("verify", finished.bundle, "--table", "changed.csv")
    assert done.status == 1
    assert "Traceback" not in done.err
    assert "epoch" not in done.err
    assert done.out.startswith("Not the same: changed.csv is not the table that run ")
    assert "of the table" in done.out
    assert "rows of the " in done.out
    assert "\ndigest" in done.out
    found = command("verify", finished.bundle, "--table", "changed.csv", "--json").json
    assert (found["same"], found["outcome"], found["figures"]) == (False, "other data", None)


def test_exchanged_texts_are_told(finished: FinishedRun, workplace: Path) -> None:
    other = notes().with_columns(pl.col("text").str.replace("steel", "copper"))
    found = verify_run(finished.bundle, table=other)
    assert found.outcome == "other data"
    assert "digest" in [each.name for each in found.data]


def test_another_seed_gives_other_parts(doctored: Callable[[Change], Path]) -> None:
    found = verify_run(doctored(lambda record: record["config"].update(seed=1)))
    assert found.outcome == "other data"
    assert not any(each.name == "rows" for each in found.data)


def test_another_training_is_told_by_what_differs(
    quick: Quick, workplace: Path, command: Command
) -> None:
    parts = pl.Series(["train", "train", "train", "val", "test"] * 60)
    table = notes().with_columns(part=parts)
    table.write_parquet("notes.parquet")
    quick.train("notes.parquet", split_column="part", lr=0.01, epochs=5, out=workplace / "model")
    record = json.loads(Path("model/textgauge.json").read_text())
    record["config"].update(seed=7, epochs=1)
    Path("model/textgauge.json").write_text(json.dumps(record))
    write_digests(Path("model"), files.DIGESTED)
    done = command("verify", "model")
    assert done.status == 1
    assert done.out.startswith("Not the same: run model on notes.parquet.")
    assert "are decided otherwise" in done.out
    assert "\nloss, over rows  " in done.out
    assert "Versions and machine are those of the run." in done.out
    found = command("verify", "model", "--json").json
    assert found["outcome"] == "differs"
    assert {"best_epoch", "epoch 2 lr"} <= {e["name"] for e in found["epochs"]["differing"]}
    assert not found["weights_identical"]
    assert not found["predictions_identical"]
    assert found["decisions"]["otherwise"] >= len(found["decisions"]["examples"]) > 0
    assert found["decisions"]["largest"] > 0.01


def test_an_older_run_is_compared_as_far_as_it_goes(
    finished: FinishedRun, doctored: Callable[[Change], Path], command: Command
) -> None:
    def older(record: dict[str, Any]) -> None:
        for name in ("made_with", "training", "test_predictions", "rules"):
            del record[name]
        del record["data"]["origin"], record["data"]["labels"]
        del record["figures"]["LSTM"]["rows"]["intervals"]

    model = doctored(older)
    done = command("verify", model)
    assert (done.status, done.out) == (1, "")
    assert "trained on notes.csv, and it did not record where that was. Give it with" in done.error
    done = command("verify", model, "--table", finished.table, "--quiet")
    assert done.status == 0, done.err
    assert done.out.startswith(f"The same: run {model}")
    assert "The weights are identical." in done.out
    assert done.out.endswith(
        "Not compared, since the run did not record it: the epochs, the exact probabilities, "
        "versions and machine.\n"
    )


def test_a_run_of_spark_is_repeated_here(
    doctored: Callable[[Change], Path], command: Command
) -> None:
    spark = {"engine": "spark", "workers": 2}
    model = doctored(lambda record: record["data"]["origin"].update(spark))
    found = verify_run(model)
    assert [(each.name, each.recorded, each.now) for each in found.surroundings] == [
        ("engine", "spark", "local"), ("training workers", 2, 1),
    ]  # fmt: skip
    assert "Several workers draw apart" in command("verify", model, "--quiet").out


def test_figures_of_a_sample_cannot_be_repeated(doctored: Callable[[Change], Path]) -> None:
    model = doctored(lambda record: record["data"]["labels"].pop("test"))
    with pytest.raises(EngineError, match="more test texts than one process reviews"):
        verify_run(model)


# ---- what cannot be verified ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ({"source": None}, "which has no place. Give it with --table FILE."),
        ({"source": "/gone/notes.csv"}, "trained on /gone/notes.csv, where no file is now."),
        (
            {"source": "lab.notes", "engine": "spark", "workers": 1},
            "was trained by spark on lab.notes, where",
        ),
    ],
)
def test_a_table_that_is_not_there_is_told(
    origin: dict[str, Any], words: str, doctored: Callable[[Change], Path]
) -> None:
    model = doctored(lambda record: record["data"]["origin"].update(origin))
    with pytest.raises(TableError) as told:
        verify_run(model)
    assert words in str(told.value)


def test_an_unknown_run_is_told(finished: FinishedRun, command: Command) -> None:
    done = command("verify", "feedbeef", "--tracking-uri", f"sqlite:///{finished.store}")
    assert (done.status, done.out) == (1, "")
    assert "has no run feedbeef" in done.error


def test_without_a_store_there_is_no_run(command: Command, workplace: Path) -> None:
    done = command("verify", "feedbeef")
    assert (done.status, done.out) == (1, "")
    assert "There is no tracking store" in done.error
    assert not list(workplace.iterdir())


def test_an_unfinished_run_has_no_model(
    finished: FinishedRun, workplace: Path, command: Command
) -> None:
    shutil.copy(finished.store, "mlflow.db")
    with closing(sqlite3.connect("mlflow.db")) as store, store:
        store.execute("UPDATE runs SET artifact_uri = ?", (str(workplace / "artifacts"),))
    done = command("verify", finished.run_id)
    assert (done.status, done.out) == (1, "")
    assert "The run may have ended before it stored a model" in done.error


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: record.pop("data"), "is damaged (KeyError: 'data')"),
        (lambda record: record["data"].update(digest=3), "is damaged (TypeError: digest is 3"),
        (lambda record: record["data"].update(origin="x"), "is damaged (TypeError: origin is 'x'"),
        (lambda record: record.update(figures={}), "is damaged (StopIteration"),
        (lambda record: record.update(made_with=[]), "is damaged (TypeError: made_with is []"),
        (lambda record: record.update(training=7), "is damaged (TypeError: training is 7"),
        (lambda record: record["data"]["labels"].update(test=1), "1 should be an object"),
        (lambda record: record["made_with"].update(machine=1), "1 should be an object"),
        (lambda record: record["config"].update(lr="fast"), "settings that cannot be trained with"),
        (lambda record: record["config"].update(temper=1), "has no setting 'temper'"),
    ],
)
def test_a_damaged_record_is_told(
    change: Change, words: str, doctored: Callable[[Change], Path]
) -> None:
    with pytest.raises(BundleError) as told:
        verify_run(doctored(change))
    assert words in str(told.value)


@pytest.mark.parametrize("name", ["weights.safetensors", "model.onnx", "vocabulary.json"])
def test_a_model_that_is_not_whole_is_told(
    name: str, doctored: Callable[[Change], Path], command: Command
) -> None:
    model = doctored(lambda record: None)
    (model / name).unlink()
    done = command("verify", model)
    assert (done.status, done.out) == (1, "")
    assert name in done.error


# ---- where the run is ----------------------------------------------------------------------------


def test_a_run_of_a_server_is_found_here_by_either_id(
    finished: FinishedRun, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Path(shutil.copy(finished.store, "mlflow.db")).resolve()
    there = "c" * 32
    Journal(store).write(
        Entry(finished.run_id, "http://127.0.0.1:9", "notes", server_run_id=there, state="done")
    )
    # Port 9 would refuse: the server is not asked.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert model_of_run(there) == model_of_run(finished.run_id) == finished.bundle
    assert model_of_run(f"runs:/{finished.run_id}/model", f"sqlite:///{store}") == finished.bundle
