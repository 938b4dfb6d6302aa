"""The options of the commands: a function for each, which adds them to its parser."""

from .runs import export, register, sync, ui, verify
from .shared import Parser, ShowVersion
from .training import check, compare, demo, train
from .using import evaluate, explain, score, serve

__all__ = [
    "Parser",
    "ShowVersion",
    "check",
    "compare",
    "demo",
    "evaluate",
    "explain",
    "export",
    "register",
    "score",
    "serve",
    "sync",
    "train",
    "ui",
    "verify",
]
