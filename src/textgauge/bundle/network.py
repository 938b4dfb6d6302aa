"""What a saved network may hold, read from its bytes before onnxruntime is given them.

onnxruntime would follow a network to other files ("external data") and to operators of other
libraries. The bytes are ONNX's protocol buffers; the field numbers are those of `onnx.proto`
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Reading the few that matter here by hand
needs neither `onnx` nor `protobuf`, and takes a millisecond.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

DOMAINS = frozenset(("", "ai.onnx", "com.microsoft"))
"""Of operators: ONNX's own, under both its names, and onnxruntime's own, which int8 needs."""

INPUTS = {
    "ids": "tensor(int64)",
    "positions": "tensor(float)",
    "lengths": "tensor(int32)",
}
"""What a network may read."""

OUTPUT = "logits"

_DEEPER = {
    "model": {7: "graph", 8: "operators"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "operators": {},
    "tensor": {},
}
"""The fields of a message that are messages themselves."""

_FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}
"""numpy's names of the data types that can be infinite or no number."""


def check_network(network: bytes) -> None:
    """Refuse a network that needs more than its own bytes, or has weights that are no numbers.

    Raises:
        ValueError: it is none, refers to other files, has functions or operators of other
            libraries, or a weight that is not finite.

    """
    todo: list[tuple[str, memoryview]] = [("model", memoryview(network))]
    graphs = 0
    while todo:  # Without recursion: a graph can be nested as deeply as its bytes last.
        kind, message = todo.pop()
        graphs += kind == "graph"
        found = list(_fields(message))
        if kind == "model" and any(number in (20, 25) for number, _ in found):
            raise ValueError("it has functions or steps of training, which a saved network has not")
        domain = {"node": 7, "operators": 1}.get(kind)
        for number, value in found:
            if number == domain:
                name = bytes(_message(value)).decode("utf-8", "replace")
                if name not in DOMAINS:
                    raise ValueError(f"it needs operators of {name!r}")
            deeper = _DEEPER[kind].get(number)
            if deeper is not None:
                todo.append((deeper, _message(value)))
        if kind == "tensor":
            _check_tensor(found)
    if not graphs:
        raise ValueError("it is no ONNX network")


def check_session(session: Any) -> None:
    """Refuse a network with other inputs or outputs than a classifier's.

    Raises:
        ValueError: what is wrong.

    """
    inputs = {each.name: each.type for each in session.get_inputs()}
    outputs = {each.name: each.type for each in session.get_outputs()}
    if "ids" not in inputs or not inputs.items() <= INPUTS.items():
        raise ValueError(f"it reads {_told(inputs)}, a classifier reads {_told(INPUTS)}")
    if outputs.get(OUTPUT) != "tensor(float)":
        raise ValueError(f"it gives {_told(outputs)}, a classifier {OUTPUT} tensor(float)")


def _told(declared: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in list(declared.items())[:5]) or "nothing"


def _check_tensor(found: list[tuple[int, int | memoryview]]) -> None:
    if any(number == 13 or (number == 14 and value != 0) for number, value in found):
        raise ValueError("it refers to data in another file")
    kind = next((value for number, value in reversed(found) if number == 2), 0)
    stored = _FLOATS.get(kind) if isinstance(kind, int) else None
    if stored is None:
        return
    # Raw bytes are of the tensor's own type; the lists of numbers are float32 and float64.
    of_field = {9: stored, 4: "<f4", 10: "<f8"}
    for number, value in found:
        if number in of_field and isinstance(value, memoryview):
            values = np.frombuffer(value, of_field[number])  # ValueError where bytes are left
            if not np.isfinite(values).all():
                raise ValueError("it has weights that are no finite numbers")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("it is no ONNX network")
    return value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Numbers and values of a message's fields: an integer, or bytes.

    Format: https://protobuf.dev/programming-guides/encoding/
    """
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            number, at = _varint(message, at)
            yield key >> 3, number
            continue
        if wire == 2:
            length, at = _varint(message, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError("it is no ONNX network")
        if at + length > end:
            raise ValueError("it ends too early")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(message):
            raise ValueError("it ends too early")
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("it is no ONNX network")
