"""Facts of made-up models, for pages that no training would give so soon."""

import numpy as np
import polars as pl

from textgauge.config import Config
from textgauge.data.checks import check_table
from textgauge.data.corpus import build_corpus
from textgauge.data.tables import Columns, read_table
from textgauge.engines.prepared import TableFacts
from textgauge.report.page import ReportFacts
from textgauge.review import baselines
from textgauge.review.contenders import judge
from textgauge.review.findings import Findings, WrongText
from textgauge.review.label_issues import find_doubts, label_issues
from textgauge.review.rule_summary import summarise
from textgauge.training.history import Epoch

HISTORY = tuple(Epoch(n, 0.9 / n, 0.6 + n / 20, 0.8 / n, 0.7, 0.001, 0.5) for n in (1, 2, 3))

ROWS = [(f"{'good' if n % 2 else 'bad'} part {n} of {n % 7}", f"{n % 2}") for n in range(200)]


def issues_of(parts, probabilities, classes):
    """The labels in doubt: contradictory ones, and those that these probabilities do not choose."""
    begins = np.cumsum([0, *(len(part) for part in parts)])
    triples = [
        np.stack([part.text_index + begin, part.label, part.count])
        for part, begin in zip(parts, begins, strict=False)
    ]
    doubts = find_doubts(
        np.concatenate(triples, axis=1),
        np.concatenate(probabilities),
        suspects=lambda label, sure: sure.argmax(1) != label,
    )
    return label_issues(parts, doubts, classes, int(begins[-1]))


def facts_of(rows, *, right=0.8, seed=0, words=None, **changes):
    """Facts of a made-up model on (text, label) rows that is right on such a share of the texts."""
    frame = pl.DataFrame(rows, schema=["text", "label"], orient="row")
    corpus = build_corpus(frame, seed=seed, fractions=(0.6, 0.2, 0.2))
    classes, test = len(corpus.classes), corpus.test
    random = np.random.default_rng(seed)
    called = np.where(
        random.random(len(test)) < right, test.main_label, (test.main_label + 1) % classes
    )
    sure = np.full((len(test), classes), 0.2 / max(classes - 1, 1), dtype=np.float32)
    sure[np.arange(len(test)), called] = 0.8
    train = corpus.train
    shares = baselines.fit_majority(train.label, train.count, len(test), classes)
    majority = baselines.Baseline(baselines.MAJORITY, shares, 0.0, len(train))
    wrong = np.flatnonzero(called != test.main_label)
    errors = tuple(
        WrongText(test.texts[int(at)], int(test.main_label[at]), int(called[at]), 0.8, 0.1, 1)
        for at in wrong[:100]
    )
    config = Config(**changes)
    return ReportFacts(
        table=TableFacts("table.csv", {}, len(rows)),
        config=config,
        check=check_table(read_table(frame, Columns("text", "label"))),
        corpus=corpus,
        review=judge("LSTM", sure, [majority], test, corpus.classes),
        rules=summarise(test, called, test, called, corpus.classes),
        issues=issues_of([test], [sure], corpus.classes),
        findings=Findings(errors, len(wrong), words or {}, None, 0),
        history=HISTORY,
        batch_size=32,
        settings={
            "version": "0.1.0",
            "created": "2024-05-01T12:00:00+00:00",
            "architecture": {"name": "lstm"},
            "config": config.to_json(),
        },
        run_id=None,
    )
