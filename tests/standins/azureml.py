"""A stand-in for an Azure Machine Learning workspace, for the unmodified azureml-mlflow plugin.

It speaks MLflow's protocol, the artifact services, a blob service, two ways to log in and the
resource manager, all on one port over HTTPS. Serve it by hand with
`python -P -m standins.azureml --folder DIR --port PORT` from the folder of the tests.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import ClassVar

from standins import azureml_names as names
from standins.certificate import make_certificate
from standins.server import StandIn

CERTIFICATE = "certificate.pem"
KEY = "certificate.key"


class AzureMLStandIn(StandIn):
    """The test's side of it. A process logs in as `login` says, if it has `environment`."""

    module: ClassVar[str] = "standins.azureml"
    scheme: ClassVar[str] = "https"

    def __init__(
        self, folder: Path, *, login: str = "managed_identity", logged_models: bool = False
    ) -> None:
        """Prepare a workspace.

        Args:
            folder: where what it holds goes.
            login: what `environment` is for, see `environment_for`.
            logged_models: whether the workspace has MLflow 3's logged models.

        """
        super().__init__(folder, *(["--logged-models"] if logged_models else []))
        self.login = login

    @property
    def tracking_uri(self) -> str:
        return f"azureml://127.0.0.1:{self.port}/mlflow/v1.0{names.SCOPE}"

    @property
    def environment(self) -> dict[str, str]:
        return self.environment_for(self.login)

    def environment_for(self, login: str) -> dict[str, str]:
        """Give the variables with which a process logs in, and reaches nobody else.

        Args:
            login: "managed_identity", "service_principal", or "none", with which every way to
                log in fails at once.

        """
        from standins.azureml_identity import CLIENT_ID, CLIENT_SECRET, IDENTITY_HEADER

        certificate = str(self.folder / CERTIFICATE)
        nobody = str(self.folder / "nobody")
        settings = {
            **super().environment,
            "REQUESTS_CA_BUNDLE": certificate,
            "SSL_CERT_FILE": certificate,
            "ARM_CLOUD_METADATA_URL": f"{self.url}/metadata/endpoints?api-version=2019-05-01",
            "AZUREML_CURRENT_CLOUD": "AzureCloud",
            # Where a machine would ask its own cloud who it is: a closed door.
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:1",
            # Whoever runs the tests may have logged in with a tool or have a browser.
            "AZURE_CONFIG_DIR": nobody,
            "AZD_CONFIG_DIR": nobody,
            "BROWSER": "false",
        }
        match login:
            case "managed_identity":
                settings["IDENTITY_ENDPOINT"] = f"{self.url}/identity/token"
                settings["IDENTITY_HEADER"] = IDENTITY_HEADER
            case "service_principal":
                settings["AZURE_TENANT_ID"] = "adfs"
                settings["AZURE_CLIENT_ID"] = CLIENT_ID
                settings["AZURE_CLIENT_SECRET"] = CLIENT_SECRET
            case "none":
                pass
            case _:
                raise ValueError(f"There is no login {login!r}.")
        return settings

    def prepare(self) -> None:
        if not (self.folder / CERTIFICATE).exists():
            make_certificate(self.folder / CERTIFICATE, self.folder / KEY)

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / CERTIFICATE))

    def stored_run_id(self, run_id: str) -> str:
        return names.stored_run_id(run_id)

    def stored_experiment_id(self, experiment_id: str) -> str:
        return names.stored_experiment_id(experiment_id)

    def artifacts(self, run_id: str) -> dict[str, bytes]:
        return names.blobs_of_run(self.folder, run_id)

    def serve_logged_models(self, served: bool) -> None:
        """Have the endpoints of MLflow 3's logged models, or lack them."""
        self.control("serve_logged_models", served=served)

    def set_token_lifetime(self, seconds: float) -> None:
        """Let tokens given from now on be good for `seconds`."""
        self.control("set_token_lifetime", seconds=seconds)

    def expire_tokens(self) -> None:
        """Let all tokens given so far be refused with 401."""
        self.control("expire_tokens")

    def forbid_writing(self, forbidden: bool = True) -> None:
        """Let who has logged in only read: 403 to everything else."""
        self.control("forbid_writing", forbidden=forbidden)

    def forbid_reading(self, forbidden: bool = True) -> None:
        """Let who has logged in do nothing: 403 to everything, the resource manager included."""
        self.control("forbid_reading", forbidden=forbidden)

    def name_artifacts_once(self, once: bool) -> None:
        """Say where logging an artifact's path for the second time fails.

        With `once`, as in the service, when it is named, even if its bytes never came. Without,
        when its bytes are put: the blob service has them already.
        """
        self.control("name_artifacts_once", once=once)

    def give_place_for_a_name(self, by: str) -> None:
        """Say how a client can still put the bytes of an artifact that has only its name.

        By the request for a place to "write" to, by the one for "contentinfo", or by "none".
        """
        self.control("give_place_for_a_name", by=by)


def main() -> None:
    """Serve a workspace until a signal comes."""
    from standins.azureml_service import AzureMLService
    from standins.service import options, serve

    parser = options("Serve a stand-in for an Azure Machine Learning workspace.")
    parser.add_argument("--logged-models", action="store_true")
    given = parser.parse_args()
    service = AzureMLService(given.folder, given.port, logged_models=given.logged_models)
    serve(service, given.port, certificate=(given.folder / CERTIFICATE, given.folder / KEY))


if __name__ == "__main__":
    main()
