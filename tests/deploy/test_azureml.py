"""The files for Azure ML are what Microsoft's own package takes, and what textgauge takes."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
import yaml
from packaging.specifiers import SpecifierSet

from textgauge.cli import make_parser
from textgauge.tracking.protocol import DEFAULT_ALIAS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "azureml"
PAGE = (ROOT / "docs" / "how-to" / "azure-ml-job.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
JOBS = ("score.job.yml", "train.job.yml")
BATCH = ("batch-deployment.yml", "batch-endpoint.yml")
ENVIRONMENTS = {
    "environment.yml": ("textgauge", "Dockerfile"),
    "batch-environment.yml": ("textgauge-batch", "batch.Dockerfile"),
}
"""What each makes: its name, and the file that it is made by."""

pytestmark = pytest.mark.filterwarnings("ignore::marshmallow.warnings.RemovedInMarshmallow4Warning")
"""Azure ML's package is not ready for the next version of what it reads YAML with."""

each_job = pytest.mark.parametrize("name", JOBS)


def azure_ml() -> Any:
    """Azure ML's own package, imported where it is used: it takes seconds."""
    with warnings.catch_warnings():
        # Its own affair, told while it is imported.
        warnings.simplefilter("ignore")
        return pytest.importorskip("azure.ai.ml")


def load(name: str) -> Any:
    """A job as Azure ML's package reads it."""
    return azure_ml().load_job(FOLDER / name)


def load_deployment() -> Any:
    """The batch deployment as Azure ML's package, and with it `az ml`, reads one of a model."""
    azure_ml()
    from azure.ai.ml.entities._load_functions import load_model_batch_deployment

    return load_model_batch_deployment(FOLDER / "batch-deployment.yml")


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def command_of(job: Any) -> list[str]:
    """The words of a job's command once Azure ML has put its inputs and outputs in.

    All get values with a space, which is when missing quotes are seen.
    """
    values = {f"outputs.{name}": f"/mnt/out put/{name}" for name in job.outputs}
    for name, each in job.inputs.items():
        is_file = each.type == "uri_file"
        values[f"inputs.{name}"] = f"/mnt/in put/{name}.csv" if is_file else f"the {name}"
    text = re.sub(r"\$\{\{([^}]*)\}\}", lambda found: values[found[1].strip()], job.command)
    return shlex.split(text)


def parsed(job: Any) -> Any:
    """What textgauge makes of a job's command. Ends the test if there is a word it doesn't know."""
    program, *arguments = command_of(job)
    assert program in PROJECT["scripts"]
    return make_parser().parse_args(arguments)


def test_no_file_goes_untested():
    assert {path.name for path in FOLDER.glob("*.yml")} == {*ENVIRONMENTS, *JOBS, *BATCH}


@pytest.mark.parametrize("file", ENVIRONMENTS)
def test_azure_mls_own_package_reads_the_environment(file):
    environment = azure_ml().load_environment(FOLDER / file)
    name, dockerfile = ENVIRONMENTS[file]
    assert environment.name == name
    assert environment.image is None
    assert Path(environment.path) == FOLDER / "environment"
    assert (environment.build.dockerfile_path or "Dockerfile") == dockerfile
    assert (FOLDER / "environment" / dockerfile).is_file()


@each_job
def test_azure_mls_own_package_reads_the_job(name):
    job = load(name)
    assert job.type == "command"
    # No compute of somebody's: Azure ML lends a machine, of this size and for this long at most.
    assert job.compute is None
    assert job.resources.instance_count == 1
    assert job.resources.instance_type.startswith("Standard_")
    assert job.limits.timeout == 4 * 3600


@pytest.mark.parametrize(
    "line", ["comand: textgauge", "resources: 3", "inputs: {table: {type: url}}"]
)
def test_this_test_would_see_a_field_or_value_that_is_none(line, tmp_path):
    kept = read("train.job.yml")
    file = tmp_path / "train.job.yml"
    file.write_text(yaml.safe_dump(kept | yaml.safe_load(line)), encoding="utf-8")
    with pytest.raises(Exception, match=line.split(":")[0]):
        azure_ml().load_job(file)


@each_job
def test_the_job_runs_in_the_environment_that_is_made(name):
    made = azure_ml().load_environment(FOLDER / "environment.yml").name
    assert load(name).environment in (f"{made}@latest", f"azureml:{made}@latest")


@each_job
def test_every_input_and_output_is_used_and_every_one_that_is_used_is_there(name):
    job = load(name)
    used = set(re.findall(r"\$\{\{\s*([\w.]+)\s*\}\}", job.command))
    assert used == {f"inputs.{n}" for n in job.inputs} | {f"outputs.{n}" for n in job.outputs}


@each_job
def test_the_job_names_no_server_and_holds_no_secret(name):
    """The job's own variables say where its run is; a server in the command would lead away."""
    job = load(name)
    options = parsed(job)
    assert options.tracking_uri is None
    assert options.azureml is None
    assert not job.environment_variables


def test_the_training_gets_the_table_and_registers():
    options = parsed(load("train.job.yml"))
    assert options.command == "train"
    assert options.table == "/mnt/in put/table.csv"
    assert (options.text, options.label) == ("the text", "the label")
    assert options.register == "the registered_model"
    assert options.experiment is None
    assert options.out == Path("/mnt/out put/model/model")


def test_scoring_takes_the_model_that_the_training_registers():
    train, score = read("train.job.yml")["inputs"], read("score.job.yml")["inputs"]
    assert score["registered_model"] == train["registered_model"]
    assert score["alias"] == DEFAULT_ALIAS, "the one that train moves without --alias"
    options = parsed(load("score.job.yml"))
    assert options.command == "score"
    assert options.model == "models:/the registered_model@the alias"
    assert options.table == "/mnt/in put/catalogue.csv"
    assert options.text == "the text"
    assert options.out == "/mnt/out put/scored/scored.parquet"


@each_job
def test_the_inputs_and_their_defaults_stand_on_the_page(name):
    for key, given in read(name)["inputs"].items():
        default = given if isinstance(given, str) else given["path"]
        rows = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{key}`" in line]
        assert any(f"`{default}`" in row for row in rows), key


@each_job
def test_outputs_are_written_on_the_jobs_own_disk_first(name):
    """A mounted folder takes no renames, by which the files are put in place."""
    assert {output.mode for output in load(name).outputs.values()} == {"upload"}


@pytest.mark.parametrize(
    ("dockerfile", "extras"), [("Dockerfile", "[azureml]"), ("batch.Dockerfile", "")]
)
def test_the_container_gets_textgauge_and_a_store_of_its_own(dockerfile, extras):
    text = (FOLDER / "environment" / dockerfile).read_text(encoding="utf-8")
    version = re.search(r"^FROM python:([\d.]+)-slim$", text, flags=re.MULTILINE)[1]
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)
    assert f'/opt/textgauge/*.whl){extras}"' in text
    assert set(re.findall(r"\w+", extras)) <= PROJECT["optional-dependencies"].keys()
    assert "--constraint /opt/textgauge/constraints.txt" in text
    assert "COPY *.whl constraints.txt /opt/textgauge/" in text
    assert re.search(r"^ENV TEXTGAUGE_STORE=/var/lib/textgauge/", text, flags=re.MULTILINE)


def test_the_page_tells_the_steps_that_fill_the_containers_folder():
    assert "pip wheel --no-deps --wheel-dir deploy/azureml/environment ." in PAGE
    assert "cp constraints.txt deploy/azureml/environment" in PAGE


def test_azure_mls_own_package_reads_the_batch_endpoint():
    endpoint = azure_ml().load_batch_endpoint(FOLDER / "batch-endpoint.yml")
    assert endpoint.auth_mode == "aad_token"
    assert load_deployment().endpoint_name == endpoint.name


def test_azure_mls_own_package_reads_the_batch_deployment():
    deployment = load_deployment()
    registered = read("train.job.yml")["inputs"]["registered_model"]
    assert deployment.model in (f"{registered}@latest", f"azureml:{registered}@latest")
    name, _ = ENVIRONMENTS["batch-environment.yml"]
    assert deployment.environment in (f"{name}@latest", f"azureml:{name}@latest")
    made = re.search(r"az ml compute create --name (\S+)", PAGE)[1]
    assert deployment.compute in (made, f"azureml:{made}")
    code = deployment.code_configuration
    assert (FOLDER / code.code / code.scoring_script).resolve() == SCRIPT
    assert deployment.resources.instance_count == 1
    settings = deployment.settings
    assert settings.mini_batch_size == settings.max_concurrency_per_instance == 1
    assert settings.error_threshold == 0, "the first table that fails ends the job"
    assert settings.output_action == "summary_only", "the script writes its own files"
    assert settings.retry_settings.max_retries == 0


SCRIPT = FOLDER / "batch" / "score.py"


@pytest.fixture
def script(trained, tmp_path, monkeypatch) -> ModuleType:
    """The batch deployment's script, with a model where Azure ML would have put it."""
    model = tmp_path / "models" / "component-notes" / "1"
    shutil.copytree(trained.folder, model / "model")
    (tmp_path / "scored").mkdir()
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(model))
    monkeypatch.setenv("AZUREML_BI_OUTPUT_PATH", str(tmp_path / "scored"))
    # The command of the Python that runs the tests.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    spec = importlib.util.spec_from_file_location("score", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(path: Path, texts: list[str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"text": texts, "row": range(len(texts))}).write_csv(path)
    return str(path)


def test_the_script_scores_each_table_as_the_model_does(script, trained, tmp_path):
    from textgauge.bundle.predictor import Predictor

    texts = list(trained.corpus.test.texts)
    tables = [write(tmp_path / "a.csv", texts[:30]), write(tmp_path / "b.csv", texts[30:40])]
    script.init()
    assert script.run(tables) == tables
    scored = {path.name: pl.read_parquet(path) for path in (tmp_path / "scored").iterdir()}
    assert scored.keys() == {"a.csv.scored.parquet", "b.csv.scored.parquet"}
    first = scored["a.csv.scored.parquet"]
    expected = Predictor.load(trained.folder).predict_frame(texts[:30])
    assert first["row"].to_list() == [str(row) for row in range(30)]
    assert first["predicted_label"].to_list() == expected["predicted_label"].to_list()
    assert len(scored["b.csv.scored.parquet"]) == 10


def test_the_script_fails_when_a_table_cannot_be_scored(script, tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("note\nsteel part\n", encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        script.run([str(table)])
    assert list((tmp_path / "scored").iterdir()) == []


def test_the_script_overwrites_no_table_of_the_same_name(script, tmp_path):
    one = write(tmp_path / "one" / "a.csv", ["steel part"])
    other = write(tmp_path / "other" / "a.csv", ["copper part"])
    with pytest.raises(FileExistsError, match="give each table a name of its own"):
        script.run([one, other])


def test_the_script_says_at_the_start_that_there_is_no_model(script, tmp_path, monkeypatch):
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path / "scored"))
    with pytest.raises(FileNotFoundError, match="holds 0 models"):
        script.init()
