"""Argument checks shared by the kernels.

Each one raises an error that names the argument, says what was expected and what came instead, so that a
reader can mend the call without reading the kernel.
"""

from collections.abc import Collection
from numbers import Integral, Real

import torch
from torch import Tensor


def check_option(name: str, value: object, options: Collection[object]) -> None:
    """Raise ``ValueError`` unless ``value`` is one of ``options``."""
    if value not in list(options):
        allowed = ", ".join(repr(option) for option in options)
        raise ValueError(f"{name}: expected one of {allowed}; got {value!r}")


def check_tensor(name: str, value: object) -> None:
    """Raise ``TypeError`` unless ``value`` is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: expected a torch.Tensor; got {type(value).__name__}")


def check_floating(name: str, value: object) -> None:
    """Raise ``TypeError`` unless ``value`` is a tensor of a floating-point dtype."""
    check_tensor(name, value)
    if not value.is_floating_point():  # type: ignore[attr-defined]
        raise TypeError(f"{name}: expected a floating-point tensor; got dtype {value.dtype}")  # type: ignore[attr-defined]


def check_ndim(name: str, value: Tensor, allowed: Collection[int], shape: str) -> None:
    """Raise ``ValueError`` unless ``value`` has one of the allowed numbers of dimensions.

    Args:
        name: The argument's name.
        value: The tensor.
        allowed: Accepted numbers of dimensions.
        shape: The expected shape in words, such as ``"(batch, channels, width)"``.
    """
    if value.ndim not in allowed:
        raise ValueError(f"{name}: expected shape {shape}; got {tuple(value.shape)}")


def check_same(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Raise unless two tensors share dtype (``TypeError``) and device (``ValueError``)."""
    if value.dtype != other.dtype:
        raise TypeError(f"{name}: expected dtype {other.dtype}, as {other_name} has; got {value.dtype}")
    if value.device != other.device:
        raise ValueError(f"{name}: expected device {other.device}, where {other_name} is; got {value.device}")


def check_range(
    name: str,
    value: float,
    low: float = -torch.inf,
    high: float = torch.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> None:
    """Raise ``ValueError`` unless ``value`` lies between ``low`` and ``high``, ``TypeError`` if it is no number.

    NaN lies nowhere.

    Args:
        name: The argument's name.
        value: The number.
        low: Lower end.
        high: Upper end.
        open_low: Whether ``low`` itself is excluded.
        open_high: Whether ``high`` itself is excluded.
    """
    if not isinstance(value, Real | Tensor):
        raise TypeError(f"{name}: expected a number; got {value!r}")
    above = value > low if open_low else value >= low
    below = value < high if open_high else value <= high
    if not (above and below):
        interval = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
        raise ValueError(f"{name}: expected a number in {interval}; got {value!r}")


def check_whole(name: str, value: object, low: int = 0) -> None:
    """Raise ``TypeError`` unless ``value`` is a whole number, ``ValueError`` if it is below ``low``."""
    if not isinstance(value, Integral):
        raise TypeError(f"{name}: expected a whole number; got {value!r}")
    if value < low:
        raise ValueError(f"{name}: expected at least {low}; got {value!r}")
