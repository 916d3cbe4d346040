"""Margin losses: once the right answer leads by a margin, there is nothing more to gain.

Where cross-entropy goes on improving what is right already, these losses are exactly 0 there: only the examples near
the border, the support vectors, shape the model.
"""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from dlbook._checks import check_floating, check_ndim, check_option, check_tensor

from ._common import aligned, check_classes, check_shape, check_values, reduce, widen

Array = Shaped[Tensor, "..."]


def hinge_loss(input: Float[Tensor, "..."], target: Array, reduction: str = "mean") -> Float[Tensor, "..."]:
    r"""The support vector machine's loss.

    .. math:: \ell = \max(0,\, 1 - yx)

    Args:
        input: Scores.
        target: -1 or 1 for each score.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each element, or their mean or sum; best value 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit or ``reduction`` is unknown.

    Example:
        >>> hinge_loss(torch.tensor([2.0, 0.5, -1.0]), torch.ones(3), reduction="none")
        tensor([0.0000, 0.5000, 2.0000])

    Source: Cortes and Vapnik (1995). Chapter: losses.
    """
    x, y, dtype = aligned(input, target)
    return reduce((1 - y * x).clamp(min=0), reduction, dtype)


def hinge_embedding_loss(
    input: Float[Tensor, "..."], target: Array, margin: float = 1.0, reduction: str = "mean"
) -> Float[Tensor, "..."]:
    r"""Pulls the distances of similar pairs to 0 and pushes those of dissimilar pairs beyond a margin.

    .. math:: \ell = \begin{cases} x & y = 1 \\ \max(0,\, m - x) & y = -1 \end{cases}

    Args:
        input: Distances.
        target: 1 for a similar pair, -1 for a dissimilar one.
        margin: Distance :math:`m` that dissimilar pairs should keep.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each element, or their mean or sum; best value 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit or ``reduction`` is unknown.

    Example:
        >>> hinge_embedding_loss(torch.tensor([0.3, 0.3]), torch.tensor([1, -1]), reduction="none")
        tensor([0.3000, 0.7000])

    Source: torch.nn.functional.hinge_embedding_loss. Chapter: losses.
    """
    x, y, _ = aligned(input, target)
    # Two conditions, not one: as in torch, any other target counts both terms.
    loss = torch.where(y != -1, x, 0.0) + torch.where(y != 1, (margin - x).clamp(min=0), 0.0)
    return reduce(loss, reduction, input.dtype)


def margin_ranking_loss(
    input1: Float[Tensor, "..."], input2: Array, target: Array, margin: float = 0, reduction: str = "mean"
) -> Float[Tensor, "..."]:
    r"""Wants the first score above the second by a margin, or below it.

    .. math:: \ell = \max\big(0,\, -y\,(x_1 - x_2) + m\big)

    Args:
        input1: First scores.
        input2: Second scores.
        target: 1 where the first should be larger, -1 where the second should.
        margin: Lead :math:`m` that is enough.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each pair, or their mean or sum; best value 0.

    Raises:
        TypeError: If ``input1`` is not a floating-point tensor.
        ValueError: If shapes do not fit or ``reduction`` is unknown.

    Example:
        >>> margin_ranking_loss(torch.tensor([1.0, 1.0]), torch.tensor([3.0, 3.0]), torch.tensor([1, -1]))
        tensor(1.)

    Source: torch.nn.functional.margin_ranking_loss. Chapter: losses.
    """
    x1, x2, dtype = aligned(input1, input2)
    check_tensor("target", target)
    difference, y, _ = aligned(x1 - x2, target)
    return reduce((margin - y * difference).clamp(min=0), reduction, torch.promote_types(dtype, input1.dtype))


def multi_margin_loss(
    input: Float[Tensor, "..."],
    target: Int[Tensor, "..."],
    p: int = 1,
    margin: float = 1.0,
    weight: Array | None = None,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Hinge loss for several classes: the true class should lead every other by a margin.

    .. math:: \ell = \frac1C\sum_{c \ne y} w_y \max(0,\, m - x_y + x_c)^p

    Args:
        input: Scores, ``(batch, classes)`` or ``(classes,)``.
        target: Class indices, ``(batch,)`` or one.
        p: Power, 1 or 2.
        margin: Lead :math:`m` that is enough.
        weight: How much each class counts.
        reduction: ``"none"``, ``"mean"`` or ``"sum"`` over the batch.

    Returns:
        One loss for each row, or their mean or sum; best value 0.

    Raises:
        TypeError: If ``input`` is not floating point or ``target`` not of an integer dtype.
        ValueError: If shapes do not fit, an index is out of range, or ``p`` or ``reduction`` is unknown.

    Example:
        >>> multi_margin_loss(torch.tensor([[2.0, 0.0, 1.5]]), torch.tensor([0]))
        tensor(0.1667)

    Source: Crammer and Singer (2001). Chapter: losses.
    """
    check_option("p", p, (1, 2))
    check_floating("input", input)
    check_ndim("input", input, (1, 2), "(batch, classes) or (classes,)")
    check_tensor("target", target)
    if target.shape != input.shape[:-1] and not (input.ndim == 1 and target.shape == (1,)):
        raise ValueError(f"target: expected shape {tuple(input.shape[:-1])}; got {tuple(target.shape)}")
    classes = input.shape[-1]
    check_classes("target", target, classes)
    x, y = widen(input), target.long().reshape(*input.shape[:-1], 1)
    slack = margin - x.gather(-1, y) + x
    # where, not clamp: at a slack of exactly 0 torch's slope is 0.
    loss = torch.where((slack > 0) & (torch.arange(classes, device=x.device) != y), slack, 0.0) ** p
    if weight is not None:
        check_shape("weight", weight, "one number a class", input.new_empty(classes))
        loss = loss * weight[y]
    return reduce(loss.sum(-1) / classes, reduction, input.dtype)


def multilabel_margin_loss(
    input: Float[Tensor, "..."], target: Int[Tensor, "..."], reduction: str = "mean"
) -> Float[Tensor, "..."]:
    r"""Every label that applies should lead every label that does not by 1.

    .. math:: \ell = \frac1C\sum_{j \in Y}\sum_{i \notin Y} \max(0,\, 1 - x_j + x_i)

    Args:
        input: Scores, ``(batch, classes)`` or ``(classes,)``.
        target: Of the same shape: the labels that apply, then -1, then anything.
        reduction: ``"none"``, ``"mean"`` or ``"sum"`` over the batch.

    Returns:
        One loss for each row, or their mean or sum; best value 0.

    Raises:
        TypeError: If ``input`` is not floating point or ``target`` not of an integer dtype.
        ValueError: If shapes do not fit, a label is out of range or ``reduction`` is unknown.

    Example:
        >>> multilabel_margin_loss(torch.tensor([[0.1, 0.2, 0.4, 0.8]]), torch.tensor([[3, 0, -1, 1]]))
        tensor(0.8500)

    Source: torch.nn.functional.multilabel_margin_loss. Chapter: losses.
    """
    check_floating("input", input)
    check_ndim("input", input, (1, 2), "(batch, classes) or (classes,)")
    check_shape("target", target, "input", input)
    classes = input.shape[-1]
    check_values("target", (target < -1) | (target >= classes), f"labels in [0, {classes}), or -1")
    x = widen(input)
    listed = (target == -1).cumsum(-1) == 0
    label = torch.where(listed, target, 0)
    check_classes("target", label, classes)
    label = label.long()
    # The count, not the flag: unlisted entries point to label 0 and must not erase it.
    applies = torch.zeros_like(label).scatter_add(-1, label, listed.long()) > 0
    slack = 1 - x.gather(-1, label).unsqueeze(-1) + x.unsqueeze(-2)
    loss = torch.where((slack > 0) & listed.unsqueeze(-1) & ~applies.unsqueeze(-2), slack, 0.0)
    return reduce(loss.sum((-2, -1)) / classes, reduction, input.dtype)
