"""Metrics that compare predicted labels with true ones: all of them are read off the confusion matrix."""

import torch
from jaxtyping import Float, Num, Shaped
from torch import Tensor

from dlbook._checks import check_ndim, check_option

from ._common import check_labels, check_pair, count, index_of, mean

AVERAGES = ("binary", "micro", "macro", "weighted", None)


def confusion_matrix(
    y_true: Shaped[Tensor, " n"],
    y_pred: Shaped[Tensor, " n"],
    *,
    labels: Shaped[Tensor, " classes"] | None = None,
    sample_weight: Shaped[Tensor, " n"] | None = None,
    normalize: str | None = None,
) -> Num[Tensor, "classes classes"]:
    r"""Table of what was true (rows) against what was said (columns).

    .. math:: C_{ij} = \#\{\text{examples of class } i \text{ that were called } j\}

    Args:
        y_true: True labels.
        y_pred: Predicted labels.
        labels: The classes, in the order of rows and columns; examples of others are left out. All that occur, in
            ascending order, when ``None``.
        sample_weight: Weight of each example; 1 when ``None``.
        normalize: Divide each row by its sum (``"true"``), each column (``"pred"``), or everything by the total
            (``"all"``). A sum of 0 leaves zeros.

    Returns:
        Numbers of examples; weights or shares, of a floating-point dtype, where these are asked for.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the lengths differ, ``normalize`` is unknown, or ``labels`` is empty or matches no true label.

    Example:
        >>> confusion_matrix(torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 1, 1, 0]))
        tensor([[1, 1],
                [1, 2]])

    Source: sklearn.metrics.confusion_matrix. Chapter: metrics.
    """
    check_labels(y_true, y_pred, sample_weight)
    check_option("normalize", normalize, (None, "true", "pred", "all"))
    classes = torch.cat([y_true, y_pred]).unique() if labels is None else labels
    if labels is not None and not len(labels):
        raise ValueError("labels: expected at least one label; got none")
    size = len(classes)
    if not size:
        return torch.zeros(0, 0, dtype=torch.long, device=y_true.device)
    rows, columns = index_of(y_true, classes), index_of(y_pred, classes)
    if len(y_true) and bool((rows == size).all()):
        raise ValueError(f"labels: expected at least one that occurs in y_true; got {classes.tolist()}")
    cell = torch.where((rows < size) & (columns < size), rows * size + columns, size * size)
    table = count(cell, size * size, sample_weight).view(size, size)
    if normalize is None:
        return table
    whole = {"true": table.sum(1, keepdim=True), "pred": table.sum(0, keepdim=True), "all": table.sum()}[normalize]
    return torch.where(whole == 0, 0, table / whole)


def accuracy(
    y_true: Shaped[Tensor, " n *outputs"],
    y_pred: Shaped[Tensor, " n *outputs"],
    *,
    normalize: bool = True,
    sample_weight: Shaped[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    r"""Share of examples whose prediction is right.

    .. math:: \frac{1}{n} \sum_i [\hat y_i = y_i]

    Args:
        y_true: True labels. With several in a row, the whole row has to be right.
        y_pred: Predicted labels.
        normalize: Whether to give the share; the number of right predictions otherwise.
        sample_weight: Weight of each example; 1 when ``None``.

    Returns:
        A share in ``[0, 1]``; best value 1. NaN when there are no examples.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes differ.

    Example:
        >>> accuracy(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 2]))
        tensor(0.7500)

    Source: sklearn.metrics.accuracy_score. Chapter: metrics.
    """
    check_pair("y_true", y_true, "y_pred", y_pred, sample_weight)
    if y_true.shape != y_pred.shape:
        raise ValueError(f"y_pred: expected the shape of y_true, {tuple(y_true.shape)}; got {tuple(y_pred.shape)}")
    right = (y_true == y_pred).flatten(1).all(1) if y_true.ndim > 1 else y_true == y_pred
    return mean(right.to(torch.get_default_dtype()), sample_weight, normalize)


def precision(
    y_true: Shaped[Tensor, " n"],
    y_pred: Shaped[Tensor, " n"],
    *,
    labels: Shaped[Tensor, " classes"] | None = None,
    pos_label: float = 1,
    average: str | None = "binary",
    sample_weight: Shaped[Tensor, " n"] | None = None,
    zero_division: float = 0.0,
) -> Float[Tensor, "*classes"]:
    r"""Share of what was called positive that is positive.

    .. math:: \frac{TP}{TP + FP}

    Args:
        y_true: True labels.
        y_pred: Predicted labels.
        labels: The classes to average over or to list; all that occur when ``None``.
        pos_label: The positive class when ``average`` is ``"binary"``.
        average: ``"binary"``: of the positive class. ``None``: of each class. ``"macro"``: the mean over classes;
            ``"weighted"``: weighted by how many examples each has. ``"micro"``: of all classes' counts together.
        sample_weight: Weight of each example; 1 when ``None``.
        zero_division: The answer where nothing was called positive: 0, 1 or NaN; classes that are NaN stay out of a
            mean.

    Returns:
        A share in ``[0, 1]``; best value 1. One for each class when ``average`` is ``None``.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the lengths differ, ``average`` is unknown, or it is ``"binary"`` and there are more than two
            classes, or two without ``pos_label``.

    Example:
        >>> precision(torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 1, 1, 0]))
        tensor(0.6667)

    Source: sklearn.metrics.precision_score. Chapter: metrics.
    """
    hits, said, true, _ = _counts(y_true, y_pred, labels, pos_label, average, sample_weight)
    return _averaged(hits, said, true, average, zero_division)


def recall(
    y_true: Shaped[Tensor, " n"],
    y_pred: Shaped[Tensor, " n"],
    *,
    labels: Shaped[Tensor, " classes"] | None = None,
    pos_label: float = 1,
    average: str | None = "binary",
    sample_weight: Shaped[Tensor, " n"] | None = None,
    zero_division: float = 0.0,
) -> Float[Tensor, "*classes"]:
    r"""Share of the positives that were found.

    .. math:: \frac{TP}{TP + FN}

    Args:
        y_true: True labels.
        y_pred: Predicted labels.
        labels: As in :func:`precision`.
        pos_label: As in :func:`precision`.
        average: As in :func:`precision`.
        sample_weight: Weight of each example; 1 when ``None``.
        zero_division: The answer where nothing is positive: 0, 1 or NaN.

    Returns:
        A share in ``[0, 1]``; best value 1. One for each class when ``average`` is ``None``.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: As in :func:`precision`.

    Example:
        >>> recall(torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 1, 1, 0]), average=None)
        tensor([0.5000, 0.6667])

    Source: sklearn.metrics.recall_score. Chapter: metrics.
    """
    hits, _, true, _ = _counts(y_true, y_pred, labels, pos_label, average, sample_weight)
    return _averaged(hits, true, true, average, zero_division)


def f1_score(
    y_true: Shaped[Tensor, " n"],
    y_pred: Shaped[Tensor, " n"],
    *,
    labels: Shaped[Tensor, " classes"] | None = None,
    pos_label: float = 1,
    average: str | None = "binary",
    sample_weight: Shaped[Tensor, " n"] | None = None,
    zero_division: float = 0.0,
) -> Float[Tensor, "*classes"]:
    r"""Harmonic mean of precision and recall, which is high only when both are.

    .. math:: \frac{2\,TP}{2\,TP + FP + FN}

    Args:
        y_true: True labels.
        y_pred: Predicted labels.
        labels: As in :func:`precision`.
        pos_label: As in :func:`precision`.
        average: As in :func:`precision`.
        sample_weight: Weight of each example; 1 when ``None``.
        zero_division: The answer where nothing is positive and nothing was called so: 0, 1 or NaN.

    Returns:
        A number in ``[0, 1]``; best value 1. One for each class when ``average`` is ``None``.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: As in :func:`precision`.

    Example:
        >>> f1_score(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2]), average="macro")
        tensor(0.7778)

    Source: van Rijsbergen (1979), chapter 7; sklearn.metrics.f1_score. Chapter: metrics.
    """
    hits, said, true, _ = _counts(y_true, y_pred, labels, pos_label, average, sample_weight)
    return _averaged(2 * hits, said + true, true, average, zero_division)


def tpr(
    y_true: Shaped[Tensor, " n"],
    y_pred: Shaped[Tensor, " n"],
    *,
    labels: Shaped[Tensor, " classes"] | None = None,
    pos_label: float = 1,
    average: str | None = "binary",
    sample_weight: Shaped[Tensor, " n"] | None = None,
    zero_division: float = 0.0,
) -> Float[Tensor, "*classes"]:
    r"""True positive rate, the recall under its name in ROC curves.

    .. math:: \frac{TP}{TP + FN}

    Args:
        y_true: True labels.
        y_pred: Predicted labels.
        labels: As in :func:`precision`.
        pos_label: As in :func:`precision`.
        average: As in :func:`precision`.
        sample_weight: Weight of each example; 1 when ``None``.
        zero_division: The answer where nothing is positive: 0, 1 or NaN.

    Returns:
        A share in ``[0, 1]``; best value 1. One for each class when ``average`` is ``None``.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: As in :func:`precision`.

    Example:
        >>> tpr(torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 1, 1, 0]))
        tensor(0.6667)

    Source: Fawcett (2006), "An introduction to ROC analysis". Chapter: metrics.
    """
    hits, _, true, _ = _counts(y_true, y_pred, labels, pos_label, average, sample_weight)
    return _averaged(hits, true, true, average, zero_division)


def fpr(
    y_true: Shaped[Tensor, " n"],
    y_pred: Shaped[Tensor, " n"],
    *,
    labels: Shaped[Tensor, " classes"] | None = None,
    pos_label: float = 1,
    average: str | None = "binary",
    sample_weight: Shaped[Tensor, " n"] | None = None,
    zero_division: float = 0.0,
) -> Float[Tensor, "*classes"]:
    r"""False positive rate: the share of the negatives that were called positive.

    .. math:: \frac{FP}{FP + TN}

    Args:
        y_true: True labels.
        y_pred: Predicted labels.
        labels: As in :func:`precision`.
        pos_label: As in :func:`precision`.
        average: As in :func:`precision`.
        sample_weight: Weight of each example; 1 when ``None``.
        zero_division: The answer where nothing is negative: 0, 1 or NaN.

    Returns:
        A share in ``[0, 1]``; best value 0. One for each class when ``average`` is ``None``.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: As in :func:`precision`.

    Example:
        >>> fpr(torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 1, 1, 0]))
        tensor(0.5000)

    Source: Fawcett (2006), "An introduction to ROC analysis". Chapter: metrics.
    """
    hits, said, true, total = _counts(y_true, y_pred, labels, pos_label, average, sample_weight)
    return _averaged(said - hits, total - true, true, average, zero_division)


def _counts(
    y_true: Tensor,
    y_pred: Tensor,
    labels: Tensor | None,
    pos_label: float,
    average: str | None,
    weight: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each class the weight of its hits, of what was called it and of what is it; and the total weight."""
    check_labels(y_true, y_pred, weight)
    check_option("average", average, AVERAGES)
    classes = torch.cat([y_true, y_pred]).unique()
    if average == "binary":
        if len(classes) > 2 or (len(classes) == 2 and not bool((classes == pos_label).any())):
            raise ValueError(
                f"average: 'binary' expected two classes, one of them pos_label={pos_label!r}; got {classes.tolist()}"
            )
        classes = torch.tensor([pos_label], device=y_true.device)
    elif labels is not None:
        check_ndim("labels", labels, (1,), "(classes,)")
        classes = labels
    true, said = index_of(y_true, classes), index_of(y_pred, classes)
    size = len(classes)
    total = torch.tensor(len(y_true), device=y_true.device) if weight is None else weight.sum()
    both = torch.where(true == said, true, size)
    return count(both, size, weight), count(said, size, weight), count(true, size, weight), total


def _averaged(
    numerator: Tensor, denominator: Tensor, true: Tensor, average: str | None, zero_division: float
) -> Tensor:
    """The ratio for each class, averaged as asked; ``true`` weighs the classes."""
    if average == "micro":
        numerator, denominator = numerator.sum(0, keepdim=True), denominator.sum(0, keepdim=True)
    ratio = torch.where(denominator == 0, zero_division, numerator / denominator)
    if average is None:
        return ratio
    if average in ("binary", "micro"):
        return ratio[0]
    known = (~ratio.isnan()).to(ratio.dtype)
    weight = known * true if average == "weighted" else known
    # No class has any example: then all count alike.
    weight = torch.where(weight.sum() == 0, known, weight)
    return (ratio.nan_to_num() * weight).sum() / weight.sum()
