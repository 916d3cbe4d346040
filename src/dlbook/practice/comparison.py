"""``compare``: your function and a reference on the same inputs, up to the first difference."""

import copy
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def compare(
    mine: Callable[..., Any],
    reference: Callable[..., Any],
    *,
    inputs: Sequence[Any] | Callable[[torch.Generator], Any] | None = None,
    gradients: bool = False,
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> bool:
    """Run your function and a reference on the same inputs, and show the first on which they differ.

    Without ``inputs`` both get float32 tensors, as many as they have required arguments: random ones of several shapes,
    zeros, large, tiny, empty, transposed, and one with NaN and infinities. The inputs are the same in every run. One
    that the reference itself refuses is passed over.

    Args:
        mine: Your function.
        reference: The function to agree with.
        inputs: Argument tuples (a lone argument needs no tuple); or a function from a ``torch.Generator`` to one such
            tuple, called 20 times.
        gradients: Also compare the gradients with respect to every floating-point tensor among the arguments, on
            inputs without NaN and infinities.
        rtol: Largest difference, relative to the expected value.
        atol: Largest difference on top of that.

    Returns:
        Whether they agree on values, shapes, dtypes and (where asked) gradients everywhere; printed in words as well.

    Raises:
        ValueError: If there is no input that the reference accepts.

    Example:
        >>> compare(lambda x: x * (x > 0), torch.relu, inputs=[torch.tensor([-1.0, 2.0])])
        <lambda> agrees with relu on 1 input.
        True

    Source: written for this book. Chapter: every one.
    """
    cases = _cases(inputs, mine, reference)
    names = f"{_name(mine)} {{}} {_name(reference)}"
    tried, refusal = 0, None
    for number, (label, args) in enumerate(cases, 1):
        try:
            expected = _run(reference, args, gradients)
        except Exception as error:
            refusal = error
            continue
        tried += 1
        trouble = _difference(mine, args, expected, gradients, rtol, atol)
        if trouble:
            print(f"{names.format('differs from')} on input {number} of {len(cases)}{label}:\n{trouble}")
            return False
    if not tried:
        raise ValueError(
            f"inputs: expected one that {_name(reference)} accepts; it refused all ({refusal})"
        ) from refusal
    extent = f"{tried} input{'s' if tried > 1 else ''}{', gradients included' if gradients else ''}"
    passed = f" ({len(cases) - tried} more it refuses itself)" if tried < len(cases) else ""
    print(f"{names.format('agrees with')} on {extent}{passed}.")
    return True


def _cases(inputs: Any, mine: Callable, reference: Callable) -> list[tuple[str, tuple]]:
    """Labelled argument tuples: the caller's, or the standard ones."""
    generator = torch.Generator().manual_seed(0)
    if inputs is not None:
        given = [inputs(generator) for _ in range(20)] if callable(inputs) else list(inputs)
        return [("", args if isinstance(args, tuple) else (args,)) for args in given]
    count = _required(reference) or _required(mine) or 1

    def normal(*shape: int) -> tuple[Tensor, ...]:
        return tuple(torch.randn(shape, generator=generator) for _ in range(count))

    awkward = torch.tensor([[math.nan, 1.0, -2.0], [math.inf, 0.0, 3.0], [-math.inf, -1.0, 0.5]])
    return [
        *((f" (random, shape {shape})", normal(*shape)) for shape in [(5,), (3, 7), (2, 3, 5), (1, 1), (64, 11)]),
        (" (a single number)", normal()),
        (" (zeros)", tuple(torch.zeros(3, 5) for _ in range(count))),
        (" (large, positive and negative)", tuple(100 * value for value in normal(3, 5))),
        (" (very large)", tuple(1e4 * value for value in normal(3, 5))),
        (" (tiny)", tuple(1e-6 * value for value in normal(3, 5))),
        (" (empty)", normal(0, 5)),
        (" (transposed: not contiguous)", tuple(value.T for value in normal(7, 3))),
        (" (NaN and infinities)", tuple(awkward.roll(shift, 0) for shift in range(count))),
    ]


def _required(function: Callable) -> int:
    """Number of arguments that a function cannot do without; 0 if it does not say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is inspect.Parameter.empty for p in parameters)


def _run(function: Callable, args: tuple, gradients: bool) -> dict[str, Any]:
    """What a function makes of a copy of its arguments: the result, and the arguments afterwards or the gradients."""
    copies = [value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value) for value in args]
    tensors = [value for value in copies if isinstance(value, Tensor)]
    leaves = [value for value in tensors if value.is_floating_point()]
    if not (gradients and leaves and all(bool(torch.isfinite(value).all()) for value in tensors)):
        return {"value": function(*copies), "arguments afterwards": tensors}
    for leaf in leaves:
        leaf.requires_grad_()
    value = function(*copies)
    outputs = value if isinstance(value, tuple | list) else [value]
    outputs = [output for output in outputs if isinstance(output, Tensor) and output.requires_grad]
    if not outputs:
        return {"value": value, "gradient": [torch.zeros_like(leaf) for leaf in leaves]}
    generator = torch.Generator().manual_seed(1)  # a random weight on each output: a plain sum would hide much
    weights = [torch.randn(output.shape, generator=generator).to(output) for output in outputs]
    found = torch.autograd.grad(outputs, leaves, weights, materialize_grads=True)
    return {"value": value, "gradient": list(found)}


def _difference(
    mine: Callable, args: tuple, expected: dict[str, Any], gradients: bool, rtol: float, atol: float
) -> str | None:
    """What the reader should see if the two differ on these arguments; None if they agree."""
    shown = f"  input     {_text(args if len(args) != 1 else args[0])}\n"
    try:
        got = _run(mine, args, gradients)
    except Exception as error:
        return f"{shown}  expected  {_text(expected['value'])}\n  raised    {type(error).__name__}: {error}"
    for part, wanted in expected.items():
        reason = _mismatch(got[part], wanted, rtol, atol)
        if reason:
            what = "" if part == "value" else f"  in the {part}:\n"
            return f"{shown}{what}  expected  {_text(wanted)}\n  got       {_text(got[part])}\n  {reason}"
    return None


def _mismatch(got: Any, wanted: Any, rtol: float, atol: float) -> str | None:
    """How two results differ, in words; None if they do not."""
    if isinstance(wanted, Tensor) and isinstance(got, Tensor):
        return _tensor_mismatch(got.detach(), wanted.detach(), rtol, atol)
    if isinstance(wanted, np.ndarray) and isinstance(got, np.ndarray):
        return _tensor_mismatch(torch.from_numpy(got), torch.from_numpy(wanted), rtol, atol)
    if isinstance(wanted, dict) and isinstance(got, dict):
        if got.keys() != wanted.keys():
            return f"expected the keys {list(wanted)}; got {list(got)}"
        return _mismatch([got[key] for key in wanted], list(wanted.values()), rtol, atol)
    if isinstance(wanted, tuple | list) and isinstance(got, tuple | list):
        if len(got) != len(wanted):
            return f"expected {len(wanted)} items; got {len(got)}"
        reasons = (_mismatch(a, b, rtol, atol) for a, b in zip(got, wanted, strict=True))
        return next(
            (f"item {i}: {reason}" if len(wanted) > 1 else reason for i, reason in enumerate(reasons) if reason), None
        )
    if type(got) is not type(wanted):
        return f"expected a {type(wanted).__name__}; got a {type(got).__name__}"
    if isinstance(wanted, float):
        close = math.isclose(got, wanted, rel_tol=rtol, abs_tol=atol) or (math.isnan(got) and math.isnan(wanted))
        return None if close else f"absolute difference: {abs(got - wanted):.3g}"
    return None if got == wanted else "they are not equal"


def _tensor_mismatch(got: Tensor, wanted: Tensor, rtol: float, atol: float) -> str | None:
    for what in ("shape", "dtype", "device"):
        if getattr(got, what) != getattr(wanted, what):
            return f"expected {what} {_plain(getattr(wanted, what))}; got {_plain(getattr(got, what))}"
    close = torch.isclose(got, wanted, rtol=rtol, atol=atol, equal_nan=True)
    if close.all():
        return None
    index = tuple((~close).nonzero()[0].tolist())
    largest = (got.cpu().double() - wanted.cpu().double()).abs().max().item()
    where = f" first at index {index}" if index else ""
    return (
        f"they differ{where}: expected {wanted[index]:g}, got {got[index]:g}; largest absolute difference {largest:.3g}"
    )


def _plain(value: Any) -> str:
    return str(tuple(value) if isinstance(value, torch.Size) else value)


def _text(value: Any) -> str:
    if isinstance(value, Tensor):
        value = value.detach()
    elif isinstance(value, tuple | list):
        return ", ".join(_text(item) for item in value)
    return repr(value).replace("\n", "\n            ")


def _name(function: Callable) -> str:
    return getattr(function, "__name__", None) or type(function).__name__
