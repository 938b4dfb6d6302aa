"""The hand-written ONNX graph computes what torch computes, and declares what it needs."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from made_models import OWN, WITH_VECTORS, as_trained
from made_models import make_model as make

from textgauge.models.onnx_graph import IR_VERSION, OPSET, GraphBuilder
from textgauge.text.vocabulary import NUMBER


def make_model(outputs, number_bins, name="lstm"):
    sizes = {"vocabulary_size": 30, "outputs": outputs, "number_bins": number_bins}
    wide = {"embedding_size": 6} if name in WITH_VECTORS else {}
    model = make(name, outputs + number_bins, **sizes, **wide)
    with torch.no_grad():  # Far from the tidy first weights, every gate and bias counts.
        for parameter in model.parameters():
            parameter.normal_(0, 0.5)
    return as_trained(model).eval()


def run(model, ids, positions, lengths):
    session = onnxruntime.InferenceSession(
        model.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {"ids": ids, "positions": positions, "lengths": lengths.astype(np.int32)}
    wanted = {value.name for value in session.get_inputs()}
    (logits,) = session.run(["logits"], {k: v for k, v in feeds.items() if k in wanted})
    return logits


@pytest.mark.parametrize("name", list(OWN))
@pytest.mark.parametrize("outputs", [1, 5])
@pytest.mark.parametrize("number_bins", [0, 1, 8])
def test_onnxruntime_gives_torchs_logits(name, outputs, number_bins):
    model = make_model(outputs, number_bins, name)
    random = np.random.default_rng(0)
    lengths = random.integers(1, 13, 50)
    lengths[0] = 12
    ids = random.integers(1, 30, (50, 12))
    ids[:, 0] = NUMBER
    positions = np.zeros((50, 12), dtype=np.float32)
    numeric = ids == NUMBER
    positions[numeric] = random.uniform(0, number_bins, numeric.sum())
    # Both ends of the scale, and a knot inside it.
    positions[:3, 0] = [0, number_bins, number_bins // 2]
    with torch.no_grad():
        expected = model(*map(torch.from_numpy, (ids, positions, lengths))).numpy()
    assert np.ptp(expected) > 0.5
    got = run(model, ids, positions, lengths)
    assert got.shape == (50, outputs)
    # Sums of what is much larger than their result are as exact as that.
    atol = max(1e-5, 3e-7 * float(np.abs(expected).max()))
    np.testing.assert_allclose(got, expected, atol=atol, rtol=2e-6)
    for width in (1, 7):
        some = lengths <= width
        alone = run(model, ids[some, :width], positions[some, :width], lengths[some])
        np.testing.assert_allclose(alone, expected[some], atol=atol, rtol=2e-6)


def test_the_graph_declares_its_interface_and_old_enough_versions():
    proto = make_model(4, 3).to_onnx()
    kinds = {v.name: v.type.tensor_type for v in (*proto.graph.input, *proto.graph.output)}
    shapes = {
        name: (
            onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name,
            [d.dim_param or d.dim_value for d in kind.shape.dim],
        )
        for name, kind in kinds.items()
    }
    assert shapes == {
        "ids": ("int64", ["texts", "tokens"]),
        "positions": ("float32", ["texts", "tokens"]),
        "lengths": ("int32", ["texts"]),
        "logits": ("float32", ["texts", 4]),
    }
    assert proto.ir_version == IR_VERSION == 8
    assert [o.version for o in proto.opset_import] == [OPSET] == [17]


def test_a_model_without_numbers_asks_for_no_positions():
    proto = make_model(1, 0).to_onnx()
    assert [v.name for v in proto.graph.input] == ["ids", "lengths"]


def test_training_on_leaves_an_exported_graph_as_it_was():
    model = make_model(1, 2)
    proto = model.to_onnx()
    before = proto.SerializeToString()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert proto.SerializeToString() == before
    assert model.to_onnx().SerializeToString() != before


def test_the_builder_refuses_a_graph_that_is_not_whole():
    graph = GraphBuilder()
    graph.node("Cast", "no_such_value", to=graph.INT64, output="logits")
    with pytest.raises(onnx.checker.ValidationError, match="no_such_value"):
        graph.model(1)
