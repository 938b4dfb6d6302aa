"""A table of labelled texts in, a trained, tracked and proved classifier out.

    import textgauge

    result = textgauge.train("notes.csv")              # a tracked run, as `textgauge train`
    classifier = textgauge.load(result.bundle)         # predicts without torch
    classifier.predict(["steel component manufactured in 1979 in good condition"])
    textgauge.explain(result.bundle, "iron component")  # which words moved the decision

    TextClassifier().fit(texts, labels)                # scikit-learn's conventions, no tracking

The names below are loaded when they are first used, so that `import textgauge` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import compare, explain, export, load, register, score, train, verify
    from .config import Config
    from .errors import TextgaugeError
    from .estimator import TextClassifier

__all__ = [
    "Config",
    "TextClassifier",
    "TextgaugeError",
    "compare",
    "explain",
    "export",
    "load",
    "register",
    "score",
    "train",
    "verify",
]

_HOMES = {
    "Config": "config",
    "TextClassifier": "estimator",
    "TextgaugeError": "errors",
    "compare": "api",
    "explain": "api",
    "export": "api",
    "load": "api",
    "register": "api",
    "score": "api",
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
