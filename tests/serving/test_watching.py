"""The model is replaced where its alias moves, and nobody who asks notices more than the answer."""

import json
import shutil
import threading
import time
import urllib.request
import warnings
from collections import Counter
from http.client import HTTPConnection

import pytest
from served import Served

from textgauge.bundle import files
from textgauge.serving.model import ServedModel
from textgauge.serving.watching import ModelInUse
from textgauge.tracking.addresses import pin_model
from textgauge.tracking.mlflow_import import import_client

pytest_plugins = ["e2e_fixtures"]


@pytest.fixture
def registry(new_store, tmp_path, trained, deciding):
    """A store with three versions of a model, the third one damaged; `champion` is the first."""
    uri = f"sqlite:///{new_store(tmp_path)}"
    damaged = tmp_path / "damaged"
    shutil.copytree(trained.folder, damaged)
    network = (damaged / files.ONNX).read_bytes()
    (damaged / files.ONNX).write_bytes(network[: len(network) // 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's, as in tracking.addresses
        client = import_client()(uri)
        client.search_registered_models()
    client.create_registered_model("notes")
    for folder in (trained.folder, deciding.folder, damaged):
        client.create_model_version("notes", str(folder))
    client.set_registered_model_alias("notes", "champion", "1")
    client.uri = uri
    return client


def wait_until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_alias_is_pinned_to_the_version_it_points_to(registry):
    assert pin_model("models:/notes@champion", registry.uri) == ("models:/notes/1", "1")
    assert pin_model("models:/notes/2", registry.uri) == ("models:/notes/2", "2")
    assert pin_model("somewhere", registry.uri) == ("somewhere", None)


def test_each_look_follows_the_alias_and_what_goes_wrong_is_told_once(registry, tmp_path):
    said, told = [], []
    model = ServedModel.load("models:/notes@champion", registry.uri)
    in_use = ModelInUse(model, registry.uri, say=said.append, tell=told.append)
    in_use.look()
    assert (in_use.current, said) == (model, [])

    registry.set_registered_model_alias("notes", "champion", "2")
    in_use.look()
    assert (in_use.current.address, in_use.current.version) == ("models:/notes@champion", "2")
    assert in_use.current.predictor.rule.review_below is not None

    registry.set_registered_model_alias("notes", "champion", "3")
    in_use.look()
    in_use.look()
    assert in_use.current.version == "2"
    assert "models:/notes/3 cannot be loaded, models:/notes/2 stays" in in_use.problem
    assert "damaged" in in_use.describe()["problem"]

    registry.delete_registered_model_alias("notes", "champion")
    in_use.look()
    assert in_use.current.version == "2"
    assert "cannot be looked up" in in_use.problem

    registry.set_registered_model_alias("notes", "champion", "2")
    in_use.look()
    assert in_use.problem is None
    assert [each.split()[1] for each in said] == ["is", "cannot", "cannot", "is"]
    assert [each and each.version for each in told] == ["2", None]


def test_a_model_is_replaced_under_load_without_a_dropped_request(registry, tmp_path):
    options = ("--watch", "0.1", "--tracking-uri", registry.uri)
    served = Served("models:/notes@champion", *options, cwd=tmp_path)
    answers, stop = Counter(), threading.Event()

    def ask_on(name):
        connection = HTTPConnection("127.0.0.1", served.port, timeout=20)
        number = 0
        while not stop.is_set():
            number += 1
            connection.request("POST", "/predict", json.dumps({"text": f"{name} iron {number}"}))
            answer = connection.getresponse()
            found = json.loads(answer.read())
            answers[answer.status, found["model"]["version"]] += 1
            time.sleep(0.002)
        connection.close()

    def ready():
        with urllib.request.urlopen(f"{served.url}/ready") as answer:
            return json.loads(answer.read())

    clients = [threading.Thread(target=ask_on, args=(name,)) for name in "abcd"]
    for client in clients:
        client.start()
    try:
        wait_until(lambda: answers[200, "1"] > 20)
        registry.set_registered_model_alias("notes", "champion", "2")
        wait_until(lambda: answers[200, "2"] > 20)
        registry.set_registered_model_alias("notes", "champion", "3")
        wait_until(lambda: ready()["problem"] is not None)
        assert ready()["model"]["version"] == "2"
        before = answers[200, "1"]
        registry.set_registered_model_alias("notes", "champion", "1")
        wait_until(lambda: answers[200, "1"] > before + 20)
        assert ready()["problem"] is None
    finally:
        stop.set()
        for client in clients:
            client.join()
        status = served.end()
    assert status == 0
    assert set(answers) == {(200, "1"), (200, "2")}
    assert served.err.count("models:/notes@champion is now") == 2
    assert "Traceback" not in served.err
