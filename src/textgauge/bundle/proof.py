"""The round-trip proof: a fresh process loads the saved model and must predict and decide the same.

The process runs the code that is saved *in* the model folder, if there is any, without torch and
with pickle switched off, on raw texts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ..errors import ProofError
from .carried import CODE_FOLDER, PACKAGE_PREFIX
from .decision import DecisionRule
from .label_sets import SetRule

TOLERANCE = 1e-4
"""How far a probability may differ: two float32 libraries sum in different orders."""

_SCRIPT = """
import sys
code, package, bundle, texts, out, cores = sys.argv[1:]
sys.path.insert(0, code)
for name in ("torch", "sklearn", "mlflow"):
    sys.modules[name] = None  # Importing it fails from now on.
import importlib, numpy, polars, onnxruntime
Predictor = importlib.import_module(package + ".bundle.predictor").Predictor
import pickle
def refuse(*args, **kwargs):
    raise RuntimeError("the saved model must load without pickle")
pickle.load = pickle.loads = pickle.Unpickler = refuse
column = polars.read_ipc(texts)["text"]
predictor = Predictor.load(bundle, cores=int(cores))
found = predictor.predict(column)
with open(out, "wb") as file:
    numpy.save(file, found.probabilities, allow_pickle=False)
    numpy.save(file, found.decision_index, allow_pickle=False)
"""


@dataclass(frozen=True)
class Proof:
    """What was proved: on how many texts, and the largest difference of a probability."""

    texts: int
    largest_difference: float


class RunningProof:
    """The fresh process at work."""

    def __init__(
        self,
        folder: tempfile.TemporaryDirectory[str],
        process: subprocess.Popen[bytes],
        expected: npt.NDArray[np.float32],
        rule: DecisionRule | SetRule,
    ) -> None:
        self._folder, self._process = folder, process
        self._expected, self._rule = expected, rule

    def wait(self) -> Proof:
        """Compare.

        Raises:
            ProofError: the process failed, or predicted something else.

        """
        try:
            _, errors = self._process.communicate()
            if self._process.returncode:
                last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
                raise ProofError(
                    f"the saved model could not be loaded in a fresh process: {last[0]}"
                )
            with (Path(self._folder.name) / "found.npy").open("rb") as file:
                found = np.load(file, allow_pickle=False)
                decided = np.load(file, allow_pickle=False)
        finally:
            self._folder.cleanup()
        proof = compare(self._expected, found)
        compare_decisions(self._rule, found, decided)
        return proof

    def stop(self) -> None:
        """End the process if it still runs, and clean up."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._folder.cleanup()


def compare(expected: npt.NDArray[np.float32], found: npt.NDArray[np.float32]) -> Proof:
    """Hold two arrays of probabilities against each other. Shapes: (texts, classes).

    Raises:
        ProofError: the shapes differ, or a probability is off by more than `TOLERANCE` or is NaN.

    """
    if expected.shape != found.shape:
        raise ProofError(
            f"the saved model predicted an array of shape {found.shape}, the trained one "
            f"{expected.shape}."
        )
    difference = np.abs(expected - found).max(1)
    worst = int(difference.argmax())
    if not difference[worst] <= TOLERANCE:  # Written so that NaN fails too.
        raise ProofError(
            f"the saved model does not predict what the trained model predicted: on test text "
            f"{worst + 1} the probabilities differ by {difference[worst]:.2g} (allowed "
            f"{TOLERANCE:g}). The run is marked as failed; please report this with its folder."
        )
    return Proof(len(expected), float(difference[worst]))


def compare_decisions(
    rule: DecisionRule | SetRule, found: npt.NDArray[np.float32], decided: npt.NDArray[np.int64]
) -> None:
    """Hold the saved model's decisions against those that `rule` makes of its probabilities.

    They are exactly equal, also where a probability lies on the threshold: both sides decide by the
    same numbers. `decided` is what `rule.indices` gives there.

    Raises:
        ProofError: a text is decided otherwise.

    """
    other = np.flatnonzero(rule.indices(found) != decided)
    if len(other):
        raise ProofError(
            f"the saved model does not decide as the trained one: on {len(other):,} of "
            f"{len(found):,} test texts, the first of them number {other[0] + 1}. The run is "
            "marked as failed; please report this with its folder."
        )


def start_proof(
    bundle: Path,
    texts: pl.Series,
    expected: npt.NDArray[np.float32],
    cores: int = 1,
    rule: DecisionRule | SetRule = DecisionRule(),  # noqa: B008 - it is frozen
) -> RunningProof:
    """Start the fresh process.

    Args:
        bundle: the saved model.
        texts: raw texts.
        expected: the trained model's probabilities for them. Shape: (texts, classes).
        cores: threads of the fresh process.
        rule: by which the model shall decide.

    Raises:
        ProofError: the bundle carries no code.

    """
    code, package = carried_code(bundle)
    folder = tempfile.TemporaryDirectory(prefix="textgauge-proof-")
    path = Path(folder.name)
    pl.DataFrame({"text": texts}).write_ipc(path / "texts.arrow")
    process = subprocess.Popen(
        [
            sys.executable, "-I", "-B", "-c", _SCRIPT, str(code), package, str(bundle.resolve()),
            str(path / "texts.arrow"), str(path / "found.npy"), str(cores),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    return RunningProof(folder, process, expected, rule)


def carried_code(bundle: Path) -> tuple[Path, str]:
    """Where the predictor's code lies in the bundle, and its package's name.

    Raises:
        ProofError: the bundle carries no code.
    """
    code = bundle.resolve() / CODE_FOLDER
    carried = sorted(path.name for path in code.glob(PACKAGE_PREFIX + "*"))
    if not carried:
        raise ProofError(f"{bundle} carries no code to predict with; train again.")
    return code, carried[0]
