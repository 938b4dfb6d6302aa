"""A bundle becomes an MLflow model folder: the same files, and beside them what MLflow reads.

    BUNDLE/
      …                     the bundle's own files, untouched
      MLmodel               signature, flavour, where the loader and the code are
      requirements.txt      conda.yaml  python_env.yaml: the environment to predict in
      input_example.json    serving_input_example.json: what to send
      code/textgauge_predictor_<8 hex>/   the predictor's own code

The carried code (`bundle.carried`) lets the model predict where textgauge is not installed.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..bundle import files
from ..bundle.carried import CODE_FOLDER, PACKAGE, carry_code, write_whole

REQUIREMENTS = ("mlflow-skinny", "numpy", "onnxruntime", "pandas", "polars")
"""What the carried code and MLflow's loader need, pinned to the versions installed here."""

TOKENIZERS = "tokenizers"
"""Needed besides where a tokenizer of the model's own reads its texts."""

EXAMPLE_TEXTS = ("stainless steel bolt M6 x 20", "gasket worn, 3 mm play, replace")
"""Shown as input example where the caller has no texts of its own."""


def make_model_folder(
    folder: Path,
    *,
    run_id: str | None = None,
    artifact_path: str | None = None,
    example: Sequence[str] = (),
    source: Path = PACKAGE,
) -> None:
    """Add to the bundle `folder` what makes it an MLflow model, in place. Imports MLflow.

    Args:
        folder: a bundle; its own files stay as they are.
        run_id: the run that the model belongs to.
        artifact_path: where among the run's artifacts it will lie.
        example: a few raw texts for the input example.
        source: the package to take the carried code from.

    """
    from mlflow.models.model import Model

    package = carry_code(folder, source)
    texts = list(example) or list(EXAMPLE_TEXTS)
    write_whole(folder / "input_example.json", json.dumps(texts))
    write_whole(
        folder / "serving_input_example.json",
        json.dumps({"inputs": texts}, indent=2),
    )
    _write_environment(folder)
    model = Model(
        run_id=run_id,
        artifact_path=artifact_path,
        saved_input_example_info={
            "artifact_path": "input_example.json",
            "serving_input_path": "serving_input_example.json",
            "type": "json_object",
        },
    )
    # What mlflow.pyfunc.add_to_model does; importing mlflow.pyfunc for it would take pandas along.
    model.add_flavor(
        "python_function",
        loader_module=f"{package}.bundle.pyfunc",
        python_version=platform.python_version(),
        code=CODE_FOLDER,
        env={"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
    )
    described = model.to_dict()
    described["signature"] = _signature()
    # JSON is YAML, but people read this file in MLflow's UI.
    write_whole(folder / "MLmodel", _yaml(described))


def _signature() -> dict[str, str | None]:
    """Text in; label, probability and decision out.

    The input column has no name: under a named one, MLflow refuses plain lists of texts. Of a table
    MLflow then hands over the first column alone, and `bundle.pyfunc` refuses one of another name.
    """
    from mlflow.types.schema import ColSpec, Schema

    inputs = Schema([ColSpec("string")])
    outputs = Schema(
        [
            ColSpec("string", "predicted_label"),
            ColSpec("double", "probability"),
            ColSpec("string", "decision"),
        ]
    )
    return {"inputs": inputs.to_json(), "outputs": outputs.to_json(), "params": None}


def _write_environment(folder: Path) -> None:
    reader = json.loads((folder / files.VOCABULARY).read_text(encoding="utf-8"))
    needed = (*REQUIREMENTS, TOKENIZERS) if "tokenizer" in reader else REQUIREMENTS
    requirements = [f"{name}=={found}" for name in needed if (found := _installed(name))]
    python = platform.python_version()
    pip = f"pip<={_installed('pip')}" if _installed("pip") else "pip"
    write_whole(folder / "requirements.txt", "\n".join(requirements) + "\n")
    write_whole(
        folder / "conda.yaml",
        _yaml(
            {
                "name": "mlflow-env",
                "channels": ["conda-forge"],
                "dependencies": [f"python={python}", pip, {"pip": requirements}],
            }
        ),
    )
    write_whole(
        folder / "python_env.yaml",
        _yaml(
            {
                "python": python,
                "build_dependencies": ["pip", "setuptools", "wheel"],
                "dependencies": ["-r requirements.txt"],
            }
        ),
    )


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _yaml(value: Any) -> str:
    import yaml  # type: ignore[import-untyped]

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text
