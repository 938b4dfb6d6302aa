"""Make the notebooks from their sources: run them, keep what they print.

    .venv/bin/python notebooks/make.py               the notebooks, and the one of Databricks' bundle
    .venv/bin/python notebooks/make.py --pictures    also pictures/: the run's page in a browser

A source is Python with cells marked by `# %%` and `# %% [markdown]` (the percent format, which
editors and Jupytext read, too). The pictures need Playwright and Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

HERE = Path(__file__).resolve().parent
SOURCES = (HERE / "deep_learning_with_text.py", HERE / "your_own_table.py")
PICTURES = HERE / "pictures"
BUNDLE = HERE.parent / "deploy" / "databricks" / "AI with Databricks and AML"
IN_BUNDLE = BUNDLE / "3.0 Deep Learning with Text.ipynb"
"""The walk, without what it printed here."""

SHOWN_FOLDER = "/home/you/notebooks"
"""Stands in the outputs for the folder that they were made in."""

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
OF_OTHERS = ("MLFLOW_", "TEXTGAUGE_", "DATABRICKS_", "AZUREML_", "CI_NAME")
"""How variables begin that would send the runs elsewhere."""


def read_source(path: Path) -> NotebookNode:
    """The notebook of a source, not run. The id of a cell follows from its text."""
    parts = re.split(r"^# %%(.*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    cells = []
    for kind, body in zip(parts[1::2], parts[2::2], strict=True):
        text = body.strip("\n")
        if kind.strip() == "[markdown]":
            text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
        new = new_markdown_cell if kind.strip() == "[markdown]" else new_code_cell
        digest = hashlib.sha256(text.encode()).hexdigest()
        cells.append(new(text, id=digest[:12]))
    return new_notebook(cells=cells, metadata=METADATA)


def run(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run all cells in `folder`, in a process of their own; raises where one fails."""
    with _own_surroundings():
        NotebookClient(
            notebook,
            timeout=600,
            resources={"metadata": {"path": str(folder)}},
            record_timing=False,
            coalesce_streams=True,
        ).execute()
    notebook.metadata = nbformat.from_dict(METADATA)  # without the version of this Python
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            _name_no_folder(output, folder)
    return notebook


def run_all(folder: Path) -> dict[Path, NotebookNode]:
    """Run the sources one after the other in an empty folder, as in this one: with its tables."""
    for table in HERE.glob("*.csv"):
        shutil.copy(table, folder)
    return {source: run(read_source(source), folder) for source in SOURCES}


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook as the committed ones are: one form, whoever made it."""
    nbformat.validate(notebook)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def put_into_bundle() -> None:
    """Copy the walk and its pictures to where Databricks' bundle takes them from."""
    write(read_source(SOURCES[0]), IN_BUNDLE)
    for picture in PICTURES.glob("*.png"):
        (BUNDLE / PICTURES.name).mkdir(exist_ok=True)
        shutil.copy(picture, BUNDLE / PICTURES.name)


def take_pictures(store: Path, notebook: NotebookNode) -> None:
    """The page of the notebook's run in MLflow's web UI: its metrics, and its artifacts."""
    from playwright.sync_api import sync_playwright

    from textgauge.tracking.ui import UiServer

    with UiServer(f"sqlite:///{store}") as server, sync_playwright() as playwright:
        server.wait_until_up()
        last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
        url = f"{server.url}/#/{last.outputs[0].text.strip().partition('/#/')[2]}"
        program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))))
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 760})
        page.goto(url)
        page.get_by_text("eval_accuracy", exact=True).first.wait_for(timeout=60_000)
        page.get_by_role("button", name="Close").first.click()  # what chats beside the page
        page.wait_for_timeout(1000)
        page.screenshot(path=PICTURES / "metrics.png")
        page.goto(url.replace("?", "/artifacts/training_results.png?"))
        page.locator("img[src^='blob:'], img[src*='training_results.png']").first.wait_for()
        page.wait_for_timeout(1000)
        # Where the file lies on this machine is nobody's business.
        page.screenshot(
            path=PICTURES / "outputs.png",
            clip={"x": 0, "y": 0, "width": 1280, "height": 600},
            mask=[page.get_by_text("Path:")],
            mask_color="#ffffff",
        )
        browser.close()


@contextlib.contextmanager
def _own_surroundings() -> Iterator[None]:
    """Neither the tracking nor the notebooks of whoever runs this are touched."""
    kept = dict(os.environ)
    for name in kept:
        if name.startswith(OF_OTHERS):
            del os.environ[name]
    try:
        with tempfile.TemporaryDirectory() as own:
            os.environ |= {"IPYTHONDIR": own, "JUPYTER_RUNTIME_DIR": own, "JUPYTER_DATA_DIR": own}
            os.environ["LOGNAME"] = "you"  # who a run's page says has made it
            yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _name_no_folder(output: NotebookNode, folder: Path) -> None:
    for holder in (output, output.get("data", {})):
        for key, value in holder.items():
            if isinstance(value, str):
                holder[key] = value.replace(str(folder), SHOWN_FOLDER)


def main() -> None:
    """Make all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", action="store_true", help="also make the pictures")
    pictures = parser.parse_args().pictures
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        made = run_all(folder)
        for source, notebook in made.items():
            write(notebook, source.with_suffix(".ipynb"))
        if pictures:
            take_pictures(folder / "mlflow.db", made[SOURCES[0]])
    put_into_bundle()


if __name__ == "__main__":
    main()
