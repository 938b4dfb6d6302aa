"""The notebooks run as they are, and what is committed of them is what their sources give."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("make_notebooks", ROOT / "notebooks" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _script()
WALK, OWN_TABLE = make.SOURCES
AGAIN = "make it again: .venv/bin/python notebooks/make.py"
each_source = pytest.mark.parametrize("source", make.SOURCES, ids=lambda path: path.stem)


def committed(source: Path) -> Any:
    return nbformat.read(source.with_suffix(".ipynb"), as_version=nbformat.NO_CONVERT)


def printed(notebook: Any, start: str = "") -> str:
    """What a notebook has printed: all of it, or what the cell did that has a line so begun."""
    cells = [
        "".join(output.get("text", "") for output in cell.get("outputs", ()))
        for cell in notebook.cells
    ]
    return "".join(text for text in cells if re.search(f"^{start}", text, flags=re.MULTILINE))


def shape(notebook: Any) -> list[list[tuple[Any, ...]]]:
    """The kinds of the outputs of each cell, whatever stands in them."""
    return [
        [
            (output.output_type, output.get("name"), *sorted(output.get("data", ())))
            for output in cell.get("outputs", ())
        ]
        for cell in notebook.cells
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebooks are run."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def ran(folder: Path) -> dict[Path, Any]:
    """The notebooks, run now."""
    made: dict[Path, Any] = make.run_all(folder)
    return made


# ---- the committed files -------------------------------------------------------------------------


@each_source
def test_the_committed_notebook_has_the_cells_of_its_source(source: Path) -> None:
    book = committed(source)
    nbformat.validate(book)

    def cells(notebook: Any) -> list[tuple[str, str, str]]:
        return [(cell.cell_type, cell.id, cell.source) for cell in notebook.cells]

    assert cells(book) == cells(make.read_source(source)), AGAIN
    assert book.metadata == make.METADATA


def test_a_source_is_read_as_its_format_says(tmp_path: Path) -> None:
    """A worked example."""
    source = tmp_path / "two.py"
    text = "# %% [markdown]\n# # Title\n#\n# *word*\n\n# %%\n# a comment\nx = 1\n\n\n# %%\nx\n"
    source.write_text(text, encoding="utf-8")
    cells = [(cell.cell_type, cell.source) for cell in make.read_source(source).cells]
    assert cells == [
        ("markdown", "# Title\n\n*word*"),
        ("code", "# a comment\nx = 1"),
        ("code", "x"),
    ]


@each_source
def test_the_kept_outputs_are_of_one_run_from_top_to_bottom(source: Path) -> None:
    codes = [cell for cell in committed(source).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in codes] == list(range(1, len(codes) + 1))
    assert not any(set(cell.metadata) for cell in codes), "no times"


@each_source
def test_the_kept_outputs_tell_nothing_of_whose_machine_it_was(source: Path) -> None:
    path = source.with_suffix(".ipynb")
    assert path.stat().st_size < 1_000_000
    places = re.findall(
        r"(?<![\w:/.])/(?:home|root|tmp|Users|var|work|usr)\b/?\w*", path.read_text("utf-8")
    )
    assert set(places) <= {"/home/you"}


@each_source
def test_the_pictures_are_there(source: Path) -> None:
    texts = [cell.source for cell in committed(source).cells if cell.cell_type == "markdown"]
    for target in re.findall(r"\]\(((?!https?:)[^)]+)\)", "\n".join(texts)):
        assert (source.parent / target).is_file(), target


def test_the_bundle_of_databricks_has_the_walk_without_what_it_printed_here() -> None:
    book = nbformat.read(make.IN_BUNDLE, as_version=nbformat.NO_CONVERT)
    assert book == make.read_source(WALK), AGAIN
    assert book.cells[0].source.startswith(f"# {make.IN_BUNDLE.stem}\n")
    pictures = {path.name: path.read_bytes() for path in make.PICTURES.glob("*.png")}
    there = (make.BUNDLE / make.PICTURES.name).glob("*")
    assert {path.name: path.read_bytes() for path in there} == pictures != {}


# ---- where textgauge is not installed yet --------------------------------------------------------


def install_cell() -> str:
    (source,) = (
        cell.source for cell in make.read_source(WALK).cells if "run_line_magic" in cell.source
    )
    return str(source)


@pytest.mark.parametrize("on_databricks", [True, False])
def test_where_textgauge_is_missing_it_is_installed_from_the_wheel(
    on_databricks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    shell = SimpleNamespace(run_line_magic=lambda *words: said.append(words))
    library = SimpleNamespace(restartPython=lambda: said.append("restart"))
    space: dict[str, Any] = {"get_ipython": lambda: shell}
    if on_databricks:
        space["dbutils"] = SimpleNamespace(library=library)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    exec(install_cell(), space)
    assert said[1:] == (["restart"] if on_databricks else [])
    (magic, words) = said[0]
    wheel = re.fullmatch(r'install --quiet "(.*\.whl)\[(.*)\]"', words)
    assert magic == "pip"
    assert wheel is not None
    assert wheel[1] == f"/Volumes/main/lab/wheels/textgauge-{PROJECT['version']}-py3-none-any.whl"
    assert set(wheel[2].split(",")) <= PROJECT["optional-dependencies"].keys()
    page = (ROOT / "docs/how-to/databricks-job.md").read_text(encoding="utf-8")
    assert wheel[1].removeprefix("/Volumes/main/lab/wheels/") in page


# ---- run for real --------------------------------------------------------------------------------


@each_source
def test_it_runs_and_prints_what_is_kept_of_it(source: Path, ran: dict[Path, Any]) -> None:
    found = shape(ran[source])
    assert found == shape(committed(source)), AGAIN
    assert not [each for cell in found for each in cell if "stderr" in each]


def test_the_walk_ends_with_a_model_that_found_the_regulation_and_is_registered(
    ran: dict[Path, Any], folder: Path
) -> None:
    from textgauge import load

    book = ran[WALK]
    chance, honest = re.findall(r"right by looking up.*: ([\d.]+)%", printed(book))
    assert float(chance) > 95
    assert float(honest) < 60
    rules = re.search(r"1 non-compliant: (.*)", printed(book, "split:"))
    assert rules is not None
    words = {"number < 1995", '"iron"', '"plastic"', '"poor"', '"fair"'}
    assert set(rules[1].split(", or ")) == words
    assert "points to it: models:/component_notes@champion." in printed(book)
    last = [cell for cell in book.cells if cell.cell_type == "code"][-1]
    link = re.fullmatch(r"Run Details: (http://\S+/runs/(\w+)\?\S+)\n", last.outputs[0].text)
    assert link is not None
    artifacts = folder / "mlruns" / "1" / link[2] / "artifacts"
    assert (artifacts / "training_results.png").is_file()
    notes = ["new condition iron component manufactured in 2005", "steel, new, made in 2011"]
    assert load(artifacts / "model").predict(notes).labels == ["1", "0"]


def test_the_other_table_has_its_own_columns_and_three_labels(ran: dict[Path, Any]) -> None:
    book = ran[OWN_TABLE]
    assert "has no columns 'text' and 'label'; it has 'Nr'" in printed(book)
    assert re.search(r"^  labels +3$", printed(book), flags=re.MULTILINE)
    figures = re.search(r"^LINEAR +(0\.\d+|1\.0+)", printed(book), flags=re.MULTILINE)
    assert figures is not None
    assert float(figures[1]) > 0.85
