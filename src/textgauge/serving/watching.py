"""The model at work, and the thread that replaces it where its alias moves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..errors import TextgaugeError
from ..tracking.addresses import pin_model
from .model import ServedModel


class ModelInUse:
    """The model that answers now. It is replaced by one assignment, so no request is without."""

    def __init__(
        self,
        model: ServedModel,
        tracking_uri: str | None = None,
        *,
        cores: int | None = 1,
        cached_characters: int = 0,
        say: Callable[[str], None] = lambda told: None,
        tell: Callable[[ServedModel | None], None] = lambda loaded: None,
    ) -> None:
        """Hold a loaded model.

        Args:
            model: the first.
            tracking_uri: where its address is looked up.
            cores: threads of the network of the next ones.
            cached_characters: as in `Limits`, for the next ones.
            say: is told in sentences what happens.
            tell: is told of each attempt to load another: the model, or None where it failed.

        """
        self.current = model
        self.problem: str | None = None
        """Why the model that the alias points to is not the one at work; None: it is."""
        self._tracking_uri, self._cores, self._cached = tracking_uri, cores, cached_characters
        self._say, self._tell = say, tell
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Load what the address points to now, if that is another model, and put it to work.

        What goes wrong is told, and the model at work stays.
        """
        model = self.current
        try:
            source, _ = pin_model(model.address, self._tracking_uri)
        except Exception as error:  # MLflow and its stores raise anything; the next look may do.
            self._trouble(f"{model.address} cannot be looked up: {_told(error)}")
            return
        if source == model.source:
            if self.problem is not None:
                self._say(f"{model.address} is what is served again: {model.source}.")
            self.problem = None
            return
        try:
            loaded = ServedModel.load(
                source, self._tracking_uri, cores=self._cores, cached_characters=self._cached
            )
        except Exception as error:  # A model's files may be damaged in ways that nobody thought of.
            if self._trouble(f"{source} cannot be loaded, {model.source} stays: {_told(error)}"):
                self._tell(None)
            return
        loaded = loaded.at(model.address)
        self.current, self.problem = loaded, None
        self._tell(loaded)
        self._say(f"{model.address} is now {loaded.source}; it was {model.source}.")

    def watch(self, seconds: float) -> None:
        """Look every so many seconds, in a thread, until `close`."""

        def work() -> None:
            while not self._ended.wait(seconds):
                self.look()

        self._thread = threading.Thread(target=work, name="textgauge-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._ended.set()

    def describe(self) -> dict[str, Any]:
        """What /ready tells."""
        return {"ready": True, "model": self.current.describe(), "problem": self.problem}

    def _trouble(self, told: str) -> bool:
        """Note a problem; True if it is a new one, which alone is said."""
        new = told != self.problem
        if new:
            self._say(told)
        self.problem = told
        return new


def _told(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if isinstance(error, TextgaugeError) else f"{type(error).__name__}: {text}"
