"""A table of labelled texts in, a trained, tracked and proved classifier out.

    import textgauge

    result = textgauge.train("notes.csv")              # a tracked run, as `textgauge train`
    classifier = textgauge.load(result.bundle)         # predicts without torch
    classifier.predict(["steel component manufactured in 1979 in good condition"])
    textgauge.explain(result.bundle, "iron component")  # which words moved the decision
    textgauge.show(result)                             # prints what the command prints

    TextClassifier().fit(texts, labels)                # scikit-learn's conventions, no tracking

The names below are loaded when they are first used, so that `import textgauge` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import (
        check,
        compare,
        evaluate,
        explain,
        export,
        load,
        register,
        score,
        train,
        verify,
    )
    from .config import Config
    from .data.component_notes import make_component_notes
    from .errors import TextgaugeError
    from .estimator import TextClassifier
    from .platforms import platform
    from .previewing import preview
    from .showing import show

__all__ = [
    "Config",
    "TextClassifier",
    "TextgaugeError",
    "check",
    "compare",
    "evaluate",
    "explain",
    "export",
    "load",
    "make_component_notes",
    "platform",
    "preview",
    "register",
    "score",
    "show",
    "train",
    "verify",
]

_HOMES = {
    "Config": "config",
    "TextClassifier": "estimator",
    "TextgaugeError": "errors",
    "check": "api",
    "compare": "api",
    "evaluate": "api",
    "explain": "api",
    "export": "api",
    "load": "api",
    "make_component_notes": "data.component_notes",
    "platform": "platforms",
    "preview": "previewing",
    "register": "api",
    "score": "api",
    "show": "showing",
    "train": "api",
    "verify": "api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from .installed import installed_version

        return installed_version()
    if name not in _HOMES:
        raise AttributeError(f"module 'textgauge' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
