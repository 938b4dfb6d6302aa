"""Measure the list of labels in doubt: its precision and recall of labels flipped at random.

    python benchmarks/review/labels.py --data DIR [--sets trec6 sms_spam …] [--seeds 0 1 2]

DIR holds the component notes and the sets. In each, 5 % of the rows get another label at random;
then a model is trained on all of it as usual, and its list of labels in doubt is compared with what
was flipped. Beside it: plain cleanlab with its defaults, on cross-validated probabilities of TF-IDF
and logistic regression over the rows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

import textgauge
from textgauge.data.normal_form import normalise
from textgauge.review.baselines import Baselines

SHARE = 0.05
"""Of the rows that get another label, and of those that are looked at first."""

NOTES = "component notes"


@dataclass(frozen=True)
class Found:
    """What a list is worth: its rows, and of them those that were flipped."""

    rows: int
    precision: float
    recall: float
    first: float
    seconds: float


def table_of(data: Path, name: str) -> pl.DataFrame:
    """Texts in normal form and labels, without what can't be used."""
    notes, file = data / "component_notes.csv.gz", data / f"{name}.parquet"
    table = pl.read_csv(notes) if name == NOTES else pl.read_parquet(file)
    table = table.select(text=normalise(table["text"]), label=pl.col("label").cast(pl.String))
    return table.drop_nulls().filter(pl.col("text") != "")


def flipped(table: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The table with 5 % of its labels replaced by another one; `bad` marks them."""
    random = np.random.default_rng(seed)
    classes = table["label"].unique().sort()
    index = table["label"].replace_strict(classes, np.arange(len(classes))).to_numpy().copy()
    chosen = random.permutation(len(table))[: round(SHARE * len(table))]
    index[chosen] = (index[chosen] + random.integers(1, len(classes), len(chosen))) % len(classes)
    bad = np.zeros(len(table), dtype=np.bool_)
    bad[chosen] = True
    return table.with_columns(label=classes[index], bad=bad)


def judged(bad: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], *, all_bad: int,
           all_rows: int, listed: int, seconds: float) -> Found:  # fmt: skip
    """Judge a list, the worst first, whose first `listed` entries stand for `rows` rows each."""
    until = np.cumsum(rows) <= SHARE * all_rows
    first = bad[until].sum() / max(1, rows[until].sum())
    of = rows[:listed].sum()
    hits = bad[:listed].sum()
    return Found(int(of), hits / max(1, of), hits / all_bad, first, seconds)


@contextmanager
def waited() -> Iterator[list[float]]:
    """Measure what the run waits for the list."""
    real, seconds = Baselines.doubts, []

    def doubts(simple: Baselines) -> pl.DataFrame:
        begin = time.perf_counter()
        found = real(simple)
        seconds.append(time.perf_counter() - begin)
        return found

    Baselines.doubts = doubts
    try:
        yield seconds
    finally:
        Baselines.doubts = real


def ours(table: pl.DataFrame, folder: Path) -> Found:
    """The list of a run with the defaults; its seconds are those that the run waits for it."""
    with waited() as seconds:
        result = textgauge.train(
            table.select("text", "label"), tracking_uri=f"sqlite:///{folder}/mlflow.db", quiet=True
        )
    pairs = table.group_by("text", "label").agg(pl.col("bad").sum())
    listed = result.label_issues.frame.join(
        pairs, on=["text", "label"], how="left", maintain_order="left"
    )
    return judged(
        listed["bad"].cast(pl.Int64).to_numpy(),
        listed["rows"].to_numpy(),
        all_bad=int(table["bad"].sum()),
        all_rows=len(table),
        listed=len(listed),
        seconds=seconds[0],
    )


def plain(table: pl.DataFrame) -> Found:
    """Plain cleanlab over rows."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline

    begin = time.perf_counter()
    classes = table["label"].unique().sort()
    label = table["label"].replace_strict(classes, np.arange(len(classes))).to_numpy()
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10, max_iter=300),
    )
    probabilities = cross_val_predict(
        model, table["text"].to_list(), label, cv=5, method="predict_proba"
    )
    suspect = find_label_issues(label, probabilities, n_jobs=1)
    quality = get_label_quality_scores(label, probabilities)
    # The suspects first, then the others: a list to go through from the top.
    order = np.lexsort((quality, ~suspect))
    seconds = time.perf_counter() - begin
    bad = table["bad"].to_numpy().astype(np.int64)
    every = np.ones(len(table), dtype=np.int64)
    found = judged(bad[order], every, all_bad=int(bad.sum()), all_rows=len(table),
                   listed=int(suspect.sum()), seconds=seconds)  # fmt: skip
    worst = np.argsort(quality, kind="stable")[: round(SHARE * len(table))]
    return Found(found.rows, found.precision, found.recall, bad[worst].mean(), seconds)


def line(name: str, who: str, found: list[Found]) -> str:
    """A row of the table: means over the seeds."""
    mean = {
        field: float(np.mean([getattr(each, field) for each in found]))
        for field in ("rows", "precision", "recall", "first", "seconds")
    }
    spread = np.ptp([each.precision for each in found]), np.ptp([each.recall for each in found])
    return (
        f"| {name} | {who} | {mean['rows']:,.0f} | {mean['precision']:.2f} | {mean['recall']:.2f} |"
        f" {mean['first']:.2f} | {mean['seconds']:.1f} |  <!-- spread {max(spread):.3f} -->"
    )


def main() -> None:
    """Component notes first, then the sets."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    sets = ["trec6", "sms_spam", "mwo_excavator_system"]
    parser.add_argument("--sets", nargs="*", default=sets)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    print("| table | list | rows | precision | recall | first 5 % | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in (NOTES, *options.sets):
        table = table_of(options.data, name)
        tables = [flipped(table, seed) for seed in options.seeds]
        with tempfile.TemporaryDirectory() as folder:
            found = [ours(each, Path(folder)) for each in tables]
        print(line(name, "ours", found), flush=True)
        print(line(name, "plain cleanlab", [plain(each) for each in tables]), flush=True)


if __name__ == "__main__":
    main()
