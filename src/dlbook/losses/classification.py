r"""Losses for classes: minus the logarithm of the probability that the model gave to what is true.

Minimising it is maximum likelihood. With logits from a linear layer and a softmax, its gradient is the plain difference
:math:`p - y` between predicted and true probabilities: however wrong the model starts, it is told so in full.
"""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from dlbook._checks import check_floating, check_option, check_range, check_tensor

from ._common import REDUCTIONS, aligned, check_classes, check_shape, reduce, result_dtype, widen

Array = Shaped[Tensor, "..."]


def one_hot(tensor: Int[Tensor, "*shape"], num_classes: int = -1) -> Int[Tensor, "*shape classes"]:
    """A row for each class index: 1 at the index, 0 elsewhere.

    Args:
        tensor: Class indices.
        num_classes: Length of a row; one more than the largest index when -1.

    Returns:
        int64 zeros and ones, the classes as a last axis.

    Raises:
        TypeError: If ``tensor`` does not hold integers.
        ValueError: If an index is negative or not below ``num_classes``, or there is none to count the classes by.

    Example:
        >>> one_hot(torch.tensor([2, 0]), num_classes=3)
        tensor([[0, 0, 1],
                [1, 0, 0]])

    Source: torch.nn.functional.one_hot. Chapter: losses.
    """
    check_tensor("tensor", tensor)
    if num_classes == -1:
        if tensor.numel() == 0:
            raise ValueError("num_classes: expected the number of classes, as tensor is empty; got -1")
        num_classes = int(tensor.max()) + 1
    check_range("num_classes", num_classes, 1)
    check_classes("tensor", tensor, num_classes)
    return (tensor.unsqueeze(-1) == torch.arange(num_classes, device=tensor.device)).long()


def nll_loss(
    input: Float[Tensor, "..."],
    target: Int[Tensor, "..."],
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Negative log-likelihood of the true classes.

    .. math:: \ell = -w_y\,\log p_y

    Args:
        input: Log-probabilities, ``(classes,)``, ``(batch, classes)`` or ``(batch, classes, ...)``.
        target: Class indices: the input's shape without the classes.
        weight: How much each class counts; ``"mean"`` divides by the weights' sum over the targets.
        ignore_index: Targets of this value count nothing.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each target, or their mean or sum, in nats; best value 0.

    Raises:
        TypeError: If ``input`` is not floating point or ``target`` not of an integer dtype.
        ValueError: If shapes do not fit, an index is out of range or ``reduction`` is unknown.

    Example:
        >>> nll_loss(torch.tensor([[0.5, 0.5], [0.2, 0.8]]).log(), torch.tensor([0, 1]), reduction="none")
        tensor([0.6931, 0.2231])

    Source: Goodfellow et al. (2016), section 5.5. Chapter: losses.
    """
    dim = _class_dim(input)
    picked, class_weight, ignored = _pick(widen(input), target, weight, ignore_index, dim)
    return _class_mean(-picked, class_weight, ignored, reduction).to(input.dtype)


def cross_entropy(
    input: Float[Tensor, "..."],
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Float[Tensor, "..."]:
    r"""Cross-entropy between logits and the true classes, given as indices or as probabilities.

    .. math:: \ell = -\sum_c w_c\, y_c \log p_c = w_y\Big(\log\sum_j e^{z_j} - z_y\Big)

    The second form is for a class index :math:`y`. Subtracts the largest logit first, so that none overflows. Label
    smoothing moves a share :math:`\epsilon` of the target to all classes alike:
    :math:`y_c \to (1 - \epsilon)\,y_c + \epsilon / C`.

    Args:
        input: Logits, ``(classes,)``, ``(batch, classes)`` or ``(batch, classes, ...)``.
        target: Class indices (the input's shape without the classes), or probabilities of the input's shape.
        weight: How much each class counts; for indices ``"mean"`` divides by the weights' sum over the targets.
        ignore_index: Class indices of this value count nothing.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``; the mean over probabilities divides by the number of rows.
        label_smoothing: Share in ``[0, 1]`` moved to all classes.

    Returns:
        One loss for each row, or their mean or sum, in nats; best value 0 with indices and no smoothing.

    Raises:
        TypeError: If ``input`` is not floating point, or ``target`` neither class indices nor probabilities.
        ValueError: If shapes do not fit, an index or ``label_smoothing`` is out of range or ``reduction`` is unknown.

    Example:
        >>> cross_entropy(torch.zeros(1, 2), torch.tensor([0]))
        tensor(0.6931)

    Source: Goodfellow et al. (2016), section 6.2; Szegedy et al. (2016) for label smoothing. Chapter: losses.
    """
    check_range("label_smoothing", label_smoothing, 0, 1)
    dim = _class_dim(input)
    check_tensor("target", target)
    log_probs = _log_softmax(widen(input), dim)
    if target.shape == input.shape:
        loss = _soft_cross_entropy(log_probs, target, weight, reduction, label_smoothing, dim)
        return loss.to(result_dtype(input, target))
    picked, class_weight, ignored = _pick(log_probs, target, weight, ignore_index, dim)
    loss = _class_mean(-picked, class_weight, ignored, reduction)
    if label_smoothing:
        # The uniform part: a row's mean of -w_c log p_c, whose mean over rows is divided as the other part's is.
        by_class = log_probs if weight is None else log_probs * _along(weight, log_probs.ndim, dim)
        spread = torch.where(ignored, 0.0, -by_class.mean(dim))
        if reduction == "mean":
            spread = spread.sum() / _count(class_weight, ignored)
        elif reduction == "sum":
            spread = spread.sum()
        loss = (1 - label_smoothing) * loss + label_smoothing * spread
    return loss.to(input.dtype)


def kl_div(
    input: Float[Tensor, "..."], target: Array, reduction: str = "mean", log_target: bool = False
) -> Float[Tensor, "..."]:
    r"""Kullback-Leibler divergence of the model's distribution from the target's, term by term.

    .. math:: \ell_i = y_i\,(\log y_i - \log p_i)

    The divergence is the sum over a distribution's terms: use ``"batchmean"`` for its mean over a batch. ``"mean"``
    divides by the number of terms.

    Args:
        input: Log-probabilities :math:`\log p`.
        target: Probabilities :math:`y`, or their logarithms.
        reduction: ``"none"``, ``"mean"``, ``"batchmean"`` or ``"sum"``.
        log_target: Whether ``target`` holds log-probabilities.

    Returns:
        One term for each element, or their mean or sum, in nats; best value of a sum 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit or ``reduction`` is unknown.

    Example:
        >>> kl_div(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[1.0, 0.0]]), reduction="batchmean")
        tensor(0.6931)

    Source: Kullback and Leibler (1951). Chapter: losses.
    """
    check_option("reduction", reduction, (*REDUCTIONS, "batchmean"))
    x, y, dtype = aligned(input, target)
    if log_target:
        loss = y.exp() * (y - x)
    else:
        # 0 log 0 is 0. The zero is replaced before the logarithm, whose gradient would be infinite.
        loss = y * torch.log(torch.where(y == 0, 1, y)) - y * x
    if reduction == "batchmean":
        return (loss.sum() / (input.shape[0] if input.ndim else 1)).to(dtype)
    return reduce(loss, reduction, dtype)


def _class_dim(input: Tensor) -> int:
    """Where the classes are: along the second axis, or the only one."""
    check_floating("input", input)
    if input.ndim == 0:
        raise ValueError("input: expected shape (classes,), (batch, classes) or (batch, classes, ...); got ()")
    return min(input.ndim - 1, 1)


def _log_softmax(logits: Tensor, dim: int) -> Tensor:
    if logits.numel() == 0:
        return logits
    shifted = logits - logits.detach().amax(dim, keepdim=True)
    return shifted - shifted.exp().sum(dim, keepdim=True).log()


def _along(weight: Tensor, ndim: int, dim: int) -> Tensor:
    """One number for each class, shaped to broadcast along the class axis."""
    return weight.reshape([-1 if axis == dim else 1 for axis in range(ndim)])


def _pick(
    scores: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, dim: int
) -> tuple[Tensor, Tensor | None, Tensor]:
    """The true class's score, its weight, and which targets are ignored."""
    classes = scores.shape[dim]
    shape = scores.shape[:dim] + scores.shape[dim + 1 :]
    check_tensor("target", target)
    if target.shape != shape:
        raise ValueError(f"target: expected class indices of shape {tuple(shape)}; got {tuple(target.shape)}")
    ignored = target == ignore_index
    safe = torch.where(ignored, 0, target)
    check_classes("target", safe if classes else target, classes)
    if weight is not None:
        check_shape("weight", weight, "one number a class", scores.new_empty(classes))
        weight = weight[safe.long()]
    picked = scores.gather(dim, safe.long().unsqueeze(dim)).squeeze(dim)
    return torch.where(ignored, 0.0, picked), weight, ignored


def _count(weight: Tensor | None, ignored: Tensor) -> Tensor:
    """How many targets count, or the sum of their weights."""
    return (~ignored).sum() if weight is None else torch.where(ignored, 0, weight).sum()


def _class_mean(loss: Tensor, weight: Tensor | None, ignored: Tensor, reduction: str) -> Tensor:
    """Weighted losses, reduced; the mean is over the targets that count."""
    loss = loss if weight is None else torch.where(ignored, 0.0, loss * weight)
    if reduction == "mean":
        return loss.sum() / _count(weight, ignored)
    return reduce(loss, reduction)


def _soft_cross_entropy(
    log_probs: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float, dim: int
) -> Tensor:
    """Cross-entropy with probabilities for targets."""
    if not target.is_floating_point():
        raise TypeError(f"target: expected floating-point class probabilities, as input's shape; got {target.dtype}")
    classes = log_probs.shape[dim]
    target = widen(target)
    if label_smoothing:
        target = (1 - label_smoothing) * target + label_smoothing / classes
    if weight is not None:
        check_shape("weight", weight, "one number a class", log_probs.new_empty(classes))
        target = target * _along(weight, target.ndim, dim)
    return reduce(-(target * log_probs).sum(dim), reduction)
