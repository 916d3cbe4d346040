"""What every optimizer here shares: a list of tensors that reads as one tensor, and the walk over the parameters.

An update rule is written once, in ordinary tensor notation, and handed a :class:`TensorList`: all the tensors of a
network at once. Each method is one ``torch._foreach_*`` call, so a step costs a dozen calls and not a dozen for every
tensor, which is most of what makes an optimizer fast on a GPU. The rule never sees the difference.
"""

# torch exports no torch._foreach_* by name
# pyright: reportPrivateImportUsage=false

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from dlbook._checks import check_range

Scalar = int | float | Tensor
"""A hyperparameter: a number, or a tensor of one element."""


class TensorList:
    """Several tensors under the arithmetic of one; a number, or a tensor that broadcasts, applies to each of them.

    Names, arguments and trailing underscores mean what they mean on :class:`torch.Tensor`; beyond it, ``alpha``,
    ``value`` and ``weight`` may be tensors, so that a grid of hyperparameters runs as one batch.

    Args:
        tensors: The tensors; held, not copied.

    Example:
        >>> both = TensorList([torch.tensor(1.0), torch.tensor([2.0, 4.0])])
        >>> both.mul_(10) + 1
        TensorList([tensor(11.), tensor([21., 41.])])

    Source: torch's own optimizers, which make these calls by hand. Chapter: optimizers.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self.tensors = list(tensors)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.tensors)

    def __repr__(self) -> str:
        return f"TensorList({self.tensors})"

    def _each(self, value: Any) -> Any:
        """The value as ``torch._foreach_*`` wants it: a single tensor is repeated for each member."""
        if isinstance(value, TensorList):
            return value.tensors
        return [value] * len(self.tensors) if isinstance(value, Tensor) else value

    def _new(self, operation: Callable, *values: Any, **options: Any) -> "TensorList":
        """The result of an operation that makes new tensors."""
        return type(self)(operation(self.tensors, *map(self._each, values), **options))

    def _change(self, operation: str, *values: Any, **options: Any) -> "TensorList":
        """This list after an operation in place."""
        getattr(torch, f"_foreach_{operation}_")(self.tensors, *map(self._each, values), **options)
        return self

    def __add__(self, other: Any) -> "TensorList":
        return self._new(torch._foreach_add, other)

    def __mul__(self, other: Any) -> "TensorList":
        return self._new(torch._foreach_mul, other)

    def __neg__(self) -> "TensorList":
        return self._new(torch._foreach_neg)

    def clone(self) -> "TensorList":
        """Copies."""
        return type(self)(tensor.clone() for tensor in self.tensors)

    def sign(self) -> "TensorList":
        """Signs: -1, 0 or 1."""
        return self._new(torch._foreach_sign)

    def sqrt(self) -> "TensorList":
        """Square roots."""
        return self._new(torch._foreach_sqrt)

    def sqrt_(self) -> "TensorList":
        """``self = sqrt(self)``, in place."""
        return self._change("sqrt")

    def mul_(self, other: Any) -> "TensorList":
        """``self *= other``."""
        return self._change("mul", other)

    def div_(self, other: Any) -> "TensorList":
        """``self /= other``."""
        return self._change("div", other)

    def maximum_(self, other: "TensorList") -> "TensorList":
        """``self = max(self, other)``, in place."""
        return self._change("maximum", other)

    def lerp(self, end: "TensorList", weight: Scalar) -> "TensorList":
        """``self + weight * (end - self)``."""
        return self._new(torch._foreach_lerp, end, weight)

    def lerp_(self, end: "TensorList", weight: Scalar) -> "TensorList":
        """``self += weight * (end - self)``."""
        return self._change("lerp", end, weight)

    def add(self, other: "TensorList", alpha: Scalar = 1) -> "TensorList":
        """``self + alpha * other``."""
        if isinstance(alpha, Tensor):
            return self + other * alpha
        return self._new(torch._foreach_add, other, alpha=alpha)

    def add_(self, other: Any, alpha: Scalar = 1) -> "TensorList":
        """``self += alpha * other``; a number or a single tensor takes no ``alpha``."""
        if isinstance(alpha, Tensor):
            return self._change("add", other * alpha)
        return self._change("add", other, alpha=alpha) if isinstance(other, TensorList) else self._change("add", other)

    def addcmul_(self, first: "TensorList", second: "TensorList", value: Scalar = 1) -> "TensorList":
        """``self += value * first * second``."""
        if isinstance(value, Tensor):
            return self.add_((first * value).mul_(second))
        return self._change("addcmul", first, second, value=value)

    def addcdiv_(self, numerator: "TensorList", denominator: "TensorList", value: Scalar = 1) -> "TensorList":
        """``self += value * numerator / denominator``."""
        if isinstance(value, Tensor):
            return self.add_((numerator * value).div_(denominator))
        return self._change("addcdiv", numerator, denominator, value=value)


class TracedList(TensorList):
    """A list that autograd may watch: a change puts new tensors in the old ones' place, for autograd keeps the old."""

    def _change(self, operation: str, *values: Any, **options: Any) -> TensorList:
        self.tensors = self._new(getattr(torch, f"_foreach_{operation}"), *values, **options).tensors
        return self


def is_on(coefficient: Scalar) -> bool:
    """Whether a term with this coefficient takes part; a tensor always does, zeros and all."""
    return isinstance(coefficient, Tensor) or coefficient != 0


def check_numbers(high: float = torch.inf, *, open_high: bool = False, **values: Scalar) -> None:
    """Raise ``ValueError`` for a hyperparameter below 0 or above ``high``, or a tensor of more than one element."""
    for name, value in values.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"{name}: expected a number or a one-element tensor; got shape {tuple(value.shape)}")
        check_range(name, value.item() if isinstance(value, Tensor) else value, 0, high, open_high=open_high)


def check_betas(betas: tuple[Scalar, Scalar]) -> None:
    """Raise ``ValueError`` unless both averaging coefficients lie in [0, 1)."""
    check_numbers(high=1, open_high=True, **{f"betas[{i}]": beta for i, beta in enumerate(betas)})


def new_step() -> Tensor:
    """A step count at zero, kept as torch keeps it: a tensor on the CPU, exact up to 2^24 steps."""
    return torch.zeros((), dtype=torch.promote_types(torch.get_default_dtype(), torch.float32))


def as_number(value: Any) -> Any:
    """A one-element tensor as a Python number, unless a gradient is to flow to it; anything else as it is."""
    if isinstance(value, Tensor):
        return value.item() if value.numel() == 1 and not value.requires_grad else value
    if isinstance(value, tuple):
        return tuple(map(as_number, value))
    return value


def as_real(tensor: Tensor) -> Tensor:
    """A complex tensor as pairs of reals, sharing memory: every rule here treats the two parts alike."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


class RuleOptimizer(torch.optim.Optimizer):
    """An optimizer whose step applies one pure update rule to all parameters at once.

    A subclass names its state (``_new_state``) and calls its rule (``_update``). Everything else, closures, parameter
    groups, parameters without a gradient, ``maximize``, ``differentiable``, complex parameters, is dealt with here.
    """

    def _new_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        """State of a parameter that has not been updated yet, under the names that torch uses."""
        raise NotImplementedError

    def _update(
        self, param: TensorList, grad: TensorList, state: dict[str, TensorList], step: float, hyper: dict[str, Any]
    ) -> None:
        """Run the rule on ``param`` and ``state`` in place; ``step`` counts from 1, where the state holds a count."""
        raise NotImplementedError

    def _phase(self, state: dict[str, Any]) -> Any:
        """What parameters must have in common to be updated together: by default, how many steps they have had."""
        return state["step"].item() if "step" in state else None

    def _alike(self, group: dict[str, Any]) -> Iterable[list[Tensor]]:
        """The group's parameters that have a gradient, sorted by device, dtype and phase."""
        batches: dict[Any, list[Tensor]] = {}
        for p in group["params"]:
            if p.grad is None:
                continue
            if p.grad.is_sparse:
                raise RuntimeError(f"{type(self).__name__} does not support sparse gradients: use .to_dense()")
            state = self.state.get(p) or self._new_state(p, group)
            if state:
                self.state[p] = state
            batches.setdefault((p.device, p.dtype, self._phase(state)), []).append(p)
        return batches.values()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, once.

        Args:
            closure: Reevaluates the model, calls ``backward`` and returns the loss.

        Returns:
            The closure's loss, or None without a closure.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.set_grad_enabled(self.defaults.get("differentiable", False)):
            for group in self.param_groups:
                hyper = {name: as_number(value) for name, value in group.items() if name != "params"}
                for params in self._alike(group):
                    self._step_together(params, hyper)
        return loss

    def _step_together(self, params: list[Tensor], hyper: dict[str, Any]) -> None:
        """Update parameters that are alike, and their state."""
        differentiable = self.defaults.get("differentiable", False)
        kind = TracedList if differentiable else TensorList
        param = kind(as_real(p) for p in params)
        if differentiable:
            param = param.clone()
        grad = kind(as_real(p.grad) for p in params)  # type: ignore[arg-type]
        if hyper.get("maximize"):
            grad = -grad
        names = [name for name, value in self.state.get(params[0], {}).items() if isinstance(value, Tensor)]
        state = {name: kind(as_real(self.state[p][name]) for p in params) for name in names}
        step = self._count(state.pop("step")) if "step" in state else 0
        self._update(param, grad, state, step, hyper)
        for name, values in state.items():
            for p, value in zip(params, values, strict=True):
                pairs = p.is_complex() and value.ndim > p.ndim
                self.state[p][name] = torch.view_as_complex(value) if pairs else value
        if differentiable:
            for p, new in zip(params, param, strict=True):
                as_real(p).copy_(new)

    def _count(self, steps: TensorList) -> float:
        """Advance the step counts, which are all equal, and return the new one."""
        # A ready-made tensor: a bare 1 would be wrapped anew for every count, which takes longer than the addition.
        torch._foreach_add_(steps.tensors, torch.ones((), device=steps.tensors[0].device), alpha=1)
        return steps.tensors[0].item()
