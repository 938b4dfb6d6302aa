"""An Azure Machine Learning workspace, through Microsoft's plugin `azureml-mlflow`.

The plugin's own way to log in ends in a browser window and a device code, where an unattended job
hangs for ever. So the token is fetched here, from the same sources but those two, and the plugin
is handed the finished credential by the function that Azure's own SDK uses for it.

An address may lack the host, as in `azureml:///subscriptions/S/resourceGroups/G/…/workspaces/W`:
it is then looked up in Azure Resource Manager when logging in.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self
from urllib.parse import urlsplit

from ...errors import TrackingError
from ..failures import capital
from ..mlflow_import import import_client, take_in_plugins
from .azureml_artifacts import put_bytes
from .server import Limits, RefusedError, open_client

_URI = re.compile(
    r"azureml://(?P<host>[^/?#]*)(/mlflow/v[\d.]+)?/subscriptions/(?P<subscription>[^/]+)"
    r"/resourcegroups/(?P<group>[^/]+)/providers/microsoft\.machinelearningservices"
    r"/workspaces/(?P<name>[^/?#]+)/?(\?.*)?",
    re.IGNORECASE,
)
_FORM = (
    "azureml://REGION.api.azureml.ms/mlflow/v1.0/subscriptions/S/resourceGroups/G/providers/"
    "Microsoft.MachineLearningServices/workspaces/W (the studio shows it as MLflow tracking URI), "
    "or pass --azureml S/G/W"
)
_HOW_TO_LOG_IN = (
    "On your own machine run: az login. In a job set AZURE_TENANT_ID, AZURE_CLIENT_ID and "
    "AZURE_CLIENT_SECRET of a service principal, or give the machine a managed identity."
)
_STUDIO = {
    "AzureUSGovernment": "https://ml.azure.us",
    "AzureChinaCloud": "https://studio.ml.azure.cn",
}
_PUBLIC_STUDIO = "https://ml.azure.com"
_GIVEN_LOGINS = (
    "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE",
    "IDENTITY_ENDPOINT", "MSI_ENDPOINT",
)  # fmt: skip
_REJECTED = re.compile(r"AADSTS\d+: [^.]*|invalid_client[^.]*|unauthorized_client[^.]*")
_NETWORK = re.compile(r"max retries|connection|timed out|failed to resolve|unreachable", re.I)
_CLOUD = "AZUREML_CURRENT_CLOUD"
_ARM_VERSION = "2024-04-01"
_ARM_PATIENCE = 30.0

_JOB = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_RUN_ID")
"""What a job of Azure ML finds in its environment; with all of them the plugin logs in itself."""


class AzureML:
    """See `Server`.

    Limits are those of Microsoft's documentation ("MLflow and Azure Machine Learning", limits).
    """

    limits = Limits(
        metric_rows=250,
        metric_names=50,
        params=200,
        tags=50,
        tag_key=100,
        tag_value=1000,
        model_files=1500,
    )
    registers_through_here = False
    login_help = f"{_HOW_TO_LOG_IN} Of several tenants name one: az login --tenant TENANT."
    address_help = "Check subscription, resource group and name of the workspace."
    role_help = "Ask for the role AzureML Data Scientist on the workspace."

    def __init__(self, subscription: str, group: str, name: str, host: str = "") -> None:
        """Name a workspace.

        Args:
            subscription: id of the Azure subscription.
            group: its resource group.
            name: of the workspace.
            host: of the region's service, such as `westeurope.api.azureml.ms`; empty: looked up.

        """
        self.subscription, self.group, self.name, self.host = subscription, group, name, host
        self.title = f"the Azure ML workspace {name}"
        self._tenant: str | None = None
        self._credential: Any = None

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """The workspace that a tracking URI names, with any case. Raises TrackingError."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise TrackingError(f"{uri} names no Azure ML workspace. The form is {_FORM}.")
        return cls(match["subscription"], match["group"], match["name"], match["host"])

    @classmethod
    def from_name(cls, name: str) -> Self:
        """The workspace of `--azureml`: `SUBSCRIPTION/GROUP/WORKSPACE`, or its `config.json`.

        The file is the one that the studio and the portal offer for download; a folder is looked
        in for `config.json` and `.azureml/config.json`. Raises TrackingError.

        >>> AzureML.from_name("1234/lab/notes").title
        'the Azure ML workspace notes'
        """
        path = Path(name).expanduser()
        if path.is_dir():
            places = [path / "config.json", path / ".azureml" / "config.json"]
            path = next((place for place in places if place.is_file()), places[0])
        if path.is_file():
            return cls(*_read_config(path))
        parts = name.strip("/").split("/")
        if len(parts) != 3 or not all(parts) or path.suffix == ".json":
            missing = f"there is no file {path}, and " if path.suffix == ".json" else ""
            raise TrackingError(
                f"{missing}{name} is not SUBSCRIPTION/GROUP/WORKSPACE. Pass the three parts, or "
                "the workspace's config.json (the studio offers it for download)."
            )
        return cls(*parts)

    @property
    def uri(self) -> str:
        """See `Server.uri`."""
        version = "/mlflow/v1.0" if self.host else ""
        return f"azureml://{self.host}{version}{self._scope}"

    @property
    def _scope(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )

    def prepare(self, environment: MutableMapping[str, str]) -> None:
        """See `Server.prepare`."""
        # Otherwise the plugin asks management.azure.com which cloud this is, for 30 s at worst.
        environment.setdefault(_CLOUD, "AzureCloud")
        environment.setdefault("AZUREML_HTTP_REQUEST_TIMEOUT", "30")  # its own is 300 s

    def hand_over(self, environment: MutableMapping[str, str]) -> None:
        """See `Server.hand_over`: a child finds the same login."""

    def experiment_name(self, name: str) -> str:
        """See `Server.experiment_name`: the last part of a path, in letters, digits, - and _.

        >>> AzureML("s", "g", "w").experiment_name("/Shared/component notes")
        'component-notes'
        """
        last = name.rstrip("/").rpartition("/")[2]
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", last).strip("-_")[:255]
        return plain or "textgauge"

    def model_name(self, name: str) -> str:
        """See `Server.model_name`."""
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", name):
            return name
        raise RefusedError(
            f"{capital(self.title)} takes no model called {name!r}. Use letters, digits, '.', '-' "
            "and '_', such as --register component-notes."
        )

    def log_in(self) -> None:
        """See `Server.log_in`."""
        if find_spec("azureml") is None or find_spec("azureml.mlflow") is None:
            raise RefusedError(
                "Tracking in Azure ML needs the plugin azureml-mlflow, which is not installed "
                "here. Install it: pip install 'textgauge[azureml]'."
            )
        if self._is_own_job():
            return
        self._credential = _credential(self._cloud())
        token = _token(self._credential, self._arm_scope(), self.title)
        self._tenant = _tenant_of(token)
        if not self.host:
            self.host = self._look_up_host(token)

    def reach(self) -> None:
        """See `Server.reach`: its client notices soon enough."""

    def connect(self) -> Any:
        """See `Server.connect`."""
        import_client()
        take_in_plugins()
        from azureml import mlflow as plugin

        if self._is_own_job():
            uri = self.uri.replace("/mlflow/v1.0", "/mlflow/v2.0")
        else:
            uri = plugin.get_mlflow_tracking_uri_v2(
                SimpleNamespace(ml_flow_tracking_uri=self.uri),
                {
                    "subscription_id": self.subscription,
                    "resource_group_name": self.group,
                    "workspace_name": self.name,
                    "auth": _login_of(self.uri, self._credential),
                    "host_url": f"https://{self.host}",
                },
            )
        return open_client(uri, uri)

    def run_url(self, experiment_id: str, run_id: str) -> str:
        """See `Server.run_url`: the studio's Run Details page.

        >>> AzureML("s", "g", "w", "host").run_url("1", "ab")
        'https://ml.azure.com/runs/ab?wsid=/subscriptions/s/resourcegroups/g/workspaces/w'
        """
        studio = _STUDIO.get(os.environ.get(_CLOUD, ""), _PUBLIC_STUDIO)
        tenant = f"&tid={self._tenant}" if self._tenant else ""
        return (
            f"{studio}/runs/{run_id}?wsid=/subscriptions/{self.subscription}"
            f"/resourcegroups/{self.group}/workspaces/{self.name}{tenant}"
        )

    def fill_file(self, artifact_uri: str, path: str, file: Path) -> bool:
        """See `Server.fill_file`: the plugin makes a name, then puts the bytes; here they follow.

        The service gives a name only once, but documents how to get a place to write to.
        """
        if self._is_own_job():
            token = os.environ[_JOB[1]]
        else:
            token = _token(self._credential, self._arm_scope(), self.title)
        return put_bytes(f"https://{self.host}", self._scope, token, artifact_uri, path, file)

    def _is_own_job(self) -> bool:
        """Whether this is a job of this very workspace, with a token for its own run."""
        if not all(name in os.environ for name in _JOB):
            return False
        match = _URI.fullmatch(os.environ["MLFLOW_TRACKING_URI"])
        mine = (self.subscription, self.group, self.name)
        return match is not None and [m.lower() for m in mine] == [
            match[part].lower() for part in ("subscription", "group", "name")
        ]

    def _cloud(self) -> Any:
        """The endpoints of the cloud: the public one, a national one, or one's own."""
        import_client()
        from azureml import mlflow as plugin

        context = plugin.convertToServiceContext(
            self.subscription, self.name, self.group, None, f"https://{self.host}"
        )
        return context.cloud

    def _arm_scope(self) -> str:
        return f"{self._cloud().endpoints.resource_manager.rstrip('/')}/.default"

    def _look_up_host(self, token: str) -> str:
        """Ask Azure Resource Manager in which region the workspace is."""
        import requests

        arm = self._cloud().endpoints.resource_manager.rstrip("/")
        answer = requests.get(
            f"{arm}{self._scope}",
            params={"api-version": _ARM_VERSION},
            headers={"Authorization": f"Bearer {token}"},
            timeout=_ARM_PATIENCE,
        )
        if answer.status_code == 404:
            raise RefusedError(
                f"There is no Azure ML workspace {self.name} in the resource group {self.group} "
                f"of the subscription {self.subscription}. Check the three parts of --azureml."
            )
        if answer.status_code in (401, 403):
            raise RefusedError(
                f"This login may not look at {self.title}. {self.role_help} Or pass its whole "
                "address with --tracking-uri, which need not be looked up."
            )
        answer.raise_for_status()
        found = answer.json().get("properties", {}).get("mlFlowTrackingUri")
        match = _URI.fullmatch(found) if found else None
        if match is None:
            raise RefusedError(
                f"{capital(self.title)} gives no tracking URI (it gave {found!r}). Pass its whole "
                "address with --tracking-uri."
            )
        return str(match["host"])


class _Login:
    """The newest credential for a workspace, under one name.

    MLflow and the plugin keep their clients for as long as the process lasts, each with the
    credential that it was made with; a login that is renewed has to reach them all.
    """

    def __init__(self) -> None:
        self.credential: Any = None

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """What a credential of Azure's SDK does."""
        return self.credential.get_token(*scopes, **options)


_logins: dict[str, _Login] = {}


def _login_of(uri: str, credential: Any) -> _Login:
    """The workspace's login, from now on with `credential`."""
    login = _logins.setdefault(uri.lower(), _Login())
    login.credential = credential
    return login


def _credential(cloud: Any) -> Any:
    """Every login that works unattended: environment, identities, az, azd, PowerShell."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(
        authority=urlsplit(cloud.endpoints.active_directory).netloc,
        exclude_interactive_browser_credential=True,
        # Its own five tries take five seconds; whoever calls tries again as well.
        retry_total=1,
        connection_timeout=10,
        read_timeout=20,
    )


def _token(credential: Any, scope: str, title: str) -> str:
    """A fresh token. Raises RefusedError if there is no login, else what the network raises."""
    from azure.core.exceptions import ClientAuthenticationError

    try:
        return str(credential.get_token(scope).token)
    except ClientAuthenticationError as error:
        if _nobody_answered(str(error)):
            raise ConnectionError(f"whoever gives tokens for {title} does not answer") from error
        raise RefusedError(
            f"There is no login to Azure for {title} ({_reason(str(error))}). {_HOW_TO_LOG_IN}"
        ) from error


def _nobody_answered(message: str) -> bool:
    """Whether there is a login here, and merely nobody to take it.

    A machine without a login asks for a managed identity in vain as well; one that has been given
    a login for the service that it runs on knows it by these variables.
    """
    given = any(os.environ.get(name) for name in _GIVEN_LOGINS)
    return given and bool(_NETWORK.search(message)) and not _REJECTED.search(message)


def _reason(message: str) -> str:
    """The telling part of what the credentials reported."""
    for line in message.splitlines():
        # A login that is there and was refused tells more than all those that are not there.
        if found := _REJECTED.search(line):
            return found.group(0)
    return "tried the environment, managed identity, az, azd and PowerShell"


def _tenant_of(token: str) -> str | None:
    """The tenant's id that stands in a token, unchecked: it only goes into a link."""
    with contextlib.suppress(ValueError, IndexError, AttributeError):
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["tid"]) if claims.get("tid") else None
    return None


def _read_config(path: Path) -> list[str]:
    """Subscription, resource group and name of the workspace."""
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"))
        parts = [config[key] for key in ("subscription_id", "resource_group", "workspace_name")]
        if not all(part and isinstance(part, str) for part in parts):
            raise ValueError("a part is empty, or is no text")
        return parts
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrackingError(
            f"{path} is not the config.json of an Azure ML workspace: it has to hold "
            "subscription_id, resource_group and workspace_name. The studio offers it for download."
        ) from error
