"""A whole training run: what is stored, what repeats, what each setting changes, how it fails."""

from __future__ import annotations

import json
import re
import subprocess
import venv
import warnings
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from e2e import FinishedRun, MajorityHere, Quick, clean_environment, notes
from packaging.requirements import Requirement

import textgauge as python_side
from textgauge.bundle.predictor import to_probabilities
from textgauge.config import Config
from textgauge.data import component_notes
from textgauge.data.normal_form import normalise
from textgauge.errors import (
    ProofError,
    SettingsError,
    StorageError,
    TableError,
    TrackingError,
)
from textgauge.review.deciding import ChosenRule
from textgauge.review.decision import measure
from textgauge.training.progress import NoProgress

pytest_plugins = ["e2e_fixtures"]

TEXTS = [
    "steel component manufactured in 1979 in good condition",
    "manufactured in 2015 made of carbon fiber in new condition",
    "Poor condition iron component, manufactured in 2003!",
    "",
]


# ---- what is stored ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(finished: FinishedRun) -> Any:
    """MLflow's client on the finished run's store."""
    with warnings.catch_warnings():
        # MLflow 3.15 uses what SQLAlchemy 2.1 deprecates, and says so at its first store.
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        return MlflowClient(f"sqlite:///{finished.store}")


@pytest.fixture(scope="module")
def stored(finished: FinishedRun, client: Any) -> Any:
    """The finished run as MLflow tells it."""
    return client.get_run(finished.run_id)


def test_the_run_is_finished_in_its_experiment(
    finished: FinishedRun, client: Any, stored: Any
) -> None:
    assert stored.info.status == "FINISHED"
    assert client.get_experiment(stored.info.experiment_id).name == "notes of 2024"
    assert len(client.search_runs([stored.info.experiment_id])) == 1
    assert stored.info.run_name == "lstm on notes.csv"
    assert stored.info.end_time > stored.info.start_time


def test_all_settings_are_parameters(stored: Any) -> None:
    names = {"0": "compliant", "1": "non-compliant"}
    config = Config(epochs=2, hidden_size=16, embedding_size=16, label_names=names)
    expected = {name: str(value) for name, value in config.to_json().items()}
    assert stored.data.params == {**expected, "label_names": json.dumps(names)}


def test_the_figures_are_metrics(finished: FinishedRun, stored: Any) -> None:
    metrics = stored.data.metrics
    for name in ("eval_loss", "eval_accuracy", "eval_macro_f1", "test_texts_in_train"):
        assert metrics[name] == finished.result[name]
    assert metrics["baseline_eval_accuracy"] == finished.result["baseline"]["eval_accuracy"]
    assert metrics["lr"] == 0.001
    agreement = finished.result["rule_summary"]["agreement"]["rows"]
    assert metrics["rule_agreement"] == agreement
    saved = json.loads((finished.bundle / "textgauge.json").read_text())
    assert saved["rules"] == finished.result["rule_summary"]
    assert metrics["proof_largest_difference"] < 1e-4


def test_curves_are_stored_by_epoch_and_agree_with_the_history(
    finished: FinishedRun, client: Any
) -> None:
    history = json.loads((finished.bundle.parent / "history.json").read_text())
    assert [epoch["epoch"] for epoch in history["epochs"]] == [1, 2]
    assert history["best_epoch"] == finished.result["best_epoch"]
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"):
        curve = {m.step: m.value for m in client.get_metric_history(finished.run_id, name)}
        assert curve == {epoch["epoch"]: epoch[name] for epoch in history["epochs"]}


def test_labels_in_doubt_are_listed_and_counted(finished: FinishedRun, stored: Any) -> None:
    told = finished.result["label_issues"]
    path = Path(told["file"])
    assert path == finished.bundle.parent / "label_issues.csv"
    header = path.read_text(encoding="utf-8-sig").splitlines()[0]
    assert header.startswith("text,label,suggested_label,corrected_label,rows,text_rows,part,")
    assert stored.data.metrics["label_issues"] == told["suspect"] + told["contradictory"]
    assert stored.data.metrics["label_issue_rows"] == told["rows"]
    assert told["texts"] == told["all_texts"] == sum(finished.result["unique_texts"].values())


def test_every_part_is_looked_through_for_contradictory_labels(quick: Quick) -> None:
    table = notes(300)
    turned = table.with_columns(label=pl.col("label").replace({"0": "1", "1": "0"}))
    wrong = turned.unique("text", keep="first", maintain_order=True)
    result = quick.train(pl.concat([table, table, wrong]))
    issues = result.label_issues
    assert issues.pairs == {"suspect": 0, "contradictory": len(wrong)}
    assert issues.rows == len(wrong)
    found = issues.frame.sort("text").select("text", "label", "rows")
    assert found.rows() == sorted((t.lower(), v, 1) for t, v in wrong.iter_rows())
    assert set(issues.frame["part"]) == {"train", "val", "test"}
    files = dict(told for kind, told in quick.tracker.told if kind == "artifact")
    assert files["label_issues.csv"].count(b"contradictory") == len(wrong)


def test_the_baselines_learn_from_the_texts_that_the_model_learns_from(quick: Quick) -> None:
    for settings in ({}, {"refit": True}):
        quick.train(notes(), **settings)
    assert MajorityHere.refits[-2:] == [False, True]


def test_with_every_row_a_text_is_still_looked_at_once(quick: Quick) -> None:
    table = notes(300)
    odd = table.head(1).with_columns(label=pl.lit("1") if table["label"][0] == "0" else pl.lit("0"))
    result = quick.train(pl.concat([table, table, odd]), distinct=False)
    assert len(result.label_issues) == result.label_issues.rows == 1
    texts = table["text"].str.to_lowercase().n_unique()
    assert result.label_issues.texts == result.label_issues.all_texts == texts


def test_the_artifacts_are_picture_history_report_labels_in_doubt_and_model(
    finished: FinishedRun, client: Any
) -> None:
    listed = {file.path: file.is_dir for file in client.list_artifacts(finished.run_id)}
    files = ("history.json", "label_issues.csv", "report.html", "training_results.png")
    assert listed == {"model": True, **dict.fromkeys(files, False)}
    page = (finished.bundle.parent / "report.html").read_text(encoding="utf-8")
    assert f"Run <code>{finished.run_id}</code>" in page
    assert "Of 100 rows that are non-compliant, it finds" in page
    picture = (finished.bundle.parent / "training_results.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
    assert width > 1.5 * height > 300  # accuracy and loss side by side
    model = {path.name for path in finished.bundle.iterdir()}
    bundle = {"textgauge.json", "vocabulary.json", "model.onnx", "weights.safetensors", "README.md"}
    assert bundle | {"MLmodel", "requirements.txt", "input_example.json", "code"} <= model
    assert not [path for path in finished.bundle.rglob("*") if path.suffix in (".pkl", ".pt")]


def test_the_table_is_a_dataset_with_the_corpus_digest(finished: FinishedRun, stored: Any) -> None:
    (found,) = stored.inputs.dataset_inputs
    digest = stored.data.tags["textgauge.data_digest"]
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert found.dataset.name == "notes.csv"
    assert digest.startswith(found.dataset.digest)
    assert len(found.dataset.digest) == 36
    assert json.loads(found.dataset.profile) == {"num_rows": 300, "digest": digest}
    saved = json.loads((finished.bundle / "textgauge.json").read_text())
    assert saved["data"]["digest"] == digest


def test_tags_say_which_code_made_the_run_and_what_came_of_it(
    finished: FinishedRun, stored: Any
) -> None:
    tags = stored.data.tags
    assert tags["textgauge.version"] == version("textgauge")
    assert tags["textgauge.split"].startswith("hash of the normalised text")
    assert finished.result["verdict"] in tags["mlflow.note.content"]
    assert not {name for name in tags if name.endswith("ended")}


# ---- the stored model ----------------------------------------------------------------------------


def as_told(frame: Any) -> list[tuple[str, float, str]]:
    """Rows of a prediction, whichever library made the table."""
    columns = [list(frame[name]) for name in ("predicted_label", "probability", "decision")]
    return list(zip(*columns, strict=True))


def same(found: list[Any], expected: list[Any]) -> None:
    """Hold two predictions against each other; onnxruntime may sum in another order."""
    assert [row[0] for row in found] == [row[0] for row in expected]
    assert [row[1] for row in found] == pytest.approx([row[1] for row in expected], abs=1e-6)
    assert [row[2] for row in found] == [row[2] for row in expected]


def test_mlflow_predicts_raw_texts_as_textgauge_does(
    finished: FinishedRun, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{finished.store}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own
        loaded = mlflow.pyfunc.load_model(f"runs:/{finished.run_id}/model")
        found = as_told(loaded.predict(TEXTS))
    same(found, as_told(python_side.load(finished.bundle).predict_frame(TEXTS)))
    assert {row[0] for row in found} == {"0", "1"}


@pytest.fixture(scope="module")
def slim_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has what a model's requirements.txt asks for, what that needs, and no more.

    The files of those packages are linked from here, as pip's record lists them: the versions are
    the pinned ones, no index is asked, and it takes a second instead of a minute.
    """
    folder = tmp_path_factory.mktemp("slim") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    wanted = ["mlflow-skinny", "numpy", "onnxruntime", "pandas", "polars"]
    seen: set[str] = set()
    while wanted:
        name = wanted.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        found = distribution(name)
        for text in found.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                wanted.append(needed.name)
        for file in found.files or ():
            if ".." in file.parts or file.suffix == ".pyc":
                continue
            place = packages / file
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                place.symlink_to(file.locate())
    return folder / "bin" / "python"


def test_the_model_predicts_where_neither_textgauge_nor_torch_is_installed(
    finished: FinishedRun, slim_python: Path, workplace: Path
) -> None:
    script = """
import importlib.util, json, sys
missing = [name for name in ("textgauge", "torch", "sklearn", "sqlalchemy", "rich")
           if importlib.util.find_spec(name) is None]
import mlflow.pyfunc
frame = mlflow.pyfunc.load_model(sys.argv[1]).predict(json.loads(sys.argv[2]))
rows = frame[["predicted_label", "probability", "decision"]].values.tolist()
print(json.dumps({"missing": missing, "rows": rows, "mlflow": mlflow.__version__}))
"""
    done = subprocess.run(
        [slim_python, "-c", script, finished.bundle, json.dumps(TEXTS)],
        cwd=workplace,
        env=clean_environment(PYTHONPATH=""),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["missing"] == ["textgauge", "torch", "sklearn", "sqlalchemy", "rich"]
    same(found["rows"], as_told(python_side.load(finished.bundle).predict_frame(TEXTS)))


# ---- the order of things -------------------------------------------------------------------------


def test_the_tracker_is_told_everything_in_order(quick: Quick) -> None:
    result = quick.train(notes())
    assert quick.tracker.kinds == [
        *("start", "dataset", "metrics", "artifact", "metrics", "tags", "metrics"),
        *("model", "end"),  # The model only after its proof.
    ]
    told = dict(quick.tracker.told)
    assert told["end"] == "FINISHED"
    assert [step for step, _ in quick.tracker.metrics["val_loss"]] == [1, 2]
    assert quick.tracker.metrics["eval_loss"] == [(None, result.to_json()["eval_loss"])]
    examples = told["model"]
    assert len(examples) == 3
    assert set(examples) <= set(result.corpus.test.texts)


def test_a_server_that_keeps_the_artifacts_leaves_a_copy_of_the_model_here(
    quick: Quick, workplace: Path
) -> None:
    result = quick.train(notes())
    assert result.run.artifact_folder is None
    assert result.bundle == Path(".textgauge") / result.run.run_id / "model"
    assert python_side.load(workplace / result.bundle).predict(TEXTS).labels


def test_test_texts_are_looked_at_once_after_the_training(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textgauge.training import loop

    seen: list[tuple[pl.Series, int]] = []
    predict = loop.predict_logits

    def watched(model: Any, texts: Any) -> Any:
        seen.append((texts.labelled.texts, len(quick.tracker.metrics["val_loss"])))
        return predict(model, texts)

    monkeypatch.setattr(loop, "predict_logits", watched)
    test = quick.train(notes()).corpus.test.texts
    # The rules that imitate the model are made from training texts.
    assert [epochs for texts, epochs in seen if texts.is_in(test.implode()).any()] == [2]


# ---- how it decides ------------------------------------------------------------------------------


def test_costs_and_a_rate_are_met_on_validation_stored_and_measured_on_test_once(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textgauge.training import calibration, loop

    seen: list[Any] = []
    predict = loop.predict_logits

    def watched(model: Any, texts: Any) -> Any:
        seen.append((len(texts.encoded), predict(model, texts)))
        return seen[-1][1]

    monkeypatch.setattr(loop, "predict_logits", watched)
    monkeypatch.setattr(calibration, "predict_logits", watched)
    names = {"0": "compliant", "1": "non-compliant"}
    cost = {"false-compliant": 10, "false-non-compliant": 1}
    result = quick.train(notes(), cost=cost, review_rate=0.2, label_names=names)
    corpus, told = result.corpus, result.to_json()["decision"]
    assert [texts for texts, _ in seen[:2]] == [len(corpus.val), len(corpus.test)]

    # Validation: the cheapest of all thresholds, and at most the rate goes to a person.
    predictor, test = python_side.load(result.bundle), to_probabilities(seen[1][1])
    val, rule = predictor.predict(corpus.val.texts).probabilities, predictor.rule
    assert rule.costs == (10.0, 1.0)
    assert rule.threshold == pytest.approx(told["threshold"])
    scores = val[:, 1].astype(float)

    def cost_of(label: Any) -> float:
        wrong = (label[corpus.val.text_index] != corpus.val.label) * corpus.val.count
        return float((wrong * np.array(rule.costs)[label[corpus.val.text_index]]).sum())

    cheapest = min(cost_of((scores > t).astype(int)) for t in [-1.0, 2.0, *scores])
    decided = rule.decide(val)
    assert cost_of(decided.label) == cheapest
    share = corpus.val.text_rows[decided.review].sum() / corpus.val.rows
    assert told["review_share"] == pytest.approx(share)
    assert 0 < share <= 0.2

    # Test: the figures of the stored rule, in the run as well.
    expected = measure(corpus.test, test, corpus.classes, ChosenRule(rule))
    assert told["cost"] == expected.cost
    assert told["band"] == expected.band.to_json()
    for name, value in (
        ("decision_threshold", told["threshold"]),
        ("decision_cost", expected.cost),
        ("most_probable_cost", expected.most_probable_cost),
        ("review_coverage", expected.band.coverage),
        ("review_decided_error", expected.band.error),
    ):
        assert quick.tracker.metrics[name] == [(None, value)], name
    assert saved(result)["decision"]["validation"]["value"] == told["threshold"]


def test_where_nothing_is_asked_nothing_is_stored_or_logged(quick: Quick) -> None:
    result = quick.train(notes())
    assert saved(result)["decision"] is None
    assert not [name for name in quick.tracker.metrics if name.startswith(("decision", "review"))]
    decision = result.to_json()["decision"]
    assert (decision["weights"], decision["threshold"], decision["band"]) == (None, None, None)
    assert "curve" in decision


def test_a_cost_of_no_label_is_told_before_the_training(quick: Quick) -> None:
    with pytest.raises(SettingsError, match="false-9: there is no such label"):
        quick.train(notes(), cost={"false-9": 10})
    assert quick.tracker.told == []


def test_a_run_is_gone_on_with_under_another_decision(quick: Quick) -> None:
    quick.fail_after = 1
    with pytest.raises(TrackingError):
        quick.train(notes(), epochs=2)
    quick.fail_after = None
    told = Told()
    result = quick.train(
        notes(),
        epochs=2,
        resume=quick.tracker.run_id,
        progress=told,
        cost={"false-1": 5},
        review_below=0.9,
    )
    assert told.notes == ["going on after epoch 1"]
    assert result.review.decision.rule.review_below == 0.9


# ---- what repeats --------------------------------------------------------------------------------


def figures(result: Any) -> tuple[Any, ...]:
    """Everything about a training that a seed decides."""
    told = result.to_json()
    epochs = [{**epoch.to_json(), "seconds": 0} for epoch in result.history]
    return result.corpus.digest, told["eval_loss"], told["eval_accuracy"], epochs


def test_a_seed_repeats_the_run_to_the_last_bit_and_another_does_not(quick: Quick) -> None:
    shuffled = notes().sample(fraction=1.0, shuffle=True, seed=5)
    first, again = (quick.train(table, seed=3) for table in (notes(), shuffled))
    assert figures(first) == figures(again)
    texts = notes()["text"]
    one, two = (python_side.load(run.bundle).predict(texts) for run in (first, again))
    assert np.array_equal(one.probabilities, two.probabilities)
    other = quick.train(notes(), seed=4)
    assert other.corpus.digest != first.corpus.digest
    assert other.history[0].train_loss != first.history[0].train_loss


# ---- what each setting changes -------------------------------------------------------------------


def saved(result: Any, name: str = "textgauge.json") -> dict[str, Any]:
    """A JSON file of the saved model."""
    found: dict[str, Any] = json.loads((result.bundle / name).read_text())
    return found


def test_three_labels_of_words(quick: Quick) -> None:
    label = (
        pl.when(pl.col("text").str.contains("steel|iron"))
        .then(pl.lit("metal"))
        .when(pl.col("text").str.contains("plastic"))
        .then(pl.lit("plastic"))
        .otherwise(pl.lit("fiber"))
    )
    frame = notes().with_columns(label=label)
    result = quick.train(frame, epochs=8, lr=0.02)
    assert result.corpus.classes == ("fiber", "metal", "plastic")
    predicted = python_side.load(result.bundle).predict(frame["text"])
    assert predicted.probabilities.shape == (300, 3)
    assert np.allclose(predicted.probabilities.sum(1), 1, atol=1e-6)
    right = [a == b for a, b in zip(predicted.labels, frame["label"], strict=True)]
    assert sum(right) > 0.9 * len(right)
    assert result.to_json()["eval_accuracy"] > 0.9


def test_the_table_may_say_which_part_a_row_belongs_to(quick: Quick) -> None:
    frame = notes().unique("text", maintain_order=True)
    part = pl.Series("part", ["train", "val", "test", "train"] * len(frame))[: len(frame)]
    result = quick.train(frame.with_columns(part), split_column="part")
    for name in ("train", "val", "test"):
        texts = set(frame.filter(part == name)["text"])
        assert set(getattr(result.corpus, name).texts) == texts
    assert result.to_json()["test_texts_in_train"] == 0


class Told(NoProgress):
    """Keeps what a person is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_table_whose_test_stands_in_train_is_used_so_and_told(quick: Quick) -> None:
    frame = notes()
    part = pl.Series("part", ["train", "val", "test"] * 100)
    told = Told()
    result = quick.train(frame.with_columns(part), split_column="part", progress=told)
    train, test = (set(frame.filter(part == name)["text"]) for name in ("train", "test"))
    shared = len(train & test)
    assert result.to_json()["test_texts_in_train"] == shared > 0
    assert quick.tracker.metrics["test_texts_in_train"] == [(None, shared)]
    assert any(f"{shared} of {len(test)} test texts also stand" in text for text in told.warnings)


def test_groups_stay_together_and_texts_that_straddle_are_left_out_and_told(quick: Quick) -> None:
    frame = notes().with_columns(
        pl.col("text").str.extract(r"(carbon fiber|plastic|steel|iron)").alias("material"),
        pl.col("text").str.extract(r"(\d{4})").alias("year"),
    )
    told = Told()
    result = quick.train(frame, group_column="year", progress=told)
    groups = [
        set(getattr(result.corpus, name).texts.str.extract(r"(\d{4})"))
        for name in ("train", "val", "test")
    ]
    assert sum(map(len, groups)) == frame["year"].n_unique()  # no year stands in two parts
    assert told.notes == []
    straddling = frame.with_columns(group=pl.int_range(pl.len()) % 30)
    result = quick.train(straddling, group_column="group", progress=told)
    left_out = 300 - sum(result.to_json()["rows"].values())
    assert left_out > 0
    assert told.notes == [
        f"{left_out} rows were left out because their text already stands in an earlier part."
    ]
    assert result.to_json()["test_texts_in_train"] == 0


def test_the_latest_rows_test(quick: Quick) -> None:
    frame = notes().unique("text", maintain_order=True)
    day = pl.date_range(pl.date(2024, 1, 1), pl.date(2026, 1, 1), eager=True).head(len(frame))
    frame = frame.with_columns(day.alias("day"))
    result = quick.train(frame.sample(fraction=1.0, shuffle=True, seed=1), time_column="day")
    days = {
        name: frame.filter(pl.col("text").is_in(getattr(result.corpus, name).texts.implode()))[
            "day"
        ]
        for name in ("train", "val", "test")
    }
    assert days["train"].max() < days["val"].min()
    assert days["val"].max() < days["test"].min()
    assert result.to_json()["rows"] == {
        name: pytest.approx(share * len(frame), abs=1)
        for name, share in (("train", 0.6), ("val", 0.2), ("test", 0.2))
    }


@pytest.fixture
def glove(workplace: Path) -> Path:
    """Vectors 8 wide for some words of the notes, as GloVe writes them."""
    random = np.random.default_rng(0)
    words = ["component", "condition", "steel", "iron", "plastic", "good", "poor", "elsewhere"]
    lines = [" ".join([word, *(f"{x:.5f}" for x in random.normal(size=8))]) for word in words]
    path = workplace / "glove.8d.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_word_vectors_are_used_and_their_coverage_is_told(quick: Quick, glove: Path) -> None:
    told = Told()
    result = quick.train(notes(), vectors=str(glove), progress=told)
    words = saved(result, "vocabulary.json")["words"]
    assert saved(result)["architecture"]["embedding_size"] == 8
    known = len({"component", "condition", "steel", "iron", "plastic", "good", "poor"} & {*words})
    assert known == 7
    (_, coverage), *_ = quick.tracker.metrics["vector_coverage"]
    assert coverage == pytest.approx(known / len(words))
    assert told.notes == [
        f"word vectors: 8 wide, for 7 of {len(words)} known words ({coverage:.1%})"
    ]


def test_frozen_vectors_stay_as_they_are_and_others_learn(quick: Quick, glove: Path) -> None:
    from safetensors.numpy import load_file

    given = {
        line.split()[0]: np.array(line.split()[1:], dtype=np.float32)
        for line in glove.read_text().splitlines()
    }

    def steel(result: Any) -> Any:
        words = saved(result, "vocabulary.json")["words"]
        tensors = load_file(result.bundle / "weights.safetensors")
        table = next(t for t in tensors.values() if t.shape == (len(words), 8))
        return table[words.index("steel")]

    frozen = quick.train(notes(), vectors=str(glove), freeze_vectors=True)
    assert np.array_equal(steel(frozen), given["steel"])
    learned = quick.train(notes(), vectors=str(glove))
    assert not np.array_equal(steel(learned), given["steel"])
    assert np.allclose(steel(learned), given["steel"], atol=0.1)


def test_numbers_may_be_read_as_plain_words(quick: Quick) -> None:
    magnitudes, words = quick.train(notes()), quick.train(notes(), numbers=False)
    assert saved(words, "vocabulary.json")["number_edges"] is None
    assert len(saved(magnitudes, "vocabulary.json")["number_edges"]) > 10
    known = {True: saved(magnitudes, "vocabulary.json"), False: saved(words, "vocabulary.json")}
    assert not [word for word in known[True]["words"] if re.fullmatch(r"\d{4}", word)]
    assert len([word for word in known[False]["words"] if re.fullmatch(r"\d{4}", word)]) > 10
    years = ["steel component manufactured in 1971", "steel component manufactured in 1993.5"]
    one, two = python_side.load(words.bundle).predict(["made in 5551", "made in 5552"]).probability
    assert one == two  # both are words that nobody knows
    one, two = python_side.load(magnitudes.bundle).predict(years).probability
    assert one != two


def test_balanced_weights_find_the_rare_label(quick: Quick) -> None:
    rare = pl.col("text").str.contains("1994|1995")
    frame = notes(1200).with_columns(label=pl.when(rare).then(pl.lit("b")).otherwise(pl.lit("a")))
    settings: dict[str, Any] = {"numbers": False, "epochs": 3, "lr": 0.003}
    plain = quick.train(frame, **settings)
    balanced = quick.train(frame, class_weights="balanced", **settings)

    def share_of_rare(result: Any) -> float:
        predicted = python_side.load(result.bundle).predict(frame["text"])
        return float(predicted.probabilities[:, 1].mean())

    assert share_of_rare(plain) < 0.15
    assert share_of_rare(balanced) > 0.35


def test_the_test_part_is_looked_into_by_length_number_and_a_column(
    quick: Quick, tmp_path: Path
) -> None:
    plants = pl.Series("plant", ["north", "south", None, "east"])
    frame = notes().with_columns(plants.sample(len(notes()), with_replacement=True, seed=1))
    result = quick.train(frame, out=tmp_path / "model", slice_column="plant")
    plain = quick.train(frame)
    assert result.review.model.evaluation == plain.review.model.evaluation
    found = result.to_json()["slice_groups"]
    assert [group["what"] for group in found] == ["length", "first number", "plant"]
    test = result.corpus.sizes["test"]
    for group in found:
        assert sum(each["rows"] for each in group["slices"]) == test.rows
        right = sum(each["accuracy"] * each["rows"] for each in group["slices"])
        assert right / test.rows == pytest.approx(result.to_json()["eval_accuracy"])
    texts = result.corpus.test.texts
    keys = normalise(frame["text"])
    in_test = frame.filter(keys.is_in(texts.implode()))["plant"].fill_null("(none)")
    assert {each["value"]: each["rows"] for each in found[2]["slices"]} == dict(
        in_test.value_counts().iter_rows()
    )
    settings = json.loads((tmp_path / "model" / "textgauge.json").read_text())
    assert settings["slices"] == found
    assert len(plain.to_json()["slice_groups"]) == 2


def test_every_row_is_trained_on_where_distinct_texts_are_not_wanted(quick: Quick) -> None:
    frame = pl.concat([notes(), notes()])
    distinct, rows = quick.train(frame), quick.train(frame, distinct=False)
    one, other = distinct.to_json(), rows.to_json()
    assert one["rows"] == other["rows"]
    assert other["unique_texts"] == other["rows"]
    assert one["unique_texts"]["train"] < 0.6 * one["rows"]["train"]
    assert other["test_texts_in_train"] == 0
    # the same texts, the same weights: the first losses differ by the order of the batches alone
    first, second = (result.history[0].val_loss for result in (distinct, rows))
    assert first == pytest.approx(second, rel=0.1)


def test_whole_years_held_out_are_judged_right(quick: Quick) -> None:
    """The regulation is learned, not recalled: nothing of the test's years stands in train."""
    rows = [
        (
            template.format(year=year, condition=condition, material=material),
            int(component_notes.is_non_compliant(year, condition, material)),
            "test" if year % 2 == 0 or year >= 2012 else "train",
        )
        for year in component_notes.YEARS
        for condition in component_notes.CONDITIONS
        for material in component_notes.MATERIALS
        for template in component_notes.TEMPLATES
    ]
    frame = pl.DataFrame(rows, schema=["text", "label", "part"], orient="row")
    assert (frame["part"] == "train").sum() == 1008
    defaults = {field: getattr(Config(), field) for field in ("epochs", "hidden_size")}
    result = quick.train(frame, split_column="part", embedding_size=100, **defaults)
    told = result.to_json()
    assert told["rows"]["train"] + told["rows"]["val"] == 1008
    assert told["rows"]["test"] == 1392
    assert told["eval_accuracy"] >= 0.99


# ---- how it fails --------------------------------------------------------------------------------


def test_a_model_that_does_not_prove_itself_fails_the_run(
    quick: Quick, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textgauge.bundle import proof

    start = proof.start_proof
    monkeypatch.setattr(
        "textgauge.bundle.proof.start_proof",
        lambda bundle, texts, expected, **rest: start(
            bundle, texts, expected + np.float32(0.01), **rest
        ),
    )
    with pytest.raises(ProofError, match="does not predict what the trained model predicted"):
        quick.train(notes(), out=workplace / "model")
    assert quick.tracker.ended == "FAILED"
    assert "end" not in quick.tracker.kinds
    assert not (workplace / "model").exists()
    assert not (workplace / ".textgauge").exists()  # going on could not mend it


def test_a_store_that_fails_ends_the_training_at_the_next_epoch(
    quick: Quick, workplace: Path
) -> None:
    quick.fail_after = 2
    with pytest.raises(TrackingError, match="the store went away"):
        quick.train(notes(), epochs=30, patience=30, out=workplace / "model")
    assert len(quick.tracker.metrics["val_loss"]) == 2
    assert quick.tracker.ended == "FAILED"
    assert not (workplace / "model").exists()


def test_a_failure_after_epochs_can_be_gone_on_from(quick: Quick, workplace: Path) -> None:
    whole = quick.train(notes(), epochs=4)
    quick.fail_after = 2
    with pytest.raises(TrackingError):
        quick.train(notes(), epochs=4)
    quick.fail_after = None
    run_id = quick.tracker.run_id
    told = Told()
    resumed = quick.train(notes(), epochs=4, resume=run_id, progress=told)
    assert told.notes == ["going on after epoch 2"]
    assert resumed.run.run_id == run_id
    assert figures(resumed) == figures(whole)
    assert not list(workplace.rglob("checkpoint.safetensors"))


@pytest.mark.parametrize("other", [{"lr": 0.5}, {"seed": 1}, {"table": "smaller"}])
def test_going_on_with_other_settings_or_data_is_refused_before_the_run_is_touched(
    other: dict[str, Any], quick: Quick
) -> None:
    quick.fail_after = 1
    with pytest.raises(TrackingError):
        quick.train(notes(), epochs=2)
    quick.fail_after = None
    table = notes().head(200) if other.pop("table", None) else notes()
    with pytest.raises(python_side.TextgaugeError, match="belongs to another table or other"):
        quick.train(table, epochs=2, resume=quick.tracker.run_id, **other)
    assert quick.tracker.told == []


def test_going_on_with_a_run_that_left_no_checkpoint_is_refused_before_it_is_touched(
    quick: Quick,
) -> None:
    with pytest.raises(python_side.TextgaugeError, match="there is no checkpoint at"):
        quick.train(notes(), resume="b" * 32)
    assert quick.tracker.told == []


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("full", "full is not empty; give a new folder with --out, or remove it first."),
        ("notes.csv", "notes.csv is a file, so there can be no folder .*notes.csv. Give another"),
        ("notes.csv/model", "notes.csv is a file, so there can be no folder .*notes.csv/model."),
        ("/proc/textgauge/model", "nothing can be written in /proc/textgauge: "),
    ],
)
def test_a_folder_that_cannot_take_the_model_is_refused_before_anything_begins(
    out: str, words: str, quick: Quick, workplace: Path
) -> None:
    (workplace / "full").mkdir()
    (workplace / "full" / "letter.txt").write_text("keep me")
    notes().write_csv("notes.csv")
    with pytest.raises(StorageError, match=words):
        quick.train("notes.csv", out=workplace / out)
    assert quick.trackers == []
    assert (workplace / "full" / "letter.txt").read_text() == "keep me"


def test_an_empty_folder_is_filled(quick: Quick, workplace: Path) -> None:
    (workplace / "model").mkdir()
    with pytest.raises(TableError):
        quick.train("nowhere.csv", out=workplace / "model")
    assert list((workplace / "model").iterdir()) == []
    result = quick.train(notes(), out=workplace / "model")
    assert result.bundle == workplace / "model"
    assert python_side.load(result.bundle).classes == ["0", "1"]
