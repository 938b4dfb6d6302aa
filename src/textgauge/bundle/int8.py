"""A saved network with its weights in 8 bits: a quarter of the size.

Only what is stored is rounded; the sums stay in float32. The other way, dynamic quantisation
(onnxruntime's `quantize_dynamic`), also rounds what flows through the network, by one scale for all
texts of a batch: then a text's probability depends on the texts beside it. Here it does not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

SMALLEST = 256
"""Arrays of fewer numbers stay as they are: biases, what is left of a small layer."""


def to_int8(network: bytes) -> bytes:
    """The same ONNX graph with float32 matrices stored as int8, a scale for each of their rows.

    A weight w becomes the whole number nearest to w / s with s = max |w| / 127 over its row, and is
    read as that number times s: it moves by s / 2 at most. A row is a slice along the first axis
    that is longer than 1: a word of an embedding, a gate's unit of an LSTM.

    Args:
        network: an ONNX model, as bytes.

    """
    model = onnx.load_from_string(network)
    graph = model.graph
    readers: dict[str, list[tuple[NodeProto, int]]] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            readers.setdefault(name, []).append((node, place))
    nodes: dict[int, list[NodeProto]] = {}
    first: list[NodeProto] = []
    for tensor in list(graph.initializer):
        weights = numpy_helper.to_array(tensor)
        if weights.dtype != np.float32 or weights.ndim < 2 or weights.size < SMALLEST:
            continue
        axis = next(at for at, size in enumerate(weights.shape) if size > 1)
        whole, scale = _rounded(weights, axis)
        name = tensor.name
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(whole, f"{name}_int8"))
        used = readers.get(name, [])
        if all(node.op_type == "Gather" and place == 0 for node, place in used) and not axis:
            # Only the rows that are looked up: a vocabulary is not unpacked for a few words.
            one_each = scale.reshape(-1, *[1] * (weights.ndim - 1))
            graph.initializer.append(numpy_helper.from_array(one_each, f"{name}_scale"))
            for node, _ in used:
                nodes[id(node)] = _looked_up(node, name)
        else:
            graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
            stored = [f"{name}_int8", f"{name}_scale"]
            first.append(helper.make_node("DequantizeLinear", stored, [name], axis=axis))
    kept = [each for node in graph.node for each in nodes.get(id(node), [node])]
    kept = [NodeProto.FromString(node.SerializeToString()) for node in (*first, *kept)]
    del graph.node[:]
    graph.node.extend(kept)
    onnx.checker.check_model(model)
    smaller: bytes = model.SerializeToString()
    return smaller


def _rounded(
    weights: npt.NDArray[np.float32], axis: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Whole numbers in the shape of `weights`, and a scale for each slice along `axis`.

    >>> whole, scale = _rounded(np.array([[127.0, -1.4], [0.0, 0.0]], dtype=np.float32), 0)
    >>> whole.tolist(), scale.tolist()
    ([[127, -1], [0, 0]], [1.0, 1.0])
    """
    others = tuple(at for at in range(weights.ndim) if at != axis)
    scale = np.abs(weights).max(axis=others) / np.float32(127)
    scale[scale == 0] = 1
    whole = np.rint(weights / np.expand_dims(scale, others))
    return whole.astype(np.int8), scale


def _looked_up(node: NodeProto, name: str) -> list[NodeProto]:
    """Nodes that look up rows of an array in 8 bits as `node` did in 32."""
    (_, index), (found,) = node.input, node.output
    return [
        helper.make_node("Gather", [f"{name}_int8", index], [f"{found}_int8"]),
        helper.make_node("Cast", [f"{found}_int8"], [f"{found}_whole"], to=TensorProto.FLOAT),
        helper.make_node("Gather", [f"{name}_scale", index], [f"{found}_scale"]),
        helper.make_node("Mul", [f"{found}_whole", f"{found}_scale"], [found]),
    ]
