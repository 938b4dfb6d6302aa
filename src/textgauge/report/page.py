"""The page: what is told, in which order, and its writing into one file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import WITH_DROPOUT, Config
from ..data.checks import CheckReport
from ..data.corpus import Corpus
from ..engines.prepared import TableFacts
from ..errors import StorageError
from ..review.confusion import Confusion
from ..review.contenders import Review
from ..review.decision import DecisionFigures
from ..review.findings import FEWEST, Findings
from ..review.label_issues import LabelIssues
from ..review.rule_summary import RuleSummary
from ..review.set_findings import SetFindings
from ..review.set_review import SetReview
from ..training.history import Epoch
from .plots import (
    band_plot,
    cost_plot,
    learning_plots,
    number_plot,
    ranking_plot,
    reliability_plot,
    set_reliability_plot,
)
from .repeat import command_of, fix_command
from .single_texts import errors_shown, sets_shown, words_shown
from .wording import (
    IN_SENTENCES,
    as_it_decides,
    band_in_words,
    costs_in_words,
    hundredth,
    labels_in_words,
    rules_in_words,
    spoken,
)

if TYPE_CHECKING:
    from jinja2 import Template

FILE_NAME = "report.html"

MOST_LABELS = 300
"""Labels of which figures are shown: those with the lowest F1."""

MATRIX = 20
"""Labels up to which the whole confusion is shown; of more, the most frequent confusions."""

CONFUSIONS = 30
"""Confusions that are listed at most."""

MOST_ISSUES = 20
"""Labels in doubt that are shown: the worst."""


@dataclass(frozen=True)
class ReportFacts:
    """All that the page tells of a run.

    Attributes:
        table: what was trained on.
        config: the settings.
        check: what was found in the table.
        corpus: its parts.
        review: the figures.
        rules: a few rules that imitate the model; None where a text has any number of labels.
        issues: labels in doubt; None likewise.
        findings: what single test texts show.
        history: every epoch.
        batch_size: texts a step.
        settings: what the saved model says of itself (`textgauge.json`).
        run_id: of the run; None while it has none.

    """

    table: TableFacts
    config: Config
    check: CheckReport
    corpus: Corpus
    review: Review | SetReview
    rules: RuleSummary | None
    issues: LabelIssues | None
    findings: Findings | SetFindings
    history: Sequence[Epoch]
    batch_size: int
    settings: Mapping[str, Any]
    run_id: str | None


def write_report(path: Path, facts: ReportFacts) -> None:
    """Write the page.

    Raises:
        StorageError: the file can't be written.

    """
    page = report(facts)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error


def report(facts: ReportFacts) -> str:
    """The page as HTML.

    All that comes from the table is escaped by the template's engine, and the page's own policy
    lets a browser run the page's script only and fetch nothing.
    """
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    of_sets = isinstance(facts.review, SetReview)
    return _template("sets.html" if of_sets else "page.html").render(
        style=_asset("page.css"),
        script=script,
        script_digest=digest,
        dropout=facts.config.model in WITH_DROPOUT,
        **(_told_of_sets(facts) if of_sets else _told(facts)),
    )


@cache
def _template(name: str) -> Template:
    """A template; compiling it takes longer than filling it, so that is done once in a process."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("textgauge.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        share=_share, count=lambda number: f"{number:,}", hundredth=hundredth
    )
    return environment.get_template(name)


def _asset(name: str) -> str:
    return (resources.files("textgauge.report") / "template" / name).read_text(encoding="utf-8")


def _visible(label: str) -> str:
    return label if label.strip() and label.isprintable() else repr(label)


def _share(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}%}"


def _told_of_sets(facts: ReportFacts) -> dict[str, Any]:
    """What the template shows of a model that gives a text any number of labels."""
    review, corpus, findings = facts.review, facts.corpus, facts.findings
    assert isinstance(review, SetReview)
    assert isinstance(findings, SetFindings)
    named, decision = facts.config.label_names, review.decision
    names = [named.get(label) or _visible(label) for label in corpus.classes]
    rows, curve = review.model.evaluation.rows, findings.curve
    labels = labels_in_words(rows, spoken(corpus.classes, named))
    origin = facts.settings.get("data", {}).get("origin")
    return {
        "facts": facts,
        "model": review.model,
        "rows": rows,
        "texts": review.model.evaluation.texts,
        "names": names,
        "labels": labels,
        "in_sentences": len(labels) <= IN_SENTENCES,
        "shown_labels": sorted(range(len(labels)), key=lambda at: rows.labels[at].f1)[:MOST_LABELS],
        "found_thresholds": decision.chosen.labels,
        "learning": learning_plots(facts.history),
        "ranking": ranking_plot(corpus.test, review.model.probabilities, rows, names),
        "reliability": set_reliability_plot(corpus.test, review.model.probabilities),
        "errors": sets_shown(findings.errors, names),
        "words": words_shown(
            findings, corpus.classes, names, [label.support for label in rows.labels]
        ),
        "fewest": FEWEST,
        "number": number_plot(curve, names, alone=True) if curve is not None else None,
        "band": None
        if decision.band is None
        else band_in_words(decision, decision.band, "the test part"),
        "bands": decision.curve if decision.error else (),
        "band_plot": band_plot(decision.curve, decision.error)
        if decision.curve and decision.error
        else None,
        "command": command_of(facts.config, facts.table.name, origin),
    }


def _told(facts: ReportFacts) -> dict[str, Any]:
    """What the template shows, under its names."""
    review, corpus = facts.review, facts.corpus
    assert isinstance(review, Review)
    assert isinstance(facts.findings, Findings)
    assert facts.rules is not None
    assert facts.issues is not None
    named = facts.config.label_names
    names = [named.get(label) or _visible(label) for label in corpus.classes]
    called = dict(zip(corpus.classes, names, strict=True))
    rows, probable = review.decided, review.model.evaluation.rows
    origin = facts.settings.get("data", {}).get("origin")
    labels = labels_in_words(rows, spoken(corpus.classes, named))
    ranked = ranking_plot(corpus.test, review.model.probabilities, probable, names)
    curve = facts.findings.curve
    return {
        "facts": facts,
        "model": review.model,
        "rows": rows,
        "as_it_decides": as_it_decides(review.decision.rule),
        "probable": probable,
        "texts": review.model.evaluation.texts,
        "names": names,
        "labels": labels,
        "in_sentences": len(labels) <= IN_SENTENCES,
        "shown_labels": sorted(range(len(labels)), key=lambda at: rows.labels[at].f1)[:MOST_LABELS],
        "matrix": list(rows.confusion) if len(labels) <= MATRIX else None,
        "confusions": _confusions(rows.confusion, names),
        "learning": learning_plots(facts.history),
        "ranking": ranked,
        "reliability": reliability_plot(corpus.test, review.model.probabilities),
        "errors": errors_shown(facts.findings.errors, names),
        "words": words_shown(
            facts.findings, corpus.classes, names, [label.support for label in rows.labels]
        ),
        "fewest": FEWEST,
        "number": number_plot(curve, names) if curve is not None else None,
        "rules": rules_in_words(review.model.name, facts.rules, called.__getitem__),
        "issues": facts.issues.frame.head(MOST_ISSUES).to_dicts(),
        "called": called,
        **_deciding(review.decision, names, called),
        "command": command_of(facts.config, facts.table.name, origin),
        "fix_command": fix_command(facts.config, facts.table.name, origin),
    }


def _deciding(
    found: DecisionFigures, names: Sequence[str], called: Mapping[str, str]
) -> dict[str, Any]:
    """What decides, what it costs and what a person could take off it."""
    by_cost = sorted(found.errors, key=lambda each: -(each.cost or 0.0) * each.rows)
    search = found.chosen.threshold
    return {
        "costs": None
        if found.cost is None
        else costs_in_words(found, lambda label: f"“{called[label]}”", "the test part"),
        "wrongly": by_cost[:CONFUSIONS],
        "cost_plot": cost_plot(search, names[1]) if search is not None and search.curve else None,
        "band": None if found.band is None else band_in_words(found, found.band, "the test part"),
        "bands": found.curve if found.error else (),
        # Where nothing is wrong, a person can take nothing off it.
        "band_plot": band_plot(found.curve, found.error) if found.curve and found.error else None,
    }


def _confusions(confusion: Confusion, names: Sequence[str]) -> list[tuple[str, str, int, float]]:
    """What is taken for what: true label, predicted label, rows, share of the true label's."""
    of_label = confusion.support
    return [
        (names[true], names[called], rows, float(rows / of_label[true]))
        for true, called, rows in confusion.wrong(CONFUSIONS)
    ]
