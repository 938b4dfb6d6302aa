"""Raw texts to probabilities: as torch does it, whatever the order, the batches and the repeats."""

import doctest
import json
import shutil
import threading
import time

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import special

import textgauge
from textgauge.bundle import files, predictor
from textgauge.bundle.predictor import Prediction, Predictor, session_from_bytes, to_probabilities
from textgauge.errors import BundleError, SettingsError
from textgauge.models import build_model
from textgauge.text.encoder import TextEncoder

TEXTS = [
    "manufactured in 1979 made of steel in good condition",
    "poor condition iron component manufactured in 2010",
    "steel",
    "",
    "a text of words that no training text has, with 1,234.5 and 10 numbers; and 2 more",
]


@pytest.fixture
def loaded(trained):
    return Predictor.load(trained.folder, cores=1)


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the saved model that a test may damage, as saved before there were digests."""
    folder = shutil.copytree(trained.folder, tmp_path / "model")
    (folder / files.DIGESTS).unlink()
    return folder


class Recorded:
    """A session that remembers the shape of every batch it ran."""

    def __init__(self, session):
        self.session, self.shapes = session, []

    def get_inputs(self):
        return self.session.get_inputs()

    def run(self, names, feed):
        self.shapes.append(feed["ids"].shape)
        return self.session.run(names, feed)


@pytest.fixture
def recorded(trained, loaded):
    """The predictor with a session that remembers its batches, and that session."""
    session = Recorded(loaded._session)
    return Predictor(loaded.settings, loaded.encoder, session), session


def refused(folder):
    with pytest.raises(BundleError) as error:
        Predictor.load(folder)
    assert type(error.value) is BundleError
    return str(error.value)


def with_torch(model, encoder, texts):
    """Probabilities by torch, one text at a time, without any padding."""
    model.eval()
    rows = []
    with torch.no_grad():
        for text in texts:
            encoded = encoder.encode(pl.Series([text]))
            logits = model(
                torch.from_numpy(encoded.ids.astype(np.int64))[None],
                torch.from_numpy(encoded.positions)[None],
                torch.tensor([len(encoded.ids)]),
            )[0].double()
            both = torch.cat([torch.zeros(1), logits]) if len(logits) == 1 else logits
            rows.append(torch.softmax(both, 0).numpy())
    return np.array(rows)


# ---- the predictions


def test_the_saved_model_predicts_what_torch_predicts(trained, loaded):
    found = loaded.predict(trained.corpus.test.texts)
    assert found.probabilities.dtype == np.float32
    np.testing.assert_allclose(found.probabilities, trained.probabilities, atol=1e-5)
    assert found.probabilities[:, 1].std() > 0.1  # They do tell the texts apart.


@pytest.mark.parametrize("numbers", [True, False])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_every_kind_of_model_predicts_what_torch_predicts(classes, numbers):
    encoder = TextEncoder.learn(
        pl.Series(["steel bolt 8 of 1979", "iron nut 10 of 1999", "steel nut 3"]),
        read_numbers=numbers, number_bins=4, min_texts=1, max_words=50, max_tokens=12,
    )  # fmt: skip
    sizes = {
        "vocabulary_size": len(encoder.vocabulary),
        "outputs": 1 if classes == 2 else classes,
        "number_bins": encoder.numbers.bins if encoder.numbers else 0,
        "embedding_size": 6,
        "hidden_size": 5,
        "dropout": 0.2,
        "recurrent_dropout": 0.2,
    }
    torch.manual_seed(0)
    model = build_model("lstm", sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    session = session_from_bytes(model.to_onnx().SerializeToString())
    settings = {"classes": [str(c) for c in range(classes)], "label_names": {}}
    texts = ["steel nut 8", "iron", "2500 bolts of iron", "", "nut " * 40, "steel bolt 8 of 1985"]
    found = Predictor(settings, encoder, session).predict(texts).probabilities
    np.testing.assert_allclose(found, with_torch(model, encoder, texts), atol=1e-5)
    assert found.std(0).min() > 0.001


def test_one_text_at_a_time_gives_what_all_together_give(loaded):
    together = loaded.predict(TEXTS).probabilities
    alone = np.concatenate([loaded.predict([text]).probabilities for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_order_of_the_texts_is_kept_with_repeats_among_them(trained, loaded):
    texts = trained.corpus.test.texts
    places = np.random.default_rng(0).integers(len(texts), size=500)
    expected = loaded.predict(texts).probabilities[places]
    found = loaded.predict(texts.gather(places)).probabilities
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_texts_that_differ_in_case_width_and_spaces_alone_are_the_same_text(loaded):
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in "STEEL")
    same = ["Steel  COMPONENT\tof 1979 ", "steel component of 1979", f"{wide} component of 1979"]
    first, *others = loaded.predict(same).probabilities
    assert all(np.array_equal(first, other) for other in others)


def test_each_distinct_text_is_computed_once(recorded):
    predicting, session = recorded
    predicting.predict([*TEXTS, *TEXTS, "STEEL", " steel ", None])
    assert sum(texts for texts, _ in session.shapes) == len(TEXTS)


def test_no_text_is_read_as_an_empty_text(loaded):
    none, empty, blank, steel = loaded.predict([None, "", " \t\n", "steel"]).probabilities
    assert np.array_equal(none, empty)
    assert np.array_equal(blank, empty)
    assert not np.array_equal(steel, empty)


def test_no_texts_give_no_predictions(loaded):
    found = loaded.predict([])
    assert (len(found), found.labels, found.probabilities.shape) == (0, [], (0, 2))
    assert loaded.predict_frame([]).shape == (0, 3)


@pytest.mark.parametrize(
    "kind", [list, tuple, np.array, pl.Series, lambda texts: np.array(texts, dtype=object)]
)
def test_texts_may_come_in_any_sequence(loaded, kind):
    expected = loaded.predict(TEXTS).probabilities
    np.testing.assert_array_equal(loaded.predict(kind(TEXTS)).probabilities, expected)


def test_numbers_are_read_as_texts_and_what_is_missing_as_an_empty_one(loaded):
    given = [1979, 2.5, float("nan"), None, "steel", True, np.float32(0.1), pd.NA, pd.NaT, 10**60]
    texts = ["1979", "2.5", "", "", "steel", "true", "0.1", "", "", "1" + "0" * 60]
    expected = loaded.predict(texts).probabilities
    for kind in (list, tuple, iter, lambda values: np.array(values, object)):
        np.testing.assert_array_equal(loaded.predict(kind(given)).probabilities, expected)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ([b"x"], "texts must be texts or numbers; texts[0] is of the type bytes: b'x'."),
        (["a", 5, ["b"]], "texts must be texts or numbers; texts[2] is of the type list: ['b']."),
        ([{"a": "b" * 100}], "is of the type dict: {'a': 'bbbb"),
        (np.array([b"x"]), "texts[0] is of the type bytes: b'x'."),
        (pl.Series([["a"]]), "texts must be texts or numbers, was a column of List(String)."),
        (pl.Series([b"\xff"]), "texts must be texts or numbers, was a column of Binary."),
        (np.array([["a"]]), "texts must have one dimension, had the shape (1, 1)."),
        (None, "texts must be a sequence of texts, was NoneType."),
        (5, "texts must be a sequence of texts, was int."),
        (b"steel", "texts must be a sequence of texts, was bytes."),
        ({"a": 1}, "texts must be a sequence of texts, was dict."),
        ({"a"}, "texts must be a sequence of texts, was set."),
        (pl.DataFrame({"text": ["a"]}), "was a table; pass one of its columns."),
        (pd.DataFrame({"text": ["a"]}), "was a table; pass one of its columns."),
    ],
    ids=str,
)
def test_what_is_no_text_is_refused_in_one_sentence(loaded, texts, told):
    with pytest.raises(TypeError) as error:
        loaded.predict(texts)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 150


def test_a_single_string_is_refused_not_read_letter_by_letter(loaded):
    for predict in (loaded.predict, loaded.predict_frame):
        with pytest.raises(ValueError, match=r"was a single string; pass \[text\]"):
            predict("steel")


@pytest.mark.parametrize("most", [1, 30, 200, 10**6])
def test_the_size_of_the_batches_changes_no_prediction(trained, recorded, monkeypatch, most):
    predicting, session = recorded
    texts = [*trained.corpus.test.texts, *TEXTS]
    expected = predicting.predict(texts).probabilities
    session.shapes.clear()
    monkeypatch.setattr(predictor, "BATCH_TOKENS", most)
    np.testing.assert_allclose(predicting.predict(texts).probabilities, expected, atol=1e-6)
    assert sum(rows for rows, _ in session.shapes) == len(set(texts))
    assert all(rows * tokens <= most or rows == 1 for rows, tokens in session.shapes)
    assert (len(session.shapes) > 1) is (most < 10**6)


def test_texts_of_similar_length_share_a_batch(recorded, monkeypatch):
    predicting, session = recorded
    monkeypatch.setattr(predictor, "BATCH_TOKENS", 40)
    texts = [word * length for word in ("steel ", "iron ") for length in (20, 1, 2, 19)]
    predicting.predict(texts)
    # Several cores predict them at the same time.
    assert sorted(session.shapes) == [(2, 19), (2, 20), (4, 2)]


def test_texts_that_read_alike_are_computed_once(recorded):
    """Words that are not known, and numbers beyond the scale, are no difference to the model."""
    predicting, session = recorded
    texts = ["steel, serial 99123", "steel 1990", "steel, serial 88456", "steel, sériel 7012"]
    found = predicting.predict(texts)
    assert sum(rows for rows, _ in session.shapes) == 2
    one_by_one = [predicting.predict([text]).probabilities[0] for text in texts]
    np.testing.assert_allclose(found.probabilities, one_by_one, atol=1e-6)
    assert found.probabilities[0].tolist() == found.probabilities[2].tolist()


def test_a_batch_is_as_large_as_it_may_be(recorded, monkeypatch):
    predicting, session = recorded
    monkeypatch.setattr(predictor, "BATCH_TOKENS", 12)
    predicting.predict([f"steel steel {year}" for year in range(1981, 1989)])
    assert session.shapes == [(4, 3), (4, 3)]


# ---- probabilities


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_probabilities_are_scipys_softmax(classes):
    logits = np.random.default_rng(0).normal(0, 8, size=(200, classes)).astype(np.float32)
    found = to_probabilities(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, special.softmax(logits.astype(float), 1), rtol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)


def test_a_single_logit_stands_for_zero_and_itself():
    logits = np.array([[-3.0], [0.0], [5.0]], dtype=np.float32)
    found = to_probabilities(logits)
    np.testing.assert_allclose(found[:, 1], special.expit(logits[:, 0]), rtol=1e-6)
    np.testing.assert_allclose(found[:, 0], special.expit(-logits[:, 0]), rtol=1e-6)


def test_the_largest_logits_overflow_nowhere():
    large = np.float32(3e38)
    assert to_probabilities(np.array([[large], [-large]])).tolist() == [[0, 1], [1, 0]]
    assert to_probabilities(np.array([[large, large, -large]])).tolist() == [[0.5, 0.5, 0]]


def test_the_worked_examples_hold():
    assert doctest.testmod(predictor) == (0, 1)


# ---- what comes back


def test_a_prediction_names_the_most_probable_label_and_its_probability():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]], dtype=np.float32)
    found = Prediction(("a", "b", "c"), probabilities.argmax(1), probabilities)
    assert len(found) == 2
    assert found.labels == found.decision == ["a", "c"]
    assert found.probability.tolist() == [0.5, 0.5]
    assert found.frame().to_dict(as_series=False) == {
        "predicted_label": ["a", "c"], "probability": [0.5, 0.5], "decision": ["a", "c"],
    }  # fmt: skip


def test_the_frame_holds_what_the_prediction_says(loaded):
    found, frame = loaded.predict(TEXTS), loaded.predict_frame(TEXTS)
    assert frame.schema == {
        "predicted_label": pl.String, "probability": pl.Float64, "decision": pl.String,
    }  # fmt: skip
    assert frame["predicted_label"].to_list() == frame["decision"].to_list() == found.labels
    np.testing.assert_allclose(frame["probability"], found.probabilities.max(1))
    assert found.classes == ("0", "1")
    assert np.array_equal(found.label_index, found.probabilities.argmax(1))


def test_a_loaded_model_knows_its_labels_names_and_settings(trained, loaded):
    assert loaded.classes == ["0", "1"]
    assert loaded.label_names == {"0": "compliant", "1": "non-compliant"}
    assert loaded.settings["config"]["text"] == "text"


# ---- loading


def test_a_fresh_process_predicts_without_torch_or_pickle(trained, fresh_python):
    script = """
import sys
for name in ("torch", "sklearn", "mlflow", "pandas", "onnx", "safetensors", "pyarrow"):
    sys.modules[name] = None
import textgauge.bundle.predictor, onnxruntime, pickle
def refuse(*_, **__):
    raise RuntimeError("pickle")
pickle.load = pickle.loads = pickle.Unpickler = refuse
predictor = textgauge.bundle.predictor.Predictor.load(sys.argv[1])
print(predictor.predict(sys.argv[2:]).probabilities.tolist())
"""
    texts = trained.corpus.test.texts.head(5)
    found = json.loads(fresh_python(script, trained.folder, *texts))
    np.testing.assert_allclose(found, trained.probabilities[:5], atol=1e-5)


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_no_more_batches_are_computed_at_a_time_than_there_are_cores(loaded, monkeypatch, cores):
    monkeypatch.setattr(predictor, "BATCH_TOKENS", 20)
    at_once, most, lock = [0], [0], threading.Lock()

    class Slow(Recorded):
        def run(self, names, feed):
            with lock:
                at_once[0] += 1
                most[0] = max(most[0], at_once[0])
            time.sleep(0.02)
            with lock:
                at_once[0] -= 1
            return self.session.run(names, feed)

    session = Slow(loaded._session)
    predicting = Predictor(loaded.settings, loaded.encoder, session, cores)
    texts = [f"steel component of {year}" for year in range(1970, 2015)]
    found = predicting.predict(texts).probabilities
    assert most[0] == cores
    assert found.tolist() == loaded.predict(texts).probabilities.tolist()


def test_a_network_waits_in_no_threads_of_its_own():
    assert session_from_bytes(MINIMAL).get_session_options().intra_op_num_threads == 1


def test_the_number_of_cores_changes_no_prediction(trained, loaded):
    texts = [*trained.corpus.test.texts, *TEXTS]
    found = [textgauge.load(trained.folder, cores=n).predict(texts) for n in (1, 2, None)]
    for each in found:
        assert each.probabilities.tolist() == loaded.predict(texts).probabilities.tolist()


@pytest.mark.parametrize("cores", [0, -1, 1.5, "2"])
def test_a_number_of_cores_that_is_none_is_refused(trained, cores):
    with pytest.raises(SettingsError, match="cores must be a whole number of 1 or more, was"):
        Predictor.load(trained.folder, cores=cores)


def test_a_fresh_process_that_predicts_loads_nothing_else(trained, fresh_python):
    """Each of these would cost a cold start tenths of a second."""
    script = """
import sys, textgauge
textgauge.load(sys.argv[1], cores=1).predict(["steel"])
slow = "torch sklearn mlflow pandas scipy matplotlib jinja2 rich sqlalchemy onnx".split()
print([name for name in slow if name in sys.modules])
"""
    assert fresh_python(script, trained.folder).strip() == "[]"


def test_a_folder_that_is_not_there_is_told(tmp_path):
    assert refused(tmp_path / "none") == (
        f"there is no folder {tmp_path / 'none'}; give a model's folder, runs:/RUN_ID/model or "
        "models:/NAME/VERSION."
    )
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file").startswith(f"there is no folder {tmp_path / 'file'};")


@pytest.mark.parametrize("name", [files.SETTINGS, files.VOCABULARY, files.ONNX])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    assert refused(copied) == (
        f"{copied} is no saved model: it has no {name}. A model's folder holds textgauge.json, "
        "vocabulary.json and model.onnx."
    )


@pytest.mark.parametrize("name", [files.WEIGHTS, files.CARD])
def test_what_only_people_and_torch_read_is_not_needed(copied, name):
    (copied / name).unlink()
    assert len(Predictor.load(copied).predict(TEXTS)) == len(TEXTS)


@pytest.mark.parametrize("name", [files.SETTINGS, files.VOCABULARY, files.ONNX])
@pytest.mark.parametrize("damage", ["empty", "half", "zeros", "folder"])
def test_a_damaged_file_is_named_with_what_to_do(copied, name, damage):
    path = copied / name
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(
            {"empty": b"", "half": content[: len(content) // 2], "zeros": bytes(2000)}[damage]
        )
    message = refused(copied)
    if damage == "folder":
        assert message.startswith(f"{copied} is no saved model: it has no {name}.")
    else:
        assert message.startswith(f"{path} is damaged (")
        assert message.endswith("); copy the model again or train again.")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        (files.SETTINGS, [], "expected an object"),
        (files.SETTINGS, {"classes": None}, "its classes must be a list of texts"),
        (files.SETTINGS, {"classes": ["0", 1]}, "its classes must be a list of texts"),
        (files.SETTINGS, {"classes": ["0", "0"]}, "its classes must be distinct"),
        (files.SETTINGS, {"classes": ["0", "\ud800"]}, "surrogates not allowed"),
        (files.SETTINGS, {"label_names": 3}, "its label_names must be an object, was 3"),
        (files.SETTINGS, {"label_names": {"0": 1}}, "its label_names must be texts"),
        (files.SETTINGS, {"architecture": "lstm"}, "its architecture must be an object"),
        (files.SETTINGS, {"architecture": {"vocabulary_size": 1.5}}, "must be a whole number"),
        (files.SETTINGS, {"config": {"text": 1, "label": "label"}}, "config.text must be a text"),
        (files.SETTINGS, {"decision": {"review_below": 10**400}}, "review_below must be more"),
        (files.VOCABULARY, "words", "expected an object"),
        (files.VOCABULARY, {"words": ["a"]}, "the first words must be"),
        (files.VOCABULARY, {"words": ["<pad>", "<unk>", "<num>", "a", "a"]}, "be distinct"),
        (files.VOCABULARY, {"number_edges": [2.0, 1.0]}, "edges must be two or more rising"),
        (files.VOCABULARY, {"number_edges": 3}, "must be a list of numbers"),
        (files.VOCABULARY, {"number_edges": [1, "2"]}, "must be a list of numbers"),
        (files.VOCABULARY, {"number_edges": [1, 10**400]}, "must be a list of numbers"),
        (files.VOCABULARY, {"number_edges": [1, float("nan")]}, "it holds NaN"),
        (files.VOCABULARY, {"number_edges": [-1.7e308, 1.7e308]}, "lie too far apart"),
        (files.VOCABULARY, {"max_tokens": "many"}, "must be a whole number, was 'many'"),
        (files.VOCABULARY, {"max_tokens": True}, "must be a whole number, was True"),
        (files.VOCABULARY, {"max_tokens": 0}, "at least 1 and at most 100000, was 0"),
        (files.VOCABULARY, {"max_tokens": 10**30}, "at most 100000, was a larger one"),
        (files.PROFILE, [], "expected an object"),
    ],
)
def test_json_of_another_shape_is_damage(copied, name, change, reason):
    path = copied / name
    values = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**values, **change} if isinstance(change, dict) else change))
    message = refused(copied)
    assert message.startswith(f"{path} is damaged (")
    assert reason in message


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (files.SETTINGS, "classes"),
        (files.SETTINGS, "label_names"),
        (files.SETTINGS, "architecture"),
        (files.SETTINGS, "config"),
        (files.VOCABULARY, "words"),
        (files.VOCABULARY, "number_edges"),
        (files.VOCABULARY, "max_tokens"),
    ],
)
def test_a_missing_key_is_named(copied, name, key):
    path = copied / name
    values = json.loads(path.read_text("utf-8"))
    del values[key]
    path.write_text(json.dumps(values))
    assert refused(copied) == (
        f"{path} is damaged (it has no {key!r}); copy the model again or train again."
    )


@pytest.mark.parametrize("version", [0, 7, "1", None])
def test_an_unknown_format_is_refused_with_both_versions(copied, version):
    path = copied / files.SETTINGS
    values = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**values, "format_version": version}))
    assert refused(copied) == (
        f"{path} has format {version!r}, this textgauge reads up to 6; use the textgauge that "
        "trained the model, or a newer one."
    )


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"weights": [1, 2, 3]}, "the weights of its decision must be 2 numbers of 0 or more"),
        ({"review_below": 7}, "its review_below must be more than 0 and at most 1, was 7"),
        ([], "its decision must be an object, was []"),
    ],
)
def test_a_damaged_rule_of_decision_is_told(copied, damage, said):
    path = copied / files.SETTINGS
    values = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**values, "decision": damage}))
    assert refused(copied).startswith(f"{path} is damaged ({said}")


@pytest.mark.parametrize("classes", [["0"], ["0", "1", "2"]])
def test_labels_of_another_model_are_refused(copied, classes):
    path = copied / files.SETTINGS
    values = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**values, "classes": classes}))
    assert refused(copied).startswith(f"{copied} holds files of different models: ")
    assert f"says {len(classes)} labels" in refused(copied)


def test_words_of_another_model_are_refused(copied):
    path = copied / files.VOCABULARY
    values = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**values, "words": values["words"][:-1]}))
    assert f"{copied} holds files of different models: " in refused(copied)


def _minimal_network():
    """The smallest network there is: logits are the ids, as numbers."""
    from onnx import TensorProto, helper

    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["texts", 1])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["texts", 1])
    node = helper.make_node("Cast", ["ids"], ["logits"], to=TensorProto.FLOAT)
    graph = helper.make_graph([node], "minimal", [ids], [logits])
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


MINIMAL = _minimal_network()
