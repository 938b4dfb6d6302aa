"""The round-trip proof: a good model passes; anything else is told, and nothing is left behind."""

import math
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from textgauge.bundle import files
from textgauge.bundle.carried import carry_code
from textgauge.bundle.decision import DecisionRule
from textgauge.bundle.proof import TOLERANCE, carried_code, compare, start_proof
from textgauge.bundle.stored import write_digests
from textgauge.errors import ProofError

GOOD = np.array([[0.25, 0.75], [0.5, 0.5], [0.75, 0.25]], dtype=np.float32)


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the saved model that a test may damage."""
    return shutil.copytree(trained.folder, tmp_path / "model")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Where temporary folders go; empty at first."""
    path = tmp_path / "folders"
    path.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(path))
    return path


@pytest.fixture
def prove(trained, folders):
    """Hold a folder against what torch predicted, and see that no trace of it stays."""

    def prove_it(folder):
        running = start_proof(folder, trained.corpus.test.texts, trained.probabilities)
        try:
            return running.wait()
        finally:
            running.stop()
            assert list(folders.iterdir()) == []

    return prove_it


def change_weights(folder, change):
    """Apply `change` to the largest array of the saved network."""
    network = onnx.load(folder / files.ONNX)
    tensor = max(network.graph.initializer, key=lambda t: math.prod(t.dims))
    array = change(numpy_helper.to_array(tensor).copy())
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(network, folder / files.ONNX)
    write_digests(folder, files.DIGESTED)


def append(folder, name, code):
    """Add code to the end of a file that the model carries."""
    package = carry_code(folder)
    with (folder / "code" / package / name).open("a") as file:
        file.write(code)


# ---- in a real process


def test_a_good_model_is_proved_by_the_code_that_it_carries(trained, copied, prove):
    append(
        copied,
        "bundle/predictor.py",
        """
import sys
assert "textgauge" not in sys.modules, "the installed package was used"
for _name in ("torch", "sklearn", "mlflow"):
    assert sys.modules[_name] is None, _name + " was not blocked"
""",
    )
    proof = prove(copied)
    assert proof.texts == len(trained.corpus.test)
    assert 0 <= proof.largest_difference < 1e-5


def test_a_model_that_decides_by_its_rule_is_proved(deciding):
    rule = DecisionRule.from_json(deciding.settings["decision"], ["0", "1"])
    texts, expected = deciding.corpus.test.texts, deciding.probabilities
    assert start_proof(deciding.folder, texts, expected, rule=rule).wait().texts == len(texts)


def test_a_model_that_decides_otherwise_is_no_proof(deciding, folders):
    texts, expected = deciding.corpus.test.texts, deciding.probabilities
    running = start_proof(deciding.folder, texts, expected, rule=DecisionRule())
    with pytest.raises(ProofError, match="does not decide as the trained one: on "):
        running.wait()
    assert list(folders.iterdir()) == []


def test_a_model_without_code_is_no_proof_and_no_process_is_started(trained, copied, folders):
    shutil.rmtree(copied / "code")
    with pytest.raises(ProofError) as error:
        start_proof(copied, trained.corpus.test.texts, trained.probabilities)
    assert str(error.value) == f"{copied} carries no code to predict with; train again."
    assert list(folders.iterdir()) == []


def test_the_proof_adds_nothing_to_the_model(trained, prove):
    before = sorted(trained.folder.rglob("*"))
    prove(trained.folder)
    assert sorted(trained.folder.rglob("*")) == before


def test_a_network_with_other_weights_is_no_proof(copied, prove):
    change_weights(copied, lambda array: (array * 1.01).astype(array.dtype))
    with pytest.raises(ProofError) as error:
        prove(copied)
    assert "does not predict what the trained model predicted: on test text" in str(error.value)
    assert "The run is marked as failed" in str(error.value)


def test_a_network_with_weights_that_are_no_numbers_is_no_proof(copied, prove):
    change_weights(copied, lambda array: array * np.float32("nan"))
    with pytest.raises(
        ProofError, match=r"model\.onnx is damaged \(it has weights that are no fin"
    ):
        prove(copied)


def test_carried_code_that_predicts_something_else_is_no_proof(copied, prove):
    append(
        copied,
        "bundle/predictor.py",
        "\nto_probabilities = lambda logits: np.full((len(logits), 2), 0.5)\n",
    )
    with pytest.raises(ProofError, match="does not predict what the trained model predicted"):
        prove(copied)


@pytest.mark.parametrize("name", [files.SETTINGS, files.VOCABULARY, files.ONNX])
def test_a_model_with_a_file_missing_is_no_proof(copied, prove, name):
    (copied / name).unlink()
    with pytest.raises(ProofError) as error:
        prove(copied)
    assert str(error.value).startswith(
        "the saved model could not be loaded in a fresh process: textgauge_predictor_"
    )
    assert f"it has no {name}" in str(error.value)


def test_a_model_that_needs_pickle_is_no_proof(copied, prove):
    append(
        copied,
        "bundle/predictor.py",
        """
_check = check_settings
def check_settings(*args):
    import pickle
    pickle.loads(pickle.dumps(1))
    return _check(*args)
""",
    )
    with pytest.raises(ProofError, match="RuntimeError: the saved model must load without pickle"):
        prove(copied)


# ---- the comparison


def test_equal_predictions_are_a_proof():
    proof = compare(GOOD, GOOD.copy())
    assert (proof.texts, proof.largest_difference) == (3, 0)


def test_a_difference_within_the_tolerance_is_a_proof_and_is_told():
    found = GOOD.copy()
    found[1] += [TOLERANCE / 2, -TOLERANCE / 2]
    proof = compare(GOOD, found)
    assert proof.largest_difference == pytest.approx(TOLERANCE / 2, rel=1e-2)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_difference_beyond_the_tolerance_names_the_text(sign):
    found = GOOD.copy()
    found[1] += [sign * TOLERANCE * 2, 0]
    with pytest.raises(ProofError, match=r"on test text 2 the probabilities differ by 0\.0002 "):
        compare(GOOD, found)


def test_the_tolerance_is_stated():
    assert TOLERANCE == 1e-4
    with pytest.raises(ProofError, match=r"\(allowed 0\.0001\)"):
        compare(GOOD, 1 - GOOD)


@pytest.mark.parametrize("where", ["expected", "found", "both"])
def test_a_probability_that_is_no_number_is_no_proof(where):
    odd = GOOD.copy()
    odd[2, 0] = np.nan
    expected = odd if where != "found" else GOOD
    found = odd if where != "expected" else GOOD
    with pytest.raises(ProofError, match="on test text 3 the probabilities differ by nan"):
        compare(expected, found)


@pytest.mark.parametrize("found", [GOOD[:2], np.ones((3, 3)), GOOD[:, :1], GOOD[0]])
def test_predictions_of_another_shape_are_no_proof(found):
    with pytest.raises(ProofError) as error:
        compare(GOOD, found)
    assert str(error.value) == (
        f"the saved model predicted an array of shape {found.shape}, the trained one (3, 2)."
    )


# ---- the process


def test_stopping_leaves_no_process_and_no_folder(trained, folders, monkeypatch):
    real = subprocess.Popen

    def popen(command, **options):
        script = "import sys; sys.stdin.read()"
        return real([sys.executable, "-c", script], **{**options, "stdin": subprocess.PIPE})

    monkeypatch.setattr(subprocess, "Popen", popen)
    running = start_proof(trained.folder, trained.corpus.test.texts, trained.probabilities)
    process = running._process
    assert process.poll() is None
    assert len(list(folders.iterdir())) == 1
    running.stop()
    process.stdin.close()
    assert process.returncode is not None
    assert list(folders.iterdir()) == []
    running.stop()  # What has ended may be stopped again.


def test_the_process_sees_nothing_of_the_surroundings(trained, folders, monkeypatch):
    commands = []
    real = subprocess.Popen

    def popen(command, **options):
        commands.append(command)
        return real([sys.executable, "-c", ""], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    start_proof(trained.folder, trained.corpus.test.texts, trained.probabilities, cores=2).stop()
    ((program, isolated, *_, cores),) = commands
    assert (program, isolated, cores) == (sys.executable, "-I", "2")


def test_the_code_that_is_run_lies_in_the_model(copied):
    folder, package = carried_code(copied)
    assert (folder, package) == (copied.resolve() / "code", carry_code(copied))
    assert (folder / package / "bundle" / "predictor.py").is_file()
