"""A chapter opened in a real JupyterLab, run, its slider dragged: the picture answers, within 100 ms."""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from pages import ROOT

pytestmark = pytest.mark.book

LIVE_MS = 100


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab over a copy of one chapter, cut after its first explorer."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(ROOT / "chapters" / "optimizers.ipynb", folder)
    path = folder / "optimizers.ipynb"
    notebook = nbformat.read(path, as_version=4)
    first = next(
        i for i, cell in enumerate(notebook.cells) if "explore(" in cell.source and "import explore" not in cell.source
    )
    notebook.cells = notebook.cells[: first + 1]
    nbformat.write(notebook, path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTER_DATA_DIR": str(folder / "data")}
    environment.pop("DLBOOK_STATIC", None)
    log = (folder / "log").open("w")
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"),
            *("--IdentityProvider.token=", f"--ServerApp.root_dir={folder}", "--LabApp.news_url="),
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ],
        env=environment,
        stdout=log,
        stderr=log,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def test_a_chapter_runs_in_jupyterlab_and_its_slider_moves_the_picture(lab, browser, record_property):
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    foreign = []
    page.on(
        "request",
        lambda r: (
            None if r.url.startswith((lab, lab.replace("http", "ws"), "data:", "blob:")) else foreign.append(r.url)
        ),
    )
    page.goto(f"{lab}/lab/tree/optimizers.ipynb")
    page.get_by_role("menuitem", name="Run", exact=True).wait_for(timeout=60_000)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator(".dl-picture svg").first.wait_for(state="attached", timeout=120_000)
    handle = page.locator(".widget-slider .noUi-handle").first
    handle.scroll_into_view_if_needed()
    handle.focus()
    times = [_answer(page, key) for key in ["ArrowRight", "ArrowLeft"] * 8]
    median = statistics.median(times[2:])
    record_property("measured", f"JupyterLab: median live answer {median:.0f} ms over {len(times) - 2} steps")
    box = handle.bounding_box()
    before = page.locator(".dl-picture").first.inner_html()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    page.wait_for_function(
        "(before) => document.querySelector('.dl-picture').innerHTML !== before", arg=before, timeout=10_000
    )
    page.get_by_role("button", name="Reset").first.click()
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert foreign == []
    assert median <= LIVE_MS
    context.close()


def _answer(page, key: str) -> float:
    """Milliseconds from a key on the slider to a changed picture."""
    page.evaluate(
        """() => {
          const target = document.querySelector('.dl-picture');
          window.answered = new Promise((resolve) => {
            let pressed;
            const watch = new MutationObserver(() => { watch.disconnect(); resolve(performance.now() - pressed); });
            watch.observe(target, { childList: true, subtree: true, characterData: true });
            const press = () => { pressed = performance.now(); };
            document.addEventListener('keydown', press, { once: true, capture: true });
          });
        }"""
    )
    page.keyboard.press(key)
    return page.evaluate("window.answered")
