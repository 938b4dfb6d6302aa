"""Packages that a test needs and that only some people install."""

from __future__ import annotations

import importlib.util
import os

import pytest


def need_package(package: str, extra: str) -> None:
    """Skip the test where the package is not installed; with CI=true fail."""
    try:
        missing = importlib.util.find_spec(package) is None
    except ModuleNotFoundError:
        missing = True
    if missing:
        reason = f"{package} is not installed (pip install 'textgauge[{extra}]')"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}; with CI=true the tests against a server must run")
        pytest.skip(reason)
