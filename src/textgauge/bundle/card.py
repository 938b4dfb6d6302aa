"""The model card: what a saved model is, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def model_card(settings: Mapping[str, Any]) -> str:
    """A Markdown page from the bundle's settings (`textgauge.json`).

    Follows the headings of Mitchell et al., "Model Cards for Model Reporting" (2019), as far as
    they can be answered from what was measured.
    """
    names, data, figures = settings["label_names"], settings["data"], settings["figures"]
    labels = [f"`{c}` ({names[c]})" if c in names else f"`{c}`" for c in settings["classes"]]
    architecture = settings["architecture"]
    first = next(iter(figures.values()))["rows"]
    lines = [
        f"# Text classifier trained on {data['name']}",
        "",
        f"A deep model ({architecture['name'].upper()}) that reads a short text and gives one of "
        f"{len(labels)} labels: {_listed(labels)}. Trained by textgauge {settings['version']} on "
        f"{settings['created'][:10]}.",
        "",
        *_in_words(settings),
        "## Use",
        "",
        "```python",
        "import textgauge",
        'classifier = textgauge.load("path/to/this/folder")  # needs no torch',
        'classifier.predict(["a text"])',
        "```",
        "",
        'With MLflow: `mlflow.pyfunc.load_model("path/to/this/folder").predict(["a text"])`.',
        "",
        "## Data",
        "",
        f"{data['rows']:,} rows, {data['distinct_texts']:,} distinct texts "
        f"(digest `{data['digest'][:16]}`). Split: {data['split']}.",
        "",
        _table(
            ["part", "rows", "distinct texts"],
            [[name, f"{p['rows']:,}", f"{p['texts']:,}"] for name, p in data["parts"].items()],
        ),
        "",
        f"Test texts that also stand in train: {data['test_texts_in_train']}. "
        f"A random split of the rows would have shared {data['random_split_share']:.1%} of them."
        f"{_doubts(settings)}",
        "",
        "## How good it is on the test texts",
        "",
        _table(
            ["classifier", "accuracy", "macro F1", "loss", "accuracy, each text once"],
            [
                [
                    name,
                    f"{f['rows']['accuracy']:.4f}",
                    f"{f['rows']['macro_f1']:.4f}",
                    f"{f['rows']['loss']:.4f}",
                    f"{f['texts']['accuracy']:.4f}",
                ]
                for name, f in figures.items()
            ],
        ),
    ]
    intervals = first["intervals"]
    lines += [
        "",
        *_certainty(first),
        _table(
            ["label", "precision", "recall", "F1", "test rows"],
            [
                [
                    names.get(label["label"], label["label"]),
                    _with_interval(label["precision"], intervals and intervals["precision"][at]),
                    _with_interval(label["recall"], intervals and intervals["recall"][at]),
                    f"{label['f1']:.4f}",
                    f"{label['support']:,}",
                ]
                for at, label in enumerate(first["labels"])
            ],
        ),
        "",
        *_fails(settings),
        *_rules(settings),
        *_decision(settings),
        "## Limits",
        "",
        f"- It knows {architecture['vocabulary_size']:,} words; others read as `<unk>`. "
        f"Texts are read up to {settings['config']['max_tokens']} tokens.",
        "- It was measured on texts like those of the table above and on no others.",
        "- Probabilities are the network's own and have not been calibrated.",
    ]
    return "\n".join(lines) + "\n"


def _in_words(settings: Mapping[str, Any]) -> list[str]:
    """Verdict and sentences for readers who know no figures."""
    if "verdict" not in settings:
        return []
    sentences = [f"- {' '.join(each.split())}" for each in settings["in_words"]]
    told = [*sentences, "", "In brackets: where it lies with 95 % confidence."]
    return ["## In plain words", "", settings["verdict"], "", *(told if sentences else []), ""]


def _certainty(rows: Mapping[str, Any]) -> list[str]:
    """Where accuracy and macro F1 lie, and how far probabilities can be trusted."""
    if rows["intervals"] is None:
        return []
    accuracy, f1 = rows["intervals"]["accuracy"], rows["intervals"]["macro_f1"]
    return [
        f"With 95 % confidence its accuracy lies between {accuracy[0]:.1%} and {accuracy[1]:.1%}, "
        f"its macro F1 between {f1[0]:.1%} and {f1[1]:.1%}. Expected calibration error "
        f"{rows['ece']:.4f}, Brier score {rows['brier']:.4f}.",
        "",
    ]


def _with_interval(value: float, interval: Sequence[float] | None) -> str:
    return f"{value:.4f}" + ("" if not interval else f" ({interval[0]:.3f} to {interval[1]:.3f})")


def _fails(settings: Mapping[str, Any]) -> list[str]:
    """The slices in which it is worse than over all rows, by more than chance."""
    lower = [
        f"- {group['what']} {' '.join(each['value'].split())}: accuracy {each['accuracy']:.1%} "
        f"({each['interval'][0]:.1%} to {each['interval'][1]:.1%}) in {each['rows']:,} rows"
        for group in settings.get("slices", [])
        for each in group["slices"]
        if each["than_all"] == "lower"
    ]
    return ["## Where it fails", "", *lower, ""] if lower else []


def _doubts(settings: Mapping[str, Any]) -> str:
    """A sentence on the labels that it was trained and measured with."""
    found = settings.get("label_issues")
    if not found or not found["rows"]:
        return ""
    return f" The labels of {found['rows']:,} rows are in doubt (`label_issues.csv` of the run)."


def _rules(settings: Mapping[str, Any]) -> list[str]:
    """What the model goes by, where a few rules may stand for it."""
    found = settings.get("rules")
    if not found or not found["stands"] or len(found["leaves"]) < 2:
        return []
    names = settings["label_names"]
    return [
        "## What it goes by",
        "",
        f"On {found['agreement']['rows']:.1%} of the test rows it decides like these rules, which "
        "were fitted to its own decisions:",
        "",
        *(
            f"- {' '.join(names.get(label, label).split())}: {' '.join(sentence.split())}"
            for label, sentence in found["sentences"].items()
        ),
        "",
    ]


def _decision(settings: Mapping[str, Any]) -> list[str]:
    """A section on costs and on what goes to a person, as far as they were asked for."""
    found, classes, names = settings.get("decision"), settings["classes"], settings["label_names"]
    if found is None:
        return []
    told = []
    if found["costs"] is not None:
        costs = [
            f"`{names.get(label, label)}` {cost:g}"
            for label, cost in zip(classes, found["costs"], strict=True)
        ]
        told.append(
            f"For the label of least expected cost. A wrong decision costs: {_listed(costs)}."
        )
    if found["threshold"] is not None:
        label, least = names.get(classes[1], classes[1]), found["threshold"]
        told.append(f"So `{label}` is decided where its probability is more than {least:.4f}.")
    if found["review_below"] is not None:
        below = found["review_below"]
        told.append(f"Where the certainty is less than {below:.4f}, the decision is `review`.")
    return ["## How it decides", "", " ".join(told), ""]


def _listed(items: Sequence[str]) -> str:
    shown = list(items[:20])
    return ", ".join(shown) + (f" and {len(items) - 20} more" if len(items) > 20 else "")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |"
        for row in (header, ["---"] * len(header), *rows)
    )
