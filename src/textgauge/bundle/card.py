"""The model card: what a saved model is, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config import model_in_words
from .markdown import code, plain, table

FOLDER = "path/to/this/folder"

_NONE = "\N{EN DASH}"
"""Stands where there is nothing to take a share of."""

_WORDS = 8
"""Words that are told of each label at most."""


def model_card(settings: Mapping[str, Any]) -> str:
    """A Markdown page from the bundle's settings (`textgauge.json`).

    Follows the headings of Mitchell et al., "Model Cards for Model Reporting" (2019), as far as
    they can be answered from what was measured. Whatever comes from the table is escaped.
    """
    names, data, figures = settings["label_names"], settings["data"], settings["figures"]
    labels = [
        f"{code(each)} ({plain(names[each])})" if each in names else code(each)
        for each in settings["classes"]
    ]
    architecture, has_sets = settings["architecture"], settings.get("multi_label", False)
    gives = "any number" if has_sets else "one"
    first = next(iter(figures.values()))["rows"]
    lines = [
        f"# Text classifier trained on {plain(data['name'])}",
        "",
        f"A {model_in_words(architecture['name'])} that reads a short text and gives {gives} "
        f"of {len(labels)} labels: {_listed(labels)}. Trained by textgauge {settings['version']} "
        f"on {settings['created'][:10]}.",
        "",
        *_in_words(settings),
        "## Use",
        "",
        "```python",
        "import textgauge",
        f'classifier = textgauge.load("{FOLDER}")  # needs no torch',
        'classifier.predict(["a text"])',
        "```",
        "",
        f'With MLflow: `mlflow.pyfunc.load_model("{FOLDER}").predict(["a text"])`.',
        "",
        f'Which words and numbers moved a decision: `textgauge explain {FOLDER} "a text"`; what '
        f"moves those on a table: `textgauge explain {FOLDER} TABLE --overall`. The run's "
        "`report.html` tells it of the test texts.",
        "",
        "## Data",
        "",
        f"{data['rows']:,} rows, {data['distinct_texts']:,} distinct texts "
        f"(digest `{data['digest'][:16]}`). Split: {plain(data['split'])}.",
        "",
        table(
            ["part", "rows", "distinct texts"],
            [[name, f"{p['rows']:,}", f"{p['texts']:,}"] for name, p in data["parts"].items()],
        ),
        "",
        f"Test texts that also stand in train: {data['test_texts_in_train']}. "
        f"A random split of the rows would have shared {data['random_split_share']:.1%} of them."
        f"{_doubts(settings)}",
        "",
        *_problems(data),
        "## How good it is on the test texts",
        "",
        table(
            [
                "classifier",
                "accuracy",
                *(["micro F1"] if has_sets else []),
                "macro F1",
                "loss",
                "accuracy, each text once",
            ],
            [
                [
                    plain(name),
                    f"{f['rows']['accuracy']:.4f}",
                    *([f"{f['rows']['micro_f1']:.4f}"] if has_sets else []),
                    f"{f['rows']['macro_f1']:.4f}",
                    f"{f['rows']['loss']:.4f}",
                    f"{f['texts']['accuracy']:.4f}",
                ]
                for name, f in figures.items()
            ],
        ),
    ]
    if has_sets:
        lines += ["", "Accuracy: the share of the rows whose labels are exactly right."]
    lines += [
        "",
        *_certainty(first),
        table(["label", "precision", "recall", "F1", "test rows"], _labels(first, names)),
        "",
        *_fails(settings),
        *_rules(settings),
        *(_thresholds(settings) if has_sets else _decision(settings)),
        "## Repeat it",
        "",
        "```sh",
        f"textgauge verify {FOLDER}  # with --table FILE where the table has moved",
        "```",
        "",
        "trains again from what was recorded with the model and tells whether the same comes out.",
        "",
        "## Limits",
        "",
        f"- It knows {architecture['vocabulary_size']:,} {_tokens(architecture)}; others read as "
        f"`<unk>`. Texts are read up to {settings['config']['max_tokens']} tokens.",
        "- It was measured on texts like those of the table above and on no others.",
        "- Probabilities are calibrated on the validation texts, by one temperature for all: on "
        "texts of another kind they may be too sure.",
    ]
    return "\n".join(lines) + "\n"


def _in_words(settings: Mapping[str, Any]) -> list[str]:
    """Verdict and sentences for readers who know no figures."""
    if "verdict" not in settings:
        return []
    sentences = [f"- {plain(each)}" for each in settings["in_words"]]
    told = [*sentences, "", "In brackets: where it lies with 95 % confidence."]
    return [
        "## In plain words",
        "",
        plain(settings["verdict"]),
        "",
        *(told if sentences else []),
        "",
    ]


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


def _labels(rows: Mapping[str, Any], names: Mapping[str, str]) -> list[list[str]]:
    """The table's row of each label."""
    intervals, told = rows["intervals"] or {}, []
    for at, label in enumerate(rows["labels"]):
        called = label["called"] if "called" in label else sum(r[at] for r in rows["confusion"])
        shares = {"precision": called, "recall": label["support"], "f1": called + label["support"]}
        told.append(
            [
                plain(names.get(label["label"], label["label"])),
                *(
                    _with_interval(label[name], name != "f1" and intervals.get(name), at)
                    if of
                    else _NONE
                    for name, of in shares.items()
                ),
                f"{label['support']:,}",
            ]
        )
    return told


def _with_interval(value: float, intervals: Any, at: int) -> str:
    if not intervals:
        return f"{value:.4f}"
    low, high = intervals[at]
    return f"{value:.4f} ({low:.3f} to {high:.3f})"


def _problems(data: Mapping[str, Any]) -> list[str]:
    """What was found in the table, the gravest first."""
    if "problems" not in data:
        return []
    found = [
        f"- {each['severity']}: {plain(each['message'])}. {plain(each['advice'])}".rstrip()
        for each in data["problems"]
    ]
    return [
        *(["Found in the table:", "", *found] if found else ["No problem was found in it."]),
        "",
    ]


def _fails(settings: Mapping[str, Any]) -> list[str]:
    """The slices in which it is worse than over all rows, by more than chance."""
    lower = [
        f"- {plain(group['what'])} {plain(each['value'])}: accuracy {each['accuracy']:.1%} "
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
    """What the model goes by: a few rules, where they may stand for it, and words."""
    found, words = settings.get("rules"), settings.get("moves")
    told, names = [], settings["label_names"]
    if found and found["stands"] and len(found["leaves"]) > 1:
        told += [
            f"On {found['agreement']['rows']:.1%} of the test rows it decides like these rules, "
            "which were fitted to its own decisions:",
            "",
            *(
                f"- {plain(names.get(label, label))}: {plain(sentence)}"
                for label, sentence in found["sentences"].items()
            ),
            "",
        ]
    if words:
        told += [
            "What a word adds to the probability of a label, in the mean of the test texts:",
            "",
            *(
                f"- {plain(names.get(label, label))}: "
                + ", ".join(f"{code(each['word'])} {each['share']:+.3f}" for each in some[:_WORDS])
                for label, some in words.items()
                if some
            ),
            "",
        ]
    return ["## What it goes by", "", *told] if told else []


def _decision(settings: Mapping[str, Any]) -> list[str]:
    """A section on costs and on what goes to a person, as far as they were asked for."""
    found, classes, names = settings.get("decision"), settings["classes"], settings["label_names"]
    if found is None:
        return []
    told = []
    if found["costs"] is not None:
        costs = [
            f"{code(names.get(label, label))} {cost:g}"
            for label, cost in zip(classes, found["costs"], strict=True)
        ]
        told.append(
            f"For the label of least expected cost. A wrong decision costs: {_listed(costs)}."
        )
    if found["threshold"] is not None:
        label, least = code(names.get(classes[1], classes[1])), found["threshold"]
        told.append(f"So {label} is decided where its probability is more than {least:.4f}.")
    if found["review_below"] is not None:
        below = found["review_below"]
        told.append(f"Where the certainty is less than {below:.4f}, the decision is `review`.")
    return ["## How it decides", "", " ".join(told), "", *_measured(settings)]


def _thresholds(settings: Mapping[str, Any]) -> list[str]:
    """A section on the threshold of each label, and on what goes to a person."""
    found, names = settings["decision"], settings["label_names"]
    rows = [
        [plain(names.get(label, label)), f"{value:.4f}", f"{each['texts']:,}"]
        for label, value, each in zip(
            settings["classes"], found["thresholds"], found["validation"], strict=True
        )
    ]
    told = [
        "Each label whose probability reaches its threshold: the one of most F1 on the validation "
        "texts, or 0.5 where too few of them have the label.",
        "",
        table(["label", "threshold", "validation texts with it"], rows),
        "",
    ]
    if found["review_below"] is not None:
        told += [
            f"Where the least certain label is less certain than {found['review_below']:.4f}, the "
            "decision is `review`.",
            "",
        ]
    band = settings["decision_on_test"]["band"]
    if band is not None and band["error"] is not None:
        told += [
            f"On the test part {band['coverage']:.1%} are decided without a person; of these the "
            f"labels of {band['error']:.2%} are not exactly right.",
            "",
        ]
    return ["## How it decides", "", *told]


def _measured(settings: Mapping[str, Any]) -> list[str]:
    """What the rule comes to on the test part."""
    found = settings.get("decision_on_test")
    if found is None:
        return []
    told, band = [], found["band"]
    if found["cost"] is not None:
        alone = "" if band is None else ", were none sent to a person"
        told.append(
            f"- 100 cost {100 * found['cost']:.4g}{alone}; deciding the most probable label they "
            f"would cost {100 * found['most_probable_cost']:.4g}."
        )
    if band is None:
        low, high = found["interval"]
        told.append(f"- {found['error']:.2%} are decided wrongly ({low:.1%} to {high:.1%}).")
    else:
        told.append(f"- {band['coverage']:.1%} are decided without a person.")
        if band["error"] is not None:
            low, high = band["interval"]
            told.append(f"- Of these {band['error']:.2%} are wrong ({low:.1%} to {high:.1%}).")
        if band["sent_error"] is not None:
            told.append(f"- Of those that go to a person {band['sent_error']:.2%} would be wrong.")
    return ["Of the rows of the test part:", "", *told, ""]


def _listed(items: Sequence[str]) -> str:
    shown = list(items[:20])
    return ", ".join(shown) + (f" and {len(items) - 20} more" if len(items) > 20 else "")


def _tokens(architecture: Mapping[str, Any]) -> str:
    """What the model reads texts as."""
    return "pieces of words" if architecture["name"] == "encoder" else "words"
