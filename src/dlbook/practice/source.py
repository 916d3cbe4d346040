"""``show``: a kernel's own lines on the page, so that what you read is what runs."""

import ast
import inspect
import sys
from typing import Any


def show(*kernels: Any, docstring: bool = False) -> None:
    """Show the source of functions, classes or methods, as they stand in the package.

    In a notebook the code is highlighted; elsewhere it is printed. A first comment names the module it comes from.

    Args:
        *kernels: What to show, in this order.
        docstring: Whether to keep the docstrings; the rest is shown to the letter either way.

    Raises:
        ValueError: If there is nothing to show.
        TypeError: If a kernel has no Python source, as a built-in or a plain value has none.

    Example:
        >>> from dlbook._checks import check_tensor
        >>> show(check_tensor)
        # dlbook._checks
        def check_tensor(name: str, value: object) -> None:
            if not isinstance(value, Tensor):
                raise TypeError(f"{name}: expected a torch.Tensor; got {type(value).__name__}")

    Source: written for this book. Chapter: every one.
    """
    if not kernels:
        raise ValueError("kernels: expected at least one function, class or method; got none")
    blocks, previous = [], None
    for kernel in kernels:
        home, source = _source(kernel)
        code = source if docstring else _without_docstrings(source)
        blocks.append(code if home == previous else f"# {home}\n{code}")
        previous = home
    text = "\n\n\n".join(blocks)
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from IPython.display import display  # only where it is there already: a plain script does without

        fence = "````" if "```" in text else "```"
        display({"text/plain": text, "text/markdown": f"{fence}python\n{text}\n{fence}"}, raw=True)
    else:
        print(text)


def _source(kernel: Any) -> tuple[str, str]:
    """Where a kernel lives (its module, and its class if it is a method) and its lines, moved to the left margin."""
    found: Any = kernel.fget if isinstance(kernel, property) else kernel
    found = inspect.unwrap(found.__func__ if isinstance(found, staticmethod | classmethod) else found)
    try:
        if not (inspect.isroutine(found) or inspect.isclass(found)):
            raise TypeError(f"a {type(found).__name__} is none")
        lines = inspect.getsource(found).rstrip().split("\n")
    except (TypeError, OSError) as error:
        raise TypeError(
            f"kernel: expected a function, class or method with Python source; got {kernel!r} ({error})"
        ) from error
    # not textwrap.dedent: a string that reaches the left margin would keep it from moving anything
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    owner = found.__qualname__.rpartition(".")[0]
    home = f"{found.__module__}.{owner}" if owner and "<locals>" not in owner else found.__module__
    return home, "\n".join(line.removeprefix(indent) for line in lines)


def _without_docstrings(source: str) -> str:
    """Cut the lines of every docstring, and the blank ones after it; touch nothing else."""
    lines: list[str | None] = list(source.split("\n"))
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if ast.get_docstring(node, clean=False) is None:
            continue
        text = node.body[0]
        first, last = text.lineno - 1, text.end_lineno or text.lineno
        if (lines[first] or "")[: text.col_offset].strip():
            continue  # on the line of its ``def``: there is no line to cut
        if len(node.body) == 1:
            lines[first] = " " * text.col_offset + "..."  # without a body it would not be Python
            first += 1
        else:
            while last < len(lines) and not (lines[last] or "").strip():
                last += 1
        lines[first:last] = [None] * (last - first)
    return "\n".join(line for line in lines if line is not None)
