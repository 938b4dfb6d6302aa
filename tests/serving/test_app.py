"""What is answered at each address, and what is refused."""

import csv
import io
import json
import shutil
import threading

import numpy as np
import polars as pl
import pytest

from textgauge.review.explanation import Explainer
from textgauge.scoring import load_predictor, score_table
from textgauge.serving.model import ServedModel

NOTES = [
    "iron component manufactured in 1979",
    "steel component manufactured in 2012 in new condition",
    "",
    "ﬁne  STEEL component\tin fair condition — 1,250.5 mm",
    "nul \x00 and \x1c signs",
]


def refused(answer, status, *words):
    """The one shape of every refusal; gives its reason."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error", "reason"}
    reason = answer.json()["reason"]
    assert all(word in reason for word in words), reason
    return reason


def test_it_predicts_what_python_predicts(here, deciding):
    expected = load_predictor(deciding.folder).predict(NOTES)
    answer = here().predict(texts=NOTES)
    assert answer.status_code == 200
    found = answer.json()["predictions"]
    assert [each["label"] for each in found] == expected.labels
    assert [each["decision"] for each in found] == expected.decision
    assert "review" in expected.decision
    np.testing.assert_allclose(
        [list(each["probabilities"].values()) for each in found], expected.probabilities, atol=1e-6
    )
    assert list(found[0]["probabilities"]) == ["0", "1"]
    reading = expected.reading.each()
    assert [each["tokens"] for each in found] == reading.tokens.tolist()
    assert [each["unknown_tokens"] for each in found] == reading.unknown.tolist()
    assert [each["number_outside_range"] for each in found] == reading.outside.tolist()


def test_each_text_is_told_alike_alone_and_among_others(here):
    server = here()
    together = server.predict(texts=NOTES * 3).json()["predictions"]
    for at, text in enumerate(NOTES):
        (alone,) = server.predict(text=text).json()["predictions"]
        assert alone["decision"] == together[at]["decision"] == together[at + 5]["decision"]
        assert alone["probability"] == pytest.approx(together[at]["probability"], abs=1e-6)


def test_an_explanation_is_that_of_the_explainer(here, deciding):
    answer = here().predict(text=NOTES[0], explain=True).json()["predictions"][0]
    expected = Explainer.load(deciding.folder).explain([NOTES[0]])[0].to_json()
    found = answer["explanation"]
    assert [each["word"] for each in found["words"]] == NOTES[0].split()
    assert found["label"] == expected["label"]
    for name in ("words", "reference"):
        ours, theirs = found[name], expected[name]
        if name == "words":
            ours, theirs = ([each["contribution"] for each in one] for one in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_model_that_cannot_explain_says_so(here, loaded):
    from dataclasses import replace

    server = here(replace(loaded, explainer=None))
    refused(server.predict(text="a", explain=True), 422, "without what explains")
    assert server.ask("GET", "/ready").json()["model"]["explains"] is False


def test_what_is_remembered_is_answered_without_the_model(here, loaded):
    from dataclasses import replace

    from textgauge.serving.model import Recent

    server = here(replace(loaded, recent=Recent(10_000)))
    first = server.predict(text=NOTES[0]).json()
    assert server.predict(texts=[NOTES[0], NOTES[0]]).json()["predictions"] == (
        first["predictions"] * 2
    )
    assert server.figure("textgauge_texts_remembered_total") == 2
    assert server.figure("textgauge_batch_texts_count") == 1


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b'{"text": "\xff"}', 400, "not JSON"),
        (b'{"text": "\\ud800"}', 400, "not JSON"),
        (b"[" * 3_000, 400, "not JSON"),
        (b"[]", 422, "the body: must be an object. Send {"),
        (b"null", 422, "the body"),
        (b"{}", 422, "neither"),
        (b'{"explain": true}', 422, "neither"),
        (b'{"text": "a", "texts": ["b"]}', 422, "both"),
        (b'{"text": null}', 422, "null"),
        (b'{"texts": null}', 422, "null"),
        (b'{"texts": []}', 422, "empty"),
        (b'{"texts": [1]}', 422, '"texts" at place 0: must be a text'),
        (b'{"texts": ["a", null]}', 422, '"texts" at place 1'),
        (b'{"texts": "a"}', 422, '"texts": must be a list of texts'),
        (b'{"text": 7}', 422, '"text"'),
        (b'{"text": "a", "explain": "yes"}', 422, '"explain": must be true or false'),
        (b'{"text": "a", "Text": "b"}', 422, '"Text": unknown key. Send {"text"'),
        (json.dumps({"text": "a" * 201}).encode(), 422, "201 characters; 200 are allowed"),
        (json.dumps({"texts": ["a"] * 21}).encode(), 422, "21 texts"),
        (json.dumps({"texts": ["a"] * 4, "explain": True}).encode(), 422, "3 are allowed"),
        (b'{"text": "' + b"a" * 4_000 + b'"}', 413, "4,000 bytes"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_reason(here, body, status, word):
    refused(here().ask("POST", "/predict", content=body), status, word)


def test_a_body_of_unknown_length_is_cut_off_while_it_comes(here):
    sent = []

    async def endless():
        while True:
            sent.append(1)
            yield b"a" * 1_000

    refused(here().ask("POST", "/predict", content=endless()), 413, "4,000 bytes")
    assert len(sent) < 10


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/predict/",
        "/page/page.js",
        "/..%2f..%2fetc%2fpasswd",
        "/%00",
        "/docs",
        "/redoc",
    ],
)
def test_there_is_nothing_at_other_addresses(here, path):
    refused(here().ask("GET", path), 404)


def test_another_method_is_refused_and_told_which_is_right(here):
    server = here()
    answer = server.ask("GET", "/predict")
    refused(answer, 405, "POST", "not GET")
    assert answer.headers["allow"] == "POST"
    refused(server.ask("DELETE", "/health"), 405)


def test_a_table_comes_back_as_score_writes_it(here, deciding, tmp_path):
    rows = [["a,b", "note"], ["1", NOTES[0]], ["2", ""], ['say "x"', NOTES[3]]]
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    path = tmp_path / "table.csv"
    path.write_text(written.getvalue(), encoding="utf-8")
    answer = here().ask("POST", "/score?text=note", content=path.read_bytes())
    assert answer.status_code == 200, answer.text
    score_table(load_predictor(deciding.folder), path, tmp_path / "out.csv", text="note")
    ours, theirs = (
        pl.read_csv(each, infer_schema=False)
        for each in (io.BytesIO(answer.content), tmp_path / "out.csv")
    )
    assert ours.columns == theirs.columns
    assert ours.drop("probability").equals(theirs.drop("probability"))
    one, other = (each["probability"].cast(float) for each in (ours, theirs))
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert answer.headers["x-textgauge-rows"] == "3"
    assert int(answer.headers["x-textgauge-review"]) == (theirs["decision"] == "review").sum()
    assert isinstance(json.loads(answer.headers["x-textgauge-warnings"]), list)


@pytest.mark.parametrize(
    ("body", "query", "words"),
    [
        (b"", "", ["empty"]),
        (b" \n", "", ["empty"]),
        (b"\x1f\x8b\x08", "", ["packed or binary"]),
        (b"PAR1abc", "", ["packed or binary"]),
        (b"text\n", "", ["no rows"]),
        (b"note\nsteel\n", "", ["'text'", "/score?text=NAME"]),
        (b"text,decision\nsteel,1\n", "", ["already has a column 'decision'"]),
        (b"text\nsteel\n", "?encoding=klingon", ["klingon"]),
        (b"text\nsteel\n", "?text=", ["'text'"]),
        (b'text\n"steel', "", []),
        (b"text" + b"," * 1_000 + b"\na\n", "", ["1,001 columns; 1,000 are allowed"]),
        (b'{"a":' + b"[" * 19_000, "", ["nested too deep"]),
        (b'{"text": "steel", "a": [1]}', "", ["'a' holds List(Int64)", "CSV that is answered"]),
    ],
)
def test_what_is_no_table_is_refused_with_a_reason(here, body, query, words):
    reason = refused(here().ask("POST", f"/score{query}", content=body), 422, *words)
    assert "/tmp" not in reason
    assert "--" not in reason.replace("--encoding", "").replace("--delimiter", "")


def test_a_table_that_is_too_large_is_refused(here):
    refused(here().ask("POST", "/score", content=b"text\n" + b"a\n" * 10_000), 413, "20,000")


def test_a_table_with_too_many_rows_is_refused(here, monkeypatch):
    monkeypatch.setattr("textgauge.serving.tables.MOST_ROWS", 2)
    server = here()
    assert server.ask("POST", "/score", content=b"text\na\nb\n").status_code == 200
    answer = server.ask("POST", "/score", content=b"text\na\nb\nc\n")
    refused(answer, 422, "3 rows; 2 are allowed", "textgauge score")


def test_only_so_many_tables_are_scored_at_the_same_time(here):
    server = here(tables=2)
    for _ in range(2):
        answers = server.together([("POST", "/score", {"content": b"text\niron\n"})] * 5)
        assert sorted(each.status_code for each in answers) == [200, 200, 429, 429, 429]
    refused(next(each for each in answers if each.status_code == 429), 429, "/score")


def test_only_who_has_the_token_may_ask(here):
    server = here(token="s3cret")
    answer = server.ask("POST", "/predict", json={"text": "a"})
    refused(answer, 401, "Bearer")
    assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/ready", "/metrics", "/openapi.json", "/nothing"):
        refused(server.ask("GET", path), 401)
    for given in ("Bearer s3cre", "Bearer s3cretx", "Basic s3cret", "s3cret", "Bearer", "Bearer é"):
        header = {"authorization": given.encode("latin-1")}
        refused(server.ask("GET", "/ready", headers=header), 401)
    for right in ("Bearer s3cret", "bearer  s3cret"):
        assert server.ask("GET", "/ready", headers={"authorization": right}).status_code == 200
    for path in ("/health", "/", "/page.css", "/page.js"):
        assert server.ask("GET", path).status_code == 200


def test_a_full_queue_is_told_with_when_to_come_again(here, loaded, monkeypatch):
    server = here(queue=2, cached_characters=0)
    go = threading.Event()
    slow = type(loaded).answer

    def wait(self, texts):
        go.wait(10)
        return slow(self, texts)

    monkeypatch.setattr(type(loaded), "answer", wait)
    threading.Timer(0.5, go.set).start()
    asked = [("POST", "/predict", {"json": {"text": f"{n}"}}) for n in range(40)]
    answers = server.together(asked)
    statuses = [each.status_code for each in answers]
    assert set(statuses) == {200, 429}
    late = next(each for each in answers if each.status_code == 429)
    refused(late, 429, "wait for the model")
    assert late.headers["retry-after"] == "1"
    monkeypatch.undo()
    assert server.predict(text="a").status_code == 200


def test_who_waits_too_long_is_told(here, loaded, monkeypatch):
    server = here(queue_seconds=0.1)
    go = threading.Event()
    slow = type(loaded).explain

    def wait(self, text):
        go.wait(10)
        return slow(self, text)

    monkeypatch.setattr(type(loaded), "explain", wait)
    threading.Timer(0.5, go.set).start()
    asked = [("POST", "/predict", {"json": {"text": "a", "explain": True}}) for _ in range(4)]
    answers = server.together(asked)
    assert sorted(each.status_code for each in answers) == [200, 503, 503, 503]
    late = next(each for each in answers if each.status_code == 503)
    refused(late, 503, "not free within 0.1 s")
    assert late.headers["retry-after"] == "1"


def test_a_mistake_of_ours_is_told_without_its_inside(here, loaded, monkeypatch, caplog):
    def fail(self, texts):
        raise RuntimeError("inside")

    server = here()
    monkeypatch.setattr(type(loaded), "answer", fail)
    answer = server.predict(text="a")
    assert "inside" not in refused(answer, 500, "mistake")
    assert "inside" in caplog.text
    monkeypatch.undo()
    assert server.predict(text="a").status_code == 200


def test_it_tells_that_it_lives_and_which_model_is_at_work(here, deciding):
    server = here()
    assert server.ask("GET", "/health").json() == {"alive": True}
    ready = server.ask("GET", "/ready").json()
    assert ready["ready"] is True
    assert ready["problem"] is None
    assert ready["model"]["address"] == str(deciding.folder)
    assert ready["model"]["title"] == "Text classifier trained on notes.csv"
    assert ready["model"]["text_column"] == "text"
    assert ready["model"]["review_below"] == deciding.settings["decision"]["review_below"]
    assert ready["limits"]["texts"] == 20


def test_what_happens_is_counted(here):
    server = here()
    server.predict(texts=NOTES)
    server.ask("POST", "/predict", content=b"{")
    server.ask("GET", "/never/heard")
    assert server.figure('textgauge_requests_total{path="/predict",status="200"}') == 1
    assert server.figure('textgauge_requests_total{path="/predict",status="400"}') == 1
    assert server.figure('textgauge_requests_total{path="other",status="404"}') == 1
    assert server.figure('textgauge_request_seconds_count{path="/predict"}') == 2
    assert server.figure("textgauge_texts_total") == len(NOTES)
    assert server.figure("textgauge_batch_texts_sum") == len(NOTES)
    server.ask("POST", "/score", content=b"text\nsteel\niron\n")
    assert server.figure("textgauge_scored_rows_total") == 2
    assert server.figure("textgauge_queue_requests") == 0


def test_the_page_asks_nobody_else(here):
    server = here()
    for path in ("/", "/page.css", "/page.js"):
        answer = server.ask("GET", path)
        assert "http://" not in answer.text.replace("http://www.w3.org", "")
        assert "https://" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("card", "title"),
    [
        ("some words\n\n#  Screws\tof 2024 \n# More\n", "Screws of 2024"),
        ("# " + "a" * 500, "a" * 120),
        ("# \n", None),
        ("## Use\n", None),
        (b"# \xff\n", "\ufffd"),
        (None, None),
    ],
)
def test_the_title_is_the_card_s_first_heading(deciding, tmp_path, card, title):
    folder = shutil.copytree(deciding.folder, tmp_path / "model")
    if card is None:
        (folder / "README.md").unlink()
    else:
        (folder / "README.md").write_bytes(card if isinstance(card, bytes) else card.encode())
    assert ServedModel.load(folder).describe()["title"] == title
