"""The process: its start, its end, and clients that do not behave."""

import json
import signal
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest
from e2e import textgauge
from served import Served


def connect(served):
    return socket.create_connection(("127.0.0.1", served.port), timeout=10)


def read_all(sock):
    """Everything until the server closes."""
    parts = []
    try:
        while part := sock.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def ask(served, head, body=b""):
    """One raw request; gives the status and the body."""
    with connect(served) as sock:
        sock.sendall(head.replace(b"\n", b"\r\n") + b"Connection: close\r\n\r\n" + body)
        answer = read_all(sock)
    first, _, rest = answer.partition(b"\r\n")
    return int(first.split()[1]), rest.partition(b"\r\n\r\n")[2]


def predict(served, text="a"):
    body = json.dumps({"text": text}).encode()
    with urllib.request.urlopen(f"{served.url}/predict", body, timeout=20) as answer:
        return json.loads(answer.read())["predictions"][0]


def test_it_answers_where_it_says(served):
    assert predict(served, "iron component")["decision"] in ("0", "1", "review")


@pytest.mark.parametrize(
    "path", [b"/../../etc/passwd", b"//health", b"/page.css/../page.js", b"/%2e%2e/x", b"/health/."]
)
def test_tricks_with_paths_find_nothing(served, path):
    status, body = ask(served, b"GET " + path + b" HTTP/1.1\nHost: here\n")
    assert (status, json.loads(body)["error"]) == (404, "not_found")


@pytest.mark.parametrize(
    "head",
    [
        b"rubbish\n",
        b"GET /health HTTP/1.1\n",
        b"GET /health HTTP/1.1\nHost: here\nX: " + b"a" * 200_000 + b"\n",
        b"POST /predict HTTP/1.1\nHost: here\nContent-Length: -1\n",
        b"POST /predict HTTP/1.1\nHost: here\nContent-Length: 1\nContent-Length: 2\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
    ],
)
def test_what_is_no_http_is_refused_in_the_same_shape(served, head):
    status, body = ask(served, head)
    assert (status, json.loads(body)["error"]) == (400, "malformed")


def test_a_body_that_breaks_off_in_a_bad_chunk_harms_nobody(served):
    head = b"POST /predict HTTP/1.1\nHost: here\nTransfer-Encoding: chunked\n"
    assert ask(served, head, b'5\r\n{"tex\r\nxyz\r\n')[0] == 400
    assert predict(served)


def test_a_hundred_megabytes_are_refused_before_they_are_sent(served):
    head = b"POST /predict HTTP/1.1\nHost: here\nContent-Length: 104857600\n"
    begin = time.monotonic()
    status, body = ask(served, head)
    assert (status, json.loads(body)["error"]) == (413, "too_large")
    assert time.monotonic() - begin < 5


def test_a_body_that_never_ends_is_cut_off(served):
    with connect(served) as sock:
        sock.sendall(b"POST /score HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
        begin = time.monotonic()
        with pytest.raises((ConnectionError, TimeoutError)):
            while time.monotonic() < begin + 10:
                sock.sendall(chunk)
    assert time.monotonic() - begin < 5
    assert predict(served)


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /predict HTTP/1.1\r\nHost: he",
        b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: 50\r\n\r\n{",
    ],
)
def test_who_sends_too_slowly_is_told_and_cut_off(served, sent):
    with connect(served) as sock:
        sock.sendall(sent)
        begin = time.monotonic()
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "too_slow"
    assert 0.3 < time.monotonic() - begin < 5


def test_a_byte_now_and_then_does_not_help(served):
    with connect(served) as sock:
        begin = time.monotonic()
        try:
            for letter in b"GET /health HTTP/1.1\r\nHost: here\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaa":
                sock.sendall(bytes([letter]))
                time.sleep(0.05)
        except ConnectionError:
            pass
    assert time.monotonic() - begin < 2


def test_who_says_nothing_is_cut_off(served):
    with connect(served) as sock:
        assert read_all(sock) == b""


def test_too_many_connections_are_refused_and_the_rest_goes_on(served):
    socks = [connect(served) for _ in range(60)]
    try:
        answers = []
        for sock in socks:
            sock.settimeout(2)
            answers.append(read_all(sock))
    finally:
        for sock in socks:
            sock.close()
    refused = [each for each in answers if each]
    assert refused
    assert all(each.startswith(b"HTTP/1.1 503 ") for each in refused)
    assert all(b"retry-after: 1" in each for each in refused)
    time.sleep(0.1)
    assert predict(served)


def test_two_requests_in_one_piece_get_two_answers(served):
    one = b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n"
    with connect(served) as sock:
        sock.sendall(one + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert read_all(sock).count(b'{"alive":true}') == 2


def explain_slowly(served, found):
    """Ask, in a thread, for what takes long enough to be in flight when the server is to end."""
    texts = [f"{n} " + "iron component of steel, " * 40 for n in range(16)]
    body = json.dumps({"texts": texts, "explain": True}).encode()

    def ask():
        try:
            with urllib.request.urlopen(f"{served.url}/predict", body, timeout=30) as answer:
                found.append(len(json.loads(answer.read())["predictions"]))
        except urllib.error.HTTPError as error:
            found.append(error.code)
            error.close()

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    assert not found, "too quick to tell"
    return thread


@pytest.mark.parametrize(
    ("number", "options", "answered"),
    [
        (signal.SIGTERM, ("--shutdown-seconds", 25), 16),  # A busy machine needs more than 10.
        (signal.SIGINT, ("--shutdown-seconds", 0.1), 503),
    ],
)
def test_what_is_in_flight_is_finished_at_the_end_or_told(
    deciding, tmp_path, number, options, answered
):
    served = Served(deciding.folder, *options, cwd=tmp_path)
    found = []
    thread = explain_slowly(served, found)
    status = served.end(number)
    thread.join()
    assert (status, found) == (0, [answered])
    assert "Traceback" not in served.err
    assert "ending" in served.err
    assert ("not finished in 0.1 s" in served.err) == (answered == 503)
    with pytest.raises(ConnectionError):
        connect(served)


def test_a_port_that_is_taken_is_told(served, deciding, tmp_path):
    done = textgauge("serve", deciding.folder, "--port", served.port, cwd=tmp_path)
    assert done.status == 2
    assert f"127.0.0.1:{served.port} cannot be listened on" in done.error


def test_a_model_that_is_not_there_is_told(command):
    done = command("serve", "nowhere", "--port", 0)
    assert done.status == 1
    assert "does not exist" in done.error


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--watch", "-1"), "seconds"),
        (("--max-texts", "0"), "1 or more"),
        (("--queue-seconds", "0"), "queue_seconds must be more than 0"),
        (("--port", "99999"), "0 to 65535"),
        (("--token-file", "nowhere"), "cannot be read"),
        (("--host", "no.such.host.invalid"), "cannot be listened on"),
    ],
)
def test_wrong_options_are_told(command, deciding, options, word):
    done = command("serve", deciding.folder, "--port", 0, *options)
    assert done.status == 2
    assert word in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("token", ["", "two words", "schlüssel"])
def test_a_token_that_no_client_could_send_is_refused(command, deciding, workplace, token):
    (workplace / "token").write_text(token, encoding="utf-8")
    done = command("serve", deciding.folder, "--token-file", "token")
    assert done.status == 2
    assert "one word in ASCII" in done.error


def test_a_served_model_needs_no_torch(deciding, fresh_python):
    script = (
        "import sys\n"
        "from textgauge.serving.app import make_app\n"
        "from textgauge.serving.model import ServedModel\n"
        "ServedModel.load(sys.argv[1]).explain('iron component')\n"
        "print(sorted({'torch', 'sklearn', 'mlflow', 'pandas'} & set(sys.modules)))\n"
    )
    assert fresh_python(script, deciding.folder).strip() == "[]"
