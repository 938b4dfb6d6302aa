"""Weights in 8 bits: near to what they were, a quarter of the size, each text by itself."""

import doctest

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from textgauge.bundle import files, int8
from textgauge.bundle.int8 import SMALLEST, to_int8
from textgauge.bundle.predictor import Predictor, session_from_bytes


@pytest.fixture(scope="module")
def both(trained):
    """The network as it is, and in 8 bits."""
    network = (trained.folder / files.ONNX).read_bytes()
    return network, to_int8(network)


def weights_of(network):
    """Float weights by name, those in 8 bits multiplied out."""
    held = {
        t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(network).graph.initializer
    }
    found = {}
    for name, array in held.items():
        if name.endswith("_int8"):
            scale = held[name.removesuffix("_int8") + "_scale"]
            if scale.ndim == 1:
                axis = next(at for at, size in enumerate(array.shape) if size > 1)
                scale = scale.reshape([-1 if at == axis else 1 for at in range(array.ndim)])
            found[name.removesuffix("_int8")] = (array * scale, scale)
    return held, found


def test_no_weight_moves_by_more_than_half_a_step(both):
    before, _ = weights_of(both[0])
    _, rounded = weights_of(both[1])
    assert {before[name].ndim for name in rounded} == {2, 3}, "words, and the LSTM's matrices"
    for name, (array, scale) in rounded.items():
        assert (np.abs(array - before[name]) <= scale / 2 * 1.001).all()
        # The largest of a row stays what it is.
        np.testing.assert_allclose(np.abs(array).max(), np.abs(before[name]).max(), rtol=1e-6)


def test_every_large_array_is_in_8_bits(both):
    held, rounded = weights_of(both[1])
    large = [
        n for n, a in held.items() if a.dtype == np.float32 and a.ndim > 1 and a.size >= SMALLEST
    ]
    assert large == []
    assert rounded
    assert len(both[1]) < 0.5 * len(both[0])  # This network is tiny; a real one comes to a quarter.


def test_predictions_stay_near_and_are_each_text_s_own(trained, both):
    whole = Predictor.load(trained.folder, cores=1)
    small = Predictor(whole.settings, whole.encoder, session_from_bytes(both[1]))
    texts = trained.corpus.test.texts
    found = small.predict(texts).probabilities
    difference = np.abs(found - whole.predict(texts).probabilities).max()
    assert 0 < difference < 0.02
    # What onnxruntime's dynamic quantisation does not keep: the neighbours play no role.
    alone = np.concatenate([small.predict([text]).probabilities for text in texts.head(20)])
    np.testing.assert_allclose(alone, found[:20], rtol=0, atol=1e-6)


def test_an_array_with_two_kinds_of_readers_is_unpacked_as_a_whole():
    """One that is looked up and multiplied, too; and rows of nothing but zeros."""
    weights = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    weights[3] = 0
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["rows"]),
            helper.make_node("MatMul", ["rows", "turned"], ["logits"]),
            helper.make_node("Transpose", ["table"], ["turned"]),
        ],
        "tied",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(weights, "table")],
    )
    graph.node.insert(1, graph.node.pop(2))  # ONNX wants them in the order of their use.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(
        to_int8(model.SerializeToString()), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"ids": np.array([3, 5])})
    np.testing.assert_allclose(found, weights[[3, 5]] @ weights.T, atol=0.1)
    assert (found[0] == 0).all()


def test_small_arrays_stay_as_they_are(both):
    before, _ = weights_of(both[0])
    after, _ = weights_of(both[1])
    same = [name for name in before if name in after]
    assert same
    assert all(np.array_equal(before[name], after[name]) for name in same)


def test_the_examples_are_right():
    assert doctest.testmod(int8).failed == 0
