"""Print what a command would print of a result: for notebooks and scripts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from .errors import SettingsError

Names = Mapping[str, str] | None

# Of a class, by module and name, so that nothing is imported to see that a thing is none of it.
_TEXTS: dict[tuple[str, str], Callable[[Any, Names], str]] = {
    ("compared", "CompareResult"): lambda found, names: _told("leaderboard", "compare_text", found),
    ("data.checks", "CheckReport"): lambda found, names: _told("check", "check_text", found),
    ("data.corpus", "Corpus"): lambda found, names: _told("review", "corpus_text", found),
    ("evaluating", "Evaluated"): lambda found, names: _told("evaluation", "evaluated_text", found),
    ("exporting", "Exported"): lambda found, names: _told("export", "exported_text", found),
    ("registered", "Registered"): lambda found, names: _told("register", "registered_text", found),
    ("result", "TrainResult"): lambda found, names: _told(
        "review", "review_text", found, _names_in(found) if names is None else names
    ),
    ("review.differences", "Drift"): lambda found, names: _told("drift", "drift_text", found),
    ("review.explanation", "Explanation"): lambda found, names: _told(
        "explanation", "explanation_text", found, names or {}
    ),
    ("scored", "Scored"): lambda found, names: "\n".join(found.told()),
    ("verifying", "Verified"): lambda found, names: _told("verify", "verified_text", found),
}


def show(result: Any, *, label_names: Names = None) -> None:
    """Print what the command would print of what a function of textgauge returned.

    Args:
        result: of `train`, `compare`, `check`, `evaluate`, `explain`, `score`, `export`, `register`
            or `verify`; the `corpus` or the `check` of `preview`; or a list of such.
        label_names: what to call label values, where the result does not know it (`explain`).

    Raises:
        SettingsError: it is none of these.

    """
    results = result if isinstance(result, list | tuple) else [result]
    text = "\n\n\n".join(_text_of(each, label_names).rstrip("\n") for each in results)
    sys.stdout.write(f"{text}\n")


def _text_of(result: Any, label_names: Names) -> str:
    kind = type(result)
    home = kind.__module__.removeprefix("textgauge.")
    text = _TEXTS.get((home, kind.__name__))
    if text is None:
        raise SettingsError(
            f"show prints what textgauge.train, check, evaluate, explain and the other functions "
            f"return, not a {kind.__name__}; for that use print."
        )
    return text(result, label_names)


def _told(module: str, function: str, *what: Any) -> str:
    text: str = getattr(import_module(f".terminal.{module}", __package__), function)(*what)
    return text


def _names_in(result: Any) -> dict[str, str]:
    """The names of the labels, which the check of the table has noted."""
    return {each.label: each.name for each in result.check.profile.labels if each.name}
