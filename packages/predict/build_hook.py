"""Where the source of `textgauge` lies: two folders up in a clone, in `src` in an sdist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SourceHook(BuildHookInterface):
    """Puts the package into the wheel, and into the sdist as `src/textgauge`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build."""
        unpacked = Path(self.root) / "src" / "textgauge"
        source = unpacked if unpacked.is_dir() else Path(self.root, "..", "..", "src", "textgauge")
        target = "textgauge" if self.target_name == "wheel" else "src/textgauge"
        build_data["force_include"][str(source.resolve())] = target
