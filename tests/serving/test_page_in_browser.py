"""The page at / in a real browser: what it shows, and that nothing else is asked for."""

import csv
from pathlib import Path

import pytest
from served import Served

from textgauge.scoring import load_predictor

pytestmark = pytest.mark.browser
NOTE = "Iron component,  manufactured in 1979 in zorky condition"


@pytest.fixture(scope="module")
def server(browser, deciding, tmp_path_factory):
    served = Served(deciding.folder, "--max-table", 2_000, cwd=tmp_path_factory.mktemp("paged"))
    yield served
    assert served.end() == 0


@pytest.fixture(scope="module")
def locked(browser, deciding, tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    (folder / "token").write_text("s3cret\n")
    served = Served(deciding.folder, "--token-file", "token", cwd=folder)
    yield served
    served.end()


@pytest.fixture
def open_page(browser):
    """Open a served page; gives it, and what it asked for or complained of."""
    contexts = []

    def open_it(served, width=1280, **how):
        context = browser.new_context(viewport={"width": width, "height": 900}, **how)
        contexts.append(context)
        page, heard = context.new_page(), []
        page.on("request", lambda request: heard.append(request.url))
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.goto(f"{served.url}/")
        return page, heard

    yield open_it
    for context in contexts:
        context.close()


def decide(page, text):
    page.locator("#note").fill(text)
    page.locator("#ask button").click()
    page.locator("#answer").wait_for()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_asks_nobody_but_its_server(open_page, server, width, scheme):
    page, heard = open_page(server, width, color_scheme=scheme)
    decide(page, NOTE + " very-long-word" * 3 + "x" * 300)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert all(each.startswith((f"{server.url}/", "data:,")) for each in heard), heard
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")


def test_a_note_is_decided_as_python_decides_it(open_page, server, deciding):
    page, _ = open_page(server)
    predictor = load_predictor(deciding.folder)
    texts = [*deciding.corpus.test.texts.to_list()[:30], NOTE]
    expected = predictor.predict(texts)
    chosen = {expected.decision[at]: at for at in range(len(texts))}
    assert "review" in chosen
    for decision, at in chosen.items():
        decide(page, texts[at])
        verdict = page.locator("#verdict").inner_text()
        if decision == "review":
            assert verdict.startswith("A person should decide.")
        else:
            assert verdict.startswith(f"{decision} {predictor.label_names[decision]}, ")
        shown = page.locator("#labels tr").count()
        assert shown == 2
    assert "the hatched part, a person decides" in page.locator("#band").inner_text()
    band = page.locator("#certainty .person").bounding_box()["width"]
    assert 0 < band < page.locator("#certainty").bounding_box()["width"]


def test_the_words_that_moved_it_are_marked_in_the_text_as_it_was_given(open_page, server):
    page, _ = open_page(server)
    decide(page, NOTE)
    assert page.locator("#words").text_content() == NOTE
    marked = page.locator("#words mark")
    assert marked.count() >= 1
    assert set(marked.all_inner_texts()) <= {*NOTE.replace(",", "").split(), ","}
    assert page.locator("#contributions tr").count() == len(NOTE.split()) + 1
    assert "does not know" in page.locator("#cautions").inner_text()


def test_it_can_be_used_with_the_keyboard_alone(open_page, server):
    page, _ = open_page(server)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#note").focus()
    page.keyboard.type("iron component")
    page.keyboard.press("Control+Enter")
    page.locator("#answer").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Decide"


def test_scripts_in_notes_and_tables_do_not_run(open_page, server, tmp_path):
    page, heard = open_page(server)
    attack = "<img src=x onerror='document.title=1'><script>document.title=2</script>"
    decide(page, attack)
    assert page.locator("#words").text_content() == attack
    assert page.locator("main img").count() == 0
    path = tmp_path / f"{'<img src=x>'}.csv"
    path.write_text(f'"{attack}"\nx\n')
    page.locator("#file").set_input_files(path)
    page.locator("#score button").click()
    page.locator("#refused").wait_for()
    assert "<img" in page.locator("#refused").inner_text()
    # Even a hole in it would not let them: the policy knows the page's one script.
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        "{textContent: 'document.title = 3'}))"
    )
    assert page.title() == "Decide a note"
    assert not [each for each in heard if each.endswith("/x")]


def test_a_table_comes_back_scored(open_page, server, deciding, tmp_path):
    page, _ = open_page(server)
    path = tmp_path / "my notes.csv"
    texts = [NOTE, "steel component in new condition", ""]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["note"], *([text] for text in texts), ["a, b"]])
    page.locator("#file").set_input_files(path)
    page.locator("#score button").click()
    page.locator("#refused").wait_for()
    assert "'text'" in page.locator("#refused").inner_text()
    page.locator("#column").fill("note")
    page.locator("#score button").click()
    page.locator("#scored").wait_for()
    assert page.locator("#counts").inner_text().startswith("4 rows are scored")
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == "my notes-scored.csv"
    with Path(download.value.path()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = load_predictor(deciding.folder).predict(texts[:2])
    assert [row["note"] for row in rows] == [*texts, "a, b"]
    assert [row["decision"] for row in rows[:2]] == expected.decision


def test_a_table_that_is_too_large_is_not_even_sent(open_page, server, tmp_path):
    page, heard = open_page(server)
    path = tmp_path / "large.csv"
    path.write_text("text\n" + "iron\n" * 1_000)
    page.locator("#file").set_input_files(path)
    before = len(heard)
    page.locator("#score button").click()
    page.locator("#refused").wait_for()
    assert "2,000 are allowed" in page.locator("#refused").inner_text()
    assert len(heard) == before


def test_a_server_that_wants_a_token_asks_for_it(open_page, locked):
    page, _ = open_page(locked)
    page.locator("#locked").wait_for()
    for token, right in (("wrong", False), ("s3cret", True)):
        page.locator("#token").fill(token)
        page.locator("#locked button").click()
        page.wait_for_function(
            "right => document.getElementById('locked').hidden === right", arg=right
        )
    decide(page, NOTE)
    assert "probability" in page.locator("#verdict").inner_text()


def test_a_server_that_has_ended_is_told(open_page, deciding, tmp_path):
    served = Served(deciding.folder, cwd=tmp_path)
    page, _ = open_page(served)
    page.locator("#about:not(:empty)").wait_for()
    served.end()
    page.locator("#note").fill(NOTE)
    page.locator("#ask button").click()
    page.locator("#told").wait_for()
    assert "does not answer" in page.locator("#told").inner_text()
    assert page.locator("#ask button").is_enabled()
