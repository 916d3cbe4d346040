"""Sphinx extension: runs the chapters side by side, in static mode, and puts the player on every page.

The cache of executed chapters lives in a folder named by a hash of the package's code and of the pins, so that a
changed kernel runs again every chapter that may show it. A chapter that fails stops the build, with its cell.
"""

import hashlib
import logging as std_logging
import os
import re
import shutil
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor
from myst_nb.core.read import is_myst_markdown_notebook
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging

HERE = Path(__file__).parent
MAX_PAGE_BYTES = 3_000_000
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx; from here on, every kernel that the build starts draws static explorers."""
    os.environ["DLBOOK_STATIC"] = "1"
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    app.connect("config-inited", prepare, priority=100)
    app.connect("env-before-read-docs", execute)
    app.connect("html-page-context", mend)
    app.connect("build-finished", weigh)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def prepare(app: Sphinx, config: Config) -> None:
    """Add the player to the pages, and name the cache's folder by what the chapters' results depend on."""
    config.html_static_path.append(str(HERE / "assets"))
    app.add_css_file("player.css")
    # Classic and deferred: from file:// a browser refuses modules.
    app.add_js_file("player.js", loading_method="defer")
    # Beside the output folder, not in it: a page made anew need not run its chapter again.
    cache = Path(app.outdir).parent / f".cache-{code_hash(Path(app.srcdir))}"
    for stale in set(cache.parent.glob(".cache-*")) - {cache}:
        shutil.rmtree(stale)
    config.nb_execution_cache_path = str(cache)


def code_hash(source: Path) -> str:
    """Twelve hexadecimal digits of the package's code and the book's pins."""
    digest = hashlib.sha256()
    package = HERE.parent
    for path in [*sorted(package.rglob("*.py")), source / "requirements.txt"]:
        if path.exists():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def execute(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Run side by side all chapters that the cache lacks; reading the documents then finds every result there."""
    cache = get_cache(app.config.nb_execution_cache_path)
    missing = []
    for path in sorted(env.doc2path(name) for name in env.found_docs):
        if reader := notebook_reader(path):
            cache.add_nb_to_project(path, read_data=reader)
            if cache.get_cached_project_nb(path) is None:
                missing.append(path)
    if not missing:
        return
    logger.info("running %d chapters: %s", len(missing), ", ".join(Path(path).stem for path in missing))
    os.environ.setdefault("OMP_NUM_THREADS", "1" if len(missing) > 1 else str(os.cpu_count()))
    # The executor wants a plain logger of a set level; Sphinx's adapter has none.
    plain = std_logging.getLogger("dlbook.chapters")
    plain.setLevel(std_logging.INFO)
    executor = load_executor("local-parallel", cache, logger=plain)
    result = executor.run_and_cache(
        filter_uris=missing, timeout=app.config.nb_execution_timeout, allow_errors=False, force=False
    )
    failures = [
        describe_failure(path, str(cache.get_project_record(path).traceback))
        for path in [*result.errored, *result.excepted]
    ]
    if failures:
        raise ExtensionError("\n\n".join(failures))


def notebook_reader(path: str) -> dict[str, str] | None:
    """How jupyter-cache is to read a page that holds code, as a notebook or as text; None for one that holds none."""
    if path.endswith(".ipynb"):
        return {"name": "nbformat", "type": "plugin"}
    return {"name": "myst_nb_md", "type": "plugin"} if is_myst_markdown_notebook(Path(path).read_text()) else None


def describe_failure(path: str, traceback: str) -> str:
    """The chapter, the cell's code and the error, from jupyter-cache's record."""
    return f"chapter {Path(path).name} failed:\n{_ANSI.sub('', traceback).strip()}"


def mend(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Take out of a page what its makers repeat or mislabel, so that ids are unique and lists hold list items."""
    if "body" in context:
        for fault in (' id="exercise-content"', ' id="solution-content"', ' role="list"'):
            context["body"] = context["body"].replace(fault, "")


def weigh(app: Sphinx, exception: Exception | None) -> None:
    """Fail the build where a chapter weighs more than a reader on a telephone should have to load."""
    if exception or app.builder.format != "html":
        return
    heavy = []
    for page in sorted(Path(app.outdir, "chapters").glob("*.html")):
        text = page.read_text()
        pictures = {Path(app.outdir, "_images", name) for name in re.findall(r'_images/([^"?#]+)', text)}
        weight = page.stat().st_size + sum(picture.stat().st_size for picture in pictures if picture.exists())
        logger.info("%s: %.0f KB", page.stem, weight / 1e3)
        if weight > MAX_PAGE_BYTES:
            heavy.append(f"{page.stem} weighs {weight / 1e6:.1f} MB; at most {MAX_PAGE_BYTES / 1e6:.0f} MB")
    if heavy:
        raise ExtensionError("\n".join(heavy))
