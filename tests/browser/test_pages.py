"""The website as its reader meets it: in a browser, at two widths, in light and dark."""

from pathlib import Path

import pytest
from chromium import Page

PAGE = "/notebooks/90_everything.html"
READY = "document.readyState === 'complete' && document.querySelectorAll('math').length > 5"
# Past every place of a widget, for each is drawn when it comes near; and back to the top.
PAST = """(async () => {
for (const tag of document.querySelectorAll('script[type*="widget-view"]')) {
tag.nextElementSibling.scrollIntoView(); await new Promise((go) => setTimeout(go, 60)); }
scrollTo(0, 0) })()"""
ALL_SIX = "document.querySelectorAll('.course-widget').length === 6"
LOOKS = [(1300, False), (390, True), (1300, True), (390, False)]
PICTURE = """(() => { const c = document.querySelector('%s canvas');
const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
return d.reduce((h, v) => (h * 31 + v) | 0, 7) })()"""


def opened(page: Page, url: str) -> None:
    """Go to the page with every element, and have all of it drawn."""
    page.open(url, READY)
    page.run(PAST)
    page.wait(ALL_SIX)


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_everything_is_drawn_from_this_host_alone(page: Page, address: str, width: int, dark: bool):
    page.look(width, dark=dark)
    opened(page, address + PAGE)
    assert page.run("document.documentElement.dataset.theme") == ("dark" if dark else "light")
    font = "document.fonts.check('16px \"Course Math\"')"
    assert page.run(font) and page.run("document.querySelectorAll('merror').length") == 0
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.run(overflow) == 0
    assert page.errors == []
    elsewhere = [r for r in page.requests if not r.startswith((address, "data:", "about:"))]
    assert elsewhere == []


def test_it_also_works_when_opened_from_disk(site: Path):
    with Page() as page:  # a browser of its own: Chromium goes from disk to a host badly
        page.look(1300)
        opened(page, (site / PAGE[1:]).as_uri())
        assert [r for r in page.requests if not r.startswith(("file:", "data:", "about:"))] == []


def test_the_browser_refuses_another_host(page: Page, address: str):
    opened(page, address + PAGE)
    blocked = page.run(
        "new Promise((done) => {"
        "addEventListener('securitypolicyviolation', (event) => done(event.blockedURI));"
        "new Image().src = 'http://127.0.0.2:9/x.png' })"
    )
    assert blocked == "http://127.0.0.2:9/x.png"


def test_frames_move_by_key_button_and_play(page: Page, address: str):
    opened(page, address + PAGE)
    before = page.run(PICTURE % ".cw-frames")
    page.run("document.querySelector('.cw-frames input').focus()")
    page.press("ArrowRight", 39, times=3)
    label = "document.querySelector('.cw-frames output').textContent"
    assert page.run(label) == "0.55"
    assert page.run(PICTURE % ".cw-frames") != before
    page.run("document.querySelector('.cw-frames .cw-step').click()")
    assert page.run(label) == "0.50"
    page.run("document.querySelector('.cw-frames .cw-play').click()")
    page.wait(f"{label} === '1.00'")
    page.wait("document.querySelector('.cw-frames .cw-play').textContent === 'Play'")


def test_a_button_at_its_end_keeps_the_focus(page: Page, address: str):
    opened(page, address + PAGE)
    step = "document.querySelector('.cw-frames .cw-step')"
    page.run(f"{step}.focus()")
    page.press(" ", 32, times=25)
    label = "document.querySelector('.cw-frames output').textContent"
    assert page.run(label) == "0.00" and page.run(f"document.activeElement === {step}")
    assert page.run(f"{step}.getAttribute('aria-disabled')") == "true"


def test_another_set_of_points_is_chosen(page: Page, address: str):
    opened(page, address + PAGE)
    before = page.run(PICTURE % ".cw-points")
    page.run("document.querySelectorAll('.cw-points .cw-chooser button')[1].click()")
    assert page.run(PICTURE % ".cw-points") != before
    chosen = "document.querySelector('.cw-points [aria-pressed=true]').textContent"
    assert page.run(chosen) == "an ellipse"


def test_a_schedule_with_too_few_steps_is_found_out(page: Page, address: str):
    verdict = "document.querySelector('.cw-verdict').textContent"
    opened(page, address + PAGE)
    assert "below 0.001" in page.run(verdict)
    page.run(
        "(() => { const t = document.querySelector('.cw-schedule input');"
        "t.value = 4; t.dispatchEvent(new Event('input')) })()"
    )
    page.wait(f"{verdict}.includes('above 0.001')")
    handle = ".cw-schedule .cw-handle:last-of-type"
    height = f"Number(document.querySelector('{handle}').getAttribute('cy'))"
    before = page.run(height)
    page.drag(handle, 0, -40)  # in two moves: it stays in hand while the chart is drawn anew
    assert page.run(height) == pytest.approx(before - 40, abs=2)
    assert page.run(f"document.activeElement === document.querySelector('{handle}')")
    page.wait(f"{verdict}.includes('below 0.001')")


@pytest.mark.parametrize("width", [1300, 390])
def test_the_noisy_point_and_the_data_can_be_dragged(page: Page, address: str, width: int):
    page.look(width)
    opened(page, address + PAGE)
    readout = "document.querySelector('.cw-playground .cw-caption').textContent"
    first = page.run(readout)
    page.drag(".cw-noisy", 50, -50)
    second = page.run(readout)
    assert second != first
    mode = "Number(document.querySelector('.cw-mode').getAttribute('cx'))"
    told = "document.querySelector('.cw-mode').getAttribute('aria-valuetext')"
    before, said = page.run(mode), page.run(told)
    page.drag(".cw-mode", 30, 30, off=10)  # beside it: its grip is wider than what is seen
    assert page.run(mode) == pytest.approx(before + 30, abs=2)  # and stays where it was let go
    assert page.run(told) != said
    page.run("document.querySelector('.cw-noisy').focus()")
    told = told.replace("mode", "noisy")
    before = page.run(told)
    page.press("ArrowUp", 38)
    assert page.run(told) != before and page.run(told).split(",")[0] == before.split(",")[0]
    third = page.run(readout)
    assert third != second
    page.drag(".cw-playground rect", 0, 0)  # a tap in the middle
    assert "= (0.0" in page.run(readout) or "= (−0.0" in page.run(readout)


def test_the_map_opens_a_paper_and_its_neighbours(page: Page, address: str):
    opened(page, address + PAGE)
    page.run(
        "[...document.querySelectorAll('.cw-chip')].find(e => e.textContent === 'DDIM').click()"
    )
    details = page.run("document.querySelector('.cw-details').textContent")
    assert "Denoising Diffusion Implicit Models" in details and "October 2020" in details
    assert page.run("document.querySelectorAll('.cw-lines path').length") > 2


def test_the_quiz_ends_in_a_route(page: Page, address: str):
    page.look(390)
    opened(page, address + PAGE)
    first = "document.querySelectorAll('.cw-quiz fieldset button:first-child')"
    page.run(f"{first}.forEach((button) => button.click())")
    end = page.run("document.querySelector('.cw-end').textContent")
    assert end.startswith("Your route: story") and "of 8 right" in end


def test_search_finds_a_word_of_a_chapter(page: Page, address: str):
    page.open(f"{address}/search.html?q=Tweedie", "document.querySelector('ul.search li a')")
    assert "Glossary" in page.run("document.querySelector('ul.search').textContent")
    assert page.errors == []


def test_saved_state_that_is_lost_is_said(page: Page, site: Path, address: str):
    text = (site / PAGE[1:]).read_text(encoding="utf-8")
    (site / "notebooks" / "lost.html").write_text(text.replace("/_static/saved/", "/_static/no/"))
    opened(page, f"{address}/notebooks/lost.html")
    notes = "[...document.querySelectorAll('p.course-widget')].map(e => e.textContent)"
    said = page.run(notes)
    assert len(said) == 6 and all("saved without its data" in note for note in said)


def test_a_widget_far_below_is_drawn_when_it_comes_near(page: Page, address: str):
    page.look(390)
    page.open(address + PAGE, READY)
    page.wait("document.querySelectorAll('.course-widget').length > 0")
    assert not page.run(ALL_SIX)
    last = "[...document.querySelectorAll('script[type*=widget-view]')].at(-1).nextElementSibling"
    assert page.run(f"{last}.childElementCount") == 0
    page.run(f"{last}.scrollIntoView()")
    page.wait(f"{last}.querySelector('.course-widget') !== null", seconds=5)


def test_a_tick_is_there_again_on_the_next_visit(page: Page, address: str):
    opened(page, address + PAGE)
    page.run("document.querySelector('.reading-tick input').focus()")
    page.press(" ", 32)
    kept = "JSON.parse(localStorage['diffusion-step-by-step']).read.join()"
    assert page.run(kept) == "90"
    opened(page, address + PAGE)
    assert page.run("document.querySelector('.reading-tick input').checked")
    assert page.run("document.querySelectorAll('.bd-sidenav .was-read').length") == 1
    # The map shows the same: what was read, the route, and what comes next.
    page.run("[...document.querySelectorAll('.cw-papers .cw-chooser button')].at(1).click()")
    assert page.run("document.querySelectorAll('.cw-aside').length") > 20
    before = page.run("document.querySelector('.cw-way').textContent")
    page.run("document.querySelector('.cw-way input').focus()")
    page.press(" ", 32)
    after = page.run("document.querySelector('.cw-way').textContent")
    assert "Next: 00" in before and "Next: 07" in after
    assert page.run("document.activeElement.getAttribute('aria-label')").endswith("chapter 07")
    page.run("localStorage.clear()")
