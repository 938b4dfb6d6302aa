"""The Python side of the commands, and that a table is the same table in whatever form it comes."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from e2e import SMALL_SETTINGS, Done, FinishedRun, Quick, notes, textgauge

import textgauge as python_side
from textgauge import showing
from textgauge.config import Config
from textgauge.engines.local import open_table
from textgauge.errors import BundleError, SettingsError, StorageError, TableError, TrackingError
from textgauge.training.progress import NoProgress

pytest_plugins = ["e2e_fixtures"]

TABLE = pl.concat(
    [
        notes(200),
        pl.DataFrame(
            {
                "text": ['3" hose, "new"', "Dichtung für Öl; alt", "two\nlines", None, "no label"],
                "label": ["1", "1", "0", "0", None],
            }
        ),
    ]
)
"""Notes, and cells that need care."""


def gz(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=1)


def written(write: Callable[[io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """The same table with labels that are numbers."""
    return frame.with_columns(pl.col("label").cast(pl.Int64))


FILES: dict[str, Callable[[pl.DataFrame], bytes]] = {
    "notes.csv": lambda t: t.write_csv().encode(),
    "notes.csv.gz": lambda t: gz(t.write_csv().encode()),
    "semicolons.csv": lambda t: t.write_csv(separator=";").encode(),
    "notes.tsv": lambda t: t.write_csv(separator="\t").encode(),
    "marked.csv": lambda t: t.write_csv().encode("utf-8-sig"),
    "utf16.csv": lambda t: t.write_csv().encode("utf-16"),
    "windows.csv": lambda t: t.write_csv(line_terminator="\r\n").encode(),
    "notes.jsonl": lambda t: numbered(t).write_ndjson().encode(),
    "notes.jsonl.gz": lambda t: gz(t.write_ndjson().encode()),
    "notes.parquet": lambda t: written(numbered(t).write_parquet),
    "notes.arrow": lambda t: written(t.write_ipc),
    "stream.arrow": lambda t: written(t.write_ipc_stream),
}

FRAMES: dict[str, Callable[[pl.DataFrame], Any]] = {
    "Polars": lambda t: t,
    "Polars, numbers": numbered,
    "Polars, lazy": lambda t: t.lazy(),
    "pandas": lambda t: pd.DataFrame(t.to_dict(as_series=False)),
    "pandas, numbers with gaps": lambda t: pd.DataFrame(
        {"text": t["text"].to_list(), "label": t["label"].cast(pl.Float64).to_numpy()},
        index=range(7, 7 + len(t)),
    ),
    "pandas, categories": lambda t: pd.DataFrame(t.to_dict(as_series=False)).astype(
        {"label": "category"}
    ),
}


def digest(source: Any) -> str:
    """Of the corpus that a training on `source` would learn from."""
    return open_table(source, Config(), NoProgress()).corpus.digest


@pytest.fixture(scope="module")
def expected() -> str:
    return digest(TABLE)


# ---- one table in many forms ---------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_form_gives_the_same_corpus(
    name: str, expected: str, workplace: Path
) -> None:
    (workplace / name).write_bytes(FILES[name](TABLE))
    assert digest(name) == digest(workplace / name) == expected


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_of_any_kind_gives_the_same_corpus(name: str, expected: str) -> None:
    assert digest(FRAMES[name](TABLE)) == expected


def test_the_digest_would_tell_another_table(expected: str) -> None:
    other = TABLE.with_columns(pl.col("text").str.replace("steel", "stele"))
    assert digest(other) != expected
    assert digest(TABLE.reverse()) == expected  # the order of the rows plays no role


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_form_is_scored_alike(
    name: str, finished: FinishedRun, command: Callable[..., Done], workplace: Path
) -> None:
    (workplace / name).write_bytes(FILES[name](TABLE))
    done = command("score", finished.bundle, name, "--out", "scored.parquet", "--quiet")
    assert (done.status, done.err) == (0, "")
    scored = pl.read_parquet("scored.parquet")
    model = python_side.load(finished.bundle)
    known = scored.filter(pl.col("text").is_not_null())
    assert known["text"].to_list() == TABLE["text"].drop_nulls().to_list()
    assert known["predicted_label"].to_list() == model.predict(known["text"]).labels
    assert scored["predicted_label"].null_count() == 1


def test_standard_input_gives_the_same_run(
    finished: FinishedRun, workplace: Path, new_store: Callable[[Path], Path]
) -> None:
    new_store(workplace)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL_SETTINGS.items()]
    done = textgauge(
        *("train", "-", *options, "--json", "--quiet"),
        cwd=workplace,
        stdin=gz(finished.table.read_bytes()),
    )
    assert done.status == 0, done.err
    for name in ("eval_loss", "eval_accuracy", "baseline", "rows", "unique_texts"):
        assert done.json[name] == finished.result[name]
    bundles = [Path(result["bundle"]) for result in (done.json, finished.result)]
    here, there = (json.loads((b / "textgauge.json").read_text())["data"] for b in bundles)
    assert here.pop("origin")["source"] is None
    assert there.pop("origin")["source"] == str(finished.table)
    assert here.pop("name") == "standard input"
    assert there.pop("name") == "notes.csv"
    assert here == there


# ---- textgauge.train -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pandas", "Polars, numbers"])
def test_training_on_a_frame_is_training_on_its_file(
    name: str, finished: FinishedRun, quick: Quick
) -> None:
    frame = FRAMES[name](notes())
    result = python_side.train(
        frame, quiet=True, label_names=finished_names(finished), **SMALL_SETTINGS
    )
    told = result.to_json()
    for figure in ("eval_loss", "eval_accuracy", "rows", "unique_texts", "test_texts_in_train"):
        assert told[figure] == finished.result[figure]
    texts = notes()["text"]
    one, other = (python_side.load(b).predict(texts) for b in (result.bundle, finished.bundle))
    assert np.array_equal(one.probabilities, other.probabilities)
    (start,) = (what for kind, what in quick.tracker.told if kind == "start")
    assert start.name == "lstm on DataFrame"


def finished_names(finished: FinishedRun) -> dict[str, str]:
    return python_side.load(finished.bundle).label_names


def test_the_result_is_what_the_command_prints(finished: FinishedRun, quick: Quick) -> None:
    result = python_side.train(notes(), quiet=True, out="model", **SMALL_SETTINGS)
    told = result.to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told.keys() == finished.result.keys()
    assert told["bundle"] == "model"
    assert [epoch.epoch for epoch in result.history] == [1, 2]
    assert result.best_epoch in result.history
    assert 0 <= result.proved < 1e-4
    assert ("artifact", ("training_results.png", result.picture)) in quick.tracker.told


def test_training_from_python_tells_its_progress_unless_it_should_not(
    quick: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    python_side.train(notes(), **SMALL_SETTINGS)
    loud = capsys.readouterr()
    python_side.train(notes(), quiet=True, **SMALL_SETTINGS)
    quiet = capsys.readouterr()
    assert "training …" in loud.err
    assert (loud.out, quiet.out, quiet.err) == ("", "", "")


def test_columns_may_have_other_names_and_labels_be_truth_values(quick: Quick) -> None:
    frame = notes().select(note="text", faulty=pl.col("label") == "1")
    result = python_side.train(frame, text="note", label="faulty", quiet=True, **SMALL_SETTINGS)
    assert python_side.load(result.bundle).classes == ["false", "true"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "settings has no setting 'epoch'. Did you mean 'epochs'?"),
        ({"epochs": "3"}, "epochs must be of type int, was '3'."),
        ({"epochs": 0, "lr": 0}, "epochs must be 1 or more, was 0.\nlr must be more than 0"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, Any], message: str, quick: Quick) -> None:
    with pytest.raises(SettingsError) as caught:
        python_side.train(notes(), **settings)
    assert str(caught.value).startswith(message)
    assert quick.trackers == []


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([["a", 1]], "a table cannot be made of list. Pass the path of a file"),
        (None, "a table cannot be made of NoneType"),
        ("nowhere.csv", "there is no file 'nowhere.csv'"),
        (pl.DataFrame({"text": ["a"]}), "DataFrame has no column 'label'; it has only 'text'."),
        (pl.DataFrame({"text": [], "label": []}), "DataFrame has a header but no rows."),
    ],
)
def test_a_table_that_cannot_be_used_is_told(
    table: Any, words: str, quick: Quick, workplace: Path
) -> None:
    with pytest.raises(TableError) as caught:
        python_side.train(table, quiet=True)
    assert str(caught.value).startswith(words)
    assert quick.tracker.told == []


def test_a_folder_in_use_is_refused(quick: Quick, workplace: Path) -> None:
    (workplace / "model").mkdir()
    (workplace / "model" / "letter").touch()
    with pytest.raises(StorageError, match="model is not empty"):
        python_side.train(notes(), out="model", quiet=True)


# ---- textgauge.load ------------------------------------------------------------------------------


def test_a_model_is_loaded_by_its_folder_or_by_its_run(
    finished: FinishedRun, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"runs:/{finished.run_id}/model"
    store = f"sqlite:///{finished.store}"
    models = [
        python_side.load(finished.bundle),
        python_side.load(str(finished.bundle)),
        python_side.load(address, tracking_uri=store),
    ]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    models.append(python_side.load(address))
    texts = ["iron component manufactured in 1979", "new", None]
    first, *others = (model.predict(texts) for model in models)
    assert all(np.array_equal(first.probabilities, other.probabilities) for other in others)
    assert models[0].label_names == {"0": "compliant", "1": "non-compliant"}


def test_explanations_are_those_of_the_command(finished: FinishedRun, workplace: Path) -> None:
    (one,) = python_side.explain(finished.bundle, "iron component manufactured in 1999")
    assert one.words == ("iron", "component", "manufactured", "in", "1999")
    frame = pl.DataFrame({"text": ["iron component manufactured in 1999", "steel", None, "steel"]})
    first, second = python_side.explain(finished.bundle, frame)
    assert first.to_json() == one.to_json()
    assert second.words == ("steel",)
    assert len(python_side.explain(finished.bundle, finished.table, limit=5)) == 5


# ---- check, evaluate, preview, show --------------------------------------------------------------


def test_check_and_evaluate_find_and_show_what_the_commands_do(
    finished: FinishedRun, command: Callable[..., Done], capsys: pytest.CaptureFixture[str]
) -> None:
    for ask, name, words in (
        (lambda: python_side.check(finished.table, seed=1), "check", ["--seed", 1]),
        (lambda: python_side.evaluate(finished.bundle, finished.table), "evaluate", []),
    ):
        arguments = [finished.table] if name == "check" else [finished.bundle, finished.table]
        in_json = command(name, *arguments, *words, "--json").json
        plain = command(name, *arguments, *words).out
        found = ask()
        assert json.loads(json.dumps(found.to_json())) == in_json
        capsys.readouterr()
        python_side.show(found)
        assert capsys.readouterr().out == plain


def test_show_prints_several_things_and_a_training_with_the_names_of_its_labels(
    finished: FinishedRun, quick: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"0": "compliant", "1": "non-compliant"}
    result = python_side.train(notes(), quiet=True, label_names=names, **SMALL_SETTINGS)
    python_side.show(result)
    shown = capsys.readouterr().out
    assert "\n1 non-compliant  " in shown
    assert shown.endswith(f"Run Details:\n{result.run.run_url}\n")
    why = python_side.explain(finished.bundle, pl.DataFrame({"text": ["iron", "steel"]}))
    python_side.show(why, label_names=names)
    assert capsys.readouterr().out.count("compliant: probability") == 2


def test_show_knows_the_classes_that_it_names() -> None:
    for home, name in showing._TEXTS:
        assert isinstance(getattr(import_module(f"textgauge.{home}"), name), type)


def test_show_says_what_it_prints() -> None:
    with pytest.raises(SettingsError, match=r"show prints what .* return, not a DataFrame"):
        python_side.show(notes())


def test_a_preview_is_what_a_training_works_with(
    finished: FinishedRun, command: Callable[..., Done], workplace: Path
) -> None:
    vectors = {"words": np.array(["steel", "iron", "gold"]), "vectors": np.eye(3, 16)}
    np.savez("vectors.npz", **vectors)
    seen = python_side.preview(notes(), vectors="vectors.npz", **SMALL_SETTINGS)
    assert seen.corpus.digest == digest(notes())
    assert seen.check.ok
    words = seen.words()
    assert words["word"].to_list()[:3] == ["<pad>", "<unk>", "<num>"]
    assert words.filter("vector")["word"].sort().to_list() == ["iron", "steel"]
    assert seen.vectors is not None
    assert seen.vectors.coverage == 2 / len(words)
    assert python_side.preview(notes()).vectors is None
    text = "rusty steel of 1979"
    told = command("check", finished.table, "--show-encoding", text, "--json").json["tokens"]
    assert seen.encoding(text).to_dicts() == told


def test_the_layers_of_a_preview_are_those_of_the_model() -> None:
    """Counted by hand from the sizes: 16 numbers a word, a state of 16, one logit."""
    seen = python_side.preview(notes(), **SMALL_SETTINGS)
    layers = {row["layer"]: row for row in seen.layers().to_dicts()}
    words, bins = len(seen.words()), seen.reader.numbers.bins  # type: ignore[attr-defined]
    assert {name: row["parameters"] for name, row in layers.items()} == {
        "embedding": words * 16,
        "numbers": bins * 16,
        "lstm": 4 * 16 * (16 + 16 + 2),
        "output": 16 + 1,
    }
    assert layers["output"]["weights"] == "1 x 16, 1"
    assert all(row["trained"] for row in layers.values())


# ---- models that are not there -------------------------------------------------------------------


def test_a_model_that_is_not_there_is_told(finished: FinishedRun, workplace: Path) -> None:
    with pytest.raises(BundleError, match="The model nowhere does not exist"):
        python_side.load("nowhere")
    with pytest.raises(BundleError, match="is no saved model"):
        python_side.load(workplace)
    with pytest.raises(TrackingError, match="There is no tracking store"):
        python_side.load(f"runs:/{finished.run_id}/model")
    with pytest.raises(TrackingError, match="has no run abc"):
        python_side.load("runs:/abc/model", tracking_uri=f"sqlite:///{finished.store}")
    assert not list(workplace.iterdir())
