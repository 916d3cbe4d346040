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

    def __add__(self, other: Any) -> "TensorList":
        return TensorList(torch._foreach_add(self.tensors, self._each(other)))

    def __mul__(self, other: Any) -> "TensorList":
        return TensorList(torch._foreach_mul(self.tensors, self._each(other)))

    def __neg__(self) -> "TensorList":
        return TensorList(torch._foreach_neg(self.tensors))

    def clone(self) -> "TensorList":
        """Copies."""
        return TensorList(tensor.clone() for tensor in self.tensors)

    def sign(self) -> "TensorList":
        """Signs: -1, 0 or 1."""
        return TensorList(torch._foreach_sign(self.tensors))

    def sqrt(self) -> "TensorList":
        """Square roots."""
        roots = TensorList(torch._foreach_sqrt(self.tensors))
        # Autograd keeps the roots for the backward pass, where a rule would go on to change them in place.
        return roots.clone() if torch.is_grad_enabled() else roots

    def sqrt_(self) -> "TensorList":
        """``self = sqrt(self)``, in place."""
        if torch.is_grad_enabled():
            return self.sqrt()
        torch._foreach_sqrt_(self.tensors)
        return self

    def mul_(self, other: Any) -> "TensorList":
        """``self *= other``."""
        torch._foreach_mul_(self.tensors, self._each(other))
        return self

    def div_(self, other: Any) -> "TensorList":
        """``self /= other``."""
        torch._foreach_div_(self.tensors, self._each(other))
        return self

    def maximum_(self, other: "TensorList") -> "TensorList":
        """``self = max(self, other)``, in place."""
        torch._foreach_maximum_(self.tensors, other.tensors)
        return self

    def lerp(self, end: "TensorList", weight: Scalar) -> "TensorList":
        """``self + weight * (end - self)``."""
        return TensorList(torch._foreach_lerp(self.tensors, end.tensors, self._each(weight)))

    def lerp_(self, end: "TensorList", weight: Scalar) -> "TensorList":
        """``self += weight * (end - self)``."""
        torch._foreach_lerp_(self.tensors, end.tensors, self._each(weight))
        return self

    def add(self, other: "TensorList", alpha: Scalar = 1) -> "TensorList":
        """``self + alpha * other``."""
        if isinstance(alpha, Tensor):
            return self + other * alpha
        return TensorList(torch._foreach_add(self.tensors, other.tensors, alpha=alpha))

    def add_(self, other: Any, alpha: Scalar = 1) -> "TensorList":
        """``self += alpha * other``; a number or a single tensor takes no ``alpha``."""
        if isinstance(alpha, Tensor):
            torch._foreach_add_(self.tensors, (other * alpha).tensors)
        elif isinstance(other, TensorList):
            torch._foreach_add_(self.tensors, other.tensors, alpha=alpha)
        else:
            torch._foreach_add_(self.tensors, self._each(other))
        return self

    def addcmul_(self, first: "TensorList", second: "TensorList", value: Scalar = 1) -> "TensorList":
        """``self += value * first * second``."""
        if isinstance(value, Tensor):
            return self.add_((first * value).mul_(second))
        torch._foreach_addcmul_(self.tensors, first.tensors, second.tensors, value)
        return self

    def addcdiv_(self, numerator: "TensorList", denominator: "TensorList", value: Scalar = 1) -> "TensorList":
        """``self += value * numerator / denominator``."""
        if isinstance(value, Tensor):
            return self.add_((numerator * value).div_(denominator))
        torch._foreach_addcdiv_(self.tensors, numerator.tensors, denominator.tensors, value)
        return self


def is_on(coefficient: Scalar) -> bool:
    """Whether a term with this coefficient takes part; a tensor always does, zeros and all."""
    return isinstance(coefficient, Tensor) or coefficient != 0


def check_nonnegative(**values: Scalar) -> None:
    """Raise ``ValueError`` for a hyperparameter below zero, or a tensor of more than one element."""
    for name, value in values.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"{name}: expected a number or a one-element tensor; got shape {tuple(value.shape)}")
        check_range(name, value, low=0)  # type: ignore[arg-type]


def check_betas(betas: tuple[Scalar, Scalar]) -> None:
    """Raise ``ValueError`` unless both averaging coefficients lie in [0, 1)."""
    for i, beta in enumerate(betas):
        check_nonnegative(**{f"betas[{i}]": beta})
        check_range(f"betas[{i}]", beta, low=0, high=1, open_high=True)  # type: ignore[arg-type]


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

    def _update(self, params: list[Tensor], param: TensorList, grad: TensorList, hyper: dict[str, Any]) -> None:
        """Run the rule on ``param`` in place; ``params`` are the keys to their state."""
        raise NotImplementedError

    def _phase(self, state: dict[str, Any]) -> Any:
        """What parameters must have in common to be updated together: by default, how many steps they have had."""
        return state["step"].item() if "step" in state else None

    def _states(self, params: list[Tensor], *names: str) -> Iterator[TensorList]:
        """The named parts of the state, each for all the parameters."""
        for name in names:
            yield TensorList([as_real(self.state[p][name]) for p in params])

    def _count_step(self, params: list[Tensor]) -> float:
        """Advance the step counts, which are all equal, and return the new one (the first step is 1)."""
        steps = [self.state[p]["step"] for p in params]
        # A ready-made tensor: a bare 1 would be wrapped anew for every count, which takes longer than the addition.
        torch._foreach_add_(steps, torch.ones((), device=steps[0].device), alpha=1)
        return steps[0].item()

    def _alike(self, group: dict[str, Any]) -> Iterable[list[Tensor]]:
        """The group's parameters that have a gradient, sorted by device, dtype and phase."""
        batches: dict[Any, list[Tensor]] = {}
        for p in group["params"]:
            if p.grad is None:
                continue
            if p.grad.is_sparse:
                raise RuntimeError(f"{type(self).__name__} does not support sparse gradients: use .to_dense()")
            state = self.state[p]
            if not state:
                state.update(self._new_state(p, group))
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
        differentiable = self.defaults.get("differentiable", False)
        with torch.set_grad_enabled(differentiable):
            for group in self.param_groups:
                hyper = {name: as_number(value) for name, value in group.items() if name != "params"}
                for params in self._alike(group):
                    param = TensorList([as_real(p) for p in params])
                    grad = TensorList([as_real(p.grad) for p in params])  # type: ignore[arg-type]
                    if hyper.get("maximize"):
                        grad = -grad
                    if differentiable:
                        self._update_copies(params, param, grad, hyper)
                    else:
                        self._update(params, param, grad, hyper)
        return loss

    def _update_copies(self, params: list[Tensor], param: TensorList, grad: TensorList, hyper: dict[str, Any]) -> None:
        """As ``_update``, but leave intact what autograd saved at the step before."""
        for p in params:
            state = self.state[p]
            state.update({name: value.clone() for name, value in state.items() if isinstance(value, Tensor)})
        copies = param.clone()
        self._update(params, copies, grad, hyper)
        for old, new in zip(param, copies, strict=True):
            old.copy_(new)
