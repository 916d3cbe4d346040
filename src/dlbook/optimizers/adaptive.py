r"""A learning rate for each coordinate: AdaGrad, RMSprop, Adadelta.

All three divide the gradient by a root of its own past squares, so that a coordinate with large gradients takes no
larger steps than one with small gradients. They differ in how they remember: AdaGrad sums all squares and slows down
for ever; RMSprop averages the recent ones; Adadelta also measures the step in units of its own past steps.
"""

from typing import Any

import torch
from torch import Tensor

from dlbook.optimizers._base import RuleOptimizer, Scalar, TensorList, check_numbers, is_on, new_step


def adagrad(
    param: TensorList,
    grad: TensorList,
    square_sum: TensorList,
    step: float,
    *,
    lr: Scalar,
    lr_decay: Scalar,
    weight_decay: Scalar,
    eps: Scalar,
) -> None:
    r"""One step of AdaGrad, in place.

    .. math::
        s \leftarrow s + g^2, \qquad
        \theta \leftarrow \theta - \frac{\gamma}{1 + (t-1)\eta} \cdot \frac{g}{\sqrt{s} + \varepsilon}

    Args:
        param: Parameters :math:`\theta`; overwritten.
        grad: Gradients :math:`g`.
        square_sum: Sum :math:`s` of all squared gradients; overwritten.
        step: Number :math:`t` of this step, from 1.
        lr: Learning rate :math:`\gamma`.
        lr_decay: Decay :math:`\eta` of the learning rate.
        weight_decay: L2 penalty.
        eps: Keeps the quotient finite where no gradient has come yet.

    Example:
        >>> w, g, s = (TensorList([torch.tensor(x)]) for x in ([1.0, 1.0], [100.0, -0.01], [0.0, 0.0]))
        >>> adagrad(w, g, s, 1, lr=0.5, lr_decay=0, weight_decay=0, eps=1e-10)
        >>> w
        TensorList([tensor([0.5000, 1.5000])])

    Source: Duchi et al. (2011), "Adaptive Subgradient Methods". Chapter: optimizers.
    """
    if is_on(weight_decay):
        grad = grad.add(param, alpha=weight_decay)
    square_sum.addcmul_(grad, grad)
    param.addcdiv_(grad, square_sum.sqrt().add_(eps), value=-lr / (1 + (step - 1) * lr_decay))


class Adagrad(RuleOptimizer):
    """AdaGrad: :func:`adagrad` as an optimizer, as :class:`torch.optim.Adagrad`.

    Args:
        params: Parameters, named parameters, or groups of them.
        lr: Learning rate.
        lr_decay: Decay of the learning rate.
        weight_decay: L2 penalty.
        initial_accumulator_value: Where the sum of squares starts.
        eps: Added to the root in the denominator.
        maximize: Climb instead of descend.
        differentiable: Let autograd see through the step (parameters must not be leaves).

    Raises:
        ValueError: If a hyperparameter is negative.
        RuntimeError: At ``step``, if a gradient is sparse.

    Example:
        >>> w = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = Adagrad([w], lr=0.1)
        >>> (30 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.9000])

    Source: Duchi et al. (2011), "Adaptive Subgradient Methods". Chapter: optimizers.
    """

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-2,
        lr_decay: Scalar = 0,
        weight_decay: Scalar = 0,
        initial_accumulator_value: Scalar = 0,
        eps: Scalar = 1e-10,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: dict[str, Any] = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
        }
        check_numbers(**defaults)
        super().__init__(params, {**defaults, "maximize": maximize, "differentiable": differentiable})
        # From the start, not at the first step as elsewhere: torch's own Adagrad looks for it in a loaded state.
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = self._new_state(p, group)

    def _new_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        start = group["initial_accumulator_value"]
        return {
            "step": new_step(),
            # Added rather than filled in, for a grid's start is a tensor.
            "sum": torch.zeros_like(param) + (complex(start, start) if param.is_complex() else start),
        }

    def _update(
        self, param: TensorList, grad: TensorList, state: dict[str, TensorList], step: float, hyper: dict[str, Any]
    ) -> None:
        names = ("lr", "lr_decay", "weight_decay", "eps")
        adagrad(param, grad, state["sum"], step, **{name: hyper[name] for name in names})


def rmsprop(
    param: TensorList,
    grad: TensorList,
    square_avg: TensorList,
    grad_avg: TensorList | None,
    momentum_buffer: TensorList | None,
    *,
    lr: Scalar,
    alpha: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    momentum: Scalar,
) -> None:
    r"""One step of RMSprop, in place.

    .. math::
        v \leftarrow \alpha v + (1-\alpha) g^2, \qquad
        \theta \leftarrow \theta - \gamma \frac{g}{\sqrt{v} + \varepsilon}

    Args:
        param: Parameters :math:`\theta`; overwritten.
        grad: Gradients :math:`g`.
        square_avg: Running mean :math:`v` of squared gradients; overwritten.
        grad_avg: Running mean of gradients, whose square is taken from :math:`v` to leave the variance;
            overwritten. None for the plain, uncentred form.
        momentum_buffer: Running sum of the quotients, overwritten; None without momentum.
        lr: Learning rate :math:`\gamma`.
        alpha: Averaging coefficient :math:`\alpha`.
        eps: Keeps the quotient finite.
        weight_decay: L2 penalty.
        momentum: Share of the running sum that is kept.

    Example:
        >>> w, g, v = (TensorList([torch.tensor(x)]) for x in ([1.0, 1.0], [100.0, -0.01], [0.0, 0.0]))
        >>> rmsprop(w, g, v, None, None, lr=0.05, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0)
        >>> w
        TensorList([tensor([0.5000, 1.5000])])

    Source: Tieleman and Hinton (2012), lecture 6.5; centred: Graves (2013). Chapter: optimizers.
    """
    if is_on(weight_decay):
        grad = grad.add(param, alpha=weight_decay)
    square_avg.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
    variance = square_avg
    if grad_avg is not None:
        grad_avg.lerp_(grad, 1 - alpha)
        variance = square_avg.clone().addcmul_(grad_avg, grad_avg, value=-1)
    scale = variance.sqrt().add_(eps)
    if momentum_buffer is None:
        param.addcdiv_(grad, scale, value=-lr)
    else:
        momentum_buffer.mul_(momentum).addcdiv_(grad, scale)
        param.add_(momentum_buffer, alpha=-lr)


class RMSprop(RuleOptimizer):
    """RMSprop: :func:`rmsprop` as an optimizer, as :class:`torch.optim.RMSprop`.

    Args:
        params: Parameters, named parameters, or groups of them.
        lr: Learning rate.
        alpha: Averaging coefficient.
        eps: Added to the root in the denominator.
        weight_decay: L2 penalty.
        momentum: Share of the running sum of quotients that is kept.
        centered: Divide by the gradient's standard deviation instead of its root mean square.
        maximize: Climb instead of descend.
        differentiable: Let autograd see through the step (parameters must not be leaves).

    Raises:
        ValueError: If a hyperparameter is negative.
        RuntimeError: At ``step``, if a gradient is sparse.

    Example:
        >>> w = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = RMSprop([w], lr=0.01)
        >>> (30 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.9000])

    Source: Tieleman and Hinton (2012), lecture 6.5; centred: Graves (2013). Chapter: optimizers.
    """

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-2,
        alpha: Scalar = 0.99,
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0,
        momentum: Scalar = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: dict[str, Any] = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
        }
        check_numbers(**defaults)
        switches = {"centered": centered, "maximize": maximize, "differentiable": differentiable}
        super().__init__(params, {**defaults, **switches})

    def _new_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        state = {"step": new_step(), "square_avg": torch.zeros_like(param)}
        if is_on(group["momentum"]):
            state["momentum_buffer"] = torch.zeros_like(param)
        if group["centered"]:
            state["grad_avg"] = torch.zeros_like(param)
        return state

    def _update(
        self, param: TensorList, grad: TensorList, state: dict[str, TensorList], step: float, hyper: dict[str, Any]
    ) -> None:
        grad_avg = state["grad_avg"] if hyper["centered"] else None
        buffer = state["momentum_buffer"] if is_on(hyper["momentum"]) else None
        names = ("lr", "alpha", "eps", "weight_decay", "momentum")
        rmsprop(param, grad, state["square_avg"], grad_avg, buffer, **{name: hyper[name] for name in names})


def adadelta(
    param: TensorList,
    grad: TensorList,
    square_avg: TensorList,
    acc_delta: TensorList,
    *,
    lr: Scalar,
    rho: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
) -> None:
    r"""One step of Adadelta, in place.

    .. math::
        v \leftarrow \rho v + (1-\rho) g^2, \qquad
        \Delta = \frac{\sqrt{u + \varepsilon}}{\sqrt{v + \varepsilon}}\, g, \qquad
        u \leftarrow \rho u + (1-\rho) \Delta^2, \qquad \theta \leftarrow \theta - \gamma \Delta

    Args:
        param: Parameters :math:`\theta`; overwritten.
        grad: Gradients :math:`g`.
        square_avg: Running mean :math:`v` of squared gradients; overwritten.
        acc_delta: Running mean :math:`u` of squared steps; overwritten.
        lr: Factor :math:`\gamma` on the step: the rule itself has the parameter's own unit.
        rho: Averaging coefficient :math:`\rho`.
        eps: Under both roots; it alone sets the very first step.
        weight_decay: L2 penalty.

    Example:
        >>> w, g, v, u = (TensorList([torch.tensor([x])]) for x in (1.0, 30.0, 0.0, 0.0))
        >>> adadelta(w, g, v, u, lr=100.0, rho=0.9, eps=1e-6, weight_decay=0)
        >>> w
        TensorList([tensor([0.6838])])

    Source: Zeiler (2012), "ADADELTA: An Adaptive Learning Rate Method". Chapter: optimizers.
    """
    if is_on(weight_decay):
        grad = grad.add(param, alpha=weight_decay)
    square_avg.mul_(rho).addcmul_(grad, grad, value=1 - rho)
    delta = (acc_delta + eps).sqrt_().div_((square_avg + eps).sqrt_()).mul_(grad)
    acc_delta.mul_(rho).addcmul_(delta, delta, value=1 - rho)
    param.add_(delta, alpha=-lr)


class Adadelta(RuleOptimizer):
    """Adadelta: :func:`adadelta` as an optimizer, as :class:`torch.optim.Adadelta`.

    Args:
        params: Parameters, named parameters, or groups of them.
        lr: Factor on the step.
        rho: Averaging coefficient, in [0, 1].
        eps: Under both roots.
        weight_decay: L2 penalty.
        maximize: Climb instead of descend.
        differentiable: Let autograd see through the step (parameters must not be leaves).

    Raises:
        ValueError: If a hyperparameter is negative or ``rho`` above 1.
        RuntimeError: At ``step``, if a gradient is sparse.

    Example:
        >>> w = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = Adadelta([w], lr=100.0)
        >>> (30 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.6838])

    Source: Zeiler (2012), "ADADELTA: An Adaptive Learning Rate Method". Chapter: optimizers.
    """

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1.0,
        rho: Scalar = 0.9,
        eps: Scalar = 1e-6,
        weight_decay: Scalar = 0,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: dict[str, Any] = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay}
        check_numbers(**defaults)
        check_numbers(high=1, rho=rho)
        super().__init__(params, {**defaults, "maximize": maximize, "differentiable": differentiable})

    def _new_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        return {"step": new_step(), "square_avg": torch.zeros_like(param), "acc_delta": torch.zeros_like(param)}

    def _update(
        self, param: TensorList, grad: TensorList, state: dict[str, TensorList], step: float, hyper: dict[str, Any]
    ) -> None:
        names = ("lr", "rho", "eps", "weight_decay")
        adadelta(param, grad, state["square_avg"], state["acc_delta"], **{name: hyper[name] for name in names})
