"""Boxes: how much two of them overlap, and which of many that overlap to keep.

A box is (left, top, right, bottom), in pixels.
"""

import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor

from dlbook._checks import check_ndim, check_range, check_tensor


def iou(
    boxes1: Real[Tensor, "*#batch n 4"], boxes2: Real[Tensor, "*#batch m 4"], *, inclusive: bool = False
) -> Float[Tensor, "*#batch n m"]:
    r"""Intersection over union of every box of one set with every box of another.

    .. math:: \frac{|A \cap B|}{|A \cup B|}

    Args:
        boxes1: Boxes as left, top, right, bottom.
        boxes2: Boxes to compare them with; leading dimensions broadcast.
        inclusive: Whether right and bottom name the last pixel inside, as in the VOC data: widths and heights are then
            one more than the difference.

    Returns:
        Numbers in ``[0, 1]``; 1 for equal boxes. 0 for two boxes without area.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the last axis does not hold four numbers.

    Example:
        >>> iou(torch.tensor([[0, 0, 2, 2]]), torch.tensor([[1, 0, 3, 2], [5, 5, 6, 6]]))
        tensor([[0.3333, 0.0000]])

    Source: Jaccard (1912); Everingham et al. (2010), "The Pascal visual object classes challenge". Chapter: metrics.
    """
    for name, boxes in (("boxes1", boxes1), ("boxes2", boxes2)):
        check_tensor(name, boxes)
        if boxes.ndim < 2 or boxes.shape[-1] != 4:
            raise ValueError(f"{name}: expected shape (..., boxes, 4); got {tuple(boxes.shape)}")
    # Integers and half precision could not hold an area.
    dtype = torch.promote_types(torch.promote_types(boxes1.dtype, boxes2.dtype), torch.float32)
    first, second = boxes1.to(dtype)[..., :, None, :], boxes2.to(dtype)[..., None, :, :]
    shared = _area(
        torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:]), inclusive
    )
    union = (
        _area(first[..., :2], first[..., 2:], inclusive) + _area(second[..., :2], second[..., 2:], inclusive) - shared
    )
    return torch.where(union > 0, shared / union, 0.0)


def _area(low: Tensor, high: Tensor, inclusive: bool) -> Tensor:
    return (high - low + int(inclusive)).clamp(min=0).prod(-1)


def non_max_suppression(
    boxes: Real[Tensor, "n 4"],
    scores: Real[Tensor, " n"],
    iou_threshold: float,
    *,
    labels: Int[Tensor, " n"] | None = None,
) -> Int[Tensor, " kept"]:
    r"""Indices of the boxes that remain when each one kept removes those it overlaps too much.

    The boxes are visited by falling score. A box is kept unless its IoU with a kept one before it exceeds the
    threshold.

    Args:
        boxes: Boxes as left, top, right, bottom.
        scores: Scores; of equal ones the earlier goes first.
        iou_threshold: The largest overlap that is let pass.
        labels: Classes; boxes of different classes do not remove each other. All of one class when ``None``.

    Returns:
        Indices of the kept boxes, by falling score.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit or the threshold is outside ``[0, 1]``.

    Example:
        >>> boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30]])
        >>> non_max_suppression(boxes, torch.tensor([0.8, 0.9, 0.7]), 0.5)
        tensor([1, 2])

    Source: Felzenszwalb et al. (2010); torchvision.ops.nms and batched_nms. Chapter: metrics.
    """
    check_tensor("scores", scores)
    check_ndim("scores", scores, (1,), "(n,)")
    check_range("iou_threshold", iou_threshold, 0, 1)
    if boxes.shape != (len(scores), 4):
        raise ValueError(f"boxes: expected shape {(len(scores), 4)}; got {tuple(boxes.shape)}")
    order = scores.argsort(descending=True, stable=True)
    ranked = boxes[order]
    removes = (iou(ranked, ranked) > iou_threshold).triu(diagonal=1)
    if labels is not None:
        removes &= labels[order][:, None] == labels[order]
    return order[_survivors(removes)]


def _survivors(removes: Bool[Tensor, "n n"]) -> Bool[Tensor, " n"]:
    """Who is removed by no survivor, where only an earlier one can remove a later one.

    All boxes decide at once, again and again: after pass k the first k are right for good, and where chains of overlap
    are short, which they are, a few passes settle everything.
    """
    kept = torch.ones(len(removes), dtype=torch.bool, device=removes.device)
    while True:
        now = ~(removes & kept[:, None]).any(0)
        if torch.equal(now, kept):
            return kept
        kept = now
