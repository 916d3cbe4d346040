"""One optimizer for a whole grid of runs: a point for each run, under hyperparameters of its own.

It is the optimizer's own ``step`` that moves the points, so a run in the grid is exactly the run on its own.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dlbook._checks import check_option
from dlbook.optimizers._base import RuleOptimizer, Scalar, is_on
from dlbook.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from dlbook.optimizers.descent import SGD, Lion
from dlbook.optimizers.moments import Adam, AdamW, NAdam

RULES: dict[str, Any] = {
    kind.__name__.lower(): kind for kind in (SGD, Adagrad, Adadelta, RMSprop, Adam, AdamW, NAdam, Lion)
}
"""The rules that work coordinate by coordinate, by name. Muon and Newton look at a matrix as a whole."""


def defaults(rule: str, rules: dict[str, Any] = RULES) -> dict[str, Any]:
    """The rule's hyperparameters and what they are when nobody names them.

    Args:
        rule: Name of the optimizer in lower case.
        rules: Those to choose from.

    Raises:
        ValueError: If there is no such rule.
    """
    check_option("rule", rule, rules)
    parameters = inspect.signature(rules[rule]).parameters
    return {name: p.default for name, p in parameters.items() if name not in ("params", "differentiable")}


def grid_optimizer(
    rule: str, points: Sequence[Tensor], hyper: dict[str, Any], rules: dict[str, Any] = RULES
) -> torch.optim.Optimizer:
    """An optimizer over points of shape ``(*batch, n)``, each run of the batch with hyperparameters of its own.

    Args:
        rule: Name of the optimizer in lower case.
        points: Leaves, all of one dtype and on one device.
        hyper: The optimizer's arguments; numbers, or tensors that broadcast with the batch.
        rules: Those to choose from.

    Raises:
        ValueError: If there is no such rule, or a hyperparameter is out of the optimizer's range.
        TypeError: If the rule has no such hyperparameter, or a switch is a tensor.
    """
    known = defaults(rule, rules)
    if unknown := hyper.keys() - known:
        raise TypeError(f"{rule}: expected hyperparameters among {sorted(known)}; got {sorted(unknown)}")
    for name, value in hyper.items():
        if isinstance(known[name], bool) and not isinstance(value, bool):
            raise TypeError(f"{name}: expected one True or False for all runs; got {value!r}")
    # Every value lies between the smallest and the largest, so the class's own checks of those two check them all.
    for extreme in (torch.amin, torch.amax):
        optimizer = rules[rule](points, **{name: _each(value, _number(extreme)) for name, value in hyper.items()})
    group = optimizer.param_groups[0]
    group.update({name: _each(value, _column(points[0])) for name, value in hyper.items()})
    if isinstance(group.get("momentum"), Tensor) and is_on(group.get("dampening", 0)):
        # A grid may hold runs without momentum; those know no dampening either.
        group["dampening"] = group["dampening"] * (group["momentum"] != 0)
    if isinstance(optimizer, RuleOptimizer):
        for point in optimizer.state:  # a state that was there before the grid was
            optimizer.state[point] = optimizer._new_state(point, group)
    return optimizer


def flat(value: Any) -> tuple:
    """The entries of a tuple (``betas``), or the value as the only one."""
    return value if isinstance(value, tuple) else (value,)


def _each(value: Any, change: Callable[[Tensor], Scalar]) -> Any:
    """The hyperparameter with its tensors changed, those of a tuple too."""
    if isinstance(value, tuple):
        return tuple(_each(v, change) for v in value)
    return change(value) if isinstance(value, Tensor) else value


def _number(extreme: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Scalar]:
    return lambda value: extreme(value).item()


def _column(like: Tensor) -> Callable[[Tensor], Tensor]:
    """Hyperparameters stand beside the points' coordinates: one more dimension, of size 1."""
    return lambda value: value.detach().to(like).unsqueeze(-1)
