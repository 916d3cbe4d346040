"""The Sphinx extension, on a book of one page: it runs what must run, once, and a failure stops the build."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from dlbook.explore import extension

ROOT = Path(__file__).parents[1]
EXPLORER = """
from dlbook import figures
from dlbook.explore import explore
def line(slope):
    '''A line turns.'''
    fig, axes = figures.panels()
    axes.plot([0, slope])
    return fig
explore(line, slope=(0, {last}), alt="A line through the origin.")
"""


@pytest.fixture
def book(tmp_path):
    """The book's own configuration over a single chapter."""
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copytree(ROOT / "_static", tmp_path / "_static")
    (tmp_path / "index.md").write_text("# A book\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n  - file: chapters/lines\n")
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "references.bib").write_text("")
    return tmp_path


def write(book: Path, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# Lines"), *(nbformat.v4.new_code_cell(cell) for cell in cells)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, book / "chapters" / "lines.ipynb")


def build(book: Path) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if key != "DLBOOK_STATIC"}
    return subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", ".", "-W", "-n", "--keep-going"],
        cwd=book,
        env=environment | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_chapter_is_run_once_and_again_when_what_it_stands_on_changes(book):
    write(book, EXPLORER.format(last=3), "open('runs', 'a').write('x')")
    runs = book / "chapters" / "runs"
    first = build(book)
    assert first.returncode == 0, first.stdout + first.stderr
    page = (book / "_build" / "html" / "chapters" / "lines.html").read_text()
    assert page.count('class="dl-explorer"') == 1
    assert 'defer="defer" src="../_static/player.js' in page
    assert "player.css" in page
    assert runs.read_text() == "x"
    shutil.rmtree(book / "_build" / "html")
    assert build(book).returncode == 0
    assert runs.read_text() == "x", "nothing changed"
    (book / "requirements.txt").write_text("torch==0\n")
    assert build(book).returncode == 0
    assert runs.read_text() == "xx", "the pins changed"


def test_a_chapter_that_fails_stops_the_build_with_its_cell_and_the_error(book):
    write(book, "kept = 1", "worse = kept / 0  # the guilty line")
    failed = build(book)
    said = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert "chapter lines.ipynb failed" in said
    assert "worse = kept / 0  # the guilty line" in said
    assert "ZeroDivisionError: division by zero" in said


def test_an_explorer_beyond_its_budget_stops_the_build(book):
    write(book, EXPLORER.format(last=400))
    failed = build(book)
    assert failed.returncode != 0
    assert "explorer 'line': 401 frames; at most 400" in failed.stdout + failed.stderr


def test_a_page_beyond_its_budget_stops_the_build(book):
    write(book, "print('all work and no play\\n' * 160_000)")
    failed = build(book)
    assert failed.returncode != 0
    assert "lines weighs 3." in failed.stdout + failed.stderr


def test_a_chapter_that_writes_to_stderr_stops_the_build(book):
    write(book, "import warnings; warnings.warn('look out')")
    assert build(book).returncode != 0


def test_the_hash_follows_what_a_page_stands_on(tmp_path, monkeypatch):
    package = tmp_path / "src" / "dlbook"
    (package / "explore").mkdir(parents=True)
    (package / "nets").mkdir()
    for name, text in {
        "losses.py": "from dlbook import _checks",
        "_checks.py": "",
        "metrics.py": "",
        "nets/layers.py": "from dlbook.losses import mse_loss",
    }.items():
        (package / name).write_text(text)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "long.json").write_text("{}")
    monkeypatch.setattr(extension, "HERE", package / "explore")

    page = tmp_path / "page.ipynb"
    cells = [nbformat.v4.new_markdown_cell("metrics"), nbformat.v4.new_code_cell("from dlbook import nets # long.json")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), page)

    def moved(path: str, text: str) -> bool:
        before = extension.code_hash(page, tmp_path)
        assert len(before) == 12
        (tmp_path / path).write_text(text)
        return extension.code_hash(page, tmp_path) != before

    assert moved("src/dlbook/nets/layers.py", "from dlbook.losses import l1_loss")
    assert moved("src/dlbook/losses.py", "from dlbook._checks import check_range")
    assert moved("src/dlbook/_checks.py", "check_range = 1")
    assert moved("results/long.json", "[]")
    assert moved("requirements.txt", "torch==2.13.0")
    assert not moved("src/dlbook/metrics.py", "named = 'in the prose only'")


def test_equations_and_exercises_count_from_1_on_every_page(book):
    write(book)
    (book / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n  - file: chapters/lines\n  - file: one\n  - file: two\n"
    )
    for page, other in (("one", "two"), ("two", "one")):
        (book / f"{page}.md").write_text(
            f"# Page {page}\n\n"
            + "".join(f"```{{math}}\n:label: eq-{page}-{n}\nx = {n}\n```\n\n" for n in (1, 2))
            + "".join(f"```{{exercise}} Do\n:label: ex-{page}-{n}\n\nCount.\n```\n\n" for n in (1, 2))
            + f"```{{solution}} ex-{page}-2\nDone.\n```\n\n"
            + f"Here {{eq}}`eq-{page}-2` and {{ref}}`ex-{page}-2`, "
            + f"there {{eq}}`eq-{other}-1` and {{ref}}`ex-{other}-1`.\n"
        )
    assert (done := build(book)).returncode == 0, done.stderr
    for page in ("one", "two"):
        text = re.sub(r"<[^>]+>", "", (book / "_build" / "html" / f"{page}.html").read_text())
        text = re.sub(r"\s+", " ", text)
        assert re.findall(r"\((\d)\)#", text) == ["1", "2"]
        assert re.findall(r"Exercise (\d) \(Do\)", text)[:2] == ["1", "2"]
        assert "Solution to Exercise 2" in text
        assert "Here (2) and Exercise 2, there (1) and Exercise 1." in text
