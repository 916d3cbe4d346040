"""Numbers and tables for the prose: what a run measured goes into the text by name, never typed."""

import re
from collections.abc import Sequence
from typing import Any

import torch


def note(**values: Any) -> None:
    """Glue results to names, so that the chapter's text can quote them.

    Several values become two names, the mean and, with ``_sd`` added, the standard deviation (of a sample: over seeds).
    The text then says ``{glue:text}`accuracy:.1f` ± {glue:text}`accuracy_sd:.1f```.

    Args:
        **values: A number, a text, or a tensor or list of results, one a seed.

    Raises:
        ValueError: If there is no result to take the mean of.

    Example:
        >>> note(seeds=5, accuracy=[97.1, 97.3])

    Source: myst-nb's ``glue``. Chapter: every one.
    """
    from myst_nb import glue

    for name, value in values.items():
        if isinstance(value, Sequence | torch.Tensor) and not isinstance(value, str):
            results = torch.as_tensor(value, dtype=torch.float64).flatten()
            if not len(results):
                raise ValueError(f"{name}: expected at least one result; got none")
            if len(results) > 1:
                glue(f"{name}_sd", results.std().item(), display=False)
            value = results.mean().item()
        glue(name, value, display=False)


# Where a line may not end: around the sign of a spread or a product, and between a number and its unit.
_UNBROKEN = re.compile(r" (?=[±×] )|(?<= [±×]) |(?<=\d) (?=(?:%|[mµn]?s|min|h|[kMGTPE]?B|nats|bits)(?!\w))")


def _unbroken(cell: str) -> str:
    """The cell with no-break spaces in ``a ± b`` and in ``3.2 s``; mathematics and code stay as they are."""
    parts = re.split(r"(\$[^$]*\$|`[^`]*`)", cell)
    parts[::2] = [_UNBROKEN.sub("\N{NBSP}", part) for part in parts[::2]]
    return "".join(parts)


def table(*rows: Sequence[str]) -> None:
    """Put a table on the page; the first row is its head. No line of a cell ends inside ``a ± b`` or ``3.2 s``.

    Args:
        *rows: The texts of each row, as many as the head has; Markdown and mathematics welcome.

    Raises:
        ValueError: If there is no row, or rows differ in length.

    Example:
        >>> table(["rule", "accuracy"], ["Adam", "97.1%"])
        <IPython.core.display.Markdown object>

    Source: CommonMark's tables. Chapter: every one.
    """
    from IPython.display import Markdown, display

    lengths = [len(row) for row in rows]
    if len(set(lengths)) != 1:
        raise ValueError(f"rows: expected rows of one length; got lengths {lengths}")
    head, *body = ["| " + " | ".join(map(_unbroken, row)) + " |" for row in rows]
    display(Markdown("\n".join([head, "|" + "---|" * lengths[0], *body])))
