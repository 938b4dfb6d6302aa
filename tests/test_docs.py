"""The documentation says what the program does."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from textgauge.cli import make_parser

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = next(
    action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)
).choices
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])


def _generator():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs/make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_is_what_the_parser_gives():
    page = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    assert page == _generator().reference(), "run .venv/bin/python docs/make_reference.py"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command):
    page = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    assert f"## textgauge {command}\n" in page
    assert f"textgauge {command}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_each_thing_that_check_does():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for option in ("--against", "--fix", "--tracking"):
        assert re.search(rf"^\| `textgauge check [^|]*{option}", readme, re.MULTILINE), option


def test_every_option_has_a_help_text():
    for name, parser in COMMANDS.items():
        for action in parser._actions:
            assert action.help, f"{name}: {action.option_strings or action.dest}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_pages_can_be_parsed(page, monkeypatch):
    """Every `textgauge …` line of a shell block is a command with known options."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    for line in lines:
        found = re.match(r"(?:\.venv/bin/)?textgauge (\w.*?)(?:\s+#.*)?$", line)
        if found:
            make_parser().parse_args(shlex.split(found[1]))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_the_pages_lead_somewhere(page):
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
        if not re.match(r"https?://", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_source_file_of_the_map_exists():
    """The README's file map names no file that is gone, and every folder of the package."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```text\nsrc/textgauge/\n(.*?)```", readme, flags=re.DOTALL)[1]
    named = [line.split()[0] for line in block.splitlines() if line.startswith("  ")]
    package = ROOT / "src" / "textgauge"
    assert all((package / name).exists() for name in named), named
    folders = {p.parent.name + "/" for p in package.glob("*/__init__.py")}
    assert folders <= set(named)
