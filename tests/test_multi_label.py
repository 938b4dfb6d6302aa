"""Several labels a text from the table to every way of using the model, trained once."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from e2e import Done, MajorityHere, Quick
from served import application

from textgauge import TextClassifier
from textgauge.bundle import files
from textgauge.bundle.predictor import Predictor
from textgauge.bundle.proof import start_proof
from textgauge.bundle.scorer import Scorer
from textgauge.bundle.stored import write_digests
from textgauge.config import Config
from textgauge.errors import BundleError, SettingsError, TableError
from textgauge.evaluating import evaluate_table
from textgauge.explaining import explain_model
from textgauge.exporting import export_model
from textgauge.registering import JudgedTexts, _judge
from textgauge.run import train
from textgauge.scoring import score_model
from textgauge.serving.model import ServedModel
from textgauge.terminal.explanation import explained_text
from textgauge.terminal.review import review_text
from textgauge.tracking.promotion import VersionFound
from textgauge.verifying import verify_run

pytest_plugins = ["e2e_fixtures"]

WORDS = {"iron": "metal", "plastic": "polymer", "rust": "defect", "crack": "defect", "old": "age"}
TEXTS = ["part iron rust 7", "part 7", "old plastic part", "zzz", ""]


def notes(rows: int = 500) -> pl.DataFrame:
    """Notes whose words decide their labels; some have none, some texts come twice."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(rows):
        words = random.choice(list(WORDS), random.integers(0, 4), replace=False)
        labels = {WORDS[word] for word in words}
        # Not all can be learned, so that there are errors to look at.
        if random.uniform() < 0.08:
            labels ^= {"age"}
        found.append(
            (" ".join(["part", *words, str(random.integers(1, 30))]), " | ".join(sorted(labels)))
        )
    return pl.DataFrame(found, schema=["text", "label"], orient="row")


@pytest.fixture(scope="module")
def of_sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A training of the whole order, and where its model and files are."""
    folder = tmp_path_factory.mktemp("sets")
    notes().write_csv(folder / "notes.csv")
    quick = Quick()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("textgauge.run.open_tracker", quick.open)
        patch.setattr("textgauge.review.baselines.start", MajorityHere)
        settings = Config(
            model="bag", multi_label=True, epochs=10, lr=0.05, embedding_size=16,
            review_rate=0.1, label_names={"age": "too old"},
        )  # fmt: skip
        result = train(folder / "notes.csv", settings, out=folder / "model")
    yield result, quick.tracker, folder / "model"


@pytest.fixture(scope="module")
def predictor(of_sets: Any) -> Predictor:
    return Predictor.load(of_sets[2], cores=1)


def artifact(of_sets: Any, name: str) -> str:
    files_of = dict(value for kind, value in of_sets[1].told if kind == "artifact")
    return files_of[name].decode("utf-8")


# ---- what a training leaves ----------------------------------------------------------------------


def test_the_run_tells_its_figures_under_the_names_of_every_run(of_sets: Any) -> None:
    result, tracker, folder = of_sets
    rows = result.review.model.evaluation.rows
    final = {name: values[-1][1] for name, values in tracker.metrics.items()}
    assert final["eval_accuracy"] == rows.accuracy > 0.5
    assert final["eval_macro_f1"] == rows.macro_f1 > 0.8
    assert final["eval_label_accuracy"] == 1 - final["eval_hamming_loss"]
    assert final["eval_micro_f1_low"] < final["eval_micro_f1"] < final["eval_micro_f1_high"]
    assert {"train_loss", "val_accuracy"} <= tracker.metrics.keys()
    told = result.to_json()
    assert json.loads(json.dumps(told))["multi_label"] is True
    assert told["label_issues"] is None
    assert told["rule_summary"] is None
    assert result.label_issues_file is None
    saved = json.loads((folder / files.SETTINGS).read_text("utf-8"))
    assert saved["format_version"] == files.SETS_VERSION
    assert len(saved["decision"]["thresholds"]) == 4


def test_the_review_in_the_terminal_tells_thresholds_and_what_accuracy_means(of_sets: Any) -> None:
    told = review_text(of_sets[0], {"age": "too old"})
    assert "micro F1" in told
    assert "share of the rows whose labels are exactly right" in told
    assert "threshold" in told
    assert "age too old" in told
    assert "goes to a person" in told


def test_the_report_leaves_out_what_is_of_one_label_and_names_the_rest(of_sets: Any) -> None:
    page = artifact(of_sets, "report.html")
    for part in ("Hamming loss", "too old", "threshold", "The worst errors", "What moves it"):
        assert part in page
    for part in ("What it takes for what", "imitates", "Labels in doubt", "McNemar"):
        assert part not in page
    assert "--multi-label" in page  # The command that repeats it.
    assert "label_issues.csv" not in dict(
        value for kind, value in of_sets[1].told if kind == "artifact"
    )
    card = (of_sets[2] / files.CARD).read_text("utf-8")
    assert "any number of 4 labels" in card
    assert "reaches its threshold" in card


# ---- predicting ----------------------------------------------------------------------------------


def test_the_saved_model_gives_sets_and_proves_itself(of_sets: Any, predictor: Predictor) -> None:
    found = predictor.predict(TEXTS)
    assert found.labels[:3] == [("defect", "metal"), (), ("age", "polymer")]
    assert found.frame()["predicted_label"].to_list()[:3] == ["defect|metal", "", "age|polymer"]
    assert (found.probabilities.sum(1) != 1).all()
    proof = start_proof(of_sets[2], pl.Series(TEXTS), found.probabilities, rule=predictor.rule)
    assert proof.wait().largest_difference < 1e-6


def test_a_model_of_sets_is_not_taken_for_another(of_sets: Any, tmp_path: Path) -> None:
    import shutil

    copied = tmp_path / "copy"
    shutil.copytree(of_sets[2], copied)
    path = copied / files.SETTINGS
    values = json.loads(path.read_text("utf-8"))
    values["decision"]["thresholds"][0] = 1.5
    path.write_text(json.dumps(values), encoding="utf-8")
    write_digests(copied, files.DIGESTED)
    with pytest.raises(BundleError, match="its thresholds must be 4 numbers between 0 and 1"):
        Predictor.load(copied)


def test_a_table_is_scored_alike_in_pieces_and_after_a_stop(predictor: Predictor) -> None:
    texts = pl.Series("text", [*notes(60)["text"], None, *TEXTS])
    whole = Scorer(predictor)
    expected, _ = whole.score(texts)
    assert expected["predicted_label"].to_list()[60] is None
    first = Scorer(predictor)
    one, _ = first.score(texts[:40])
    second = Scorer(predictor)
    second.remember(first.remembered())
    other, _ = second.score(texts[40:])
    assert pl.concat([one, other]).equals(expected)
    assert second.remembered()["text"].to_list() == whole.remembered()["text"].to_list()


def test_scored_files_keep_the_separator_and_an_empty_set(of_sets: Any, tmp_path: Path) -> None:
    pl.DataFrame({"text": TEXTS}).write_csv(tmp_path / "new.csv")
    score_model(of_sets[2], tmp_path / "new.csv", tmp_path / "out.parquet")
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found["predicted_label"].to_list()[:3] == ["defect|metal", "", "age|polymer"]
    assert found["decision"][0] in ("defect|metal", "review")


def test_evaluating_on_the_table_again_and_on_foreign_labels(
    of_sets: Any, predictor: Predictor
) -> None:
    result = of_sets[0]
    test = result.corpus.test
    rows = notes().filter(pl.col("text").is_in(test.texts.implode()))
    found = evaluate_table(predictor, rows)
    own = result.review.model.evaluation.rows
    assert found.evaluation.rows.macro_f1 == pytest.approx(own.macro_f1)
    assert found.evaluation.rows.accuracy == pytest.approx(own.accuracy)
    assert found.to_json()["multi_label"] is True
    assert {group.what for group in found.groups} == {"length", "first number"}
    more = pl.concat([rows, pl.DataFrame({"text": ["x", "y"], "label": ["age|new", "new"]})])
    found = evaluate_table(predictor, more)
    assert found.unknown_labels == {"new": 2}
    assert found.rows == len(rows)
    with pytest.raises(TableError, match="none of the model's labels"):
        evaluate_table(predictor, pl.DataFrame({"text": ["x"], "label": ["new"]}))


# ---- explaining ----------------------------------------------------------------------------------


def test_each_decided_label_is_explained_by_its_own_words(of_sets: Any) -> None:
    found = explain_model(of_sets[2], "part iron rust 7")
    assert found.labels is not None
    told = {each.label: each for each in found.labels[0]}
    assert set(told) == {"metal", "defect"}
    for label, word in (("metal", "iron"), ("defect", "rust")):
        each = told[label]
        assert each.words[int(each.contributions.argmax())] == word
        assert each.contributions.sum() == pytest.approx(each.probability - each.reference)
    values = found.to_json()
    assert [each["label"] for each in values["labels"]] == [e.label for e in found.labels[0]]
    assert explained_text(found).count("adds") == 2


def test_one_label_can_be_asked_for_and_where_none_is_decided_the_nearest_is(of_sets: Any) -> None:
    asked = explain_model(of_sets[2], "part iron 7", label="too old")
    (only,) = asked.labels[0]
    assert (only.label, only.decided) == ("age", False)
    assert "not age too old" in explained_text(asked)
    (nearest,) = explain_model(of_sets[2], "part 7").labels[0]
    assert nearest.decided is False
    with pytest.raises(SettingsError, match=r"no label 'agge'\. Did you mean 'age'"):
        explain_model(of_sets[2], "part", label="agge")


def test_a_label_is_not_asked_of_a_model_of_one_label(deciding: Any) -> None:
    with pytest.raises(SettingsError, match="--label is for models that give a text any number"):
        explain_model(deciding.folder, "part", label="0")


# ---- serving, shipping ---------------------------------------------------------------------------


def test_the_service_answers_with_sets_and_an_explanation_each(of_sets: Any) -> None:
    here = application(ServedModel.load(of_sets[2]))
    try:
        answer = here.predict(texts=["part iron rust 7", "part ü 7"], explain=True).json()
        first, second = answer["predictions"]
        assert (first["label"], first["labels"]) == ("defect|metal", ["defect", "metal"])
        assert {each["label"] for each in first["explanations"]} == {"defect", "metal"}
        assert second["labels"] == []
        ready = here.ask("GET", "/ready").json()["model"]
        assert ready["multi_label"] is True
        assert set(ready["thresholds"]) == {"age", "defect", "metal", "polymer"}
        csv = here.ask("POST", "/score", content=b"text\npart iron rust 7\n").text
        assert csv.splitlines()[1].startswith("part iron rust 7,defect|metal,")
    finally:
        here.batcher.close()


def test_the_exported_program_decides_alike(
    of_sets: Any, predictor: Predictor, tmp_path: Path
) -> None:
    folder = tmp_path / "exported"
    export_model(of_sets[2], folder)
    assert not (folder / "example.py").exists()
    spec = importlib.util.spec_from_file_location("exported_sets", folder / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    texts = [*TEXTS, *notes(80)["text"]]
    model, expected = program.Model(folder), predictor.predict(texts)
    found = model.probabilities(texts)
    np.testing.assert_allclose(found, expected.probabilities, atol=1e-6)
    assert model.decide(found) == expected.decision
    label, probability = zip(*model.predict(found), strict=True)
    assert list(label) == expected.frame()["predicted_label"].to_list()
    np.testing.assert_allclose(probability, expected.probability, atol=1e-6)


def test_8_bits_are_refused_before_anything_is_written(of_sets: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="export without --int8"):
        export_model(of_sets[2], tmp_path / "out", int8=True, data=notes())
    assert not (tmp_path / "out").exists()


def test_spark_is_refused_before_anything_is_written(of_sets: Any, tmp_path: Path) -> None:
    pl.DataFrame({"text": TEXTS}).write_csv(tmp_path / "new.csv")
    with pytest.raises(SettingsError, match="Spark does not score"):
        score_model(of_sets[2], tmp_path / "new.csv", tmp_path / "out", engine="spark")
    assert not (tmp_path / "out").exists()


def test_spark_does_not_train_on_sets(quick: Quick, workplace: Path) -> None:
    notes(20).write_csv("notes.csv")
    with pytest.raises(SettingsError, match="Spark does not train on several labels"):
        train("notes.csv", Config(multi_label=True), engine="spark")
    assert not [told for told in quick.tracker.told if told[0] == "start"]


def test_verify_trains_again_to_the_same_figures_and_thresholds(of_sets: Any) -> None:
    found = verify_run(of_sets[2])
    assert found.outcome == "identical"
    assert found.figures is not None
    assert found.figures.number > 50


def test_the_champion_is_compared_by_its_own_thresholds(of_sets: Any, predictor: Predictor) -> None:
    result, _, folder = of_sets
    champion = VersionFound("1", "other", folder)
    tests = JudgedTexts("notes.csv", result.corpus.test, result.corpus.classes)
    found = _judge(predictor, folder, predictor, champion, tests).found
    assert found.new == found.old
    assert found.new.macro_f1 == pytest.approx(result.review.model.evaluation.rows.macro_f1)
    assert (found.comparison.gained, found.comparison.lost) == (0, 0)


# ---- the commands, and tables that are odd -------------------------------------------------------


def test_check_and_evaluate_by_the_command_line(command: Callable[..., Done], of_sets: Any) -> None:
    notes(80).write_csv("notes.csv")
    done = command("check", "notes.csv", "--multi-label", "--json")
    assert {each["label"] for each in done.json["profile"]["labels"]} == set(WORDS.values())
    done = command("check", "notes.csv", "--against", of_sets[2], "--json")
    assert done.status == 0
    assert {each["label"] for each in done.json["labels"]} == set(WORDS.values())
    done = command("evaluate", of_sets[2], "notes.csv")
    assert "Hamming loss" in done.out
    done = command("train", "notes.csv", "--multi-label", "--cost", "false-age=3")
    assert done.status == 2
    assert "cost is not for multi_label" in done.err


@pytest.mark.parametrize("labels", [["a|b"], [""], ["a", ""]])
def test_a_table_of_which_nothing_can_be_learned_starts_no_run(
    quick: Quick, labels: list[str]
) -> None:
    frame = pl.DataFrame(
        {"text": [f"t{n}" for n in range(20)], "label": labels * (20 // len(labels))}
    )
    with pytest.raises(TableError):
        quick.train(frame, multi_label=True)
    assert not [told for told in quick.tracker.told if told[0] == "start"]


def test_hundreds_of_labels_go_through_the_whole_order(quick: Quick) -> None:
    random = np.random.default_rng(0)
    picked = random.choice(300, (400, 2))
    frame = pl.DataFrame(
        {
            "text": [f"word{a} word{b}" for a, b in picked],
            "label": [[str(a), str(b)] for a, b in picked],
        }
    )
    result = quick.train(frame, multi_label=True, model="bag", epochs=1, min_texts=1)
    assert len(result.corpus.classes) > 250
    assert all(not each.found for each in result.review.decision.chosen.labels)
    assert "labels with the lowest F1" in review_text(result, {})


# ---- scikit-learn --------------------------------------------------------------------------------


def test_the_estimator_takes_sets_and_indicators_and_gives_indicators() -> None:
    frame = notes(200)
    sets = [{part.strip() for part in each.split("|")} - {""} for each in frame["label"]]
    texts = frame["text"].to_list()
    how: dict[str, Any] = {"model": "bag", "epochs": 6, "lr": 0.05}
    fitted = TextClassifier(**how).fit(texts, sets)
    assert fitted.multilabel_
    assert fitted.classes_.tolist() == ["age", "defect", "metal", "polymer"]
    matrix = np.array([[label in each for label in fitted.classes_] for each in sets], dtype=int)
    other = TextClassifier(**how).fit(texts, matrix, classes=fitted.classes_)
    assert (fitted.predict(texts) == other.predict(texts)).all()
    assert fitted.predict(texts).shape == matrix.shape
    assert fitted.score(texts, sets) == other.score(texts, matrix) > 0.5
    assert set(fitted.predict_sets(["part iron 3"])[0]) == {"metal"}
    above = fitted.predict_proba(texts) >= fitted.thresholds_.astype(np.float32)
    assert (above == fitted.predict(texts)).all()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([{"a"}, {"a"}, {"a"}], "two labels or more"),
        ([set(), set(), set()], "two labels or more"),
        ([{"a", "b"}] * 3, "the same labels for every text"),
        ([("a", None), ("b",), ("c",)], "must be single values"),
        ([{"a"}, {"b"}], "X and y must be equally long"),
        (np.array([[0, 2], [1, 0], [1, 1]]), "must hold 0 and 1 only"),
    ],
)
def test_sets_that_the_estimator_cannot_learn_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextClassifier(model="bag").fit(["x", "y", "z"], labels)


def test_costs_and_columns_that_do_not_fit_are_refused() -> None:
    matrix = np.array([[0, 1], [1, 0], [1, 1]])
    with pytest.raises(ValueError, match="cost is not for"):
        TextClassifier(cost={0: 2}).fit(["x", "y", "z"], matrix)
    with pytest.raises(ValueError, match="classes must name each of the 2 columns"):
        TextClassifier().fit(["x", "y", "z"], matrix, classes=["a"])
    with pytest.raises(ValueError, match="y is none"):
        TextClassifier().fit(["x", "y", "z"], [0, 1, 0], classes=["a", "b"])


# ---- last: while Playwright runs, nothing else in the process can run asyncio --------------------


@pytest.mark.browser
def test_the_report_works_in_a_browser(of_sets: Any, browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(artifact(of_sets, "report.html"), encoding="utf-8")
    page, heard = browser.new_page(viewport={"width": 1280, "height": 900}), []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.goto(path.as_uri())
    assert heard == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    shown = page.locator("table.errors tbody tr:visible")
    before = shown.count()
    page.locator("select[name=predicted]").select_option("missed")
    assert 0 < shown.count() <= before
    page.close()
