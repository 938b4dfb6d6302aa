"""A network is refused where it needs more than its bytes, as `onnx` writes such networks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from textgauge.bundle import files
from textgauge.bundle.network import check_network
from textgauge.bundle.predictor import Predictor
from textgauge.bundle.stored import write_digests
from textgauge.errors import BundleError


@pytest.fixture
def network(trained):
    return onnx.load(trained.folder / files.ONNX)


def refused(network):
    with pytest.raises(ValueError, match="it ") as error:
        check_network(network.SerializeToString())
    return str(error.value)


def test_a_saved_network_is_sound(trained):
    check_network((trained.folder / files.ONNX).read_bytes())


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "weights.safetensors"])
def test_data_in_another_file_is_refused(network, location):
    onnx.external_data_helper.set_external_data(network.graph.initializer[0], location)
    assert refused(network) == "it refers to data in another file"


def test_data_in_another_file_is_refused_within_attributes_and_deep_graphs(network):
    tensor = numpy_helper.from_array(np.zeros(3, dtype=np.float32), "w")
    tensor.data_location = TensorProto.EXTERNAL
    graph = helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "g", [], [])
    for _ in range(8):
        graph = helper.make_graph([helper.make_node("If", ["c"], [], then_branch=graph)], "g", [],
                                  [])  # fmt: skip
    network.graph.node.append(helper.make_node("If", ["c"], [], then_branch=graph))
    assert refused(network) == "it refers to data in another file"


def test_operators_of_other_libraries_are_refused(network):
    network.graph.node.append(helper.make_node("Run", ["ids"], ["x"], domain="evil.ops"))
    assert refused(network) == "it needs operators of 'evil.ops'"
    del network.graph.node[-1]
    network.opset_import.append(helper.make_opsetid("other", 1))
    assert refused(network) == "it needs operators of 'other'"


def test_operators_of_onnxruntime_are_allowed(network):
    network.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    check_network(network.SerializeToString())


def test_functions_are_refused(network):
    opsets = [helper.make_opsetid("", 17)]
    network.functions.append(helper.make_function("", "f", ["x"], ["x"], [], opsets))
    assert refused(network).startswith("it has functions")


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(network, kind, value):
    array = np.array([1, value], dtype=kind)
    network.graph.initializer.append(numpy_helper.from_array(array, "w"))
    assert refused(network) == "it has weights that are no finite numbers"


def test_weights_in_lists_are_looked_at_too(network):
    listed = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, float("inf")])
    network.graph.initializer.append(listed)
    assert refused(network) == "it has weights that are no finite numbers"


@pytest.mark.parametrize("content", [b"", b"\0", b"ORTM" * 9, b"\x3a\xff", b"[]", b"\xff" * 20])
def test_what_is_no_network_is_refused(content):
    with pytest.raises(ValueError, match=r"it is no ONNX network|it ends too early"):
        check_network(content)


# ---- in a bundle


def saved(trained, tmp_path, change):
    folder = shutil.copytree(trained.folder, tmp_path / "model")
    network = onnx.load(folder / files.ONNX)
    change(network)
    onnx.save(network, folder / files.ONNX)
    write_digests(folder, files.DIGESTED)
    with pytest.raises(BundleError) as error:
        Predictor.load(folder)
    return str(error.value)


def rename(found, new):
    def change(network):
        for each in (*network.graph.input, *network.graph.output):
            each.name = new if each.name == found else each.name
        for node in network.graph.node:
            for names in (node.input, node.output):
                names[:] = [new if name == found else name for name in names]

    return change


@pytest.mark.parametrize(
    ("found", "new", "said"),
    [
        ("ids", "tokens", "it reads tokens tensor(int64), "),
        ("lengths", "path", "it reads ids tensor(int64), "),
        ("logits", "answer", "it gives answer tensor(float), a classifier logits tensor(float)"),
    ],
)
def test_other_inputs_or_outputs_are_refused(trained, tmp_path, found, new, said):
    told = saved(trained, tmp_path, rename(found, new))
    assert f"model.onnx is damaged ({said}" in told


def test_a_network_that_cannot_be_run_is_refused(trained, tmp_path):
    def fewer_words(network):
        tensor = max(network.graph.initializer, key=lambda t: t.dims[0] if len(t.dims) == 2 else 0)
        array = numpy_helper.to_array(tensor)[:-1]
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    assert "model.onnx is damaged (" in saved(trained, tmp_path, fewer_words)


def test_a_network_whose_numbers_overflow_is_refused(trained, tmp_path):
    def huge(network):
        last = network.graph.node[-1]
        for tensor in network.graph.initializer:
            if tensor.name in last.input:
                array = np.full_like(numpy_helper.to_array(tensor), 3e38)
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    assert "gives no finite numbers" in saved(trained, tmp_path, huge)


def test_no_file_beside_the_network_is_opened(trained, tmp_path):
    """Where the working folder holds a file of that name, it is not taken for the weights."""
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        (tmp_path / "data").write_bytes(bytes(10**6))

        def beside(network):
            onnx.external_data_helper.set_external_data(network.graph.initializer[0], "data")
            network.graph.initializer[0].ClearField("raw_data")

        folder = shutil.copytree(trained.folder, tmp_path / "model")
        network = onnx.load(folder / files.ONNX)
        beside(network)
        (folder / files.ONNX).write_bytes(network.SerializeToString())
        write_digests(folder, files.DIGESTED)
        with pytest.raises(BundleError, match="it refers to data in another file"):
            Predictor.load(folder)
    finally:
        os.chdir(before)
