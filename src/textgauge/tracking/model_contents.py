"""A model's folder is refused if it holds anything that runs beyond what textgauge puts there.

MLflow runs what a model's folder tells it to: the loader that `MLmodel` names, the modules in
`code/`, pickles of whatever kind. A folder that textgauge saved holds no pickle, and its only code
is the carried predictor, which is named after its own contents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..bundle import files
from ..bundle.carried import CODE_FOLDER, PACKAGE_PREFIX, digest_of
from ..bundle.stored import is_pickle
from ..errors import BundleError
from .model_folder import REQUIREMENTS, TOKENIZERS

_KNOWN = {
    *(files.SETTINGS, files.VOCABULARY, files.FILLS, files.PROFILE),
    *(files.ONNX, files.WEIGHTS, files.CARD, files.DIGESTS),
    *("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"),
    *("input_example.json", "serving_input_example.json", "registered_model_meta"),
}
"""All files of a model's folder but the code; the last one MLflow adds when it downloads one."""

_FLAVOR = {"code", "env", "loader_module", "python_version"}


def refuse_foreign_contents(folder: Path) -> None:
    """Refuse a model's folder that holds a pickle, or code besides the predictor's own.

    The code is known by its digest, of which its folder's name holds 8 hexadecimal digits: that
    tells what was changed by accident or by hand, not what somebody took pains to forge.

    Raises:
        BundleError: names every file that should not be there, or was changed.

    """
    wrong = list(_foreign(folder))
    if wrong:
        listed = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise BundleError(
            f"{folder} is not as textgauge saved it: {listed}. It is not registered: whoever loads "
            "it would run what nobody proved. Train again, or restore the files."
        )


def discard_compiled_code(folder: Path) -> None:
    """Remove what Python compiled of the carried code when MLflow loaded the model from its folder.

    Python would run it instead of the code beside it, and cannot be asked whether it is the same.
    It is made anew whenever it is needed. What cannot be removed stays, and is refused.
    """
    for cache in (folder / CODE_FOLDER).glob(f"{PACKAGE_PREFIX}*/**/__pycache__"):
        with suppress(OSError):
            for path in cache.glob("*.pyc"):
                path.unlink()
            cache.rmdir()


def _foreign(folder: Path) -> Iterator[str]:
    packages: set[Path] = set()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        inside = name.parts[0] == CODE_FOLDER and len(name.parts) > 1
        if path.is_symlink():
            yield f"{name} is a link"
        elif path.is_dir():
            if inside and len(name.parts) == 2 and name.parts[1].startswith(PACKAGE_PREFIX):
                packages.add(path)
        elif inside and "__pycache__" in name.parts and name.suffix == ".pyc":
            yield f"{name} is compiled code (remove the folder __pycache__; it is made anew)"
        elif _is_carried(name):
            continue  # Judged as a whole, below.
        elif len(name.parts) > 1 or name.name not in _KNOWN:
            kind = "a pickle" if is_pickle(path) else "no file of a model"
            yield f"{name} is {kind}"
        elif is_pickle(path):
            yield f"{name} is a pickle"
    yield from _installs(folder)
    if len(packages) != 1:
        yield f"{CODE_FOLDER} holds {len(packages)} predictors instead of one"
    for package in sorted(packages):
        contents = {
            path.relative_to(package).as_posix(): path.read_bytes()
            for path in package.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        if package.name != PACKAGE_PREFIX + digest_of(contents):
            yield f"{package.relative_to(folder)} was changed: its digest is not that of its name"
    if len(packages) == 1:
        yield from _told_to_run(folder, packages.pop().name)


def _is_carried(name: Path) -> bool:
    """Whether a file lies where the predictor's code does."""
    inside = len(name.parts) > 2 and name.parts[0] == CODE_FOLDER
    return inside and name.parts[1].startswith(PACKAGE_PREFIX) and "__pycache__" not in name.parts


def _told_to_run(folder: Path, package: str) -> Iterator[str]:
    """What MLmodel has MLflow run besides the predictor."""
    import yaml  # type: ignore[import-untyped]

    try:
        described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        flavors = described["flavors"]
        flavor = flavors["python_function"]
        found = (list(flavors), flavor["loader_module"], flavor["code"], set(flavor) - _FLAVOR)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        yield f"MLmodel cannot be read ({type(error).__name__})"
        return
    if found != (["python_function"], f"{package}.bundle.pyfunc", CODE_FOLDER, set()):
        yield "MLmodel has MLflow run something else than the predictor"


def _installs(folder: Path) -> Iterator[str]:
    """What the environment's files have pip install besides the packages that prediction needs."""
    import yaml

    asked = {"requirements.txt": _lines(folder / "requirements.txt")}
    with suppress(OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        conda = yaml.safe_load((folder / "conda.yaml").read_text(encoding="utf-8"))
        mappings = [each for each in conda["dependencies"] if isinstance(each, dict)]
        asked["conda.yaml"] = [str(line) for each in mappings for line in each["pip"]]
        others = [each for each in conda["dependencies"] if isinstance(each, str)]
        asked["conda.yaml"] += [each for each in others if not re.match(r"(python|pip)\b", each)]
    for name, lines in asked.items():
        for line in lines:
            package = re.fullmatch(r"([A-Za-z0-9_.-]+)==[A-Za-z0-9_.+!-]+", line)
            if package is None or package[1] not in (*REQUIREMENTS, TOKENIZERS):
                yield f"{name} asks for {line!r}"


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return [line.strip() for line in text.splitlines() if line.strip()]
