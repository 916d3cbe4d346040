"""Sphinx extension: runs the chapters side by side, in static mode, and puts the player on every page.

Results of chapters are kept from build to build. A page is run again when its cells change, or anything that they
stand on: the modules of the package that they name, directly or through other modules, results that they read, the
pins. A chapter that fails stops the build, with its cell.
"""

import ast
import hashlib
import json
import logging as std_logging
import os
import re
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
    app.connect("env-get-outdated", forget)
    app.connect("env-before-read-docs", execute)
    # Late: after Sphinx has counted through the book.
    app.connect("env-get-updated", count_by_page, priority=900)
    app.connect("html-page-context", mend)
    app.connect("build-finished", weigh)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def prepare(app: Sphinx, config: Config) -> None:
    """Add the player to the pages, and say where results are kept."""
    config.html_static_path.append(str(HERE / "assets"))
    app.add_css_file("player.css")
    # Classic and deferred: from file:// a browser refuses modules.
    app.add_js_file("player.js", loading_method="defer")
    # Beside the output folder, not in it: a page made anew need not run its chapter again.
    config.nb_execution_cache_path = str(Path(app.outdir).parent / ".cache")


def forget(app: Sphinx, env: BuildEnvironment, added: set, changed: set, removed: set) -> list[str]:
    """Drop the results of pages that stand on something that has changed since; returns these pages."""
    cache = get_cache(app.config.nb_execution_cache_path)
    ledger = Path(app.config.nb_execution_cache_path, "stands_on.json")
    before = json.loads(ledger.read_text()) if ledger.exists() else {}
    now, stale = {}, []
    for name in sorted(env.found_docs):
        path = env.doc2path(name)
        if reader := notebook_reader(path):
            now[name] = code_hash(Path(path), Path(app.srcdir))
            cache.add_nb_to_project(path, read_data=reader)
            if now[name] != before.get(name):
                stale.append(name)
                if record := cache.get_cached_project_nb(path):
                    cache.remove_cache(int(str(record.pk)))
    ledger.write_text(json.dumps(now))
    return stale


def code_hash(page: Path, source: Path) -> str:
    """Twelve hexadecimal digits of all that a page's cells stand on besides themselves."""
    code = page_code(page)
    package = HERE.parent
    modules = closure(package, set(re.findall(r"\w+", code)))
    paths = [path for name in sorted(modules) for path in module_files(package, name)]
    paths += [path for path in sorted(source.glob("results/*.json")) if path.name in code]
    digest = hashlib.sha256()
    for path in [*paths, source / "requirements.txt"]:
        if path.exists():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def page_code(page: Path) -> str:
    """The code cells of a notebook; the whole text of any other page."""
    text = page.read_text()
    if page.suffix != ".ipynb":
        return text
    return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")


def module_files(package: Path, name: str) -> list[Path]:
    """The Python files of a module of the package: one, or a folder of them; none if there is no such module."""
    return [path for path in [package / f"{name}.py", *sorted((package / name).rglob("*.py"))] if path.exists()]


def closure(package: Path, names: set[str]) -> set[str]:
    """The modules among the names, and all modules of the package that they import, directly or through others."""
    found: set[str] = set()
    waiting = names
    while waiting:
        new = {name for name in waiting - found if module_files(package, name)}
        found |= new
        waiting = {used for name in new for path in module_files(package, name) for used in imported(path)}
        waiting -= found
    return found


def imported(path: Path) -> set[str]:
    """Names of the package's modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("dlbook.")}


def execute(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Run side by side all chapters that the cache lacks; reading the documents then finds every result there."""
    cache = get_cache(app.config.nb_execution_cache_path)
    missing = []
    for path in sorted(env.doc2path(name) for name in env.found_docs):
        if notebook_reader(path) and cache.get_cached_project_nb(path) is None:
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


def count_by_page(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Let exercises, and whatever else is numbered, count from 1 on every page, as pages themselves have no numbers."""
    for kinds in env.toc_fignumbers.values():
        for kind, numbers in kinds.items():
            kinds[kind] = {name: (place,) for place, name in enumerate(sorted(numbers, key=numbers.__getitem__), 1)}
    return []


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
