"""What holds for the package as a whole: who imports whom, and that no public name is left undocumented."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "dlbook"
# architecture.md's order: a kernel module may use those before it, of its own group too (resnet needs convolution).
KERNELS = [
    "neurons",
    "perceptrons",
    "backpropagation",
    "activations",
    "distances",
    "losses",
    "metrics",
    "normalization",
    "initialization",
    "regularization",
    "optimizers",
    "schedules",
    "training",
    "tuning",
    "convolution",
    "resnet",
    "recurrent",
    "attention",
    "transformer",
    "seq2seq",
    "beam_search",
]
DRAWING = {"matplotlib", "ipywidgets", "IPython", "pooch"}
EVERYWHERE = {"_checks", "_progress", "device"}
MODULES = sorted(
    path.stem
    for path in SOURCE.iterdir()
    if (path.suffix == ".py" or path.is_dir()) and not path.name.startswith("_") and path.suffix in ("", ".py")
)
CHAPTERS = {path.stem: path for path in (ROOT / "chapters").glob("*.ipynb")}


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


def issubclass_of(thing: object, kinds: type | tuple) -> bool:
    return inspect.isclass(thing) and issubclass(thing, kinds)


def public() -> list[tuple[str, str]]:
    return [(module, name) for module in MODULES for name in importlib.import_module(f"dlbook.{module}").__all__]


@pytest.mark.parametrize("module", [name for name in KERNELS if name in MODULES])
def test_a_kernel_draws_nothing_and_imports_only_what_stands_before_it(module):
    allowed = EVERYWHERE | {module, *KERNELS[: KERNELS.index(module)]}
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
def test_a_public_name_is_tested(module, name):
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    both = re.sub(r"[12]d$", "{dims}d", name)  # a test over one and two dimensions names both at once
    assert re.search(rf"\b({re.escape(name)}|{re.escape(both)})", tests), f"no test mentions {module}.{name}"


@pytest.mark.parametrize("module", [name for name in MODULES if name not in KERNELS or name in CHAPTERS])
def test_a_module_is_reachable_from_a_chapter(module):
    """The module of a chapter that is yet to be written waits for it; every other one is used on some page."""
    pages = [ROOT / "index.md", *CHAPTERS.values()]
    assert any(re.search(rf"\b{module}\b", page.read_text()) for page in pages), "no chapter leads there"


@pytest.mark.parametrize("module", [name for name in KERNELS if name in MODULES])
def test_a_kernel_has_its_tests_and_its_benchmark(module):
    assert list((ROOT / "tests").glob(f"test_{module}*.py")), f"{module} has no test"
    assert (ROOT / "benchmarks" / f"bench_{module}.py").exists(), f"{module} has no benchmark"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_its_module_and_its_place_in_the_book(chapter):
    assert {"digits": "ladder"}.get(chapter, chapter) in MODULES
    assert f"chapters/{chapter}\n" in (ROOT / "_toc.yml").read_text()


# The rules behind the optimizers take lists of tensors that the optimizers have checked.
RULES = {
    "sgd",
    "adagrad",
    "adadelta",
    "rmsprop",
    "adam",
    "nadam",
    "nadam_momentum",
    "lion",
    "muon",
    "newton",
    "TensorList",
}


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("module", "name"), [(m, n) for m, n in public() if m in [*KERNELS, "datasets", "device"] and n not in RULES]
)
def test_nonsense_is_refused_in_words(module, name):
    """Whatever the call needs, it gets a text or a list; the error names an argument, what was expected, what came."""
    thing = getattr(importlib.import_module(f"dlbook.{module}"), name)
    if not (inspect.isfunction(thing) or inspect.isclass(thing)) or issubclass_of(thing, (Exception, tuple)):
        return
    parameters = inspect.signature(thing).parameters.values()
    needed = [
        one for one in parameters if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    plain = [one for one in needed if one.kind is not one.KEYWORD_ONLY]
    if not needed or "when called" in (inspect.getdoc(thing) or ""):
        return
    for nonsense in ("nonsense", ["non", "sense"]):
        named = {one.name: nonsense for one in needed if one.kind is one.KEYWORD_ONLY}
        with pytest.raises((TypeError, ValueError)) as caught:
            thing(*[nonsense] * len(plain), **named)
        said = str(caught.value)
        if issubclass_of(thing, torch.optim.Optimizer):
            assert "can only optimize Tensors" in said, "torch's own check"
        else:
            assert re.search(r"[\w\[\]]+: expected .*got ", said, re.S), said
