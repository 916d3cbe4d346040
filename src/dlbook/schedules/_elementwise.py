"""The few operations that schedules need beyond arithmetic, for a single step and for a tensor of steps alike."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Step = int | float | Tensor
Rate = float | Tensor
Schedule = Callable[..., Any]
"""``schedule(step, lr=1.0)``: the rate at a step, or at each of a tensor of steps, where the base rate is ``lr``."""


def check_callable(name: str, value: object) -> None:
    """Raise ``TypeError`` unless ``value`` can be called."""
    if not callable(value):
        raise TypeError(f"{name}: expected a function of the step; got {type(value).__name__}")


def number(step: Step) -> Step:
    """The step as it is, a tensor of whole steps in the default floating-point dtype."""
    if isinstance(step, Tensor) and not step.is_floating_point():
        return step.to(torch.get_default_dtype())
    return step


def at_most(x: Rate, limit: Rate) -> Rate:
    """The smaller one."""
    return x.clamp(max=limit) if isinstance(x, Tensor) else min(x, limit)


def at_least(x: Rate, limit: float) -> Rate:
    """The larger one."""
    return x.clamp(min=limit) if isinstance(x, Tensor) else max(x, limit)


def cos(x: Rate) -> Rate:
    """Cosine."""
    return x.cos() if isinstance(x, Tensor) else math.cos(x)


def exp(x: Rate) -> Rate:
    """Exponential function."""
    return x.exp() if isinstance(x, Tensor) else math.exp(x)


def lookup(step: Step, milestones: Sequence[float], values: Sequence[float]) -> Rate:
    """The value whose index is the number of milestones that the step has reached."""
    if not isinstance(step, Tensor):
        return values[bisect_right(milestones, step)]
    options = {"dtype": step.dtype, "device": step.device}
    index = torch.searchsorted(torch.tensor(milestones, **options), step.contiguous(), right=True)
    return torch.tensor(values, **options)[index]
