"""What comes from a table, as Markdown that shows it and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MEANS_SOMETHING = re.compile(r"[\\`*\[\]~]|(?<![^\W_])_|_(?![^\W_])")
_BEGINS_HTML = re.compile(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)")
_BEGINS_BLOCK = re.compile(r">|(?:#{1,6}|[-+])(?:\s|$)")
_NUMBER = re.compile(r"\d{1,9}(?=[.)](?:\s|$))")


def plain(text: str) -> str:
    r"""A text on one line, in which no character has a meaning in Markdown or HTML.

    >>> plain('rare "x" <i>'), plain("*a*  [b]"), plain("# 1"), plain("part_no < 5")
    ('rare "x" &lt;i>', '\\*a\\* \\[b\\]', '\\# 1', 'part_no < 5')
    """
    line = _visible(text)
    shown = _MEANS_SOMETHING.sub(r"\\\g<0>", line)
    shown = _BEGINS_HTML.sub(lambda found: "&lt;" if found[0] == "<" else "&amp;", shown)
    number = _NUMBER.match(shown)
    if number:
        return f"{number[0]}\\{shown[number.end() :]}"
    return f"\\{shown}" if _BEGINS_BLOCK.match(shown) else shown


def code(text: str) -> str:
    """A text as code, whatever backticks it holds.

    >>> code("a"), code("a`b")
    ('`a`', '``a`b``')
    """
    line = _visible(text)
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already, but for the bars between cells."""
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        for row in (header, ["---"] * len(header), *rows)
    )


def _visible(text: str) -> str:
    line = " ".join(text.split())
    return line if line.isprintable() else repr(line)
