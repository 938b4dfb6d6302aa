"""The public names, and that neither the import nor a help text loads anything heavy."""

import ast
import inspect
import json
from importlib.metadata import version

import pytest

import textgauge

HEAVY = (
    "alembic", "databricks", "matplotlib", "mlflow", "numpy", "onnx", "onnxruntime", "optuna",
    "pandas", "polars", "pyarrow", "pyspark", "rich", "scipy", "sklearn", "sqlalchemy", "torch",
)  # fmt: skip
LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)))"


def heavy(modules):
    """Those of the modules that belong to a heavy package."""
    return [name for name in json.loads(modules) if name.partition(".")[0] in HEAVY]


def test_the_import_loads_nothing_heavy(fresh_python):
    assert heavy(fresh_python(f"import textgauge; dir(textgauge); {LOADED}")) == []


def test_this_test_would_see_a_heavy_import(fresh_python):
    assert "numpy" in heavy(fresh_python(f"import textgauge.review.metrics; {LOADED}"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["compare", "--help"],
        ["score", "--help"],
        ["trian"],
    ],
)
def test_help_version_and_usage_errors_load_nothing_heavy(fresh_python, arguments):
    script = f"""
import contextlib, io
from textgauge.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    try:
        main({arguments!r})
    except SystemExit:
        pass
{LOADED}
"""
    assert heavy(fresh_python(script)) == []


def test_errors_and_settings_load_nothing_heavy(fresh_python):
    assert heavy(fresh_python(f"from textgauge import Config, TextgaugeError; {LOADED}")) == []


def test_the_public_names_are_these():
    assert sorted(textgauge.__all__) == [
        "Config", "TextClassifier", "TextgaugeError", "check", "compare", "evaluate", "explain",
        "export", "load", "make_component_notes", "platform", "preview", "register", "score",
        "show", "train", "verify",
    ]  # fmt: skip
    assert dir(textgauge) == sorted([*textgauge.__all__, "__version__"])


def test_every_public_name_is_what_the_type_checker_sees():
    tree = ast.parse(inspect.getsource(textgauge))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    for statement in checked.body:
        for alias in statement.names:
            found = getattr(textgauge, alias.name)
            assert found.__module__ == f"textgauge.{statement.module}"
            assert found.__name__ == alias.name
    assert {alias.name for s in checked.body for alias in s.names} == set(textgauge.__all__)


def test_a_star_import_gives_the_public_names():
    names = {}
    exec("from textgauge import *", names)
    assert sorted(names.keys() - {"__builtins__"}) == sorted(textgauge.__all__)


def test_every_public_name_is_documented():
    for name in textgauge.__all__:
        assert inspect.getdoc(getattr(textgauge, name)), name


def test_the_version_is_that_of_the_installation():
    assert textgauge.__version__ == version("textgauge")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'textgauge' has no attribute 'trian'"):
        textgauge.trian  # noqa: B018 - asking is the test
