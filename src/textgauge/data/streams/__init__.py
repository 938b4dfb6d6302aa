"""Tables as streams: read piece by piece in bounded memory, from any piece on."""

from .opening import open_stream
from .piece import Piece, Stream, Unreadable

__all__ = ["Piece", "Stream", "Unreadable", "open_stream"]
