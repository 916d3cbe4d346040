"""A browser with the network cut, and the built book to open in it."""

import contextlib
import http.server
import socketserver
import threading
from functools import partial

import pytest
from browser import find
from pages import HTML
from playwright.sync_api import Browser, Page, sync_playwright


@pytest.fixture(scope="session")
def browser():
    executable = find()
    if executable is None:
        pytest.fail("no browser: run tests/book/browser.py, which says what to install", pytrace=False)
    with sync_playwright() as playwright:
        # As root (in a container) Chromium has no sandbox to offer.
        chromium = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield chromium
        chromium.close()


class Visit:
    """One page, opened as a reader would, with all that went wrong written down."""

    def __init__(self, browser: Browser, base: str, without: str | None = None, **context: object):
        self.context = browser.new_context(**context)
        if without is not None:
            self.context.route(without, lambda route: route.abort())
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.base = base
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("requestfailed", lambda request: self.errors.append(f"failed: {request.url}"))
        self.page.on("request", self._note)

    def _note(self, request) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.requests.append(request.url)

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.base}/{path}")
        if self.page.evaluate("matchMedia('(scripting: enabled)').matches"):
            self.page.wait_for_function(
                "[...document.querySelectorAll('.dl-explorer')].every((e) => e.dataset.ready === 'true')"
            )
        return self.page


DESKTOP = {"viewport": {"width": 1280, "height": 900}}


@pytest.fixture
def visit(browser):
    """Opens a page anew over file://; ``visit(path, color_scheme=...)``, or ``without`` files of a pattern."""
    with contextlib.ExitStack() as stack:

        def opened(path: str, base: str = HTML.as_uri(), **context: object) -> Visit:
            visited = Visit(browser, base, **(DESKTOP | context))
            stack.callback(visited.context.close)
            visited.open(path)
            return visited

        yield opened


@pytest.fixture(scope="session")
def tab(browser):
    """A page with the network cut, opened once for all tests that follow on it; leave it as you found it."""
    tabs: dict[tuple, Visit] = {}

    def opened(path: str, **context: object) -> Visit:
        key = (path, repr(context))
        if key not in tabs:
            for other in [one for one in tabs if one[0] != path]:
                tabs.pop(other).context.close()
            tabs[key] = Visit(browser, HTML.as_uri(), offline=True, **(DESKTOP | context))
            tabs[key].open(path)
        return tabs[key]

    yield opened
    for visited in tabs.values():
        visited.context.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of a page one after another, on one worker, so that they share its tabs."""

    def page(item: pytest.Item) -> str:
        values = getattr(item, "callspec", None) and item.callspec.params
        return (values or {}).get("page") or (values or {}).get("explorer", ("",))[0]

    items.sort(key=page)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(page(item)))


@pytest.fixture(scope="session")
def served() -> str:
    """Address of a local web server over the built book."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing: a test's output is its result."""

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), partial(Quiet, directory=str(HTML))) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
