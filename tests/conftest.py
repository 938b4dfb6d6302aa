"""What several test files share: a small trained classifier on disk, and fresh processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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


def _together(nodeid: str) -> str:
    """Tests with the same answer run in the same process: those of a file, or of several."""
    file = nodeid.partition("::")[0]
    return next((start for start in TOGETHER if file.startswith(start)), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first, in the order of `LONGEST`."""
    items.sort(key=lambda item: [_together(item.nodeid) != longest for longest in LONGEST])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give tests to processes by `_together`, in the order in which they come."""
    from xdist.scheduler import LoadScopeScheduling

    class ByNeed(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
        def _split_scope(self, nodeid: str) -> str:
            return _together(nodeid)

    config.option.loadscopereorder = False
    return ByNeed(config, log)


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
    card = model_card(settings)
    save_bundle(folder, fitted.model, fitted.encoder, fills, settings=settings, card=card)
    return TrainedBundle(folder, corpus, fitted, settings, probabilities)


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
