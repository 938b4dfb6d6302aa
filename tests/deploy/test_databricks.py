"""The bundle for Databricks is what Databricks' own package takes, and what textgauge takes."""

from __future__ import annotations

import copy
import importlib.metadata
import json
import os
import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from textgauge.cli import make_parser

jobs = pytest.importorskip("databricks.bundles.jobs")

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "deploy" / "databricks"
PAGE = (ROOT / "docs" / "how-to" / "databricks-job.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FOLDER = "AI with Databricks and AML"
NOTEBOOK = BUNDLE / FOLDER / "3.0 Deep Learning with Text.ipynb"
PLACES = {
    "bundle.name": "textgauge",
    "workspace.current_user.userName": "ann@example.com",
}
"""What the CLI fills in besides the variables and the target."""

EXAMPLES = {
    "azureml" if "azureml:" in block else "databricks": json.loads(block)
    for block in re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
}
"""The values that the page tells to write, by where they track to."""


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


BUNDLE_FILE = read(BUNDLE / "databricks.yml")
RESOURCE_FILES = sorted(path for pattern in BUNDLE_FILE["include"] for path in BUNDLE.glob(pattern))


def merged(base: Any, over: Any, key: str = "") -> Any:
    """`base` with a target's values over it: maps by key, clusters and tasks by their own keys."""
    if isinstance(base, dict) and isinstance(over, dict):
        both = base | over
        return {k: merged(base.get(k), v, k) if k in over else v for k, v in both.items()}
    names = {"job_clusters": "job_cluster_key", "tasks": "task_key"}
    if key in names and base is not None:
        name = names[key]
        theirs = {each[name]: each for each in over}
        ours = {each[name]: each for each in base}
        both = ours | theirs
        return [merged(ours.get(k), theirs.get(k, v)) for k, v in both.items()]
    return over


def resolved(value: Any, known: dict[str, Any]) -> Any:
    """`value` with every `${…}` filled in; one that is the whole of a string keeps its kind."""
    if isinstance(value, dict):
        return {key: resolved(each, known) for key, each in value.items()}
    if isinstance(value, list):
        return [resolved(each, known) for each in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\$\{([^}]+)\}", value)
    if whole:
        return resolved(known[whole[1]], known)
    return re.sub(r"\$\{([^}]+)\}", lambda found: str(resolved(known[found[1]], known)), value)


def configuration(target: str, **given: Any) -> dict[str, Any]:
    """What the CLI makes of the files for a target: resources, workspace, who it runs as."""
    whole: dict[str, Any] = {"resources": {}, "workspace": BUNDLE_FILE.get("workspace", {})}
    for path in RESOURCE_FILES:
        whole = merged(whole, read(path))
    own = copy.deepcopy(BUNDLE_FILE["targets"][target])
    declared = BUNDLE_FILE["variables"]
    values = {name: each["default"] for name, each in declared.items() if "default" in each}
    values |= own.pop("variables", {}) | given
    assert values.keys() <= declared.keys()
    known = {f"var.{name}": value for name, value in values.items()}
    return resolved(merged(whole, own), known | PLACES | {"bundle.target": target})


def job_of(target: str, tracking: str = "azureml") -> Any:
    resources = configuration(target, **EXAMPLES[tracking], service_principal="an-application-id")
    (job,) = resources["resources"]["jobs"].values()
    return jobs.Job.from_dict(job)


def tasks_of(target: str = "dev", tracking: str = "azureml") -> dict[str, Any]:
    return {task.task_key: task for task in job_of(target, tracking).tasks}


def parsed(task: Any) -> Any:
    """What textgauge makes of a task's words. Ends the test if there is one it does not know."""
    return make_parser().parse_args(task.python_wheel_task.parameters)


each_target = pytest.mark.parametrize("target", ["dev", "prod"])
each_tracking = pytest.mark.parametrize("tracking", ["azureml", "databricks"])


@each_target
@each_tracking
def test_databricks_own_package_reads_the_job_and_drops_nothing(target, tracking):
    job = configuration(target, **EXAMPLES[tracking])["resources"]["jobs"]["train_and_score"]
    assert jobs.Job.from_dict(job).as_dict() == job


def test_this_test_would_see_a_misspelt_field():
    job = configuration("dev", **EXAMPLES["azureml"])["resources"]["jobs"]["train_and_score"]
    job["tasks"][0]["depend_on"] = []
    with pytest.raises(Exception, match="depend_on"):
        jobs.Job.from_dict(job)


def test_every_variable_that_is_used_is_declared_and_every_declared_one_is_used():
    declared = BUNDLE_FILE["variables"]
    used = {key: value for key, value in BUNDLE_FILE.items() if key != "variables"}
    defaults = [each.get("default") for each in declared.values()]
    text = json.dumps([used, defaults, *map(read, RESOURCE_FILES)])
    assert set(re.findall(r"\$\{var\.(\w+)\}", text)) == declared.keys()
    assert all(each["description"] for each in declared.values())


def test_what_the_page_tells_to_set_is_what_has_no_default():
    required = {name for name, each in BUNDLE_FILE["variables"].items() if "default" not in each}
    assert EXAMPLES.keys() == {"azureml", "databricks"}
    assert required <= EXAMPLES["azureml"].keys()
    assert required <= EXAMPLES["databricks"].keys()
    told = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE, flags=re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(told)))
    assert BUNDLE_FILE["variables"].keys() <= named
    must = re.findall(r"^\| `(\w+)` \|.*\| you have to \|$", PAGE, flags=re.MULTILINE)
    assert set(must) == required


def test_the_defaults_on_the_page_are_those_of_the_bundle():
    rows = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.count("|") == 4]
    told = {name: row[2] for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    for name, each in BUNDLE_FILE["variables"].items():
        default = each.get("default", "")
        if default and each.get("type") != "complex":  # That one is told in words.
            assert str(default) in re.findall(r"[\w.]+", told[name]), name


@each_target
def test_the_tasks_come_one_after_the_other(target):
    order = {
        key: [each.task_key for each in task.depends_on] for key, task in tasks_of(target).items()
    }
    assert order == {"check": [], "train": ["check"], "score": ["train"]}


@each_target
@each_tracking
def test_every_task_is_a_command_of_the_wheel_with_options_that_it_has(target, tracking):
    for key, task in tasks_of(target, tracking).items():
        assert task.python_wheel_task.package_name == PROJECT["name"]
        assert task.python_wheel_task.entry_point in PROJECT["scripts"]
        assert parsed(task).command == key


@each_tracking
def test_the_variables_reach_the_options_that_they_are_for(tracking):
    given = EXAMPLES[tracking]
    tasks = tasks_of("dev", tracking)
    check, train, score = (parsed(tasks[key]) for key in ("check", "train", "score"))
    assert {each.tracking_uri for each in (check, train, score)} == {given["tracking_uri"]}
    assert check.tracking
    assert check.experiment == train.experiment == given.get("experiment", "textgauge")
    assert (train.table, train.text, train.label) == (given["table"], "text", "label")
    assert (score.table, score.text, score.out) == (given["catalogue"], "text", given["output"])
    assert train.engine == score.engine == "spark"
    assert train.spark_folder == given["shared_folder"]
    assert train.register == given["registered_model"]
    assert score.model == f"models:/{train.register}@{train.alias}"
    assert not train.no_alias


@each_target
def test_every_task_runs_on_18_lts_ml_with_dedicated_access(target):
    job = job_of(target)
    (cluster,) = job.job_clusters
    assert {task.job_cluster_key for task in job.tasks} == {cluster.job_cluster_key}
    assert cluster.new_cluster.spark_version == "18.x-cpu-ml-scala2.13"
    assert cluster.new_cluster.data_security_mode.value == "SINGLE_USER"
    assert cluster.new_cluster.node_type_id.startswith("Standard_")


def test_the_cluster_of_dev_is_one_machine_and_that_of_prod_is_not():
    (dev,), (prod,) = (job_of(target).job_clusters for target in ("dev", "prod"))
    dev, prod = dev.new_cluster, prod.new_cluster
    assert dev.num_workers == 0
    assert dev.spark_conf["spark.databricks.cluster.profile"] == "singleNode"
    assert dev.custom_tags == {"ResourceClass": "SingleNode"}
    assert prod.num_workers == 2
    assert not prod.spark_conf
    assert not prod.custom_tags


@each_target
def test_secrets_stand_in_the_job_by_reference(target):
    (cluster,) = job_of(target).job_clusters
    environment = dict(cluster.new_cluster.spark_env_vars)
    assert environment.pop("TEXTGAUGE_STORE") == "/local_disk0/tmp/mlflow.db"
    assert environment == {
        "AZURE_TENANT_ID": "{{secrets/textgauge/tenant-id}}",
        "AZURE_CLIENT_ID": "{{secrets/textgauge/client-id}}",
        "AZURE_CLIENT_SECRET": "{{secrets/textgauge/client-secret}}",
    }
    told = re.findall(r"^databricks secrets put-secret (\S+) (\S+)$", PAGE, flags=re.MULTILINE)
    assert {f"{{{{secrets/{scope}/{key}}}}}" for scope, key in told} == set(environment.values())


def test_tracking_on_databricks_needs_no_secret():
    (cluster,) = job_of("dev", "databricks").job_clusters
    assert cluster.new_cluster.spark_env_vars == {"TEXTGAUGE_STORE": "/local_disk0/tmp/mlflow.db"}


def test_the_bundle_names_nobodys_workspace_or_login():
    for path in (BUNDLE / "databricks.yml", *RESOURCE_FILES, NOTEBOOK):
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"azuredatabricks\.net|dapi\w{8}|^\s*(host|profile|token):", text, re.M
        )


def test_there_are_the_targets_dev_and_prod_and_dev_is_the_one_that_nobody_has_to_name():
    targets = BUNDLE_FILE["targets"]
    assert {name: each["mode"] for name, each in targets.items()} == {
        "dev": "development",
        "prod": "production",
    }
    assert [name for name, each in targets.items() if each.get("default")] == ["dev"]


def test_prod_belongs_to_the_service_principal_and_runs_as_it():
    prod = configuration("prod", **EXAMPLES["azureml"], service_principal="an-application-id")
    assert prod["run_as"] == {"service_principal_name": "an-application-id"}
    root = prod["workspace"]["root_path"]
    assert root == "/Workspace/Users/an-application-id/.bundle/textgauge/prod"
    # The CLI refuses `run_as` without a name, so forgetting it cannot go unseen.
    assert configuration("prod", **EXAMPLES["azureml"])["run_as"]["service_principal_name"] == ""


@pytest.mark.parametrize(
    ("target", "home"), [("dev", "/Workspace/Users/ann@example.com"), ("prod", "/Workspace/Shared")]
)
def test_the_notebook_lands_where_people_are_told_to_look(target, home):
    assert BUNDLE_FILE["sync"] == {"paths": [FOLDER]}
    copied = [p.relative_to(BUNDLE) for p in (BUNDLE / FOLDER).rglob("*") if p.is_file()]
    assert [path for path in copied if path.suffix == ".ipynb"] == [NOTEBOOK.relative_to(BUNDLE)]
    assert {path.parent.name for path in copied} == {FOLDER, "pictures"}
    workspace = configuration(target, **EXAMPLES["azureml"])["workspace"]
    landed = f"{workspace['file_path']}/{NOTEBOOK.relative_to(BUNDLE).with_suffix('')}"
    assert landed == f"{home}/AI with Databricks and AML/3.0 Deep Learning with Text"
    assert f"`{FOLDER}`, `{NOTEBOOK.stem}`" in PAGE


def test_the_wheel_is_built_where_the_tasks_look_for_it():
    wheel = BUNDLE_FILE["artifacts"]["wheel"]
    words = shlex.split(wheel["build"])
    assert words[:3] == ["pip", "wheel", "--no-deps"]
    where = (BUNDLE / wheel["path"]).resolve()
    assert (where / words[-1]).resolve() == ROOT
    built = (where / words[words.index("--wheel-dir") + 1]).resolve()
    assert built == BUNDLE / "dist"
    (kept,) = wheel["files"]
    assert BUNDLE / kept["source"] == built / "*.whl"
    for path in RESOURCE_FILES:
        for task in read(path)["resources"]["jobs"]["train_and_score"]["tasks"]:
            (whl,) = (each["whl"] for each in task["libraries"] if "whl" in each)
            assert Path(os.path.normpath(path.parent / whl)) == built / "*.whl"


def test_every_task_brings_what_the_parts_for_azure_ml_and_databricks_need():
    extras = PROJECT["optional-dependencies"]
    for task in tasks_of().values():
        pypi = [each.pypi.package for each in task.libraries if each.pypi]
        assert sorted(pypi) == sorted([*extras["azureml"], *extras["databricks"]])


def entry_point() -> Any:
    (found,) = (
        each
        for each in importlib.metadata.distribution("textgauge").entry_points
        if each.name == "textgauge"
    )
    return found.load()


def test_called_as_a_function_the_command_returns_when_all_is_well(tmp_path, monkeypatch, capsys):
    """As a wheel's task calls it, for which any SystemExit may be a failure."""
    table = tmp_path / "notes.csv"
    rows = [f"steel part number {n},{n % 2}" for n in range(100)]
    table.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["textgauge", "check", str(table), "--json"])
    assert entry_point()() is None
    assert json.loads(capsys.readouterr().out)


def test_called_as_a_function_the_command_ends_the_process_when_something_is_wrong(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "argv", ["textgauge", "check", str(tmp_path / "none.csv")])
    with pytest.raises(SystemExit) as stopped:
        entry_point()()
    assert stopped.value.code == 1
