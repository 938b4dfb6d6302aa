"""Write docs/reference/commands.md from the command line's own parser.

.venv/bin/python docs/make_reference.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

from textgauge.cli import make_parser

TARGET = Path(__file__).parent / "reference" / "commands.md"

INTRODUCTION = """\
# Commands

<!-- Made by docs/make_reference.py from the parser; a test holds the two equal. -->

Exit status: 0 done, 1 the input or the surroundings are at fault (one message, no traceback),
2 wrong usage, 130 interrupted. With `--json` a command prints exactly one JSON object on standard
output; progress and warnings always go to standard error. `python -m textgauge` is the same
command.

Every setting of `train` can also stand in a TOML file (`--config FILE.toml`), under the option's
name with underscores: `group_column = "year"`. The command line overrules the file.
"""

EXAMPLES = {
    "demo": "textgauge demo",
    "check": "textgauge check notes.csv --text note --label verdict",
    "train": "textgauge train notes.csv --label-names 0=compliant,1=non-compliant",
    "compare": "textgauge compare notes.csv --models bag,cnn,lstm --trials 5 --budget 10m",
    "evaluate": "textgauge evaluate runs:/RUN_ID/model newer_notes.csv",
    "explain": 'textgauge explain runs:/RUN_ID/model "iron component manufactured in 1999"',
    "score": "textgauge score runs:/RUN_ID/model catalogue.parquet --out scored.parquet",
    "serve": "textgauge serve models:/component-notes@champion",
    "export": "textgauge export models:/notes@champion out --int8 --data newer_notes.csv",
    "register": "textgauge register RUN_ID notes --min macro_f1=0.9 --data newer_notes.csv",
    "verify": "textgauge verify RUN_ID --table moved/notes.csv",
    "sync": "textgauge sync --azureml SUBSCRIPTION/lab/notes",
    "ui": "textgauge ui --port 5001",
}


def reference() -> str:
    """Return the page as it must be."""
    commands = next(
        action
        for action in make_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    pages = [INTRODUCTION]
    for name, parser in commands.choices.items():
        pages.append(
            f"## textgauge {name}\n\n{parser.description}\n\n```sh\n{EXAMPLES[name]}\n```\n"
        )
        rows = ["| option | meaning |", "| --- | --- |"]
        for action in parser._actions:
            if isinstance(action, argparse._HelpAction):
                continue
            metavar = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
            names = ", ".join(action.option_strings) or str(metavar)
            shown = f"{names} {metavar}".strip() if action.option_strings else names
            required = " (required)" if action.option_strings and action.required else ""
            told = (action.help or "").replace("%%", "%")  # argparse's way to write one
            cells = [each.replace("|", "\\|") for each in (shown, f"{told}{required}")]
            rows.append(f"| `{cells[0]}` | {cells[1]} |")
        pages.append("\n".join(rows) + "\n")
    return "\n".join(pages)


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
