"""The command line: parse, call, and tell faults. Nothing heavy is imported to show a help text."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from . import options as add
from .commands import checking, runs, serving, shipping, training, using
from .cores import give_cores_away
from .errors import TextgaugeError, was_interrupted
from .terminal.faults import fault_text

Command = Callable[[argparse.Namespace], int]

INTERRUPTED = 130

_TOLD = (TextgaugeError, ModuleNotFoundError, MemoryError, OSError)
"""Faults that are told in a sentence; any other is the program's own, and keeps its traceback."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave the process with its exit status.

    Where all is well it returns instead, which comes to the same for a process. A host that calls
    this as a function, such as a wheel's task on Databricks, may take any SystemExit for a failure.
    """
    if arguments is None:
        _leave_ascii_behind()
        give_cores_away()  # The process is ours alone.
    status = run_command(arguments)
    if status:
        sys.exit(status)


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns 0 done, 1 input or surroundings at fault, 2 wrong usage, 130 stopped.

    A fault of the user's or the surroundings' is told in one message, without a traceback.
    """
    options, unknown = make_parser().parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    handlers = _take_interruptions()
    try:
        _let_ctrl_c_interrupt()
        _write_what_can_be_written()
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader of our output went away (| head); nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BaseException as error:
        interrupted = was_interrupted(error)
        if not interrupted and not isinstance(error, _TOLD):
            raise
        text = "interrupted." if interrupted else fault_text(error)
        print(f"textgauge: error: {text}", file=sys.stderr, flush=True)
        if interrupted:
            return INTERRUPTED
        return error.exit_status if isinstance(error, TextgaugeError) else 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _leave_ascii_behind() -> None:
    """Begin anew in Python's UTF-8 mode where paths and options would be read as ASCII.

    Where neither the locale nor Python says UTF-8 (LC_ALL=C and PYTHONUTF8=0), letters beyond ASCII
    in paths would come as escapes, which no other library takes.
    """
    if sys.getfilesystemencoding() == "ascii" and sys.executable:
        os.environ["PYTHONUTF8"] = "1"
        command = [sys.executable, "-X", "utf8", "-m", "textgauge", *sys.argv[1:]]
        os.execv(sys.executable, command)


def _take_interruptions() -> dict[int, Any]:
    """Let Ctrl-C and SIGTERM interrupt, each once; returns the handlers that were there before.

    Polars raises a KeyboardInterrupt of its own where Ctrl-C finds it at work, and has Python's
    handler called for the same signal, too: in the middle of the clean-up, which it would cut off.
    So the first signal interrupts nothing that is interrupted already. A second one does.
    """
    import threading

    if threading.current_thread() is not threading.main_thread():
        return {}
    first = True

    def interrupt(*_: object) -> None:
        nonlocal first
        cleaning_up = first and isinstance(sys.exception(), KeyboardInterrupt)
        first = False
        if not cleaning_up:
            raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    # None stands for a handler that Python did not set and cannot set again.
    return {number: handler for number, handler in before.items() if handler is not None}


def _let_ctrl_c_interrupt() -> None:
    """End what blocks at Ctrl-C: reading standard input, waiting for another process.

    Polars sets a handler of its own, after which such calls go on (pola-rs/polars#21739).
    """
    import polars  # noqa: F401 - before, or it would undo this

    if hasattr(signal, "siginterrupt"):
        signal.siginterrupt(signal.SIGINT, True)


def _write_what_can_be_written() -> None:
    """Show a question mark where the terminal's encoding lacks a character, and go on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


_COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Command, str]] = {
    "demo": (add.demo, training.demo, "make component notes, train on them, print the review"),
    "check": (add.check, checking.check, "what is in a table and what is wrong with it"),
    "train": (add.train, training.train, "train a classifier on a table, as a tracked run"),
    "compare": (add.compare, training.compare, "several models side by side, and which is best"),
    "evaluate": (add.evaluate, using.evaluate, "figures of a saved model on another table"),
    "explain": (add.explain, using.explain, "which words moved a decision"),
    "score": (add.score, using.score, "predict every row of a table"),
    "serve": (add.serve, serving.serve, "answer requests over HTTP, with a page for people"),
    "export": (
        add.export,
        shipping.export,
        "a folder that predicts with numpy and onnxruntime only",
    ),
    "register": (
        add.register,
        shipping.register,
        "make a run's model the champion, if it proves itself and all gates hold",
    ),
    "verify": (
        add.verify,
        runs.verify,
        "train again as a run did, and compare the results",
    ),
    "sync": (add.sync, runs.sync, "send runs that a tracking server missed"),
    "ui": (add.ui, runs.ui, "look at the runs in MLflow's web UI"),
}


def make_parser() -> argparse.ArgumentParser:
    """Make the parser with all commands."""
    parser = add.Parser(
        prog="textgauge",
        description="From a table of labelled texts to a trained, tracked and usable classifier.",
    )
    parser.add_argument("--version", action=add.ShowVersion)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (add_options, run, text) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        add_options(command)
        command.set_defaults(run=run, parser=command)
    return parser
