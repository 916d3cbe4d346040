"""Curves of a moving threshold: everything that scores above it is called positive.

Sort by falling score, and lowering the threshold is walking down the list; cumulative sums count the true and the false
positives on the way. Examples with equal scores are passed together: between them there is no threshold.
"""

import torch
from jaxtyping import Float, Real, Shaped
from torch import Tensor

from dlbook._checks import check_ndim, check_option

from ._common import check_pair


def roc_curve(
    y_true: Shaped[Tensor, " n"],
    y_score: Real[Tensor, " n"],
    *,
    pos_label: float | None = None,
    sample_weight: Shaped[Tensor, " n"] | None = None,
    drop_intermediate: bool = True,
) -> tuple[Float[Tensor, " points"], Float[Tensor, " points"], Float[Tensor, " points"]]:
    r"""False and true positive rate at every threshold, the receiver operating characteristic.

    Args:
        y_true: True labels.
        y_score: Scores, higher for what looks more positive.
        pos_label: The positive label; 1 when ``None``, and then the labels must be 0 and 1, or -1 and 1.
        sample_weight: Weight of each example; 1 when ``None``.
        drop_intermediate: Whether to leave out points on a straight line between their neighbours.

    Returns:
        False positive rates, ascending; true positive rates, ascending; and the thresholds, descending from infinity.
        A rate is NaN when there is nothing to divide by.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the lengths differ, there is no example, a score is NaN, or the positive label is unclear.

    Example:
        >>> roc_curve(torch.tensor([0, 0, 1, 1]), torch.tensor([0.1, 0.4, 0.35, 0.8]))[:2]
        (tensor([0.0000, 0.0000, 0.5000, 0.5000, 1.0000]), tensor([0.0000, 0.5000, 0.5000, 1.0000, 1.0000]))

    Source: Fawcett (2006), "An introduction to ROC analysis". Chapter: metrics.
    """
    fps, tps, thresholds = _at_thresholds(y_true, y_score, pos_label, sample_weight)
    if drop_intermediate and len(tps) > 2:
        corner = (fps.diff(n=2) != 0) | (tps.diff(n=2) != 0)
        kept = _with_ends(corner)
        fps, tps, thresholds = fps[kept], tps[kept], thresholds[kept]
    zero, infinity = tps.new_zeros(1), thresholds.new_full((1,), torch.inf)
    fps, tps = torch.cat([zero, fps]), torch.cat([zero, tps])
    return fps / _or_nan(fps[-1]), tps / _or_nan(tps[-1]), torch.cat([infinity, thresholds])


def precision_recall_curve(
    y_true: Shaped[Tensor, " n"],
    y_score: Real[Tensor, " n"],
    *,
    pos_label: float | None = None,
    sample_weight: Shaped[Tensor, " n"] | None = None,
    drop_intermediate: bool = False,
) -> tuple[Float[Tensor, " points"], Float[Tensor, " points"], Float[Tensor, " thresholds"]]:
    r"""Precision and recall at every threshold.

    Args:
        y_true: True labels.
        y_score: Scores, higher for what looks more positive.
        pos_label: The positive label; 1 when ``None``, and then the labels must be 0 and 1, or -1 and 1.
        sample_weight: Weight of each example; 1 when ``None``.
        drop_intermediate: Whether to leave out points between two others of the same recall.

    Returns:
        Precisions; recalls, descending; thresholds, ascending. The curves end in one more point, precision 1 at recall
        0, which has no threshold. With no positive example every other recall is 1.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the lengths differ, there is no example, a score is NaN, or the positive label is unclear.

    Example:
        >>> precision_recall_curve(torch.tensor([0, 0, 1, 1]), torch.tensor([0.1, 0.4, 0.35, 0.8]))[:2]
        (tensor([0.5000, 0.6667, 0.5000, 1.0000, 1.0000]), tensor([1.0000, 1.0000, 0.5000, 0.5000, 0.0000]))

    Source: sklearn.metrics.precision_recall_curve. Chapter: metrics.
    """
    fps, tps, thresholds = _at_thresholds(y_true, y_score, pos_label, sample_weight)
    if drop_intermediate and len(tps) > 2:
        step = tps.diff() != 0
        kept = _with_ends(step[:-1] | step[1:])
        fps, tps, thresholds = fps[kept], tps[kept], thresholds[kept]
    said = tps + fps
    precision = torch.where(said == 0, 0.0, tps / said)
    recall = torch.where(tps[-1] == 0, 1.0, tps / tps[-1])
    one, zero = tps.new_ones(1), tps.new_zeros(1)
    return torch.cat([precision.flip(0), one]), torch.cat([recall.flip(0), zero]), thresholds.flip(0)


def auc(x: Real[Tensor, " points"], y: Real[Tensor, " points"]) -> Float[Tensor, ""]:
    r"""Area under a curve by the trapezoid rule.

    .. math:: \sum_i (x_{i+1} - x_i) \frac{y_i + y_{i+1}}{2}

    Under a ROC curve it is a probability: that a positive example drawn at random scores higher than a negative one,
    with a tie counted as half.

    Args:
        x: Positions, all ascending or all descending.
        y: Heights.

    Returns:
        The area; best value 1 under a ROC curve.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the lengths differ, there are fewer than two points, or ``x`` changes direction.

    Example:
        >>> auc(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.0, 1.0, 1.0]))
        tensor(0.7500)

    Source: Hanley and McNeil (1982); sklearn.metrics.auc. Chapter: metrics.
    """
    check_pair("x", x, "y", y, None)
    check_ndim("x", x, (1,), "(points,)")
    check_ndim("y", y, (1,), "(points,)")
    if len(x) < 2:
        raise ValueError(f"x: expected at least two points; got {len(x)}")
    dtype = torch.promote_types(_float_dtype(x), _float_dtype(y))
    step, y = x.to(dtype).diff(), y.to(dtype)
    if bool((step < 0).any() & (step > 0).any()):
        raise ValueError("x: expected ascending or descending positions; got both directions")
    area = (step * (y[1:] + y[:-1]) / 2).sum()
    return torch.where((step < 0).any(), -area, area)


def average_precision(
    y_true: Shaped[Tensor, " n *classes"],
    y_score: Real[Tensor, " n *outputs"],
    *,
    average: str | None = "macro",
    pos_label: float = 1,
    sample_weight: Shaped[Tensor, " n"] | None = None,
) -> Float[Tensor, "*outputs"] | Float[Tensor, ""]:
    r"""Mean of the precisions at each threshold, weighted by the recall gained there.

    .. math:: \sum_k (R_k - R_{k-1}) P_k

    Args:
        y_true: True labels; with scores in two dimensions, 0 or 1 for each class, or the label of the one true class.
        y_score: Scores, higher for what looks more positive; one column a class when in two dimensions.
        average: For several classes: ``None`` (one value for each), ``"macro"`` (their mean), ``"weighted"`` (by how
            many positives each has), ``"micro"`` (all classes' scores in one list) or ``"samples"`` (mean over
            examples).
        pos_label: The positive label, of scores in one dimension.
        sample_weight: Weight of each example; 1 when ``None``.

    Returns:
        A number in ``[0, 1]``; best value 1. 0 where nothing is positive.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit, there is no example, a score is NaN, ``average`` is unknown, or there are
            two labels and ``pos_label`` is neither.

    Example:
        >>> average_precision(torch.tensor([0, 0, 1, 1]), torch.tensor([0.1, 0.4, 0.35, 0.8]))
        tensor(0.8333)

    Source: sklearn.metrics.average_precision_score. Chapter: metrics.
    """
    _check_scores(y_true, y_score, sample_weight)
    check_option("average", average, ("macro", "micro", "weighted", "samples", None))
    if y_score.ndim == 1:
        _check_binary(y_true, pos_label)
        return _average_precision(y_true == pos_label, y_score, sample_weight)
    positive = _indicators(y_true, y_score)
    weight = None if sample_weight is None else sample_weight[:, None].expand_as(positive)
    if average == "micro":
        return _average_precision(positive.flatten(), y_score.flatten(), None if weight is None else weight.flatten())
    if average == "samples":
        each = _average_precision(positive, y_score, None)
        return each.mean() if sample_weight is None else (each * sample_weight).sum() / sample_weight.sum()
    each = _average_precision(positive.T, y_score.T, None if weight is None else weight.T)
    if average is None:
        return each
    if average == "macro":
        return each.mean()
    share = (positive if weight is None else positive * weight).sum(0)
    return torch.where(share.sum() == 0, 0.0, (each * share).sum() / share.sum())


def _average_precision(
    positive: Shaped[Tensor, "*batch n"], y_score: Tensor, weight: Tensor | None
) -> Float[Tensor, "*batch"]:
    """Average precision along the last axis; of one shape whatever the ties, so that it batches and compiles."""
    fps, tps, score = _cumulative(positive, y_score, weight)
    last = torch.cat([score[..., 1:] != score[..., :-1], torch.ones_like(positive[..., :1])], -1)
    # Counts never fall, so their running maximum over the ends of ties is the count at the last such end.
    reached = torch.where(last, tps, 0).cummax(-1).values
    gained = reached.diff(dim=-1, prepend=torch.zeros_like(reached[..., :1]))
    precision = torch.where(tps + fps == 0, 0.0, tps / (tps + fps))
    total = tps[..., -1]
    return torch.where(total == 0, 0.0, (precision * gained).sum(-1) / total)


def _cumulative(
    positive: Shaped[Tensor, "*batch n"], y_score: Tensor, weight: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Weight of false and of true positives down the list of falling scores, and the scores; counts are exact."""
    dtype = _float_dtype(y_score)
    score, order = y_score.sort(dim=-1, descending=True)
    positive = positive.gather(-1, order)
    if weight is None:
        tps = positive.cumsum(-1)
        fps = torch.arange(1, score.shape[-1] + 1, device=score.device) - tps
        return fps.to(dtype), tps.to(dtype), score
    dtype = torch.promote_types(dtype, _float_dtype(weight))
    weight = weight.to(dtype).gather(-1, order)
    return torch.where(positive, 0, weight).cumsum(-1), torch.where(positive, weight, 0).cumsum(-1), score


def _at_thresholds(
    y_true: Tensor, y_score: Tensor, pos_label: float | None, weight: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """False positives, true positives and the threshold, once for each different score."""
    _check_scores(y_true, y_score, weight)
    check_ndim("y_true", y_true, (1,), "(n,)")
    check_ndim("y_score", y_score, (1,), "(n,)")
    if pos_label is None:
        zeros, ones, minus = y_true == 0, y_true == 1, y_true == -1
        if not bool((zeros | ones).all() | (minus | ones).all()):
            raise ValueError("pos_label: expected a label, as those of y_true are not 0 and 1 or -1 and 1; got None")
    positive = y_true == (1 if pos_label is None else pos_label)
    if weight is not None:
        counted = weight != 0
        positive, y_score, weight = positive[counted], y_score[counted], weight[counted]
    fps, tps, score = _cumulative(positive, y_score, weight)
    last = torch.cat([score[1:] != score[:-1], score.new_ones(1, dtype=torch.bool)])
    return fps[last], tps[last], score[last].to(_float_dtype(score))


def _check_scores(y_true: Tensor, y_score: Tensor, weight: Tensor | None) -> None:
    check_pair("y_true", y_true, "y_score", y_score, weight)
    if not len(y_score):
        raise ValueError("y_score: expected at least one example; got none")
    if not torch.compiler.is_compiling() and y_score.is_floating_point() and bool(y_score.isnan().any()):
        raise ValueError("y_score: expected numbers; got NaN, which has no place in an order")


def _check_binary(y_true: Tensor, pos_label: float) -> None:
    """Raise unless the labels are at most two and, where two, one of them the positive one."""
    check_ndim("y_true", y_true, (1,), "(n,), as y_score has one dimension")
    if torch.compiler.is_compiling():
        return
    low, high = y_true.min(), y_true.max()
    known = ((y_true == low) | (y_true == high)).all()
    if not bool(known & ((low == high) | (low == pos_label) | (high == pos_label))):
        raise ValueError(f"y_true: expected at most two labels, one of them pos_label={pos_label!r}; got others")


def _indicators(y_true: Tensor, y_score: Tensor) -> Tensor:
    """True where a class is a true one: (n, classes)."""
    check_ndim("y_score", y_score, (2,), "(n,) or (n, classes)")
    if y_true.ndim == 1:
        y_true = y_true[:, None] == y_true.unique()
    if y_true.shape != y_score.shape:
        raise ValueError(f"y_score: expected shape (n, classes) = {tuple(y_true.shape)}; got {tuple(y_score.shape)}")
    return y_true == 1


def _with_ends(inner: Tensor) -> Tensor:
    end = inner.new_ones(1)
    return torch.cat([end, inner, end])


def _or_nan(total: Tensor) -> Tensor:
    return torch.where(total <= 0, torch.nan, total)


def _float_dtype(values: Tensor) -> torch.dtype:
    """The dtype for shares of these values: float32 at the least, as half precision cannot count to 10,000."""
    return torch.promote_types(values.dtype, torch.float32) if values.is_floating_point() else torch.get_default_dtype()
