"""A small builder for ONNX graphs that read ids, positions and lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

OPSET = 17
IR_VERSION = 8
"""The versions of 2022: every onnxruntime since 1.13 reads them."""


class GraphBuilder:
    """Collects nodes and weights; names them itself."""

    FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def weight(self, values: Tensor) -> str:
        """Store an array and return its name."""
        return self._store(values.detach().cpu().numpy())

    def integers(self, values: Sequence[int]) -> str:
        """Store int64 constants and return their name."""
        return self._store(np.array(values, dtype=np.int64))

    def integer(self, value: int) -> str:
        """Store one int64 without a dimension and return its name."""
        return self._store(np.array(value, dtype=np.int64))

    def numbers(self, values: Sequence[float]) -> str:
        """Store float32 constants and return their name."""
        return self._store(np.array(values, dtype=np.float32))

    def _store(self, array: np.ndarray[Any, Any]) -> str:
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def nodes(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs and return their names."""
        names = [f"{kind.lower()}_{len(self._nodes)}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one output and return its name."""
        name = output or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def include(self, model: onnx.ModelProto) -> str:
        """Add all of another graph's nodes, on the same inputs; return its output's name."""
        prefix = f"part_{len(self._nodes)}_"
        inputs = {value.name for value in model.graph.input}

        def named(name: str) -> str:
            return name if not name or name in inputs else prefix + name

        for tensor in model.graph.initializer:
            tensor.name = named(tensor.name)
            self._weights.append(tensor)
        for node in model.graph.node:
            for names in (node.input, node.output):
                names[:] = [named(name) for name in names]
            node.name = named(node.name)
            self._nodes.append(node)
        return named(model.graph.output[0].name)

    def columns(self, name: str) -> str:
        """How many columns a matrix has, a number without a dimension."""
        shape = self.node("Gather", self.node("Shape", name), self.integers([1]))
        return self.node("Squeeze", shape)

    def inside(self, numbers: bool) -> tuple[str, str, str]:
        """Nodes that set what stands behind a text's end to zero.

        Args:
            numbers: whether the positions are read.

        Returns:
            The names of the ids and of the positions, both of shape (texts, tokens), and of the
            lengths, int64 of shape (texts, 1).

        """
        index = self.node("Range", self.integer(0), self.columns("ids"), self.integer(1))
        lengths = self.node(
            "Unsqueeze", self.node("Cast", "lengths", to=self.INT64), self.integers([1])
        )
        inside = self.node("Less", index, lengths)
        ids = self.node("Mul", "ids", self.node("Cast", inside, to=self.INT64))
        positions = "positions"
        if numbers:
            positions = self.node("Mul", positions, self.node("Cast", inside, to=self.FLOAT))
        return ids, positions, lengths

    def model(self, outputs: int) -> onnx.ModelProto:
        """The checked model. Its output `logits` has shape (texts, outputs)."""

        def value(name: str, kind: int, *shape: str | int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, kind, shape)

        graph = helper.make_graph(
            self._nodes,
            "textgauge",
            [
                value("ids", TensorProto.INT64, "texts", "tokens"),
                value("positions", TensorProto.FLOAT, "texts", "tokens"),
                value("lengths", TensorProto.INT32, "texts"),
            ],
            [value("logits", TensorProto.FLOAT, "texts", outputs)],
            self._weights,
        )
        # Only the inputs that some node reads may be declared.
        used = {name for node in self._nodes for name in node.input}
        for declared in [v for v in graph.input if v.name not in used]:
            graph.input.remove(declared)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model)
        return model
