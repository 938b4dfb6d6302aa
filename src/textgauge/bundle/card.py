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
    lines = [
        f"# Text classifier trained on {data['name']}",
        "",
        f"A deep model ({architecture['name'].upper()}) that reads a short text and gives one of "
        f"{len(labels)} labels: {_listed(labels)}. Trained by textgauge {settings['version']} on "
        f"{settings['created'][:10]}.",
        "",
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
        f"A random split of the rows would have shared {data['random_split_share']:.1%} of them.",
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
    first = next(iter(figures.values()))
    lines += [
        "",
        _table(
            ["label", "precision", "recall", "F1", "test rows"],
            [
                [
                    names.get(label["label"], label["label"]),
                    f"{label['precision']:.4f}",
                    f"{label['recall']:.4f}",
                    f"{label['f1']:.4f}",
                    f"{label['support']:,}",
                ]
                for label in first["rows"]["labels"]
            ],
        ),
        "",
        "## Limits",
        "",
        f"- It knows {architecture['vocabulary_size']:,} words; others read as `<unk>`. "
        f"Texts are read up to {settings['config']['max_tokens']} tokens.",
        "- It was measured on texts like those of the table above and on no others.",
        "- Probabilities are the network's own and have not been calibrated.",
    ]
    return "\n".join(lines) + "\n"


def _listed(items: Sequence[str]) -> str:
    shown = list(items[:20])
    return ", ".join(shown) + (f" and {len(items) - 20} more" if len(items) > 20 else "")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |"
        for row in (header, ["---"] * len(header), *rows)
    )
