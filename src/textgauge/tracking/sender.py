"""Keeps a server up to date while a run is written to the local store: a thread of the worker.

It is woken after each event that was written, and replays (see `replay`) what the server lacks. A
server that is down, slow or full stops nothing: it is told once and tried again, less and less
often, as long as the training lasts; what is still missing at the end is left to `textgauge sync`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from ..errors import TrackingError
from .failures import capital, is_passing
from .journal import Entry, Journal
from .replay import Replay
from .servers import Server, explain

Answer = dict[str, Any]

_GATHERING = 2.0
"""Seconds between two rounds: what is logged within them goes in one request."""

_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""Seconds until the next attempt after the first failure in a row, the second …"""

_WORTH_TELLING = 2
"""Failures in a row until it is told: a busy server turns many a request away once."""

SILENCE_PATIENCE = 30.0
"""Seconds without a request that gets through, after the end of the run, until it is given up."""

SLOWEST_UPLOAD = 250_000
"""Bytes a second that a network is trusted to have."""

_LAST_WAITS = (0.0, 1.0, 3.0)
"""Seconds before each of the last attempts, when the run has ended."""


class Sender(threading.Thread):
    """Replays one run to one server; says how it goes.

    Answers that `say` receives:

        accepted  the server has the run now (`record`: where)
        refused   it never will (`message`)
        behind    it takes nothing for now (`message`); said once per outage
        note      something worth knowing (`message`)
        progress  a request got through
        forwarded the last word: `message` is why the server lacks something, or None
    """

    def __init__(
        self,
        store: Any,
        journal: Journal,
        entry: Entry,
        server: Server,
        say: Callable[[Answer], None],
    ) -> None:
        """Take the entry of a run that exists in the store; `start` begins to send."""
        super().__init__(daemon=True, name="textgauge-sender")
        self._server, self._journal, self._say = server, journal, say
        self._replay = Replay(
            store,
            journal,
            entry,
            server,
            on_accepted=self._tell_where,
            on_progress=self._note_progress,
            on_note=lambda text: say({"is": "note", "message": text}),
        )
        self._last_progress = time.monotonic()
        self._changed = threading.Condition()
        self._files: frozenset[str] = frozenset()
        self._news, self._ended, self._refused = True, False, False
        self._finished = False
        self._last_problem: str | None = None

    def wake(self, files: frozenset[str] | None) -> None:
        """Something was written; `files` are all artifacts, complete; None: as before."""
        with self._changed:
            self._files = self._files if files is None else files
            self._news = True
            self._changed.notify()

    def end(self, *, finished: bool) -> None:
        """The run has ended and all of it was written; `finished`: it ended well."""
        with self._changed:
            self._finished = finished
            self._ended, self._last_progress = True, time.monotonic()
            self._changed.notify()

    def wait_until_done(self, largest_file: int) -> None:
        """Wait for the last word, and give up if nothing gets through for too long.

        `largest_file` of the run in bytes: how an upload gets on is not seen from here.
        """
        patience = SILENCE_PATIENCE + largest_file / SLOWEST_UPLOAD
        if self._last_problem is not None:
            patience = SILENCE_PATIENCE / 3
        while self.is_alive():
            left = self._last_progress + patience - time.monotonic()
            if left <= 0:
                silence = f"{capital(self._server.title)} has been silent for {patience:.0f} s"
                self._conclude(self._last_problem or silence)
                return
            self.join(min(left, 1.0))

    def run(self) -> None:
        """Return after the last word."""
        problem, lasting = self._while_it_lasts()
        if lasting:
            with self._changed:
                self._changed.wait_for(lambda: self._ended)
        else:
            problem = self._at_the_end()
        self._conclude(problem)

    def _conclude(self, problem: str | None) -> None:
        # A run that ended well is worth sending once its server can be brought to take it.
        given_up = self._refused and not self._finished
        state = "done" if problem is None else "refused" if given_up else "open"
        with contextlib.suppress(TrackingError):  # the store's disk is full: sync will find out
            self._journal.update(self._replay.entry, state=state, problem=problem)
        self._say({"is": "forwarded", "message": problem})

    def _tell_where(self) -> None:
        replay = self._replay
        self._say(
            {
                "is": "accepted",
                "record": {
                    "run_id": replay.entry.server_run_id,
                    "experiment_id": replay.experiment_id,
                    "experiment": replay.experiment,
                    "tracking_uri": self._server.uri,
                    "run_url": replay.run_url,
                },
            }
        )

    def _note_progress(self) -> None:
        self._last_progress = time.monotonic()
        self._say({"is": "progress"})

    def _while_it_lasts(self) -> tuple[str | None, bool]:
        """Send until the run has ended, or nothing more can be sent: why, and whether for good."""
        failures = 0
        while True:
            self._wait(_WAITS[min(failures, len(_WAITS)) - 1] if failures else None)
            if self._ended:
                return None, False
            problem, lasting = self._attempt()
            if problem is None:
                if failures >= _WORTH_TELLING:
                    answers = f"{capital(self._server.title)} answers again"
                    self._say({"is": "note", "message": answers})
                failures = 0
                continue
            failures += 1
            if self._refused:
                self._say({"is": "refused", "message": problem})
            elif lasting or failures == _WORTH_TELLING:
                self._say({"is": "behind", "message": problem})
            if lasting:
                return problem, True

    def _at_the_end(self) -> str | None:
        """Send the rest: why something is missing, or None."""
        problem: str | None = None
        for wait in _LAST_WAITS:
            time.sleep(wait)
            problem, lasting = self._attempt()
            if problem is None or lasting:
                break
        return problem

    def _wait(self, pause: float | None) -> None:
        """Until there is news, or after a pause for trying again; the end ends it at once."""
        with self._changed:
            if pause is None:
                self._changed.wait_for(lambda: self._news or self._ended)
                pause = _GATHERING if self._replay.accepted else 0.0
            self._changed.wait_for(lambda: self._ended, timeout=pause)

    def _attempt(self) -> tuple[str | None, bool]:
        """Replay once. Gives what went wrong, and whether it would go wrong again."""
        with self._changed:
            files, ended, self._news = self._files, self._ended, False
        try:
            self._replay.catch_up(files, ended=ended)
        except Exception as error:
            self._news = True
            problem, lasting = explain(error, self._server), not is_passing(error)
            self._refused = lasting and not self._replay.accepted
            self._last_problem = problem
            return problem, lasting
        self._last_problem = None
        return None, False
