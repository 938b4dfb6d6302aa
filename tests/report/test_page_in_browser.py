"""The page in a real browser, by itself: nothing is fetched, and what it offers works."""

from typing import Any

import pytest
from made_up import ROWS, facts_of

from textgauge.report.page import report

pytestmark = pytest.mark.browser


CHOOSE = "(e, to) => { e.value = to; e.dispatchEvent(new Event('input', {bubbles: true})) }"


@pytest.fixture(scope="module")
def path(tmp_path_factory, report_facts):
    """The page of a real training, in a folder whose name needs care."""
    path = tmp_path_factory.mktemp("Bericht für 2024") / "report.html"
    path.write_text(report(report_facts), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def many_errors(tmp_path_factory):
    """The page of a made-up model that is wrong on all 100 test texts."""
    path = tmp_path_factory.mktemp("many") / "report.html"
    rows = [(f"{text} {n}", label) for n in range(3) for text, label in ROWS]
    path.write_text(report(facts_of(rows, right=0.0)), encoding="utf-8")
    return path


@pytest.fixture
def open_page(browser):
    """Open a file; gives the page, and what it asked for or complained of."""
    contexts = []

    def open_it(path, width=1280, **how) -> tuple[Any, list[str]]:
        context = browser.new_context(viewport={"width": width, "height": 900}, **how)
        contexts.append(context)
        page, heard = context.new_page(), []
        page.on("request", lambda request: heard.append(request.url))
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.goto(path.as_uri())
        return page, heard

    yield open_it
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_fetches_nothing_and_shows_its_plots(open_page, path, width, scheme):
    page, heard = open_page(path, width, color_scheme=scheme)
    assert heard == [path.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    plots = page.locator("svg.plot")
    assert plots.count() == 6
    for number in range(6):
        box = plots.nth(number).bounding_box()
        assert box["width"] > min(300, width - 80)
        assert box["x"] + box["width"] <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")


def test_without_scripts_the_page_shows_the_same(open_page, many_errors):
    page, _ = open_page(many_errors, java_script_enabled=False)
    assert page.locator("table.errors tbody tr").count() == 100
    assert page.locator(".filter").is_hidden()
    assert page.locator("svg.plot").count() == 4


def test_a_plot_tells_its_values_to_the_mouse_and_to_the_keyboard(open_page, path):
    page, _ = open_page(path)
    plot, told = page.locator("#learning svg.plot").first, page.locator("#learning .told").first
    plot.hover()
    assert told.inner_text().startswith("epoch ")
    page.mouse.move(0, 0)
    assert told.inner_text() == ""
    plot.focus()
    page.keyboard.press("ArrowRight")
    assert told.inner_text().startswith("epoch 1: training ")
    page.keyboard.press("End")
    assert told.inner_text().startswith("epoch 2: ")


def test_the_errors_can_be_filtered(open_page, many_errors):
    page, _ = open_page(many_errors)
    rows = page.locator("table.errors tbody tr:visible")
    assert rows.count() == 20
    page.locator("button.all").click()
    assert rows.count() == 100
    page.locator(".filter select[name=label]").select_option("1")
    shown = rows.count()
    assert 20 < shown < 100
    assert {rows.nth(n).locator("td").nth(1).inner_text() for n in range(shown)} == {"1"}
    page.locator(".filter input").fill("GOOD part 1")
    assert 0 < rows.count() < shown
    assert all("good part" in text for text in rows.locator("td.text").all_inner_texts())
    assert page.locator(".filter output").inner_text() == f"{rows.count()} of 100 shown"
    page.locator(".filter input").fill("no such word")
    assert rows.count() == 0


def test_labels_with_several_or_outer_blanks_can_be_filtered_by(open_page, tmp_path):
    labels = ["two  blanks", " outer ", "two blanks", "<b>&amp;"]
    rows = [(f"part {n} of {n % 9}", labels[n % 4]) for n in range(200)]
    path = tmp_path / "report.html"
    path.write_text(report(facts_of(rows, right=0.0)), encoding="utf-8")
    page, _ = open_page(path)
    rows = page.locator("table.errors tbody tr:visible")
    for name in ("label", "predicted"):
        for label in labels:
            # Playwright's own way to choose takes two blanks for one.
            page.locator(f".filter select[name={name}]").evaluate(CHOOSE, label)
            told = rows.evaluate_all(f"rows => rows.map(row => row.dataset.{name})")
            assert told, label
            assert set(told) == {label}
        page.locator(f".filter select[name={name}]").select_option("")


def test_what_is_said_of_a_text_is_not_searched(open_page, path):
    page, _ = open_page(path)
    said = page.locator("table.errors .moved").first.inner_text()
    assert said.startswith("for ")
    page.locator(".filter input").fill("against")
    assert page.locator("table.errors tbody tr:visible").count() == 0


def test_what_scrolls_can_be_reached_and_what_does_not_is_no_stop(open_page, path):
    page, _ = open_page(path, 360)
    boxes = page.locator(".scroll:visible")
    scrolling = 0
    for number in range(boxes.count()):
        box = boxes.nth(number)
        wider = box.evaluate(
            "e => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight"
        )
        assert (box.get_attribute("tabindex") == "0") == wider
        assert box.get_attribute("aria-label")
        scrolling += wider
    assert scrolling > 2
    without, _ = open_page(path, java_script_enabled=False)
    assert without.locator(".scroll:not([tabindex])").count() == 0


def test_only_bars_with_an_interval_show_one(open_page, path):
    page, _ = open_page(path)
    drawn = page.locator("#figures .bar").evaluate_all(
        "bars => bars.map(bar => getComputedStyle(bar, '::after').content)"
    )
    assert drawn[0] == '""'
    assert set(drawn[1:]) == {"none"}


def test_names_are_not_squeezed_on_a_phone(open_page, tmp_path):
    rows = [(f"part {n} of {n % 9}", f"label number {n % 30}") for n in range(600)]
    path = tmp_path / "report.html"
    path.write_text(report(facts_of(rows, right=0.0)), encoding="utf-8")
    page, _ = open_page(path, 360)
    assert page.locator("#confusion td.name").first.bounding_box()["width"] >= 100


def test_the_errors_can_be_sorted_with_the_keyboard(open_page, many_errors):
    page, _ = open_page(many_errors)
    heading = page.locator("table.errors thead th").nth(1)
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert page.locator("table.errors tbody tr:visible td:nth-child(2)").first.inner_text() == "1"
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert page.locator("table.errors tbody tr:visible td:nth-child(2)").first.inner_text() == "0"


def test_the_reader_may_choose_light_or_dark(open_page, path):
    page, _ = open_page(path, color_scheme="light")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"


def test_scripts_in_texts_do_not_run(open_page, tmp_path):
    attack = "<img src=x onerror='document.title=1'><script>document.title=2</script>"
    path = tmp_path / "report.html"
    rows = [(f"{attack} {n}", f"{n % 2}") for n in range(80)]
    path.write_text(report(facts_of(rows, right=0.0)), encoding="utf-8")
    page, heard = open_page(path)
    assert heard == [path.as_uri()]
    assert page.title() == "Review of LSTM on table.csv"
    # Even a hole in the escaping would not let it: the page's policy knows its one script.
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        "{textContent: 'document.title = 3'}))"
    )
    assert page.title() == "Review of LSTM on table.csv"


def test_it_prints_in_black_on_white_without_what_only_a_screen_can_use(open_page, path):
    page, _ = open_page(path, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
    assert page.locator(".filter").count() == 0 or page.locator(".filter").is_hidden()
    assert page.pdf()[:4] == b"%PDF"


@pytest.mark.parametrize("scripts", [True, False])
def test_paper_holds_what_is_folded_on_the_screen(open_page, path, scripts):
    page, _ = open_page(path, java_script_enabled=scripts)
    folded = page.locator("#figures details table")
    assert not folded.is_visible()
    if scripts:
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        # Not by the style sheet alone, which not every browser can follow.
        assert folded.is_visible()
    page.emulate_media(media="print")
    assert folded.is_visible()
    assert folded.bounding_box()["height"] > 100
    page.emulate_media(media="screen")
    if scripts:
        page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not folded.is_visible()


def test_nothing_is_wider_than_the_paper_and_tables_are_no_larger_than_text(
    open_page, path, tmp_path
):
    page, _ = open_page(path, 720)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    flipped = [(text, "1" if label == "0" else "0") for text, label in ROWS[:30]]
    long = [(f"{text} {'and more of it ' * 20}", label) for text, label in [*ROWS, *flipped]]
    path = tmp_path / "report.html"
    facts = facts_of(long, right=0.0, label_names={"0": "compliant", "1": "non-compliant"})
    path.write_text(report(facts), encoding="utf-8")
    page, _ = open_page(path, 720)
    page.emulate_media(media="print")
    assert page.locator("table.issues").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    size = "e => parseFloat(getComputedStyle(e).fontSize)"
    body = page.locator("body").evaluate(size)
    assert page.locator("table").first.evaluate(size) < body < 14
