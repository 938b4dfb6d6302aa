"""The page at / in a real browser: what it shows, and that nothing else is asked for."""

import csv
import re
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
            leaning = expected.labels[at]
            named = f"“{leaning} {predictor.label_names[leaning]}”"
            assert verdict.startswith(f"A person should decide. The model leans to {named}, with")
        else:
            assert verdict.startswith(f"“{decision} {predictor.label_names[decision]}”, ")
        shown = page.locator("#labels tr").count()
        assert shown == 2
    assert "the hatched part, a person decides" in page.locator("#band").inner_text()
    whole, band = (
        page.locator(f"#certainty .{name}").bounding_box() for name in ("certainty", "person")
    )
    assert 0 < band["width"] < whole["width"]
    below = deciding.settings["decision"]["review_below"]
    assert band["width"] == pytest.approx((below - 0.5) / 0.5 * whole["width"], abs=3)
    # The band's end bears its figure.
    limit = page.locator("#limit")
    assert limit.inner_text() == f"{below:.1%}"
    middle = limit.bounding_box()["x"] + limit.bounding_box()["width"] / 2
    assert middle == pytest.approx(band["x"] + band["width"], abs=3)


def test_it_is_headed_by_the_title_of_the_model_s_card(open_page, server, deciding):
    page, _ = open_page(server)
    page.locator("#about:not(:empty)").wait_for()
    (title,) = (
        line.removeprefix("# ")
        for line in (deciding.folder / "README.md").read_text().splitlines()
        if line.startswith("# ")
    )
    assert page.locator("h1").all_inner_texts() == [title]
    assert page.locator("#address").text_content() == str(deciding.folder)
    labels = [f"“{label} {name}”" for label, name in deciding.settings["label_names"].items()]
    assert f"labels: {', '.join(labels)}" in page.locator("#about").inner_text()


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_without_a_note_it_asks_for_one(open_page, server, text):
    page, heard = open_page(server)
    decide(page, NOTE)
    page.locator("#note").fill(text)
    before = len(heard)
    page.locator("#ask button").click()
    page.locator("#told").wait_for()
    assert page.locator("#told").inner_text() == "There is nothing to decide yet: paste a note."
    assert page.locator("#answer").is_hidden()
    assert page.evaluate("document.activeElement.id") == "note"
    assert len(heard) == before


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
    page.locator("#about:not(:empty)").wait_for()
    usual = page.locator("label[for=column]").inner_text()
    assert usual == "Column with the notes, if it is not “text”"
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
    assert page.locator("#preview th").all_inner_texts() == [
        *("note", "predicted_label", "probability", "decision")
    ]
    shown = [row.split("\t") for row in page.locator("#preview tbody").inner_text().split("\n")]
    told = load_predictor(deciding.folder).predict([*texts[:2], "", "a, b"])
    names = deciding.settings["label_names"]
    for (text, label, probability, decision), at in zip(shown, (0, 1, 2, 3), strict=True):
        if text:  # An empty text is told as null.
            assert text.split() == [*texts, "a, b"][at].split()
            assert label == f"{told.labels[at]} {names[told.labels[at]]}"
            assert float(probability.rstrip("%")) == pytest.approx(
                100 * float(told.probability[at]), abs=0.051
            )
            assert decision.split()[0] == told.decision[at]
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == "my notes-scored.csv"
    with Path(download.value.path()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = load_predictor(deciding.folder).predict(texts[:2])
    assert [row["note"] for row in rows] == [*texts, "a, b"]
    assert [row["decision"] for row in rows[:2]] == expected.decision


def test_while_a_table_is_scored_it_shows_for_how_long(open_page, server, tmp_path):
    page, _ = open_page(server)
    path = tmp_path / "notes.csv"
    path.write_text('text\niron\n"a ""quoted"", one\nof two lines"\n')
    held = []

    def hold(route):
        held.append(route)

    page.route("**/score", hold)
    page.locator("#file").set_input_files(path)
    page.locator("#score button").click()
    page.locator("#scoring").wait_for()
    assert page.locator("#scoring progress").is_visible()
    size = path.stat().st_size
    assert page.locator("#sent").inner_text() == f"Scoring notes.csv ({size} bytes)"
    page.locator("#seconds").filter(has_text=re.compile("[1-9]")).wait_for()
    held[0].continue_()
    page.locator("#scored").wait_for()
    assert page.locator("#scoring").is_hidden()
    notes = [
        each.locator("td").first.text_content() for each in page.locator("#preview tbody tr").all()
    ]
    assert notes == ["iron", 'a "quoted", one\nof two lines']


def test_of_a_long_table_the_first_rows_are_shown(open_page, server, tmp_path):
    page, _ = open_page(server)
    path = tmp_path / "notes.csv"
    path.write_text("id,text\n" + "".join(f"{at},iron {at}\n" for at in range(100)))
    page.locator("#file").set_input_files(path)
    page.locator("#score button").click()
    page.locator("#scored").wait_for()
    notes = [
        each.locator("td").first.text_content() for each in page.locator("#preview tbody tr").all()
    ]
    assert notes == [f"iron {at}" for at in range(5)]


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
