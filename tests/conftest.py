"""What several test files share: a small trained classifier, its report, a browser, processes."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from once import made_once

TOGETHER = ("tests/engines/spark/test_cluster", "tests/engines/spark/")
"""How the paths begin of test files that share what takes long to start: a cluster, a session.

With pytest-xdist each of these stays in one process, as every other file does.
"""

LONGEST = (
    *TOGETHER,
    "tests/tracking/test_contract_databricks.py",
    "tests/tracking/test_faults.py",
    "tests/tracking/test_contract_azureml.py",
)
"""Come first, so that none is left alone in the end; they wait a lot, and others fill the time."""


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def _together(nodeid: str) -> str:
    """Tests with the same answer run in the same process: those of a file, or of several."""
    file = nodeid.partition("::")[0]
    return next((start for start in TOGETHER if file.startswith(start)), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first, in the order of `LONGEST`."""
    items.sort(key=lambda item: [_together(item.nodeid) != longest for longest in LONGEST])


def pytest_collection_finish() -> None:
    """What all the imports made stays to the end: whoever collects garbage need not look there."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give tests to processes by `_together`, in the order in which they come."""
    from xdist.scheduler import LoadScopeScheduling

    class ByNeed(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
        def _split_scope(self, nodeid: str) -> str:
            return _together(nodeid)

    config.option.loadscopereorder = False
    return ByNeed(config, log)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What encoders make of texts is kept in a folder of the tests' own."""
    before = os.environ.get("TEXTGAUGE_CACHE")
    os.environ["TEXTGAUGE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["TEXTGAUGE_CACHE"]
    else:
        os.environ["TEXTGAUGE_CACHE"] = before


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without runs. Not to be changed: making one takes MLflow seconds, so copy it."""

    def make(folder: Path) -> Path:
        from textgauge.tracking.sqlite_store import sqlite_uri

        store = folder / "mlflow.db"
        with warnings.catch_warnings():
            # MLflow 3.15 uses what SQLAlchemy 2.1 deprecates, and says so at its first store.
            warnings.simplefilter("ignore")
            from mlflow import MlflowClient

            MlflowClient(sqlite_uri(store))
        return store

    return made_once(tmp_path_factory, "empty", make)


@pytest.fixture(scope="session")
def with_store(
    empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Make a folder with a store, for a stand-in of that name to begin with."""

    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        store = shutil.copy(empty_store, folder / "mlflow.db")
        with closing(sqlite3.connect(store)) as connection, connection:
            # The default experiment is made again, with the folder of this server's artifacts.
            connection.execute("DELETE FROM experiments")
        return folder

    return make


@dataclass(frozen=True)
class TrainedBundle:
    """A classifier that was trained for the tests, and the folder that it was saved in.

    `probabilities` are torch's for the corpus' test texts. Shape: (test texts, 2).
    """

    folder: Path
    corpus: Any
    fitted: Any
    settings: dict[str, Any]
    probabilities: Any


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedBundle:
    """A two-label LSTM after 2 epochs on 600 component notes. Not to be changed."""
    from textgauge.bundle.card import model_card
    from textgauge.bundle.predictor import to_probabilities
    from textgauge.bundle.save import save_bundle
    from textgauge.config import Config
    from textgauge.data.component_notes import LABEL_NAMES, make_component_notes
    from textgauge.data.corpus import build_corpus
    from textgauge.review.drift import learn_profile
    from textgauge.review.metrics import evaluate
    from textgauge.text.fills import learn_fills
    from textgauge.text.learn import learn_encoder
    from textgauge.training.fit import fit
    from textgauge.training.loop import predict_logits

    config = Config(epochs=2, hidden_size=24, embedding_size=16, lr=0.01, label_names=LABEL_NAMES)
    corpus = build_corpus(make_component_notes(600), seed=0, fractions=config.fractions)
    fitted = fit(corpus, learn_encoder(corpus.train.texts, config), config)
    probabilities = to_probabilities(predict_logits(fitted.model, fitted.encode(corpus.test)))
    evaluation = evaluate(corpus.test, probabilities, corpus.classes)
    parts = {name: getattr(corpus, name) for name in ("train", "val", "test")}
    figures = {"rows": evaluation.rows.to_json(), "texts": evaluation.texts.to_json()}
    settings = {
        "version": "0.1.0",
        "created": "2024-05-01T12:00:00+00:00",
        "classes": list(corpus.classes),
        "label_names": LABEL_NAMES,
        "architecture": fitted.architecture,
        "config": config.to_json(),
        "data": {
            "name": "notes.csv",
            "digest": corpus.digest,
            "rows": 600,
            "distinct_texts": sum(len(part) for part in parts.values()),
            "parts": {n: {"rows": p.rows, "texts": len(p)} for n, p in parts.items()},
            "split": corpus.split_method,
            "test_texts_in_train": corpus.test_texts_in_train,
            "random_split_share": corpus.random_split_share,
        },
        "figures": {"LSTM, epoch 2": figures},
    }
    folder = tmp_path_factory.mktemp("trained") / "model"
    fills = learn_fills(corpus.train.texts, fitted.encoder)
    profile = learn_profile(corpus.train, corpus.test, corpus.classes, fitted.encoder)
    card = model_card(settings)
    save_bundle(
        folder, fitted.model, fitted.encoder, fills, settings=settings, card=card, profile=profile
    )
    return TrainedBundle(folder, corpus, fitted, settings, probabilities)


@pytest.fixture(scope="session")
def deciding(trained: TrainedBundle, tmp_path_factory: pytest.TempPathFactory) -> TrainedBundle:
    """The same classifier with a rule by which it decides otherwise, and a third by nobody."""
    import json
    import shutil
    from dataclasses import replace

    import numpy as np

    from textgauge.bundle import files
    from textgauge.bundle.decision import DecisionRule
    from textgauge.bundle.stored import write_digests

    middle = float(np.quantile(trained.probabilities[:, 1], 0.3))
    rule = DecisionRule(weights=(1 - middle, middle), costs=(3.0, 1.0))
    certainty = rule.decide(trained.probabilities).certainty
    rule = replace(rule, review_below=float(np.quantile(certainty, 0.33)))
    folder = tmp_path_factory.mktemp("deciding") / "model"
    shutil.copytree(trained.folder, folder)
    settings = {**trained.settings, "decision": rule.to_json()}
    values = {"format_version": files.DECIDING_VERSION, **settings}
    (folder / files.SETTINGS).write_text(json.dumps(values), encoding="utf-8")
    write_digests(folder, files.DIGESTED)
    return replace(trained, folder=folder, settings=settings)


@pytest.fixture(scope="session")
def fresh_python() -> Callable[..., str]:
    """Run a script in a process of its own, where warnings are errors; give what it printed."""

    def run(script: str, *arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def report_facts(trained: TrainedBundle) -> Any:
    """What the report of the trained classifier tells. Not to be changed."""
    from made_up import issues_of

    from textgauge.config import Config
    from textgauge.data.checks import check_table
    from textgauge.data.component_notes import make_component_notes
    from textgauge.data.tables import Columns, read_table
    from textgauge.engines.prepared import TableFacts
    from textgauge.report.page import ReportFacts
    from textgauge.review import baselines
    from textgauge.review.contenders import judge
    from textgauge.review.explanation import Explainer
    from textgauge.review.findings import find
    from textgauge.review.rule_summary import summarise

    corpus, history = trained.corpus, trained.fitted.trained.history
    train, test = corpus.train, corpus.test
    shares = baselines.fit_majority(train.label, train.count, len(test), 2)
    majority = baselines.Baseline(baselines.MAJORITY, shares, 0.0, len(train))
    explainer = Explainer.load(trained.folder)
    parts = [train, corpus.val, test]

    def predict(texts: Any) -> Any:
        return explainer.predictor.predict(texts).probabilities

    decided, on_test = predict(train.texts).argmax(1), trained.probabilities
    table = read_table(make_component_notes(600), Columns("text", "label"))
    return ReportFacts(
        table=TableFacts("notes.csv", {"text": "String", "label": "String"}, 600),
        config=Config(**{**trained.settings["config"], "threads": 1}),
        check=check_table(table),
        corpus=corpus,
        review=judge("LSTM", trained.probabilities, [majority], test, corpus.classes),
        findings=find(explainer, test, trained.probabilities, trained_texts=2 * len(train)),
        rules=summarise(train, decided, test, on_test.argmax(1), corpus.classes),
        issues=issues_of(parts, [predict(part.texts) for part in parts], corpus.classes),
        history=history,
        batch_size=32,
        settings=trained.settings,
        run_id="ab" * 16,
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright; where there is none a skip, or with CI=true a failure.

    Each file starts its own: while Playwright runs, no other test in the process can run asyncio.
    """
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    missing = (
        f"no browser: none of {', '.join(BROWSERS)} is on the PATH (apt-get install chromium)"
        if program is None
        else "Playwright is not installed (pip install playwright)"
        if importlib.util.find_spec("playwright") is None
        else None
    )
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{missing}; with CI=true the browser tests must run")
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    switches = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync"
    )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=switches.split())
        yield chromium
        chromium.close()
