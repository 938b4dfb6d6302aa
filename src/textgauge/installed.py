"""Which of the two packages is installed: `textgauge`, or what of it predicts."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

WHOLE, SLIM = "textgauge", "textgauge-predict"


def installed_version() -> str:
    """The version of this package, under whichever of its names it is installed."""
    return _version(WHOLE) or version(SLIM)


def is_slim() -> bool:
    """Whether it is the one that only predicts."""
    return _version(WHOLE) is None and _version(SLIM) is not None


def how_to_get(package: str) -> str:
    """What to install where a package that textgauge imports is missing, in a sentence."""
    if not is_slim():
        return f"Install textgauge with all it needs: pip install {WHOLE}."
    if package in ("mlflow", "sqlalchemy", "alembic"):
        return f"Install it with pip install '{SLIM}[mlflow]'."
    if package in ("fastapi", "uvicorn", "prometheus_client", "starlette", "pydantic"):
        return f"Install it with pip install '{SLIM}[serve]'."
    return (
        f"{SLIM} only predicts: install the package {WHOLE} in its place (pip uninstall {SLIM}; "
        f"pip install {WHOLE})."
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
