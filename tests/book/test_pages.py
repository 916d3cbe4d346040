"""Every built page, opened with the network cut: nothing leaves the machine, nothing fails, anyone can read it."""

import json
from collections import Counter

import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import HTML, built_pages

pytestmark = pytest.mark.book

PAGES = built_pages()
TELEPHONE = {"width": 390, "height": 844}


def test_the_book_is_built(record_property):
    assert "index.html" in PAGES, "no built book in _build/html: run make book"
    assert any(page.startswith("chapters/") for page in PAGES)
    for page in PAGES:
        weight = (HTML / page).stat().st_size
        record_property("measured", f"{page:40} {weight / 1e3:4.0f} KB, at most 3000")
        assert weight <= 3_000_000


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("way", ["file", "http"])
def test_a_page_asks_nothing_of_the_network_and_reports_no_error(visit, served, page, way):
    opened = visit(page, offline=True) if way == "file" else visit(page, base=served)
    opened.page.wait_for_load_state("networkidle")
    assert opened.requests == []
    assert opened.errors == []


@pytest.mark.parametrize("page", PAGES)
def test_maths_is_set_without_errors(tab, page):
    opened = tab(page)
    sources = opened.page.locator("article .math").count()
    if sources:
        opened.page.wait_for_function("document.querySelectorAll('article .math mjx-container').length > 0")
        opened.page.evaluate("MathJax.startup.promise")
        assert opened.page.locator("article .math:not(:has(mjx-container))").count() == 0
    assert opened.page.locator("mjx-merror, [data-mjx-error]").count() == 0


@pytest.mark.parametrize("page", PAGES)
def test_a_telephone_need_not_scroll_sideways(visit, page):
    opened = visit(page, offline=True, viewport=TELEPHONE)
    opened.page.wait_for_timeout(300)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= TELEPHONE["width"]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(visit, page, scheme):
    opened = visit(page, offline=True, color_scheme=scheme)
    # In the dark the page is the same but for its colours.
    rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
    results = Axe().run(opened.page, options=rules)
    grave = [
        {
            "rule": found["id"],
            "where": [node["html"][:160] for node in found["nodes"]][:4],
            "nodes": len(found["nodes"]),
        }
        for found in results.response["violations"]
        if found["impact"] in ("serious", "critical")
    ]
    assert not grave, json.dumps(grave, indent=1)


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_has_a_text_alternative_and_every_figure_a_caption(tab, page):
    opened = tab(page)
    assert opened.page.locator("article img:not([alt])").count() == 0
    figures = opened.page.locator("article figure:is(.dl-figure, .dl-explorer)")
    for figure in figures.all():
        assert figure.locator("figcaption").inner_text().strip()
        assert len(figure.locator(".dl-picture").get_attribute("aria-label")) > 20


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("chapters/")])
def test_ids_are_unique_in_a_page(tab, page):
    opened = tab(page)
    ids = opened.page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    # The theme repeats some of its own (pst-...): the chapter's are what links and labels rely on.
    own = Counter(name for name in ids if not name.startswith(("MJX", "pst-")))
    assert {name: count for name, count in own.items() if count > 1} == {}
