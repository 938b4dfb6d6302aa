"""Start and end of the process that serves."""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import MissingPackageError, SettingsError
from ..installed import SLIM, WHOLE, is_slim
from .limits import Limits

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8000
WATCH_SECONDS = 30.0
_BACKLOG = 512
_HEADER_BYTES = 16_384
_SWITCH_SECONDS = 0.001
"""How long a thread may keep Python from the other; the usual 5 ms are more than a batch takes."""


def serve(
    address: str | Path,
    *,
    tracking_uri: str | None = None,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    token: str | None = None,
    limits: Limits | None = None,
    watch: float = WATCH_SECONDS,
    cores: int | None = 1,
    say: Callable[[str], None] = lambda told: None,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a saved model until SIGTERM or SIGINT; then finish what is in flight.

    Args:
        address: a folder, or a `runs:/` or `models:/` address.
        tracking_uri: where an address is looked up.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        token: that clients must send; None: none.
        limits: what is refused.
        watch: seconds between two looks where the address' alias points; 0: never.
        cores: threads of the network; None takes all.
        say: is told in sentences what happens.
        ready: is told the address once requests are answered.

    Raises:
        SettingsError: the port is taken, or there is no such address.
        BundleError: there is no model, or it is damaged.
        TrackingError: the address can't be found in the tracking store.
        MissingPackageError: FastAPI, uvicorn or prometheus-client is not installed.

    """
    _require_packages()
    from .app import make_app
    from .metrics import Metrics
    from .model import ServedModel
    from .watching import ModelInUse

    limits = limits or Limits()
    with _listening(host, port) as sock:
        kept = limits.cached_characters
        model = ServedModel.load(address, tracking_uri, cores=cores, cached_characters=kept)
        metrics = Metrics()
        metrics.tell_model(model.address, model.version)

        def tell(loaded: ServedModel | None) -> None:
            metrics.loaded.labels("failed" if loaded is None else "replaced").inc()
            if loaded is not None:
                metrics.tell_model(loaded.address, loaded.version)

        in_use = ModelInUse(
            model, tracking_uri, cores=cores, cached_characters=kept, say=say, tell=tell
        )
        app, batcher = make_app(in_use, limits, metrics, token=token)
        if watch > 0 and model.source != model.address:
            in_use.watch(watch)
        try:
            _run(app, sock, limits, say, lambda: ready(url_of(host, sock.getsockname()[1])))
        finally:
            in_use.close()
            batcher.close()


def url_of(host: str, port: int) -> str:
    """The address for a client on this machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, host)
    return f"http://{name}:{port}" if ":" not in name or "[" in name else f"http://[{name}]:{port}"


def _require_packages() -> None:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"textgauge serve needs the package {error.name}. Install it: "
            f"pip install '{SLIM if is_slim() else WHOLE}[serve]'"
        ) from None


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket of its own, before the model is loaded: a port that is taken is told at once."""
    if not 0 <= port <= 65_535:
        raise SettingsError(f"--port must be from 0 to 65535, was {port}.")
    try:
        family = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0][0]
        sock = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(
            f"{host}:{port} cannot be listened on: {reason}. Pass another --port (0: any that is "
            "free) or --host."
        ) from None
    with sock:
        yield sock


def _run(
    app: object,
    sock: socket.socket,
    limits: Limits,
    say: Callable[[str], None],
    ready: Callable[[], None],
) -> None:
    import uvicorn

    from .protocol import bounded

    class Server(uvicorn.Server):
        """uvicorn's server, which ends with status 0 where it was told to end."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # What is there now stays: the collector need not look at it with every request.
            gc.collect()
            gc.freeze()
            ready()

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            before = {
                number: signal.signal(number, self.handle_exit)
                for number in (signal.SIGINT, signal.SIGTERM)
            }
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            say("ending: no new requests; what is in flight is finished.")
            await super().shutdown(sockets)
            if late := len(self.server_state.tasks):
                say(f"{late:,} requests were not finished in {limits.shutdown_seconds:g} s.")

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=bounded(limits),
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="critical",  # What goes wrong is told by the guard and below.
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=limits.idle_seconds,  # type: ignore[arg-type]
        timeout_graceful_shutdown=limits.shutdown_seconds,  # type: ignore[arg-type]
        h11_max_incomplete_event_size=_HEADER_BYTES,
    )
    sys.setswitchinterval(_SWITCH_SECONDS)
    Server(config).run(sockets=[sock])
