"""Standard input: what ends the waiting for it."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from textgauge.data.standard_input import open_standard_input
from textgauge.errors import TableError


class CalledError(Exception):
    """What the signal's handler raises."""


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard input is a pipe; the end to write to."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield writing


def test_a_signal_that_interrupts_no_call_ends_the_waiting(
    pipe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when it comes just before the call begins: another thread takes it."""

    def handler(*_: object) -> None:
        raise CalledError

    def disturb() -> None:
        time.sleep(0.1)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        time.sleep(5)
        os.close(pipe)  # or a defect would wait for ever

    before = signal.signal(signal.SIGUSR1, handler)
    other = threading.Thread(target=disturb, daemon=True)
    try:
        other.start()
        began = time.monotonic()
        with pytest.raises(CalledError):
            open_standard_input("check").read()
        assert time.monotonic() - began < 3
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_all_that_is_sent_is_read(pipe: int) -> None:
    sent = os.urandom(300_000)

    def send() -> None:
        with os.fdopen(pipe, "wb") as file:
            for at in range(0, len(sent), 50_000):
                file.write(sent[at : at + 50_000])
                file.flush()
                time.sleep(0.01)

    threading.Thread(target=send).start()
    assert open_standard_input("check").read() == sent


def test_a_file_is_read_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notes.csv"
    path.write_bytes(b"text,label\n")
    with path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert open_standard_input("check").read() == b"text,label\n"


def test_what_is_no_file_of_the_system_is_read_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"text,label\n")))
    assert open_standard_input("check").read() == b"text,label\n"


def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(TableError, match="textgauge score MODEL - <"):
        open_standard_input("score MODEL")
