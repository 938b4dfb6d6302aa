"""A bundle becomes an MLflow model folder: the same files, and beside them what MLflow reads.

    BUNDLE/
      …                     the bundle's own files, untouched
      MLmodel               signature, flavour, where the loader and the code are
      requirements.txt      conda.yaml  python_env.yaml: the environment to predict in
      input_example.json    serving_input_example.json: what to send
      code/textgauge_predictor_<8 hex>/   the predictor's own code

The carried code lets the model predict where textgauge is not installed. Its package is named
after its contents, so that it clashes neither with an installed textgauge nor with another model's
code in the same process; it works under any name because its imports are relative.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CARRIED_FILES = (
    "bundle/files.py",
    "bundle/predictor.py",
    "bundle/pyfunc.py",
    "errors.py",
    "text/encoder.py",
    "text/numbers.py",
    "text/tokens.py",
    "text/vocabulary.py",
)
"""The code that a saved model takes along: the loader and all that it imports of this package."""

REQUIREMENTS = ("mlflow-skinny", "numpy", "onnxruntime", "pandas", "polars")
"""What the carried code and MLflow's loader need, pinned to the versions installed here."""

CODE_FOLDER = "code"
PACKAGE_PREFIX = "textgauge_predictor_"
EXAMPLE_TEXTS = ("stainless steel bolt M6 x 20", "gasket worn, 3 mm play, replace")
"""Shown as input example where the caller has no texts of its own."""

_SOURCE = Path(__file__).resolve().parent.parent


def carry_code(folder: Path, source: Path = _SOURCE) -> str:
    """Put the predictor's code into the bundle `folder`; return the package's name there.

    Needs no MLflow. Code that an earlier call put there is replaced. `source` is the package to
    take the files from (this one).
    """
    contents = {name: (source / name).read_bytes() for name in CARRIED_FILES}
    for name in list(contents):
        for parent in Path(name).parents:
            # The real __init__ files offer more of the package than is carried.
            contents.setdefault(
                (parent / "__init__.py").as_posix(),
                b'"""Carried by a model that textgauge trained."""\n',
            )
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(f"{name}\0{len(contents[name])}\0".encode() + contents[name])
    package = PACKAGE_PREFIX + digest.hexdigest()[:8]
    code = folder / CODE_FOLDER
    for earlier in code.glob(PACKAGE_PREFIX + "*"):
        if earlier.name != package:
            shutil.rmtree(earlier)
    for name, content in contents.items():
        path = code / package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, content)
    return package


def make_model_folder(
    folder: Path,
    *,
    run_id: str | None = None,
    artifact_path: str | None = None,
    example: Sequence[str] = (),
    source: Path = _SOURCE,
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
    _write(folder / "input_example.json", json.dumps(texts))
    _write(
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
    _write(folder / "MLmodel", _yaml(described))


def _signature() -> dict[str, str | None]:
    """Text in; label, probability and decision out.

    The input column has no name: under a named one, MLflow refuses plain lists of texts.
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
    requirements = [f"{name}=={found}" for name in REQUIREMENTS if (found := _installed(name))]
    python = platform.python_version()
    pip = f"pip<={_installed('pip')}" if _installed("pip") else "pip"
    _write(folder / "requirements.txt", "\n".join(requirements) + "\n")
    _write(
        folder / "conda.yaml",
        _yaml(
            {
                "name": "mlflow-env",
                "channels": ["conda-forge"],
                "dependencies": [f"python={python}", pip, {"pip": requirements}],
            }
        ),
    )
    _write(
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


def _write(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there whole or not at all, even to a reader at the same time."""
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
