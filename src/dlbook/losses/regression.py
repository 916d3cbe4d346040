r"""Losses for numbers: how far the prediction lies from the target, and how much a far one should count.

A square makes a far point count most, an absolute value makes every point pull equally, and the losses in between
change from the one to the other at a threshold. Each is the negative log-likelihood of some noise: the square of
Gaussian noise, the absolute value of Laplace's; the last two losses here state their noise outright.
"""

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from dlbook._checks import check_range

from ._common import aligned, check_shape, check_values, reduce, weighted, widen

Array = Shaped[Tensor, "..."]


def mse_loss(
    input: Float[Tensor, "..."], target: Array, reduction: str = "mean", weight: Array | None = None
) -> Float[Tensor, "..."]:
    r"""Mean squared error.

    .. math:: \ell = (x - y)^2

    Args:
        input: Predictions.
        target: What they should have been.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        weight: How much each element counts, of the input's shape; ``"mean"`` then divides by the weights' sum.

    Returns:
        One loss for each element, or their mean or sum, in the target's units squared; best value 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit or ``reduction`` is unknown.

    Example:
        >>> mse_loss(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
        tensor(2.)

    Source: Legendre (1805); Goodfellow et al. (2016), section 5.1.4. Chapter: losses.
    """
    x, y, dtype = aligned(input, target)
    return weighted((x - y) ** 2, weight, reduction, dtype)


def l1_loss(
    input: Float[Tensor, "..."], target: Array, reduction: str = "mean", weight: Array | None = None
) -> Float[Tensor, "..."]:
    r"""Mean absolute error.

    .. math:: \ell = |x - y|

    Args:
        input: Predictions.
        target: What they should have been.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        weight: How much each element counts, of the input's shape; ``"mean"`` then divides by the weights' sum.

    Returns:
        One loss for each element, or their mean or sum, in the target's units; best value 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit or ``reduction`` is unknown.

    Example:
        >>> l1_loss(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
        tensor(1.)

    Source: Goodfellow et al. (2016), section 6.2.1.2. Chapter: losses.
    """
    x, y, dtype = aligned(input, target)
    return weighted((x - y).abs(), weight, reduction, dtype)


def huber_loss(
    input: Float[Tensor, "..."],
    target: Array,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Array | None = None,
) -> Float[Tensor, "..."]:
    r"""A parabola near 0, straight lines of slope :math:`\delta` beyond.

    .. math:: \ell = \begin{cases} \frac12 d^2 & d < \delta \\ \delta\,(d - \frac12\delta) & \text{else} \end{cases}
              \qquad d = |x - y|

    Args:
        input: Predictions.
        target: What they should have been.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        delta: Distance, above 0, at which the parabola ends.
        weight: Factor of each element's loss, of the input's shape. Here, as in torch, ``"mean"`` divides by the
            number of elements, not by the weights' sum.

    Returns:
        One loss for each element, or their mean or sum; best value 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit, ``delta`` is not above 0 or ``reduction`` is unknown.

    Example:
        >>> huber_loss(torch.tensor([0.5, 4.0]), torch.zeros(2), reduction="none")
        tensor([0.1250, 3.5000])

    Source: Huber (1964). Chapter: losses.
    """
    check_range("delta", delta, 0, open_low=True)
    x, y, dtype = aligned(input, target)
    distance = (x - y).abs()
    # One formula for both cases: a branch would turn an infinite distance into a gradient of 0 * inf.
    near = distance.clamp(max=delta)
    loss = near * (distance - near / 2)
    if weight is None:
        return reduce(loss, reduction, dtype)
    check_shape("weight", weight, "input", input)
    return reduce(loss * weight, reduction, torch.promote_types(dtype, weight.dtype))


def smooth_l1_loss(
    input: Float[Tensor, "..."], target: Array, reduction: str = "mean", beta: float = 1.0
) -> Float[Tensor, "..."]:
    r"""Absolute error with its tip rounded off: a parabola up to :math:`\beta`, slope 1 beyond.

    .. math:: \ell = \begin{cases} \frac12 d^2 / \beta & d < \beta \\ d - \frac12\beta & \text{else} \end{cases}
              \qquad d = |x - y|

    It is :func:`huber_loss` divided by its threshold; with a threshold of 0 it is :func:`l1_loss`.

    Args:
        input: Predictions.
        target: What they should have been.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        beta: Distance, 0 or more, at which the parabola ends.

    Returns:
        One loss for each element, or their mean or sum, in the target's units; best value 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit, ``beta`` is negative or ``reduction`` is unknown.

    Example:
        >>> smooth_l1_loss(torch.tensor([0.5, 4.0]), torch.zeros(2), reduction="none", beta=2.0)
        tensor([0.0625, 3.0000])

    Source: Girshick (2015), section 2.3. Chapter: losses.
    """
    check_range("beta", beta, 0)
    x, y, dtype = aligned(input, target)
    distance = (x - y).abs()
    if beta == 0:
        return reduce(distance, reduction, dtype)
    near = distance.clamp(max=beta)
    return reduce(near / beta * (distance - near / 2), reduction, dtype)


def balanced_l1_loss(
    input: Float[Tensor, "..."],
    target: Array,
    reduction: str = "mean",
    alpha: float = 0.5,
    gamma: float = 1.5,
    beta: float = 1.0,
) -> Float[Tensor, "..."]:
    r"""Smooth L1 for box regression that gives easy boxes more say and hard ones no more than before.

    The slope is :math:`\alpha\ln(b\,d/\beta + 1)` up to :math:`\beta` and :math:`\gamma` beyond, where
    :math:`b = e^{\gamma/\alpha} - 1` makes the two meet. With :math:`u = d/\beta`:

    .. math:: \ell = \beta \begin{cases} \frac{\alpha}{b}(b u + 1)\ln(b u + 1) - \alpha u & u < 1 \\
              \gamma u + \gamma/b - \alpha & \text{else} \end{cases} \qquad d = |x - y|

    Args:
        input: Predictions.
        target: What they should have been.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        alpha: Slope of the easy part, above 0: the smaller, the steeper it starts.
        gamma: Slope of the hard part, above 0.
        beta: Distance, above 0, at which the hard part begins; 1 in the paper.

    Returns:
        One loss for each element, or their mean or sum; best value 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit, ``alpha``, ``gamma`` or ``beta`` is not above 0, or ``reduction`` is unknown.

    Example:
        >>> balanced_l1_loss(torch.tensor([0.5, 4.0]), torch.zeros(2), reduction="none")
        tensor([0.4006, 5.5786])

    Source: Pang et al. (2019), "Libra R-CNN", section 3.3. Chapter: losses.
    """
    for name, value in (("alpha", alpha), ("gamma", gamma), ("beta", beta)):
        check_range(name, value, 0, open_low=True)
    x, y, dtype = aligned(input, target)
    b = math.expm1(gamma / alpha)
    u = (x - y).abs() / beta
    near = u.clamp(max=1)
    easy = alpha / b * (b * near + 1) * torch.log1p(b * near) - alpha * near
    return reduce(beta * (easy + gamma * (u - near)), reduction, dtype)


def quadratic_cost(input: Float[Tensor, "..."], target: Array, reduction: str = "mean") -> Float[Tensor, "..."]:
    r"""Half the squared distance between an example's outputs and its targets.

    .. math:: C = \frac12 \lVert a - y \rVert^2

    The half cancels the 2 of the derivative, which is then :math:`a - y`.

    Args:
        input: Outputs, their axis last.
        target: What they should have been.
        reduction: ``"none"``, ``"mean"`` or ``"sum"`` over the examples.

    Returns:
        One cost for each example, or their mean or sum; best value 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit, there is no axis, or ``reduction`` is unknown.

    Example:
        >>> quadratic_cost(torch.tensor([[0.0, 2.0], [1.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        tensor(1.)

    Source: Nielsen (2015), chapter 1. Chapter: losses.
    """
    x, y, dtype = aligned(input, target)
    if x.ndim == 0:
        raise ValueError("input: expected shape (..., outputs); got ()")
    return reduce(((x - y) ** 2).sum(-1) / 2, reduction, dtype)


def poisson_nll_loss(
    input: Float[Tensor, "..."],
    target: Array,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Negative log-likelihood of counts under a Poisson distribution.

    .. math:: \ell = \lambda - y \log\lambda + \log(y!)

    Args:
        input: :math:`\log\lambda`, or :math:`\lambda` itself where ``log_input`` is false.
        target: Counts.
        log_input: Whether ``input`` is the logarithm of the rate.
        full: Whether to add the last term, which no prediction changes, by Stirling's formula, for counts above 1.
        eps: Added to the rate before its logarithm is taken, where ``log_input`` is false.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each element, or their mean or sum, in nats.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit or ``reduction`` is unknown.

    Example:
        >>> poisson_nll_loss(torch.tensor([2.0]), torch.tensor([2.0]), log_input=False)
        tensor(0.6137)

    Source: torch.nn.functional.poisson_nll_loss. Chapter: losses.
    """
    x, y, dtype = aligned(input, target)
    loss = x.exp() - y * x if log_input else x - y * torch.log(x + eps)
    if full:
        # Counts of 0 and 1, whose log-factorial is 0, are replaced before the logarithm: its gradient at 0 is infinite.
        count = torch.where(y > 1, y, 1)
        stirling = count * count.log() - count + 0.5 * torch.log(2 * math.pi * count)
        loss = loss + torch.where(y > 1, stirling, 0.0)
    return reduce(loss, reduction, dtype)


def gaussian_nll_loss(
    input: Float[Tensor, "..."],
    target: Array,
    var: Array | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Negative log-likelihood under a Gaussian whose mean *and* variance are predicted.

    .. math:: \ell = \frac12\Big(\log\sigma^2 + \frac{(\mu - y)^2}{\sigma^2}\Big) + \frac12\log 2\pi

    Args:
        input: Means :math:`\mu`.
        target: What was observed.
        var: Variances :math:`\sigma^2`, 0 or more: a number, or one for each element, or a single one along one axis,
            or (with the last axis left out) one for each row.
        full: Whether to add the last term, which no prediction changes.
        eps: Least variance, above 0; the gradient ignores this bound.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each element, or their mean or sum, in nats.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit, a variance is negative, ``eps`` is not above 0 or ``reduction`` is unknown.

    Example:
        >>> gaussian_nll_loss(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([4.0]))
        tensor(1.1931)

    Source: Nix and Weigend (1994). Chapter: losses.
    """
    check_range("eps", eps, 0, open_low=True)
    x, y, dtype = aligned(input, target)
    spread = _variance(var, input)
    dtype, spread = torch.promote_types(dtype, spread.dtype), widen(spread)
    # The bound is added as a constant, so that a variance below it still gets a gradient that can raise it.
    spread = spread + (spread.clamp(min=eps) - spread).detach()
    loss = 0.5 * (spread.log() + (x - y) ** 2 / spread)
    return reduce(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction, dtype)


def _variance(var: Tensor | float, input: Tensor) -> Tensor:
    """The variance as a tensor that broadcasts to ``input`` as it was meant to."""
    if not isinstance(var, Tensor):
        check_range("var", var, 0)
        return torch.full_like(input, var)
    check_values("var", var < 0, "variances of 0 or more")
    if var.shape == input.shape:
        return var
    if var.shape == input.shape[:-1]:
        return var.unsqueeze(-1)
    different = [mine for mine, other in zip(var.shape, input.shape, strict=False) if mine != other]
    if var.ndim != input.ndim or different != [1]:
        raise ValueError(
            f"var: expected shape {tuple(input.shape)}, the same with one axis of size 1, or without the last axis; "
            f"got {tuple(var.shape)}"
        )
    return var
