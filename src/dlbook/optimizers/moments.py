r"""Momentum and a learning rate for each coordinate together: Adam, AdamW, NAdam.

Adam keeps two running means, of the gradient and of its square, and steps along their quotient. Both start at zero
and are too small at first by the known factor :math:`1 - \beta^t`; dividing by it makes the first step as long as the
learning rate in every coordinate.
"""

from typing import Any

import torch
from torch import Tensor

from dlbook.optimizers._base import (
    RuleOptimizer,
    Scalar,
    TensorList,
    as_number,
    check_betas,
    check_numbers,
    is_on,
    new_step,
)


def adam(
    param: TensorList,
    grad: TensorList,
    exp_avg: TensorList,
    exp_avg_sq: TensorList,
    max_exp_avg_sq: TensorList | None,
    step: float,
    *,
    lr: Scalar,
    betas: tuple[Scalar, Scalar],
    eps: Scalar,
    weight_decay: Scalar,
    decoupled_weight_decay: bool,
) -> None:
    r"""One step of Adam or AdamW, in place.

    .. math::
        m \leftarrow \beta_1 m + (1-\beta_1) g, \qquad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \qquad
        \theta \leftarrow \theta - \gamma \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} + \varepsilon}

    Args:
        param: Parameters :math:`\theta`; overwritten.
        grad: Gradients :math:`g`.
        exp_avg: Running mean :math:`m` of gradients; overwritten.
        exp_avg_sq: Running mean :math:`v` of squared gradients; overwritten.
        max_exp_avg_sq: Largest :math:`v` so far, used in its place (AMSGrad), overwritten; None for plain Adam.
        step: Number :math:`t` of this step, from 1.
        lr: Learning rate :math:`\gamma`.
        betas: Averaging coefficients :math:`\beta_1, \beta_2`.
        eps: Keeps the quotient finite.
        weight_decay: Strength of the weight decay.
        decoupled_weight_decay: Shrink the parameters directly (AdamW) instead of adding an L2 penalty's gradient,
            which the quotient would rescale.

    Example:
        >>> w, g, m, v = (TensorList([torch.tensor(x)]) for x in ([1.0, 1.0], [100.0, -0.01], [0.0, 0.0], [0.0, 0.0]))
        >>> adam(w, g, m, v, None, 1, lr=0.5, betas=(0.9, 0.999), eps=1e-8, weight_decay=0,
        ...      decoupled_weight_decay=False)
        >>> w
        TensorList([tensor([0.5000, 1.5000])])

    Source: Kingma and Ba (2015), "Adam"; Loshchilov and Hutter (2019), "Decoupled Weight Decay Regularization";
    Reddi et al. (2018), "On the Convergence of Adam and Beyond". Chapter: optimizers.
    """
    beta1, beta2 = betas
    if is_on(weight_decay) and decoupled_weight_decay:
        param.mul_(1 - lr * weight_decay)
    elif is_on(weight_decay):
        grad = grad.add(param, alpha=weight_decay)
    exp_avg.lerp_(grad, 1 - beta1)
    exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    if max_exp_avg_sq is not None:
        exp_avg_sq = max_exp_avg_sq.maximum_(exp_avg_sq)
    # The correction divides the root and not the mean, which could overflow.
    scale = exp_avg_sq.sqrt().div_((1 - beta2**step) ** 0.5).add_(eps)
    param.addcdiv_(exp_avg, scale, value=-lr / (1 - beta1**step))


class Adam(RuleOptimizer):
    """Adam: :func:`adam` as an optimizer, as :class:`torch.optim.Adam`.

    Args:
        params: Parameters, named parameters, or groups of them.
        lr: Learning rate.
        betas: Averaging coefficients of the gradient and its square, in [0, 1).
        eps: Added to the root in the denominator.
        weight_decay: L2 penalty, or decoupled weight decay.
        amsgrad: Divide by the largest mean square so far.
        maximize: Climb instead of descend.
        differentiable: Let autograd see through the step (parameters must not be leaves).
        decoupled_weight_decay: Shrink the parameters directly, as :class:`AdamW` does.

    Raises:
        ValueError: If a hyperparameter is negative or a beta is not in [0, 1).
        RuntimeError: At ``step``, if a gradient is sparse.

    Example:
        >>> w = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = Adam([w], lr=0.1)
        >>> (30 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.9000])

    Source: Kingma and Ba (2015), "Adam: A Method for Stochastic Optimization". Chapter: optimizers.
    """

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-3,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_numbers(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "differentiable": differentiable,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _new_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        names = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * group["amsgrad"]
        return {"step": new_step(), **{name: torch.zeros_like(param) for name in names}}

    def _update(
        self, param: TensorList, grad: TensorList, state: dict[str, TensorList], step: float, hyper: dict[str, Any]
    ) -> None:
        largest = state["max_exp_avg_sq"] if hyper["amsgrad"] else None
        names = ("lr", "betas", "eps", "weight_decay", "decoupled_weight_decay")
        hyper = {name: hyper[name] for name in names}
        adam(param, grad, state["exp_avg"], state["exp_avg_sq"], largest, step, **hyper)


class AdamW(Adam):
    """Adam with decoupled weight decay: :func:`adam` as an optimizer, as :class:`torch.optim.AdamW`.

    Args:
        params: Parameters, named parameters, or groups of them.
        lr: Learning rate.
        betas: Averaging coefficients of the gradient and its square, in [0, 1).
        eps: Added to the root in the denominator.
        weight_decay: Share of each parameter, times ``lr``, that is taken away at each step.
        amsgrad: Divide by the largest mean square so far.
        maximize: Climb instead of descend.
        differentiable: Let autograd see through the step (parameters must not be leaves).

    Raises:
        ValueError: If a hyperparameter is negative or a beta is not in [0, 1).
        RuntimeError: At ``step``, if a gradient is sparse.

    Example:
        >>> w = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = AdamW([w], lr=0.1, weight_decay=0.5)
        >>> (0 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.9500])

    Source: Loshchilov and Hutter (2019), "Decoupled Weight Decay Regularization". Chapter: optimizers.
    """

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-3,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        switches = {"maximize": maximize, "differentiable": differentiable, "decoupled_weight_decay": True}
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **switches)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Stay AdamW whatever state is loaded, Adam's included, as torch's does."""
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


def nadam(
    param: TensorList,
    grad: TensorList,
    exp_avg: TensorList,
    exp_avg_sq: TensorList,
    mu_product: Scalar,
    step: float,
    *,
    lr: Scalar,
    betas: tuple[Scalar, Scalar],
    eps: Scalar,
    weight_decay: Scalar,
    momentum_decay: Scalar,
    decoupled_weight_decay: bool,
) -> None:
    r"""One step of NAdam, in place: Adam with Nesterov's look-ahead.

    .. math::
        \theta \leftarrow \theta - \frac{\gamma}{\sqrt{v / (1-\beta_2^t)} + \varepsilon}
        \left(\frac{1-\mu_t}{1-\prod_{i \le t}\mu_i}\, g + \frac{\mu_{t+1}}{1-\prod_{i \le t+1}\mu_i}\, m\right)

    with :math:`m` and :math:`v` as in :func:`adam` and :math:`\mu_t` as in :func:`nadam_momentum`.

    Args:
        param: Parameters :math:`\theta`; overwritten.
        grad: Gradients :math:`g`.
        exp_avg: Running mean :math:`m` of gradients; overwritten.
        exp_avg_sq: Running mean :math:`v` of squared gradients; overwritten.
        mu_product: Product of the momenta of all steps up to and including this one.
        step: Number :math:`t` of this step, from 1.
        lr: Learning rate :math:`\gamma`.
        betas: Averaging coefficients :math:`\beta_1, \beta_2`.
        eps: Keeps the quotient finite.
        weight_decay: Strength of the weight decay.
        momentum_decay: How fast the momentum rises to :math:`\beta_1`.
        decoupled_weight_decay: Shrink the parameters directly instead of adding an L2 penalty's gradient.

    Example:
        >>> w, g, m, v = (TensorList([torch.tensor([x])]) for x in (1.0, 30.0, 0.0, 0.0))
        >>> mu = nadam_momentum(0.9, 0.004, 1)
        >>> nadam(w, g, m, v, mu, 1, lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=0.004,
        ...       decoupled_weight_decay=False)
        >>> w
        TensorList([tensor([0.8944])])

    Source: Dozat (2016), "Incorporating Nesterov Momentum into Adam". Chapter: optimizers.
    """
    beta1, beta2 = betas
    if is_on(weight_decay) and decoupled_weight_decay:
        param.mul_(1 - lr * weight_decay)
    elif is_on(weight_decay):
        grad = grad.add(param, alpha=weight_decay)
    exp_avg.lerp_(grad, 1 - beta1)
    exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    scale = exp_avg_sq.sqrt().div_((1 - beta2**step) ** 0.5).add_(eps)
    mu, mu_next = (nadam_momentum(beta1, momentum_decay, t) for t in (step, step + 1))
    param.addcdiv_(grad, scale, value=-lr * (1 - mu) / (1 - mu_product))
    param.addcdiv_(exp_avg, scale, value=-lr * mu_next / (1 - mu_product * mu_next))


def nadam_momentum(beta1: Scalar, momentum_decay: Scalar, step: float) -> Scalar:
    r"""NAdam's momentum at a step.

    .. math:: \mu_t = \beta_1 \left(1 - \tfrac12\, 0.96^{t\psi}\right)

    Args:
        beta1: Momentum :math:`\beta_1` that is approached from half of it.
        momentum_decay: How fast, :math:`\psi`.
        step: Number :math:`t` of the step, from 1.

    Returns:
        The momentum, between half of ``beta1`` and ``beta1``.

    Example:
        >>> nadam_momentum(0.9, 0.0, 1)
        0.45

    Source: Dozat (2016), "Incorporating Nesterov Momentum into Adam". Chapter: optimizers.
    """
    return beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))


class NAdam(RuleOptimizer):
    """Adam with Nesterov momentum: :func:`nadam` as an optimizer, as :class:`torch.optim.NAdam`.

    Args:
        params: Parameters, named parameters, or groups of them.
        lr: Learning rate.
        betas: Averaging coefficients of the gradient and its square, in [0, 1).
        eps: Added to the root in the denominator.
        weight_decay: L2 penalty, or decoupled weight decay.
        momentum_decay: How fast the momentum rises to ``betas[0]``.
        decoupled_weight_decay: Shrink the parameters directly instead of adding an L2 penalty's gradient.
        maximize: Climb instead of descend.
        differentiable: Let autograd see through the step (parameters must not be leaves).

    Raises:
        ValueError: If a hyperparameter is negative or a beta is not in [0, 1).
        RuntimeError: At ``step``, if a gradient is sparse.

    Example:
        >>> w = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = NAdam([w], lr=0.1)
        >>> (30 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.8944])

    Source: Dozat (2016), "Incorporating Nesterov Momentum into Adam". Chapter: optimizers.
    """

    def __init__(
        self,
        params: Any,
        lr: Scalar = 2e-3,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0,
        momentum_decay: Scalar = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_numbers(lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        check_betas(betas)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        averages = {name: torch.zeros_like(param) for name in ("exp_avg", "exp_avg_sq")}
        return {"step": new_step(), "mu_product": torch.ones_like(new_step()), **averages}

    def _phase(self, state: dict[str, Any]) -> Any:
        product = state["mu_product"]
        # Parameters that had other betas in the past have another product; a grid's product is one for all.
        return state["step"].item(), product.item() if product.numel() == 1 else None

    def _update(
        self, param: TensorList, grad: TensorList, state: dict[str, TensorList], step: float, hyper: dict[str, Any]
    ) -> None:
        mu = nadam_momentum(hyper["betas"][0], hyper["momentum_decay"], step)
        # New tensors and not in place: in a grid of momenta the product becomes a grid too.
        state["mu_product"] = state["mu_product"] * mu
        product = as_number(state["mu_product"].tensors[0])
        names = ("lr", "betas", "eps", "weight_decay", "momentum_decay", "decoupled_weight_decay")
        hyper = {name: hyper[name] for name in names}
        nadam(param, grad, state["exp_avg"], state["exp_avg_sq"], product, step, **hyper)
