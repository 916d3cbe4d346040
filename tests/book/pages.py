"""Where the built book is, and which pages it has."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"


def built_pages() -> list[str]:
    """Every page of the built book that a reader can open, by its path below the root."""
    pages = [path for path in HTML.rglob("*.html") if "_static" not in path.parts]
    return sorted(str(path.relative_to(HTML)) for path in pages)
