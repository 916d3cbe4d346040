r"""Gradient descent, with and without momentum, and its sign-only cousin.

Plain descent steps against the gradient. It is stable on a bowl of curvature :math:`L` only while
:math:`\gamma < 2/L`, so the steepest direction sets the rate for all the others. Momentum averages gradients: what
alternates cancels, what persists adds up.
"""

from typing import Any

import torch
from torch import Tensor

from dlbook.optimizers._base import RuleOptimizer, Scalar, TensorList, check_betas, check_numbers, is_on


def sgd(
    param: TensorList,
    grad: TensorList,
    momentum_buffer: TensorList | None,
    *,
    lr: Scalar,
    momentum: Scalar,
    dampening: Scalar,
    weight_decay: Scalar,
    nesterov: bool,
) -> TensorList | None:
    r"""One step of gradient descent, in place.

    .. math::
        g \leftarrow g + \lambda\theta, \qquad b \leftarrow \mu b + (1-\tau) g, \qquad
        \theta \leftarrow \theta - \gamma b

    Args:
        param: Parameters :math:`\theta`; overwritten.
        grad: Gradients :math:`g`.
        momentum_buffer: Running sum :math:`b` of gradients, overwritten; None at the first step.
        lr: Learning rate :math:`\gamma`.
        momentum: Share :math:`\mu` of the sum that is kept; 0 is plain descent.
        dampening: Share :math:`\tau` of the new gradient that is left out, from the second step on.
        weight_decay: L2 penalty :math:`\lambda`.
        nesterov: Step along :math:`g + \mu b`, the sum as it will be, instead of along :math:`b`.

    Returns:
        The momentum buffer, or None without momentum.

    Example:
        >>> w, g = TensorList([torch.tensor([1.0, 2.0])]), TensorList([torch.tensor([1.0, -1.0])])
        >>> b = sgd(w, g, None, lr=0.5, momentum=0, dampening=0, weight_decay=0, nesterov=False)
        >>> w
        TensorList([tensor([0.5000, 2.5000])])

    Source: Sutskever et al. (2013), "On the importance of initialization and momentum". Chapter: optimizers.
    """
    if is_on(weight_decay):
        grad = grad.add(param, alpha=weight_decay)
    if is_on(momentum):
        if momentum_buffer is None:
            momentum_buffer = grad.clone()
        else:
            momentum_buffer.mul_(momentum).add_(grad, alpha=1 - dampening)
        grad = grad.add(momentum_buffer, alpha=momentum) if nesterov else momentum_buffer
    param.add_(grad, alpha=-lr)
    return momentum_buffer


class SGD(RuleOptimizer):
    """Stochastic gradient descent with optional momentum: :func:`sgd` as an optimizer, as :class:`torch.optim.SGD`.

    Args:
        params: Parameters, named parameters, or groups of them.
        lr: Learning rate.
        momentum: Share of the running sum of gradients that is kept.
        dampening: Share of each new gradient left out of that sum.
        weight_decay: L2 penalty.
        nesterov: Nesterov's look-ahead; needs momentum and no dampening.
        maximize: Climb instead of descend.
        differentiable: Let autograd see through the step (parameters must not be leaves).

    Raises:
        ValueError: If a hyperparameter is negative, or ``nesterov`` lacks momentum or has dampening.
        RuntimeError: At ``step``, if a gradient is sparse.

    Example:
        >>> w = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = SGD([w], lr=0.1)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.7000])

    Source: Robbins and Monro (1951); Sutskever et al. (2013). Chapter: optimizers.
    """

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-3,
        momentum: Scalar = 0,
        dampening: Scalar = 0,
        weight_decay: Scalar = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_numbers(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                f"nesterov: expected momentum above 0 and dampening 0; got momentum={momentum}, dampening={dampening}"
            )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        return {}

    def _phase(self, state: dict[str, Any]) -> bool:
        return state.get("momentum_buffer") is not None

    def _update(
        self, param: TensorList, grad: TensorList, state: dict[str, TensorList], step: float, hyper: dict[str, Any]
    ) -> None:
        names = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
        buffer = sgd(param, grad, state.get("momentum_buffer"), **{name: hyper[name] for name in names})
        if buffer is not None:
            state["momentum_buffer"] = buffer


def lion(
    param: TensorList,
    grad: TensorList,
    exp_avg: TensorList,
    *,
    lr: Scalar,
    betas: tuple[Scalar, Scalar],
    weight_decay: Scalar,
) -> None:
    r"""One step of Lion, in place: only the sign of the averaged gradient counts.

    .. math::
        \theta \leftarrow \theta - \gamma\left(\operatorname{sign}(\beta_1 m + (1-\beta_1) g) + \lambda\theta\right),
        \qquad m \leftarrow \beta_2 m + (1-\beta_2) g

    Args:
        param: Parameters :math:`\theta`; overwritten.
        grad: Gradients :math:`g`.
        exp_avg: Running mean :math:`m` of gradients; overwritten.
        lr: Learning rate :math:`\gamma`: every coordinate moves by exactly this much, decay aside.
        betas: Averaging coefficients of the step and of the mean.
        weight_decay: Decoupled weight decay :math:`\lambda`.

    Example:
        >>> w, g, m = (TensorList([torch.tensor(x)]) for x in ([1.0, 2.0], [0.01, -50.0], [0.0, 0.0]))
        >>> lion(w, g, m, lr=0.5, betas=(0.9, 0.99), weight_decay=0.0)
        >>> w
        TensorList([tensor([0.5000, 2.5000])])

    Source: Chen et al. (2023), "Symbolic Discovery of Optimization Algorithms". Chapter: optimizers.
    """
    beta1, beta2 = betas
    update = exp_avg.lerp(grad, 1 - beta1).sign()
    if is_on(weight_decay):
        param.mul_(1 - lr * weight_decay)
    param.add_(update, alpha=-lr)
    exp_avg.lerp_(grad, 1 - beta2)


class Lion(RuleOptimizer):
    """Lion, evolved sign momentum: :func:`lion` as an optimizer. torch has none; the arguments are the paper's.

    Args:
        params: Parameters, named parameters, or groups of them.
        lr: Learning rate; three to ten times smaller than Adam's.
        betas: Averaging coefficients of the step and of the mean, in [0, 1).
        weight_decay: Decoupled weight decay; three to ten times larger than AdamW's.
        maximize: Climb instead of descend.
        differentiable: Let autograd see through the step (parameters must not be leaves).

    Raises:
        ValueError: If a hyperparameter is negative or a beta is not in [0, 1).
        RuntimeError: At ``step``, if a gradient is sparse.

    Example:
        >>> w = torch.tensor([1.0, 1.0], requires_grad=True)
        >>> optimizer = Lion([w], lr=0.1)
        >>> (w * torch.tensor([100.0, -0.01])).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.9000, 1.1000])

    Source: Chen et al. (2023), "Symbolic Discovery of Optimization Algorithms". Chapter: optimizers.
    """

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-4,
        betas: tuple[Scalar, Scalar] = (0.9, 0.99),
        weight_decay: Scalar = 0.0,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_numbers(lr=lr, weight_decay=weight_decay)
        check_betas(betas)
        defaults = {
            "lr": lr,
            "betas": betas,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        return {"exp_avg": torch.zeros_like(param)}

    def _update(
        self, param: TensorList, grad: TensorList, state: dict[str, TensorList], step: float, hyper: dict[str, Any]
    ) -> None:
        lion(param, grad, state["exp_avg"], lr=hyper["lr"], betas=hyper["betas"], weight_decay=hyper["weight_decay"])
