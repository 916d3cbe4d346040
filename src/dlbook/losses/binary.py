"""Losses for yes and no: cross-entropy with two classes, for one question or for many at once."""

from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from dlbook._checks import check_floating, check_range

from ._common import aligned, check_shape, check_values, reduce, softplus

Array = Shaped[Tensor, "..."]


def binary_cross_entropy(
    input: Float[Tensor, "..."], target: Array, weight: Array | None = None, reduction: str = "mean"
) -> Float[Tensor, "..."]:
    r"""Cross-entropy between probabilities and targets that are 0, 1 or between.

    .. math:: \ell = -w\,\big(y\log p + (1 - y)\log(1 - p)\big)

    A logarithm below -100 counts as -100, so that a wrong certainty costs 100 and not infinity. With logits at hand,
    use :func:`binary_cross_entropy_with_logits`, which need not cut anything off.

    Args:
        input: Probabilities in ``[0, 1]``.
        target: Targets of the same shape.
        weight: Factor of each loss; broadcasts to the input's shape.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each element, or their mean or sum, in nats; best value 0 for targets of 0 and 1.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit, a probability is out of range or ``reduction`` is unknown.

    Example:
        >>> binary_cross_entropy(torch.tensor([0.5, 0.8]), torch.tensor([0.0, 1.0]), reduction="none")
        tensor([0.6931, 0.2231])

    Source: Goodfellow et al. (2016), section 6.2.2.2. Chapter: losses.
    """
    check_floating("input", input)
    check_shape("target", target, "input", input)
    check_values("input", ~((input >= 0) & (input <= 1)), "probabilities in [0, 1]")
    p, y, dtype = aligned(input, target)
    loss = _BinaryCrossEntropy.apply(p, y)
    return reduce(loss if weight is None else loss * weight, reduction, dtype)  # type: ignore[operator]


class _BinaryCrossEntropy(torch.autograd.Function):
    """The loss with its derivative stated: autograd's, at a probability of 0 or 1, would be 0 times infinity."""

    generate_vmap_rule = True

    @staticmethod
    def forward(p: Tensor, y: Tensor) -> Tensor:
        return -(y * p.log().clamp(min=-100) + (1 - y) * torch.log1p(-p).clamp(min=-100))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        p, y = ctx.saved_tensors
        slope = (p - y) / (p * (1 - p)).clamp(min=1e-12)
        return grad * slope, grad * (torch.log1p(-p).clamp(min=-100) - p.log().clamp(min=-100))


def binary_cross_entropy_with_logits(
    input: Float[Tensor, "..."],
    target: Array,
    weight: Array | None = None,
    reduction: str = "mean",
    pos_weight: Array | None = None,
) -> Float[Tensor, "..."]:
    r"""Cross-entropy between logits, which a sigmoid would turn into probabilities, and targets.

    .. math:: \ell = -w\,\big(q\,y\log\sigma(x) + (1 - y)\log(1 - \sigma(x))\big), \qquad
              \frac{\partial\ell}{\partial x} = \sigma(x) - y \text{ for } w = q = 1

    Args:
        input: Logits.
        target: Targets in ``[0, 1]``, of the same shape.
        weight: Factor :math:`w` of each loss; broadcasts to the input's shape.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        pos_weight: Factor :math:`q` of the positive term, above 1 for more recall; broadcasts to the input's shape.

    Returns:
        One loss for each element, or their mean or sum, in nats; best value 0 for targets of 0 and 1.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit or ``reduction`` is unknown.

    Example:
        >>> binary_cross_entropy_with_logits(torch.tensor([0.0, 1000.0]), torch.tensor([1.0, 1.0]), reduction="none")
        tensor([0.6931, 0.0000])

    Source: Goodfellow et al. (2016), section 6.2.2.2. Chapter: losses.
    """
    check_floating("input", input)
    check_shape("target", target, "input", input)
    x, y, dtype = aligned(input, target)
    positive = y if pos_weight is None else y * pos_weight
    loss = (1 - y) * x + (positive + 1 - y) * softplus(-x)
    return reduce(loss if weight is None else loss * weight, reduction, dtype)


def focal_loss(
    input: Float[Tensor, "..."],
    target: Array,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Binary cross-entropy that hardly counts what is already right, for many easy negatives and few positives.

    .. math:: \ell = -\alpha_t\,(1 - p_t)^\gamma \log p_t

    Here :math:`p_t` is the probability given to the truth: :math:`\sigma(x)` or :math:`1 - \sigma(x)`.

    Args:
        input: Logits.
        target: 0 or 1 for each logit.
        alpha: Weight of the positives, in ``[0, 1]``; the negatives get the rest. ``None`` weighs nothing.
        gamma: How fast a loss fades as its example gets right, 0 or more; 0 gives cross-entropy.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each element, or their mean or sum; best value 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit, a number is out of range or ``reduction`` is unknown.

    Example:
        >>> focal_loss(torch.tensor([0.0, 4.0]), torch.tensor([1.0, 1.0]), alpha=None, reduction="none")
        tensor([1.7329e-01, 5.8716e-06])

    Source: Lin et al. (2017), "Focal loss for dense object detection". Chapter: losses.
    """
    check_range("gamma", gamma, 0)
    check_floating("input", input)
    check_shape("target", target, "input", input)
    x, y, dtype = aligned(input, target)
    loss = (1 - y) * x + softplus(-x)
    # Each side from its own exponential: 1 - p would lose the digits of a p near 1. The bound keeps the power's slope
    # finite for a gamma below 1.
    wrong = y * torch.exp(-softplus(x)) + (1 - y) * torch.exp(-softplus(-x))
    loss = loss * wrong.clamp(min=torch.finfo(wrong.dtype).tiny) ** gamma
    if alpha is not None:
        check_range("alpha", alpha, 0, 1)
        loss = loss * (alpha * y + (1 - alpha) * (1 - y))
    return reduce(loss, reduction, dtype)


def soft_margin_loss(input: Float[Tensor, "..."], target: Array, reduction: str = "mean") -> Float[Tensor, "..."]:
    r"""Binary cross-entropy for targets of -1 and 1, also called logistic loss.

    .. math:: \ell = \log(1 + e^{-yx})

    Args:
        input: Scores.
        target: -1 or 1 for each score.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each element, or their mean or sum, in nats; best value 0. Finite for every finite score, where
        torch's overflows at scores that are very wrong.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit or ``reduction`` is unknown.

    Example:
        >>> soft_margin_loss(torch.tensor([0.0, -1000.0]), torch.tensor([1.0, 1.0]), reduction="none")
        tensor([6.9315e-01, 1.0000e+03])

    Source: torch.nn.functional.soft_margin_loss. Chapter: losses.
    """
    x, y, dtype = aligned(input, target)
    return reduce(softplus(-y * x), reduction, dtype)


def multilabel_soft_margin_loss(
    input: Float[Tensor, "..."], target: Array, weight: Array | None = None, reduction: str = "mean"
) -> Float[Tensor, "..."]:
    r"""Mean binary cross-entropy over the labels of an example, each of which may apply or not.

    .. math:: \ell = -\frac1C\sum_c w_c\,\big(y_c\log\sigma(x_c) + (1 - y_c)\log\sigma(-x_c)\big)

    Args:
        input: Logits, the labels last.
        target: 0 or 1 for each logit.
        weight: Factor of each label's term; broadcasts to the input's shape.
        reduction: ``"none"``, ``"mean"`` or ``"sum"`` over the examples.

    Returns:
        One loss for each example, or their mean or sum, in nats; best value 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit, there is no axis of labels or ``reduction`` is unknown.

    Example:
        >>> multilabel_soft_margin_loss(torch.tensor([[0.0, 100.0]]), torch.tensor([[1.0, 1.0]]))
        tensor(0.3466)

    Source: torch.nn.functional.multilabel_soft_margin_loss. Chapter: losses.
    """
    x, y, dtype = aligned(input, target)
    if x.ndim == 0:
        raise ValueError("input: expected shape (..., labels); got ()")
    loss = y * softplus(-x) + (1 - y) * softplus(x)
    return reduce((loss if weight is None else loss * weight).mean(-1), reduction, dtype)
