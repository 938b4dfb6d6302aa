"""Every way of predicting gives the same labels, decisions and probabilities for one table.

The model has costs and a band of review. A way takes the model's folder, the table and a folder to
write into, and gives a row a text, in order: add one to `WAYS`, and all tests hold it to the rest.
(Spark is held to this process, bit for bit, in `engines/spark/test_scoring.py`.)
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from odd_texts import odd_table
from served import application
from waiting import wait_until

import textgauge
from textgauge.bundle.pyfunc import _load_pyfunc
from textgauge.serving.model import ServedModel
from textgauge.tracking.model_folder import make_model_folder
from textgauge.tracking.ui import free_port

pytest_plugins = ["e2e_fixtures"]

PREDICTED = ["predicted_label", "probability", "decision"]

Way = Callable[[Path, pl.DataFrame, Path], pl.DataFrame]


def of_rows(rows: list[dict[str, Any]]) -> pl.DataFrame:
    types = dict(zip(PREDICTED, (pl.String, pl.Float64, pl.String), strict=True))
    return pl.DataFrame(rows, schema=types)


def child(script: str, *arguments: object, standard_input: str = "", **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
        input=standard_input,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- the ways ------------------------------------------------------------------------------------


def python(folder: Path, table: pl.DataFrame, place: Path) -> pl.DataFrame:
    return textgauge.load(folder).predict(table["text"].to_list()).frame()


def python_on_one_core(folder: Path, table: pl.DataFrame, place: Path) -> pl.DataFrame:
    return textgauge.load(folder, cores=1).predict_frame(table["text"])


def one_by_one(folder: Path, table: pl.DataFrame, place: Path) -> pl.DataFrame:
    model = textgauge.load(folder)
    return pl.concat([model.predict_frame([text]) for text in table["text"]])


def scored(folder: Path, table: pl.DataFrame, place: Path, suffix: str) -> pl.DataFrame:
    from textgauge.cli import run_command

    table.write_parquet(place / "table.parquet")
    out = place / f"scored{suffix}"
    order = ["score", folder, place / "table.parquet", "--out", out, "--quiet"]
    assert run_command([str(each) for each in order]) == 0
    if suffix == ".parquet":
        return pl.read_parquet(out).select(PREDICTED)
    if suffix == ".jsonl":
        return of_rows([json.loads(line) for line in out.read_text("utf-8").splitlines()])
    with out.open(encoding="utf-8", newline="") as file:  # Python's own reader, not that of polars
        rows = [{k: v or None for k, v in row.items()} for row in csv.DictReader(file)]
    return of_rows([{**row, "probability": float(row["probability"] or "nan")} for row in rows])


def score_to_parquet(folder: Path, table: pl.DataFrame, place: Path) -> pl.DataFrame:
    return scored(folder, table, place, ".parquet")


def score_to_csv(folder: Path, table: pl.DataFrame, place: Path) -> pl.DataFrame:
    return scored(folder, table, place, ".csv")


def score_to_json_lines(folder: Path, table: pl.DataFrame, place: Path) -> pl.DataFrame:
    return scored(folder, table, place, ".jsonl")


WITHOUT_TEXTGAUGE = """
import sys
for name in ("textgauge", "torch", "sklearn", "mlflow", "pandas"):
    sys.modules[name] = None
import importlib, json
folder, package = sys.argv[1:]
sys.path.insert(0, folder + "/code")
Predictor = importlib.import_module(package + ".bundle.predictor").Predictor
print(Predictor.load(folder).predict(json.load(sys.stdin)).frame().write_json())
"""


def carried_code(folder: Path, table: pl.DataFrame, place: Path) -> pl.DataFrame:
    (package,) = (path.name for path in (folder / "code").glob("textgauge_predictor_*"))
    told = child(
        WITHOUT_TEXTGAUGE, folder, package, standard_input=json.dumps(table["text"].to_list())
    )
    return of_rows(json.loads(told))


THROUGH_MLFLOW = """
import json, sys
sys.modules["textgauge"] = None
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
texts = json.load(sys.stdin)
missing = [float("nan") if text is None else text for text in texts]
table = pd.DataFrame({"text": missing, "id": range(len(texts))}, index=range(7, 7 + len(texts)))
found = [model.predict(given) for given in (texts, pd.Series(missing), table, table[["text"]])]
assert list(found[2].index) == list(table.index)
assert all((found[0].values == other.values).all() for other in found[1:])
print(found[0].to_json(orient="records", double_precision=15))
"""


def pyfunc(folder: Path, table: pl.DataFrame, place: Path) -> pl.DataFrame:
    texts = json.dumps(table["text"].to_list())
    return of_rows(json.loads(child(THROUGH_MLFLOW, folder, standard_input=texts)))


def http(folder: Path, table: pl.DataFrame, place: Path) -> pl.DataFrame:
    here = application(
        ServedModel.load(folder), texts=len(table), characters=100_000, body_bytes=10**7
    )
    try:
        answer = here.predict(texts=[text or "" for text in table["text"]])
    finally:
        here.batcher.close()
    assert answer.status_code == 200, answer.text
    return of_rows(
        [
            {
                "predicted_label": each["label"],
                "probability": each["probability"],
                "decision": each["decision"],
            }
            for each in answer.json()["predictions"]
        ]
    )


EXPORTED = """
import json, sys
for name in ("textgauge", "torch", "polars", "mlflow", "pandas"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
from predict import Model
model, told = Model(), []
for text in json.load(sys.stdin):
    found = model.probabilities([text])
    label = model.classes[found[0].argmax()]
    told.append([label, float(found[0].max()), model.decide(found)[0]])
print(json.dumps(told))
"""


def exported(folder: Path, table: pl.DataFrame, place: Path) -> pl.DataFrame:
    textgauge.export(folder, place / "exported")
    texts = json.dumps([text or "" for text in table["text"]])
    told = json.loads(child(EXPORTED, place / "exported", standard_input=texts))
    return of_rows([dict(zip(PREDICTED, row, strict=True)) for row in told])


WAYS: dict[str, Way] = {
    "Python, one core": python_on_one_core,
    "Python, text by text": one_by_one,
    "score to Parquet": score_to_parquet,
    "score to CSV": score_to_csv,
    "score to JSON Lines": score_to_json_lines,
    "the code in the model": carried_code,
    "mlflow.pyfunc": pyfunc,
    "textgauge serve": http,
    "the exported folder": exported,
}


# ---- what they are held to -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(deciding: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, with what makes it an MLflow model."""
    target = tmp_path_factory.mktemp("everywhere") / "model"
    make_model_folder(Path(shutil.copytree(deciding.folder, target)))
    return target


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return odd_table()


@pytest.fixture(scope="module")
def expected(folder: Path, table: pl.DataFrame, tmp_path_factory: Any) -> pl.DataFrame:
    found = python(folder, table, tmp_path_factory.mktemp("expected"))
    counts = found["decision"].value_counts().rows_by_key("decision", named=False, unique=True)
    assert set(counts) == {"0", "1", "review"}, "a table in which all three are decided"
    assert (found["decision"] != found["predicted_label"]).mean() > 0.1, "and costs that matter"
    return found


def assert_same(found: pl.DataFrame, expected: pl.DataFrame, table: pl.DataFrame) -> None:
    """Equal where there is a text; where there is none, as for an empty one, or all null."""
    assert found.columns == PREDICTED
    assert len(found) == len(expected)
    without = found["predicted_label"].is_null()
    assert not (without & table["text"].is_not_null()).any()
    assert (found["decision"].is_null() == without).all()
    there = ~without
    for name in ("predicted_label", "decision"):
        differ = table.filter(there & (found[name] != expected[name]))
        assert differ.is_empty(), (name, differ)
    far = (found["probability"] - expected["probability"]).filter(there).abs()
    assert far.max() <= 1e-6  # type: ignore[operator]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_every_way_predicts_and_decides_the_same(
    way: Way, folder: Path, table: pl.DataFrame, expected: pl.DataFrame, tmp_path: Path
) -> None:
    assert_same(way(folder, table, tmp_path), expected, table)


# ---- values that are no strings ------------------------------------------------------------------

VALUES = {
    "whole numbers": (["1979", "0", None, "-7"], pl.Int64),
    "numbers": (["1979.0", "0.1", None, "100000.5", "inf"], pl.Float64),
    "short numbers": (["0.1", None, "1979.5"], pl.Float32),
    "truths": (["true", "false", None], pl.Boolean),
}


@pytest.mark.parametrize(("texts", "kind"), VALUES.values(), ids=VALUES.keys())
def test_every_way_reads_numbers_as_texts_and_nan_as_missing(
    texts: list[str | None], kind: Any, folder: Path, tmp_path: Path
) -> None:
    written = pl.Series("text", texts)
    column = written == "true" if kind == pl.Boolean else written.cast(kind)
    table = column.to_frame()
    expected = python(folder, written.to_frame(), tmp_path)
    model, served = textgauge.load(folder), _load_pyfunc(str(folder))
    if kind in (pl.Float32, pl.Float64):
        column = column.fill_null(float("nan"))
    ways = {
        "a column": model.predict_frame(column),
        "a list": model.predict_frame(column.to_list()),
        "numpy": model.predict_frame(column.to_numpy()),
        "pandas": model.predict_frame(pd.Series(column.to_list())),
        "score to Parquet": score_to_parquet(folder, column.to_frame(), tmp_path),
        "score to JSON Lines": score_to_json_lines(folder, column.to_frame(), tmp_path),
        "pyfunc, a list": pl.from_pandas(served.predict(column.to_list())),
        "pyfunc, a table": pl.from_pandas(
            served.predict(pd.DataFrame({"text": pd.Series(column.to_list(), dtype=object)}))
        ),
    }
    if kind == pl.Float32:  # Python has no short numbers.
        del ways["a list"], ways["pandas"], ways["pyfunc, a list"], ways["pyfunc, a table"]
    for found in ways.values():
        assert_same(found, expected, table)


def test_every_way_in_python_refuses_what_is_no_text(folder: Path, tmp_path: Path) -> None:
    model, served = textgauge.load(folder), _load_pyfunc(str(folder))
    for value in (b"steel", ["steel"], {"a": "steel"}):
        for predict in (model.predict, model.predict_frame, served.predict):
            with pytest.raises(TypeError, match=r"texts must be texts or numbers; texts\[1\] is"):
                predict(["iron", value])


# ---- over HTTP -----------------------------------------------------------------------------------


REGISTERED = """
import sys
from mlflow import MlflowClient
folder, store = sys.argv[1:]
client = MlflowClient(store, store)
client.create_registered_model("odd")
version = client.create_model_version("odd", folder).version
client.set_registered_model_alias("odd", "champion", version)
"""


@pytest.fixture(scope="module")
def served(
    folder: Path, new_store: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """`mlflow models serve` of a registered model, in the environment that runs the tests."""
    port, place = free_port("127.0.0.1", 5600), tmp_path_factory.mktemp("served")
    store = f"sqlite:///{new_store(place)}"
    child(REGISTERED, folder, store)
    command = [
        *(sys.executable, "-W", "ignore", "-m", "mlflow", "models", "serve"),
        *("-m", "models:/odd@champion", "--env-manager", "local"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=place,
            env={**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": store},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return urllib.request.urlopen(f"{address}/ping", timeout=2).status == 200
        except OSError:
            return process.poll() is not None

    try:
        wait_until(answers, patience=60)
        assert process.poll() is None, (place / "log").read_text()
        yield f"{address}/invocations"
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def ask(address: str, body: object, kind: str = "application/json") -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())["predictions"]
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_mlflow_models_serve_takes_raw_texts_and_decides_the_same(
    served: str, table: pl.DataFrame, expected: pl.DataFrame
) -> None:
    texts = table["text"].to_list()
    ids = table["id"].to_list()
    alone = {"columns": ["text"], "data": [[text] for text in texts]}
    first = {"columns": ["text", "id"], "data": [list(row) for row in zip(texts, ids, strict=True)]}
    for body, kind in (
        ({"inputs": texts}, "application/json"),
        ({"instances": texts}, "application/json"),
        ({"dataframe_split": alone}, "application/json"),
        ({"dataframe_split": first}, "application/json"),
        ({"dataframe_records": [{"text": text} for text in texts]}, "application/json"),
        (table.head(100).select("text").write_csv().encode(), "text/csv"),
    ):
        status, found = ask(served, body, kind)
        assert status == 200, found
        rows = len(found)
        assert rows == (100 if kind == "text/csv" else len(table))
        assert_same(of_rows(found), expected.head(rows), table.head(rows))


def test_mlflow_models_serve_refuses_a_table_whose_first_column_is_another(served: str) -> None:
    columns = {"columns": ["id", "text"], "data": [["1", "steel"]]}
    status, told = ask(served, {"dataframe_split": columns})
    assert status == 400
    assert "the model reads the column 'text', and was given ['id']" in told
