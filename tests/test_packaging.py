"""What an installation brings along fits together, and the pins are what is tested with."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
EXTRAS = ("azureml", "compare", "databricks", "serve", "spark", "ui")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(name: str, extras: tuple[str, ...]) -> Iterator[Requirement]:
    """What a distribution with these extras needs here, on this Python and this machine.

    Of textgauge itself what `pyproject.toml` says, whatever it was when it was installed.
    """
    if name == "textgauge":
        optional = PROJECT["optional-dependencies"]
        lines = [*PROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    else:
        lines = distribution(name).requires or []
    for line in lines:
        each = Requirement(line)
        if each.marker is None or any(
            each.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        ):
            yield each


def closure() -> dict[str, list[tuple[str, Requirement]]]:
    """Every distribution that textgauge with its extras needs, and who needs it how."""
    needed: dict[str, list[tuple[str, Requirement]]] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    waiting = [("textgauge", EXTRAS)]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for each in requirements(name, extras):
            other = canonicalize_name(each.name)
            needed.setdefault(other, []).append((name, each))
            waiting.append((other, tuple(sorted(each.extras))))
    return needed


@pytest.fixture(scope="module")
def needed() -> dict[str, list[tuple[str, Requirement]]]:
    try:
        return closure()
    except PackageNotFoundError as error:
        reason = f"{error.name} is not installed (pip install 'textgauge[{','.join(EXTRAS)}]')"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}; with CI=true all extras must be there")
        pytest.skip(reason)


def pins() -> dict[str, str]:
    """Of `constraints.txt`."""
    lines = (ROOT / "constraints.txt").read_text().split()
    found = dict(line.split("==") for line in lines)
    return {canonicalize_name(name): version for name, version in found.items()}


def installed(name: str) -> Version:
    """Without a local part: `2.13.0+cpu` is a build of `2.13.0`."""
    return Version(Version(distribution(name).version).public)


def caps(specifier: SpecifierSet) -> list[Version]:
    """The highest versions that are allowed, bounds included."""
    return [Version(each.version) for each in specifier if each.operator in ("<=", "==")]


def test_everything_that_is_installed_is_as_everything_else_needs_it(
    needed: dict[str, list[tuple[str, Requirement]]],
) -> None:
    assert {"azureml-mlflow", "databricks-sdk", "mlflow", "torch"} <= needed.keys()
    unmet = [
        f"{who} needs {how}, and {name} {installed(name)} is installed"
        for name, users in needed.items()
        for who, how in users
        if not how.specifier.contains(installed(name), prereleases=True)
    ]
    assert unmet == []


def test_what_is_installed_is_pinned_as_it_is(
    needed: dict[str, list[tuple[str, Requirement]]],
) -> None:
    known = pins()
    # What torch brings for GPUs is as torch wants it, and elsewhere not there.
    for_gpus = ("cuda-", "nvidia-", "triton")
    wrong = {
        f"{name}=={installed(name)}": known.get(name)
        for name in sorted(needed)
        if not name.startswith(for_gpus)
        and known.get(name) != str(installed(name))
        and Version(known.get(name, "0")) != installed(name)
    }
    assert wrong == {}, "mend constraints.txt"


def test_every_pin_is_within_the_ranges_of_pyproject() -> None:
    known = pins()
    lines = [*PROJECT["dependencies"]]
    lines += [line for each in PROJECT["optional-dependencies"].values() for line in each]
    for each in map(Requirement, lines):
        name = canonicalize_name(each.name)
        if name != "textgauge":
            assert each.specifier.contains(known[name]), f"{each} and {name}=={known[name]}"


def test_the_pins_are_in_order_and_each_is_there_once() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    names = [canonicalize_name(line.partition("==")[0]) for line in lines]
    assert len(names) == len(set(names))


def test_mlflow_is_no_newer_than_azure_mls_plugin_takes() -> None:
    """So that adding the extra later changes no version of what is installed already."""
    (plugin,) = map(Requirement, PROJECT["optional-dependencies"]["azureml"])
    try:
        found = distribution(plugin.name)
    except PackageNotFoundError:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{plugin.name} is not installed; with CI=true it must be")
        pytest.skip(f"{plugin.name} is not installed (pip install 'textgauge[azureml]')")
    assert plugin.specifier == SpecifierSet(f"=={found.version}")
    (theirs,) = (
        each.specifier
        for each in map(Requirement, found.requires or ())
        if each.name == "mlflow-skinny"
    )
    (cap,) = caps(theirs)
    ranges = {
        each.name: each.specifier
        for each in map(
            Requirement, [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["ui"]]
        )
        if each.name in ("mlflow-skinny", "mlflow")
    }
    assert ranges.keys() == {"mlflow-skinny", "mlflow"}
    for ours in ranges.values():
        assert caps(ours) == [cap], "the same cap for all, and no lower than need be"
        assert theirs.contains(pins()["mlflow-skinny"])


def test_the_version_to_cite_is_the_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == PROJECT["version"]
    assert cited["license"] == PROJECT["license"]


@pytest.mark.parametrize("name", ["test", "release"])
def test_a_workflow_runs_targets_that_there_are_on_the_pythons_that_are_named(name: str) -> None:
    workflow = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = "Programming Language :: Python :: "
    pythons = [each.removeprefix(named) for each in PROJECT["classifiers"] if named in each]
    made = set()
    for job in workflow["jobs"].values():
        if "strategy" in job:
            assert job["strategy"]["matrix"]["python"] == pythons
        lines = [step.get("run", "") for step in job["steps"]]
        made |= {line.split()[1] for line in lines if line.startswith("make ")}
    assert "test" in made
    assert made <= targets
