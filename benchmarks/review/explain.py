"""Measure explanations: do the words ranked first matter most, and how long does it take.

    python benchmarks/review/explain.py --data DIR [--sets sst2_sentences trec6 …] [--texts 1000]

DIR holds the component notes and the sets. For each, a model is trained and test texts are
explained; then the words ranked first are taken from each text, one to five of them, and the mean
fall of the decision's probability is the area. Beside it: the same with words drawn at random, and
with the ranking of leaving out one word at a time, the simplest way to explain. Words are taken by
deleting them, or by putting in their place what could stand there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

import textgauge
from textgauge.data.component_notes import FIRST_COMPLIANT_YEAR
from textgauge.review.explanation import Explainer, Explanation

GONE = (1, 2, 3, 4, 5)
"""How many words are taken."""

Ranking = Callable[[Explanation], npt.NDArray[np.int64]]


def breaks_the_rule(word: str) -> bool:
    """Whether a word of a component note breaks the regulation."""
    return word in {"fair", "poor", "plastic", "iron"} or (
        word.isdigit() and int(word) < FIRST_COMPLIANT_YEAR
    )


def model_of(table: pl.DataFrame, folder: Path) -> Explainer:
    """Train with the defaults, and load what explains the model."""
    result = textgauge.train(table, tracking_uri=f"sqlite:///{folder}/mlflow.db", quiet=True)
    print(f"  trained: accuracy {result.review.model.evaluation.rows.accuracy:.4f}")
    return Explainer.load(result.bundle)


def left_out(explainer: Explainer, found: list[Explanation]) -> dict[str, npt.NDArray[np.int64]]:
    """The ranking of each text's words by what deleting one of them changes."""
    shorter = [
        " ".join((*each.words[:at], *each.words[at + 1 :]))
        for each in found
        for at in range(len(each.words))
    ]
    probabilities = explainer.predictor.predict(shorter).probabilities
    classes = explainer.predictor.classes
    ranked, begin = {}, 0
    for each in found:
        end = begin + len(each.words)
        ranked[each.text] = np.argsort(probabilities[begin:end, classes.index(each.decision)])
        begin = end
    return ranked


def area(
    explainer: Explainer, found: list[Explanation], ranking: Ranking, *, replace: bool
) -> float:
    """Mean fall of the decision's probability while words are taken in the order of `ranking`."""
    classes = explainer.predictor.classes
    texts, labels, full = [], [], []
    words = explainer.predictor.encoder.vocabulary.words
    random = np.random.default_rng(1)
    for each in found:
        order = ranking(each)
        others = None
        if replace:
            encoded = explainer.predictor.encoder.encode(pl.Series([" ".join(each.words)]))
            ids, _, lengths = encoded.padded(np.array([0]))
            drawn = explainer._fills.draw(ids, lengths, random.random(ids.shape))[0]
            scale = explainer.predictor.encoder.numbers
            others = [
                f"{random.choice(scale.edges):g}" if words[i] == "<num>" and scale else words[i]
                for i in drawn
            ]
        for gone in GONE:
            taken = set(order[:gone].tolist())
            left = [
                word if at not in taken else others[at] if others else ""
                for at, word in enumerate(each.words)
            ]
            texts.append(" ".join(filter(None, left)))
            labels.append(classes.index(each.decision))
            full.append(each.probability)
    probabilities = explainer.predictor.predict(texts).probabilities
    return float((np.array(full) - probabilities[np.arange(len(texts)), labels]).mean())


def measure(name: str, explainer: Explainer, texts: pl.Series) -> None:
    """Print a row of both tables."""
    begin = time.perf_counter()
    found = explainer.explain(texts)
    seconds = time.perf_counter() - begin
    again = explainer.explain(texts.reverse())[::-1]
    agree = max(
        float(np.abs(a.contributions - b.contributions).max(initial=0.0))
        for a, b in zip(found, again, strict=True)
    )
    found = [each for each in found if len(each.words) > len(GONE)]
    random = np.random.default_rng(0)
    by_deletion = left_out(explainer, found)
    rankings: dict[str, Ranking] = {
        "ours": lambda each: np.argsort(-each.contributions),
        "leave one out": lambda each: by_deletion[each.text],
        "random": lambda each: random.permutation(len(each.words)),
    }
    for way in ("deleted", "replaced"):
        areas = [
            f"{area(explainer, found, ranking, replace=way == 'replaced'):.4f}"
            for ranking in rankings.values()
        ]
        print(f"| {name} | {way} | {' | '.join(areas)} |")
    length = np.mean([len(each.words) for each in found])
    print(
        f"  {len(texts):,} texts of {length:.0f} words in {seconds:.2f} s; "
        f"two runs differ by {agree:.1g} at most"
    )


def main() -> None:
    """Component notes first, then the sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    sets = ["sst2_sentences", "trec6", "maintie_undesirable_state"]
    parser.add_argument("--sets", nargs="*", default=sets)
    parser.add_argument("--texts", type=int, default=1_000)
    options = parser.parse_args()
    print("| table | words are | ours | leave one out | random |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        notes = pl.read_csv(options.data / "component_notes.csv.gz").cast(pl.String)
        explainer = model_of(notes, Path(folder))
        distinct = notes.unique("text", maintain_order=True)
        measure("component notes", explainer, distinct["text"].sample(options.texts, seed=0))
        bad = explainer.explain(distinct.filter(pl.col("label") == "1")["text"])
        bad = [each for each in bad if each.decision == "1"]
        first = above = first_left_out = 0
        by_deletion = left_out(explainer, bad)
        for each in bad:
            breaking = np.array([breaks_the_rule(word) for word in each.words])
            shares = each.contributions
            first += bool(breaking[shares.argmax()])
            first_left_out += bool(breaking[by_deletion[each.text][0]])
            above += bool(shares[breaking].min() > shares[~breaking].max())
        print(
            f"  of {len(bad):,} non-compliant notes a word that breaks the rule ranks first in "
            f"{first / len(bad):.2%} (leave one out: {first_left_out / len(bad):.2%}), all such "
            f"words above all others in {above / len(bad):.2%}"
        )
        for name in options.sets:
            table = pl.read_parquet(options.data / f"{name}.parquet").with_columns(
                pl.col("label").cast(pl.String)
            )
            test = table.filter(pl.col("split") == "test")["text"].unique(maintain_order=True)
            rest = table.filter(pl.col("split") != "test").select("text", "label")
            explainer = model_of(rest, Path(folder))
            measure(name, explainer, test.head(options.texts))


if __name__ == "__main__":
    main()
