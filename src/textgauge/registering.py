"""A run's model is registered, if it proves itself and nothing named before speaks against it.

run -> files as the store gives them -> contents -> proof -> gates -> version -> alias

Nothing in the registry is touched before all gates hold.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from .bundle.label_sets import SetRule
from .bundle.predictor import Predictor
from .bundle.proof import Proof, start_proof
from .data.columns import Columns
from .data.corpus import LabelledTexts
from .errors import (
    BundleError,
    EngineError,
    ProofError,
    SettingsError,
    TableError,
    TextgaugeError,
    did_you_mean,
)
from .registered import Gate, Judged, Registered, version_description, version_tags
from .review.changes import changes
from .review.head_to_head import (
    all_classes,
    head_to_head,
    head_to_head_in_sets,
    spread,
    spread_rule,
)
from .review.labelled import read_labelled
from .review.metrics import Metrics, evaluate
from .review.set_metrics import SetMetrics, evaluate_sets
from .text.reader import notation_of
from .tracking.model_contents import discard_compiled_code, refuse_foreign_contents
from .tracking.promotion import (
    RunFound,
    VersionFound,
    find_run,
    find_version,
    promote,
)
from .tracking.protocol import CHAMPION
from .training.progress import NoProgress, Progress
from .verifying import recorded_table

PROOF_TEXTS = 20_000
"""Texts of the table that the proof predicts at most, besides its own."""

SAME_RECORD = 1e-6
"""How far the run's metrics and the figures in its model's folder may differ."""

SAME_FIGURES = 1e-3
"""How far the figures of the saved model may be from those of the trained one: a text on the
threshold may fall to either side."""

_MADE_UP = 200
_ODD_TEXTS = (
    "", " ", "1,234,567.5 n.m", "9" * 400, "don't \u2019tis", "\u0130STANBUL \u03a3\u03c3\u03c2",
    "\uff11\uff19\uff17\uff19 \ufb01ne \u00bd", "鋼部品 1999年", "٢٠٢٠ مكوّن", "🔧\u200d👩",
    "a\x1cb\x00c\x85d", "word " * 2_000,
)  # fmt: skip
"""Texts that readers stumble over: nothing, huge, folded, of many scripts."""

_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class JudgedTexts:
    """What both models are judged on.

    Attributes:
        name: of the table.
        texts: its distinct texts with their labels.
        classes: what these labels are.

    """

    name: str
    texts: LabelledTexts
    classes: tuple[str, ...]


def register_run(
    run: str | Path,
    name: str,
    *,
    alias: str = CHAMPION,
    least: Mapping[str, float] | None = None,
    champion_check: bool = True,
    margin: float = 0.0,
    data: Any = None,
    text: str | None = None,
    label: str | None = None,
    tracking_uri: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    progress: Progress | None = None,
) -> Registered:
    """Register the model of a run, if it proves itself and all gates hold.

    Args:
        run: a run's id, `runs:/RUN_ID/model`, a registered model's address, or the folder of a
            run's model.
        name: of the registered model, created if there is none.
        alias: shall point to the version.
        least: the least values of metrics of the run, with or without `eval_`.
        champion_check: whether the model may not be worse than the champion.
        margin: how much lower its macro F1 may be.
        data: a labelled table to compare both on; None: the test part of the run, if its table
            still is where it was.
        text: the table's column with the texts; default the one that the model was trained with.
        label: likewise with the labels.
        tracking_uri: the store or server; None: where the run was meant to go.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        progress: is told how far it is.

    Returns:
        What was found and done; `registered` is False where a gate did not hold, and then nothing
        was changed.

    Raises:
        SettingsError: a metric that the run does not have, a wrong margin or alias.
        TrackingError: there is no such run, it did not finish, or the store or server refused.
        BundleError: the run has no model, or its folder is not as it was saved.
        ProofError: the model does not predict the same in a fresh process.
        TableError: there is no table to compare on, or it cannot be read.

    """
    progress = progress or NoProgress()
    if not _ALIAS.fullmatch(alias):
        raise SettingsError(f"an alias is letters, digits, - and _, was {alias!r}.")
    if not 0 <= margin < 1:
        raise SettingsError(f"the margin must be 0 or more and less than 1, was {margin:g}.")
    progress.stage("looking the run up")
    found = find_run(run, tracking_uri)
    gates = list(_least(found, least or {}))
    discard_compiled_code(found.folder)
    refuse_foreign_contents(found.folder)
    new = Predictor.load(found.folder, cores=1)
    _refuse_other_record(found, new)
    champion = _champion_of(found, name, compare=champion_check)
    is_champion = champion is not None and champion.run_id == found.run_id
    rival = champion if champion_check and not is_champion else None
    old = None if rival is None else _loaded(rival)
    if rival is not None and old is not None and old.has_sets != new.has_sets:
        kinds = ("one label", "any number of labels")
        raise BundleError(
            f"The champion (version {rival.number}) gives a text {kinds[old.has_sets]} and this "
            f"model {kinds[new.has_sets]}, so they cannot be compared. To leave the comparison "
            "out: --no-champion-check."
        )
    tests = None
    if data is not None:
        columns = Columns(_column(new, "text", text), _column(new, "label", label))
        every = all_classes(new.classes, [] if old is None else old.classes)
        read = read_labelled(
            data,
            columns,
            every,
            encoding=encoding,
            delimiter=delimiter,
            separator=new.rule.separator if isinstance(new.rule, SetRule) else None,
        )
        tests = JudgedTexts(read.table.name, read.texts, every)
    elif rival is not None:
        progress.stage("reading the run's table")
        tests = _recorded_test(new, found.folder, rival)
    progress.stage("proving the saved model")
    proof = _prove(found.folder, new, tests)
    judged = None
    if rival is not None and old is not None and tests is not None:
        progress.stage("comparing with the champion")
        judged = _judge(new, found.folder, old, rival, tests)
        needed = judged.found.old.macro_f1 - margin
        gates.append(Gate("not worse than champion", needed, judged.found.new.macro_f1))
    before = None if is_champion else _settings_of(champion)
    result = Registered(
        run_id=found.run_id,
        name=name,
        alias=alias,
        where=found.where,
        gates=tuple(gates),
        proof=proof,
        champion=judged,
        champion_check="no champion"
        if champion is None
        else "is the champion"
        if is_champion
        else "compared"
        if judged is not None
        else "left out",
        changes=() if before is None else changes(before, new.settings),
        promoted=None,
    )
    if not all(gate.holds for gate in gates):
        return result
    progress.stage("registering")
    promoted = promote(
        found,
        name,
        alias,
        tags=version_tags(result, found.metrics),
        description=version_description(result),
        champion=None if champion is None else champion.number,
    )
    return replace(result, promoted=promoted)


def _column(new: Predictor, role: str, given: str | None) -> str:
    return given or str(new.settings["config"][role])


def _least(found: RunFound, least: Mapping[str, float]) -> Iterator[Gate]:
    """A gate for each metric that has a least value."""
    for name, needed in least.items():
        whole = next((n for n in (name, f"eval_{name}") if n in found.metrics), None)
        if whole is None:
            known = sorted({*found.metrics, *(n.removeprefix("eval_") for n in found.metrics)})
            raise SettingsError(
                f"the run {found.run_id} has no metric {name!r}.{did_you_mean(name, known)} It has "
                f"{', '.join(sorted(found.metrics)) or 'none'}."
            )
        if not math.isfinite(needed):
            raise SettingsError(f"the least {name} must be a number, was {needed}.")
        yield Gate(whole, needed, found.metrics[whole])


def _refuse_other_record(found: RunFound, new: Predictor) -> None:
    """The figures in the folder are those of the run, or the folder is another's."""
    try:
        rows = next(iter(new.settings["figures"].values()))["rows"]
        figures = {f"eval_{name}": rows[name] for name in ("loss", "accuracy", "macro_f1")}
        digest = new.settings["data"]["digest"]
    except (KeyError, StopIteration, TypeError) as error:
        raise BundleError(
            f"{found.folder} does not say how good its model is ({error}); train again."
        ) from None
    other = [
        f"{name} {value:.6g} and {found.metrics[name]:.6g}"
        for name, value in figures.items()
        if name in found.metrics and not abs(found.metrics[name] - value) <= SAME_RECORD
    ]
    if found.tags.get("textgauge.data_digest", digest) != digest:
        other.append("another table's digest")
    if other:
        raise BundleError(
            f"{found.folder} is not the model of run {found.run_id}: the folder and the run tell "
            f"different figures ({', '.join(other)}). Train again, or restore the files."
        )


def _champion_of(found: RunFound, name: str, *, compare: bool) -> VersionFound | None:
    try:
        return find_version(found, name, CHAMPION, may_lack=not compare)
    except BundleError as error:
        raise _incomparable(f"The champion of {name}", error) from None


def _loaded(champion: VersionFound) -> Predictor:
    assert champion.folder is not None
    try:
        return Predictor.load(champion.folder, cores=1)
    except BundleError as error:
        raise _incomparable(f"The champion (version {champion.number})", error) from None


def _incomparable(champion: str, error: BundleError) -> BundleError:
    return BundleError(
        f"{champion} cannot be compared with: {error} To leave the comparison out: "
        "--no-champion-check."
    )


def _settings_of(champion: VersionFound | None) -> dict[str, Any] | None:
    """What the champion says of itself; None where there is none, or it is no model of ours."""
    if champion is None or champion.folder is None:
        return None
    with suppress(BundleError):
        return Predictor.load(champion.folder, cores=1).settings
    return None


def _recorded_test(new: Predictor, folder: Path, champion: VersionFound) -> JudgedTexts:
    """The run's own test part, which the champion is judged on, too."""
    give = (
        f"The champion (version {champion.number}) and this model are compared on the same "
        "labelled texts: pass --data TABLE, or --no-champion-check to leave that out."
    )
    try:
        table, other = recorded_table(new, folder)
    except (TableError, EngineError) as error:
        raise TableError(f"{error} {give}") from None
    if other:
        raise TableError(
            f"{table.facts.name} is no more the table that the run was trained on. {give}"
        )
    test = table.corpus.test
    probabilities, classes = new.predict(test.texts).probabilities, table.corpus.classes
    found: Metrics | SetMetrics
    if isinstance(new.rule, SetRule):
        found = evaluate_sets(test, probabilities, new.rule, classes).rows
    else:
        found = evaluate(test, probabilities, classes).rows
    recorded = next(iter(new.settings["figures"].values()))["rows"]
    for name in ("accuracy", "macro_f1", "loss"):
        if not abs(getattr(found, name) - recorded[name]) <= SAME_FIGURES:
            raise ProofError(
                f"the saved model is not the one that was measured: on the run's test part its "
                f"{name} is {getattr(found, name):.6g}, recorded is {recorded[name]:.6g}. Train "
                "again."
            )
    return JudgedTexts(table.facts.name, test, table.corpus.classes)


def _prove(folder: Path, new: Predictor, tests: JudgedTexts | None) -> Proof:
    """A fresh process, without pickle, decides as this one does."""
    raw = [*_example(folder), *_ODD_TEXTS, *_made_up(new)]
    if tests is not None:
        raw += tests.texts.texts.head(PROOF_TEXTS).to_list()
    column = pl.Series("text", raw, dtype=pl.String)
    expected = new.predict(column).probabilities
    proof = start_proof(folder, column, expected, rule=new.rule)
    try:
        return proof.wait()
    finally:
        proof.stop()


def _example(folder: Path) -> list[str]:
    """The texts that the run shows as input example."""
    with suppress(OSError, ValueError):
        found = json.loads((folder / "input_example.json").read_text(encoding="utf-8"))
        return [each for each in found if isinstance(each, str)]
    return []


def _made_up(new: Predictor) -> Iterator[str]:
    """Texts of words that the model knows, and of numbers on its scale and beyond."""
    chance = random.Random(0)
    words = list(new.encoder.names[3:]) or ["text"]
    edges = [0.0, 1e6] if new.encoder.numbers is None else new.encoder.numbers.edges.tolist()
    for _ in range(_MADE_UP):
        tokens = chance.choices(words, k=chance.randint(1, 12))
        number = f"{chance.uniform(edges[0] - 5, edges[-1] + 5):.{chance.randint(0, 2)}f}"
        tokens.append(number.replace(".", notation_of(new.encoder).decimal))
        chance.shuffle(tokens)
        yield " ".join(tokens)


def _judge(
    new: Predictor, folder: Path, old: Predictor, champion: VersionFound, tests: JudgedTexts
) -> Judged:
    assert champion.folder is not None
    texts, every = tests.texts, all_classes(tests.classes, all_classes(new.classes, old.classes))
    ours, theirs = (
        spread(each.predict(texts.texts).probabilities, each.classes, every) for each in (new, old)
    )
    if isinstance(new.rule, SetRule) and isinstance(old.rule, SetRule):
        assert texts.sets is not None
        wide = replace(texts, sets=replace(texts.sets, labels=every))
        found = head_to_head_in_sets(
            wide,
            (ours, spread_rule(new.rule, new.classes, every)),
            (theirs, spread_rule(old.rule, old.classes, every)),
            every,
        )
    else:
        found = head_to_head(texts, ours, theirs, every)
    return Judged(
        version=champion.number,
        table=tests.name,
        found=found,
        champion_trained_on=_trained_on(old, champion.folder, texts),
        trained_on=_trained_on(new, folder, texts),
    )


def _trained_on(model: Predictor, folder: Path, texts: LabelledTexts) -> int | None:
    """How many of the texts a model was trained on, where its table is still there."""
    with suppress(TextgaugeError):
        table, other = recorded_table(model, folder)
        if not other:
            return int(texts.texts.is_in(table.corpus.train.texts.implode()).sum())
    return None
