"""The pages of the documentation: their commands and blocks of Python, and how these are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from e2e import Done, clean_environment

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted(DOCS.glob("**/*.md"))]
}

FAR = re.compile(
    r"^(cd|docker|git|make|mlflow) |pip |jupyter|benchmarks/|curl localhost"
    r"|--azureml|--tracking-uri|--engine spark|postgresql:|textgauge ui\b"
)
"""What stands in a line that no test of a page runs.

It needs a cloud, a cluster, a database's server, Docker, the network, a browser or a fresh clone.
"""

FAR_IN_PYTHON = re.compile(r"tracking_uri=|spark\.table|/Volumes/")
"""The same of a block of Python."""


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page in one language, in order, without their indent."""
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```", PAGES[page], flags=re.S | re.M)
    return [textwrap.dedent(block) for block in found]


def lines_of(page: str) -> list[str]:
    """The lines of a page's shell blocks that can be run here, and those of files of settings.

    The pages on clouds and clusters have none.
    """
    if re.search("azure|databricks|spark", page):
        return []
    text = "\n".join(blocks(page, "sh")).replace(".venv/bin/", "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    of_files = [block.splitlines()[0].removeprefix("# ") for block in blocks(page, "toml")]
    lines += [line for line in of_files if line not in lines]
    return [line for line in lines if not FAR.search(line)]


def python_of(page: str) -> list[str]:
    """The blocks of Python of a page that can be run here."""
    return [block for block in blocks(page, "python") if not FAR_IN_PYTHON.search(block)]


def with_what_is_there(text: str, run_id: str) -> str:
    """A line or a block with a run and a model that are there in the place of a person's own."""
    text = re.sub(r"models:/(component-)?notes@champion|\bMODEL\b", "model", text)
    return text.replace("RUN_ID", run_id)


def shell(line: str, **environment: str) -> Done:
    """Run a line as a person's shell does, with the commands of the package under test."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env=clean_environment(PATH=path, **environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Done(done.returncode, done.stdout, done.stderr)
