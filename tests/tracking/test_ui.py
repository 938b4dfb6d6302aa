"""MLflow's UI on a local store, seen with a real browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from logged_run import METRICS, LoggedRun, ServedUi

from textgauge.errors import MissingPackageError, TrackingError
from textgauge.report.page import write_report
from textgauge.tracking import ui
from textgauge.tracking.addresses import resolve_model
from textgauge.tracking.open import open_tracker
from textgauge.tracking.protocol import RunPlan
from textgauge.tracking.sqlite_store import sqlite_uri
from textgauge.tracking.ui import UiServer, free_port, run_url, serve_ui


@pytest.fixture
def taken_port() -> Iterator[int]:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("uri", "base", "url"),
    [
        ("sqlite:////data/mlflow.db", None, "http://127.0.0.1:5000"),
        ("sqlite:////data/mlflow.db", "http://localhost:5017/", "http://localhost:5017"),
        ("https://me:secret@mlflow.example/base/", None, "https://mlflow.example/base"),
    ],
)
def test_the_page_of_a_run(uri: str, base: str | None, url: str) -> None:
    expected = f"{url}/#/experiments/3/runs/ab12?workflowType=machine_learning"
    assert run_url(uri, "3", "ab12", base=base) == expected


def test_a_taken_port_is_passed_over(taken_port: int) -> None:
    assert taken_port < free_port("127.0.0.1", taken_port) < taken_port + 50


def test_a_foreign_address_is_told() -> None:
    with pytest.raises(TrackingError, match=r"cannot listen on 192\.0\.2\.1"):
        free_port("192.0.2.1", 5000)


def test_no_port_left_is_told(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "_PORTS_TO_TRY", 1)
    with pytest.raises(TrackingError, match="Pass another --port"):
        free_port("127.0.0.1", taken_port)


@pytest.mark.parametrize("content", [None, b""])
def test_no_store_is_told_and_none_is_made(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    if content is not None:
        path.write_bytes(content)
    before = list(tmp_path.iterdir())
    with pytest.raises(TrackingError, match=r"There are no runs yet in .* train first"):
        serve_ui(sqlite_uri(path))
    assert list(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("https://a:b@mlflow.example", "https://mlflow.example is a server with a UI of its own"),
        ("postgresql://a:b@host/db", "not postgresql://host/db"),
    ],
)
def test_other_stores_have_their_own_ui(uri: str, words: str) -> None:
    with pytest.raises(TrackingError, match=words):
        serve_ui(uri)


def test_the_slim_mlflow_has_no_ui(
    filled_store: LoggedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise ui.PackageNotFoundError(name)

    monkeypatch.setattr(ui, "version", missing)
    with pytest.raises(MissingPackageError, match=r"pip install 'textgauge\[ui\]'"):
        serve_ui(sqlite_uri(filled_store.store))


def test_a_ui_that_does_not_start_says_why(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("not a database at all")
    with UiServer(sqlite_uri(path), port=5200) as server:
        assert server._process is not None
        server._process.kill()
        with pytest.raises(TrackingError, match=r"did not start on http://127\.0\.0\.1:5200"):
            server.wait_until_up()


def test_the_command_prints_the_link_of_the_newest_run(
    served_ui: ServedUi, filled_store: LoggedRun
) -> None:
    record = filled_store.record
    link = run_url("", record.experiment_id, record.run_id, base=served_ui.url)
    assert served_ui.lines[0] == f"Starting MLflow's UI on {record.tracking_uri} …"
    assert served_ui.lines[2] == link


STAND_IN_SERVER = """
import http.server, os, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
class Server(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")
    do_GET = do_POST = answer
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_with_all_its_processes(
    number: int, taken_port: int, filled_store: LoggedRun, tmp_path: Path
) -> None:
    server = tmp_path / "server.py"
    server.write_text(STAND_IN_SERVER)
    script = (
        "import sys\n"
        "from textgauge.tracking import ui\n"
        "ui._command = lambda store, host, port: [sys.executable, sys.argv[1], str(port)]\n"
        "ui.serve_ui(sys.argv[2], port=int(sys.argv[3]))"
    )
    process = subprocess.Popen(
        [
            *(sys.executable, "-u", "-c", script),
            *(str(server), sqlite_uri(filled_store.store), str(taken_port)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "http_proxy": "http://127.0.0.1:9"},
    )
    assert process.stdout is not None
    try:
        with process.stdout:
            lines = [process.stdout.readline().strip() for _ in range(4)]
            assert lines[0].startswith(f"Port {taken_port} is in use; taking ")
            port = lines[0].split()[-1].rstrip(".")
            assert lines[3] == f"http://127.0.0.1:{port}/#/experiments"
            servers = children(process.pid)
            assert len(servers) == 2
            os.kill(process.pid, number)
            assert process.stdout.read().strip() == "The UI has ended."
        assert process.wait(20) == 0
        assert not [pid for pid in servers if running(pid)]
    finally:
        process.kill()
        process.wait()


def running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    """All processes below `pid`."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        if re.search(rf"^PPid:\t{pid}$", status.read_text(), re.MULTILINE):
            child = int(status.parent.name)
            found += [child, *children(child)]
    return found


def test_a_run_goes_to_a_server_and_its_model_comes_back(
    served_ui: ServedUi, filled_store: LoggedRun, tmp_path: Path, bundle: Path
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(served_ui.url)
    client.create_experiment("served", artifact_location="mlflow-artifacts:/served")
    model = Path(shutil.copytree(bundle, tmp_path / "model"))
    with open_tracker(served_ui.url, "served", store=tmp_path / "mlflow.db") as tracker:
        tracker.start(RunPlan("over http", {"lr": 0.5}))
        tracker.log_metrics({"eval_loss": 0.25})
        tracker.log_model(model)
        record = tracker.end()
    assert record.run_url == run_url("", record.experiment_id, record.run_id, base=served_ui.url)
    assert record.missing is None
    run = client.get_run(record.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"eval_loss": 0.25}
    came_back = resolve_model(record.model_address, served_ui.url)
    files = [path.relative_to(model) for path in model.rglob("*") if path.is_file()]
    assert all((came_back / path).read_bytes() == (model / path).read_bytes() for path in files)


@pytest.mark.browser
def test_the_run_page_shows_metrics_and_picture(browser: Any, served_ui: ServedUi) -> None:
    printed = served_ui.lines[2]
    page = browser.new_page()
    try:
        page.goto(printed)
        for name, value in METRICS.items():
            row = page.get_by_role("row").filter(has=page.get_by_text(name, exact=True)).first
            row.wait_for(timeout=60_000)
            assert str(value) in row.inner_text()
        page.goto(printed.replace("?", "/artifacts/training_results.png?"))
        picture = page.locator("img[src^='blob:'], img[src*='training_results.png']").first
        picture.wait_for(timeout=60_000)
        assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") == 64
    finally:
        page.close()


@pytest.fixture
def report(filled_store: LoggedRun, report_facts: Any) -> Iterator[Path]:
    """The report of a real training among the run's artifacts, as long as the test lasts."""
    assert filled_store.record.artifact_folder is not None
    path = filled_store.record.artifact_folder / "report.html"
    write_report(path, report_facts)
    yield path
    path.unlink()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1600, 700])
def test_the_artifact_view_shows_the_report(
    browser: Any, served_ui: ServedUi, report: Path, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(served_ui.lines[2].replace("?", "/artifacts/report.html?"))
        shown = page.frame_locator("iframe")
        shown.get_by_role("heading", name="LSTM on notes.csv").wait_for(timeout=60_000)
        assert shown.locator("svg.plot").count() == 6
        assert shown.locator(".verdict").inner_text()
        shown.locator("#learning svg.plot").first.hover()
        assert shown.locator("#learning .told").first.inner_text().startswith("epoch ")
        shown.locator(".filter input").fill("no such word")
        assert shown.locator("table.errors tbody tr:visible").count() == 0
        assert not [url for url in asked if not url.startswith((served_ui.url, "blob:", "data:"))]
    finally:
        page.close()
