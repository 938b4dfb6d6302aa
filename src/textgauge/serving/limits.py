"""How much a client may ask for, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import SettingsError


@dataclass(frozen=True)
class Limits:
    """What is refused, and with which status.

    Attributes:
        body_bytes: of a request to /predict; more is 413.
        table_bytes: of a table sent to /score; more is 413.
        tables: that are scored at the same time; one more is 429.
        texts: of a request; more is 422.
        characters: of a text; more is 422.
        explained: texts that a request may have explained; more is 422.
        queue: requests that may wait for the model; one more is 429.
        queue_seconds: that a request may wait before its work begins; then it is 503.
        read_seconds: that a client may take to send its headers, and then its body; then it is 408.
        write_seconds: that a client may take to fetch what is ready before it is cut off.
        idle_seconds: that a connection is kept without a request.
        connections: open ones; one more is 503.
        shutdown_seconds: for what is in flight when the server is told to end.
        cached_characters: of recent texts whose answers are kept; 0: none.

    """

    body_bytes: int = 1_048_576
    table_bytes: int = 10_485_760
    tables: int = 4
    texts: int = 1_000
    characters: int = 20_000
    explained: int = 16
    queue: int = 256
    queue_seconds: float = 5.0
    read_seconds: float = 10.0
    write_seconds: float = 30.0
    idle_seconds: float = 30.0
    connections: int = 512
    shutdown_seconds: float = 10.0
    cached_characters: int = 2_000_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 0 or (value == 0 and field.name != "cached_characters"):
                raise SettingsError(f"{field.name} must be more than 0, was {value}.")


GATHER_SECONDS = 0.002
"""How long requests wait for each other, and only if the last ones did not come alone."""

BATCH_TEXTS, BATCH_CHARACTERS = 256, 100_000
"""What is computed together at most, so that nobody waits long for one who asks for much."""
