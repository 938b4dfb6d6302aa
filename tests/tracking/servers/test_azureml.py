"""Azure ML workspaces, as far as they can be known without one."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from needed import need_package

from textgauge.errors import TrackingError
from textgauge.tracking.servers import RefusedError, server_at
from textgauge.tracking.servers import azureml as module
from textgauge.tracking.servers.azureml import AzureML, _reason, _tenant_of

SCOPE = (
    "/subscriptions/1234-ab/resourceGroups/Lab 1/providers/Microsoft.MachineLearningServices"
    "/workspaces/notes"
)
HOST = "westeurope.api.azureml.ms"
URI = f"azureml://{HOST}/mlflow/v1.0{SCOPE}"
PARTS = ("1234-ab", "Lab 1", "notes")
CONFIG = {"subscription_id": "1234-ab", "resource_group": "Lab 1", "workspace_name": "notes"}


@pytest.fixture(autouse=True)
def _no_cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("AZURE", "MLFLOW_", "IDENTITY_", "MSI_", "IMDS_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def parts(workspace: AzureML) -> tuple[str, str, str]:
    return workspace.subscription, workspace.group, workspace.name


def token(claims: object) -> str:
    """An unsigned token (RFC 7519) with these claims; its length is no multiple of four."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


# ---- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        (URI, HOST),
        (URI.replace("v1.0", "v2.0"), HOST),
        (f"azureml://{HOST}{SCOPE}", HOST),
        (f"azureml://{SCOPE}", ""),
        (f"{URI}/", HOST),
        (f"{URI}?", HOST),
        (f"{URI}?workspaceId=1", HOST),
        (URI.replace("resourceGroups", "resourcegroups").replace("M", "m"), HOST),
        (URI.replace("azureml://", "AzureML://").replace("/subscriptions", "/Subscriptions"), HOST),
        (URI.replace(".azureml.ms", ".ml.azure.us"), "westeurope.api.ml.azure.us"),
    ],
)
def test_an_address_is_known_in_every_form_and_case(uri: str, host: str) -> None:
    workspace = AzureML.from_uri(uri)
    assert parts(workspace) == PARTS
    assert workspace.host == host
    assert isinstance(server_at(uri), AzureML)
    assert workspace.uri == (
        f"azureml://{host}/mlflow/v1.0{SCOPE}" if host else f"azureml://{SCOPE}"
    )
    assert AzureML.from_uri(workspace.uri).uri == workspace.uri


@pytest.mark.parametrize(
    "uri",
    [
        "azureml:",
        "azureml://",
        "azureml://notes",
        f"azureml://{HOST}/mlflow/v1.0",
        URI.replace("/workspaces/notes", ""),
        URI.replace("/workspaces/notes", "/workspaces/"),
        URI.replace("MachineLearningServices", "Storage"),
        URI.replace("/subscriptions/1234-ab", ""),
        f"{URI}/runs/1",
        f" {URI}",
    ],
)
def test_an_address_of_another_form_is_told_with_the_right_one(uri: str) -> None:
    with pytest.raises(TrackingError) as caught:
        AzureML.from_uri(uri)
    assert str(caught.value).startswith(
        f"{uri} names no Azure ML workspace. The form is azureml://"
    )
    assert str(caught.value).endswith("or pass --azureml S/G/W.")


@pytest.mark.parametrize("name", ["1234-ab/Lab 1/notes", "/1234-ab/Lab 1/notes/"])
def test_a_workspace_is_named_by_its_three_parts(name: str) -> None:
    workspace = AzureML.from_name(name)
    assert (parts(workspace), workspace.host) == (PARTS, "")
    assert workspace.uri == f"azureml://{SCOPE}"


@pytest.mark.parametrize("name", ["notes", "Lab 1/notes", "a/b/c/d", "1234-ab//notes", "", "///"])
def test_a_workspace_without_its_three_parts_is_told(name: str) -> None:
    with pytest.raises(TrackingError, match=r"is not SUBSCRIPTION/GROUP/WORKSPACE\. Pass the th"):
        AzureML.from_name(name)


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("config.json", "config.json"),
        ("workspace.json", "workspace.json"),
        ("config.json", "."),
        (".azureml/config.json", "."),
        ("project/config.json", "project"),
        ("project/.azureml/config.json", "project/"),
    ],
)
def test_a_workspace_is_named_by_its_file(place: str, named: str) -> None:
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(place).write_text(json.dumps(CONFIG), encoding="utf-8-sig")
    assert parts(AzureML.from_name(named)) == PARTS
    assert parts(AzureML.from_name(str(Path(named).absolute()))) == PARTS


def test_the_file_in_the_folder_itself_comes_first() -> None:
    for place, name in (("config.json", "here"), (".azureml/config.json", "below")):
        Path(place).parent.mkdir(exist_ok=True)
        Path(place).write_text(json.dumps({**CONFIG, "workspace_name": name}))
    assert AzureML.from_name(".").name == "here"


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(TrackingError, match=r"^there is no file a/b/config\.json, and"):
        AzureML.from_name("a/b/config.json")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '"text"',
        "null",
        json.dumps({"subscription_id": "1234-ab", "resource_group": "Lab 1"}),
        json.dumps({**CONFIG, "workspace_name": None}),
        json.dumps({**CONFIG, "workspace_name": ""}),
        json.dumps({**CONFIG, "workspace_name": 7}),
        "\udcff",
    ],
)
def test_a_file_that_names_no_workspace_is_told(content: str) -> None:
    Path("config.json").write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(TrackingError, match=r"config\.json is not the config\.json of an Azure ML"):
        AzureML.from_name("config.json")


# ---- names and links -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("textgauge", "textgauge"),
        ("component notes", "component-notes"),
        ("/Shared/lab/component notes", "component-notes"),
        ("/Users/ann@lab.example/notes/", "notes"),
        ("Prüfung 2024: Öl", "Pr-fung-2024-l"),
        ("_a-b_", "a-b"),
        ("x" * 300, "x" * 255),
        ("日本", "textgauge"),
        ("/", "textgauge"),
    ],
)
def test_an_experiments_name_is_one_that_the_service_takes(name: str, there: str) -> None:
    assert AzureML(*PARTS).experiment_name(name) == there


@pytest.mark.parametrize("name", ["bolts", "component-notes", "a.b_c-1", "1", "x" * 255])
def test_a_models_name_is_taken_as_it_is(name: str) -> None:
    assert AzureML(*PARTS).model_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "two words", "-bolts", "a/b", "x" * 256, "main:lab", "bolts\n"]
)
def test_a_models_name_that_the_service_refuses_is_told(name: str) -> None:
    with pytest.raises(RefusedError, match="The Azure ML workspace notes takes no model called"):
        AzureML(*PARTS).model_name(name)


@pytest.mark.parametrize(
    ("cloud", "studio"),
    [
        (None, "https://ml.azure.com"),
        ("AzureCloud", "https://ml.azure.com"),
        ("AzureUSGovernment", "https://ml.azure.us"),
        ("AzureChinaCloud", "https://studio.ml.azure.cn"),
    ],
)
def test_the_page_of_a_run_is_in_its_clouds_studio(
    cloud: str | None, studio: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cloud is not None:
        monkeypatch.setenv("AZUREML_CURRENT_CLOUD", cloud)
    workspace = AzureML("1234-ab", "lab", "notes")
    link = f"{studio}/runs/ab12?wsid=/subscriptions/1234-ab/resourcegroups/lab/workspaces/notes"
    assert workspace.run_url("7", "ab12") == link
    workspace._tenant = "tenant-1"
    assert workspace.run_url("7", "ab12") == f"{link}&tid=tenant-1"


@pytest.mark.parametrize(
    ("given", "tenant"),
    [
        (token({"tid": "tenant-1"}), "tenant-1"),
        (token({"tid": "t", "x": 1}), "t"),
        (token({"sub": "ann"}), None),
        (token({"tid": ""}), None),
        (token(["tid"]), None),
        ("opaque", None),
        ("a.b.c", None),
        ("", None),
    ],
)
def test_the_tenant_stands_in_the_token(given: str, tenant: str | None) -> None:
    assert _tenant_of(given) == tenant


# ---- logging in ----------------------------------------------------------------------------------


def test_the_cloud_is_not_looked_for_unless_the_user_names_one() -> None:
    environment: dict[str, str] = {}
    AzureML(*PARTS).prepare(environment)
    assert environment == {
        "AZUREML_CURRENT_CLOUD": "AzureCloud",
        "AZUREML_HTTP_REQUEST_TIMEOUT": "30",
    }
    own = {"AZUREML_CURRENT_CLOUD": "AzureUSGovernment", "AZUREML_HTTP_REQUEST_TIMEOUT": "5"}
    environment = dict(own)
    AzureML(*PARTS).prepare(environment)
    assert environment == own


def test_a_missing_plugin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(
        RefusedError, match=r"needs the plugin azureml-mlflow.*textgauge\[azureml\]"
    ):
        AzureML(*PARTS).log_in()


JOB = {
    "MLFLOW_TRACKING_URI": URI.replace("v1.0", "v2.0").upper().replace("AZUREML:", "azureml:"),
    "MLFLOW_TRACKING_TOKEN": "secret",
    "MLFLOW_RUN_ID": "ab12",
}


@pytest.mark.parametrize("lacking", [None, *JOB])
def test_a_job_of_the_workspace_logs_in_with_its_own_token(
    lacking: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_package("azureml.mlflow", "azureml")
    asked: list[Any] = []

    def no_login(cloud: Any) -> Any:
        asked.append(cloud)
        raise RefusedError("asked for a login")

    monkeypatch.setattr(module, "_credential", no_login)
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")
    for name, value in JOB.items():
        if name != lacking:
            monkeypatch.setenv(name, value)
    if lacking is None:
        AzureML.from_uri(URI).log_in()
        AzureML.from_uri(f"azureml://{SCOPE}".lower()).log_in()
        assert asked == []
    else:
        with pytest.raises(RefusedError, match="asked for a login"):
            AzureML.from_uri(URI).log_in()


def test_a_job_of_another_workspace_needs_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)
    assert AzureML.from_uri(URI)._is_own_job()
    for part in ("1234-ab", "Lab 1", "/notes"):
        assert not AzureML.from_uri(URI.replace(part, "/other"[part[0] != "/" :]))._is_own_job()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    assert not AzureML.from_uri(URI)._is_own_job()


def test_the_clouds_endpoints_are_those_of_the_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    need_package("azureml.mlflow", "azureml")
    script = (
        "import sys; from textgauge.tracking.servers.azureml import AzureML\n"
        "w = AzureML('s', 'g', 'w', 'host'); print(w._arm_scope())\n"
        "print(w._cloud().endpoints.active_directory)"
    )
    for cloud, scope, directory in (
        ("AzureCloud", "https://management.azure.com/.default", "login.microsoftonline.com"),
        ("AzureChinaCloud", "https://management.chinacloudapi.cn/.default", "chinacloudapi.cn"),
    ):
        found = subprocess.check_output(
            [sys.executable, "-W", "ignore", "-c", script],
            env={**os.environ, "AZUREML_CURRENT_CLOUD": cloud},
            text=True,
        ).split()
        assert found[0] == scope
        assert directory in found[1]


def test_a_machine_without_any_login_is_told_what_to_do() -> None:
    need_package("azure.identity", "azureml")
    from azure.core.exceptions import ClientAuthenticationError

    class Nobody:
        def get_token(self, scope: str) -> Any:
            raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token\nx")

    with pytest.raises(RefusedError) as caught:
        module._token(Nobody(), "scope", "the Azure ML workspace notes")
    sentence = str(caught.value)
    assert sentence.startswith(
        "There is no login to Azure for the Azure ML workspace notes (tried "
    )
    assert "az login" in sentence
    assert "\n" not in sentence


def test_a_login_that_was_refused_is_named() -> None:
    message = (
        "DefaultAzureCredential failed to retrieve a token from the included credentials.\n"
        "\tEnvironmentCredential: Authentication failed: AADSTS7000215: Invalid client secret "
        "provided. Ensure the secret is right.\n\tAzureCliCredential: Azure CLI not found"
    )
    assert _reason(message) == "AADSTS7000215: Invalid client secret provided"
    assert _reason("nothing") == "tried the environment, managed identity, az, azd and PowerShell"


def test_nobody_is_ever_asked_in_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    need_package("azure.identity", "azureml")
    cloud = SimpleNamespace(
        endpoints=SimpleNamespace(active_directory="https://login.microsoftonline.us")
    )
    kinds = [type(each).__name__ for each in module._credential(cloud).credentials]
    assert "EnvironmentCredential" in kinds
    assert "ManagedIdentityCredential" in kinds
    assert "AzureCliCredential" in kinds
    assert not [kind for kind in kinds if "Browser" in kind or "DeviceCode" in kind]


class Answer:
    """What Azure Resource Manager answers."""

    def __init__(self, status_code: int, body: Any = None) -> None:
        self.status_code, self._body = status_code, body

    def json(self) -> Any:
        return self._body

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise RuntimeError(f"error code {self.status_code}")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(404), "There is no Azure ML workspace notes in the resource group Lab 1 of the"),
        (Answer(401), "may not look at the Azure ML workspace notes. Ask for the role"),
        (Answer(403), "may not look at the Azure ML workspace notes. Ask for the role"),
        (Answer(200, {"properties": {}}), "gives no tracking URI"),
        (Answer(200, {"properties": {"mlFlowTrackingUri": "http://x"}}), "gives no tracking URI"),
    ],
)
def test_a_workspace_that_cannot_be_looked_up_is_told(
    answer: Answer, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = looked_up(answer, monkeypatch)
    with pytest.raises(RefusedError, match=words):
        workspace._look_up_host("token")


def test_an_answer_that_is_no_answer_may_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="error code 503"):
        looked_up(Answer(503), monkeypatch)._look_up_host("token")


def test_the_workspaces_region_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = looked_up(Answer(200, {"properties": {"mlFlowTrackingUri": URI}}), monkeypatch)
    assert workspace._look_up_host("token") == HOST


def looked_up(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> AzureML:
    """A workspace about which Azure Resource Manager gives this answer."""

    def get(url: str, *, params: Any, headers: Any, timeout: float) -> Answer:
        assert url == f"https://arm.example{SCOPE}"
        assert headers == {"Authorization": "Bearer token"}
        assert params["api-version"]
        assert timeout
        return answer

    monkeypatch.setattr("requests.get", get)
    endpoints = SimpleNamespace(resource_manager="https://arm.example/")
    workspace = AzureML(*PARTS)
    monkeypatch.setattr(workspace, "_cloud", lambda: SimpleNamespace(endpoints=endpoints))
    return workspace
