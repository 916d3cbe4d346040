"""What holds for the package as a whole: who imports whom, and that no public name is left undocumented."""

import ast
import importlib
import inspect
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "dlbook"
# architecture.md's order: a kernel module may use modules of an earlier group; in the last, earlier modules too.
GROUPS = [
    ["neurons", "perceptrons", "backpropagation"],
    ["activations", "distances", "losses", "metrics"],
    ["normalization", "initialization", "regularization"],
    ["optimizers", "schedules", "training", "tuning"],
    ["convolution", "resnet"],
    ["recurrent", "attention", "transformer", "seq2seq", "beam_search"],
]
KERNELS = [name for group in GROUPS for name in group]
DRAWING = {"matplotlib", "ipywidgets", "IPython", "pooch"}
EVERYWHERE = {"_checks", "_progress", "device"}
MODULES = sorted(
    path.stem
    for path in SOURCE.iterdir()
    if (path.suffix == ".py" or path.is_dir()) and not path.name.startswith("_") and path.suffix in ("", ".py")
)


def files(module: str) -> list[Path]:
    folder = SOURCE / module
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [SOURCE / f"{module}.py"]


def imports(path: Path) -> set[str]:
    """Dotted names of everything that the file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def public() -> list[tuple[str, str]]:
    return [(module, name) for module in MODULES for name in importlib.import_module(f"dlbook.{module}").__all__]


@pytest.mark.parametrize("module", [name for name in KERNELS if name in MODULES])
def test_a_kernel_draws_nothing_and_imports_only_earlier_groups(module):
    group = next(i for i, names in enumerate(GROUPS) if module in names)
    allowed = EVERYWHERE | {module} | {name for names in GROUPS[:group] for name in names}
    if GROUPS[group] is GROUPS[-1]:
        allowed |= set(KERNELS[: KERNELS.index(module)])
    for path in files(module):
        for name in imports(path):
            top, *rest = name.split(".")
            assert top not in DRAWING, f"{path.name} imports {name}"
            if top == "dlbook" and rest:
                assert rest[0] in allowed, f"{path.name} imports {name}"


def test_a_module_stays_short():
    long = {str(p.relative_to(ROOT)): n for p in SOURCE.rglob("*.py") if (n := p.read_text().count("\n")) > 400}
    assert long == {}


@pytest.mark.parametrize(("module", "name"), public())
def test_a_public_function_or_class_is_documented(module, name):
    thing = getattr(importlib.import_module(f"dlbook.{module}"), name)
    if not (inspect.isfunction(thing) or inspect.isclass(thing)):
        return
    text = inspect.getdoc(thing) or ""
    assert text, "no docstring"
    assert re.match(r"[^\n]+[.?!](\n|$)", text), "the first line is no sentence"
    if inspect.isclass(thing) and issubclass(thing, (Exception, tuple)):
        return
    assert "Source:" in text, "no source"
    assert "Chapter:" in text, "no chapter"
    if inspect.isfunction(thing):
        assert ">>>" in text, "no example that runs"
        source = inspect.getsource(thing)
        if re.search(r"raise (Value|Type|Runtime)Error", source):
            assert "Raises:" in text, "it raises, and does not say so"


@pytest.mark.parametrize(("module", "name"), public())
def test_a_public_name_is_tested_and_reachable_from_a_chapter(module, name):
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    assert re.search(rf"\b{re.escape(name)}\b", tests), f"no test mentions {module}.{name}"
    pages = [ROOT / "index.md", *(ROOT / "chapters").glob("*.ipynb")]
    words = "\n".join(
        "\n".join("".join(cell["source"]) for cell in json.loads(page.read_text())["cells"])
        if page.suffix == ".ipynb"
        else page.read_text()
        for page in pages
    )
    assert re.search(rf"\b{re.escape(name)}\b", words) or re.search(rf"\b{module}\b", words), "no chapter leads there"


def test_one_name_four_rooms():
    for module in set(KERNELS) & set(MODULES):
        assert list((ROOT / "tests").glob(f"test_{module}*.py")), f"{module} has no test"
        chapter = ROOT / "chapters" / f"{module}.ipynb"
        if module != "training":
            assert chapter.exists(), f"{module} has no chapter"
            assert (ROOT / "benchmarks" / f"bench_{module}.py").exists(), f"{module} has no benchmark"
