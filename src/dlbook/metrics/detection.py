"""Mean average precision of object detection, in the three conventions that published figures use.

Each detection is first matched with a true box: it is right when it overlaps a box of its class in its picture well
enough and nobody better has claimed that box. Down the list of falling scores that gives precision and recall, and
average precision sums them up. The conventions differ in both steps:

- ``"11-point"`` (VOC 2007) and ``"every-point"`` (VOC since 2010): a detection claims the one true box that it overlaps
  most, and is wrong if that box is taken. The precision is averaged at recalls 0, 0.1 ... 1, or over every recall;
- ``"coco"``: a detection claims the best box that is still free, and the precision is averaged at 101 recalls, then
  over ten IoU thresholds.

All three use the *interpolated* precision: at a recall, the highest precision at that recall or any higher one.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dlbook._checks import check_option, check_tensor

from .boxes import iou

CONVENTIONS = ("coco", "every-point", "11-point")
# Rounded as numpy's linspace rounds them, and so pycocotools.
COCO_THRESHOLDS = (*(0.5 + i * ((0.95 - 0.5) / 9) for i in range(9)), 0.95)


class DetectionScores(NamedTuple):
    """What :func:`mean_average_precision` finds.

    Attributes:
        mean: Mean of ``average_precision``; NaN when there is no true box.
        average_precision: One number for each IoU threshold and class.
        classes: The classes, ascending: those that have a true box.
        precision: Precision down the list of each class's detections, by falling score; padded with zeros.
        recall: Recall down that list; padded with the last recall.
    """

    mean: Float[Tensor, ""]
    average_precision: Float[Tensor, "thresholds classes"]
    classes: Int[Tensor, " classes"]
    precision: Float[Tensor, "thresholds classes detections"]
    recall: Float[Tensor, "thresholds classes detections"]


class _Boxes(NamedTuple):
    """Boxes of all pictures in one list."""

    boxes: Tensor
    labels: Tensor
    picture: Tensor
    scores: Tensor


def mean_average_precision(
    predictions: Sequence[Mapping[str, Tensor]],
    targets: Sequence[Mapping[str, Tensor]],
    *,
    convention: str = "coco",
    iou_thresholds: Sequence[float] | None = None,
    inclusive: bool = False,
    max_detections: int | None = None,
) -> DetectionScores:
    r"""Mean average precision over classes and IoU thresholds.

    Args:
        predictions: For each picture ``"boxes"`` (n × 4: left, top, right, bottom), ``"scores"`` and ``"labels"``. Of
            equal scores the earlier goes first.
        targets: For each picture the true ``"boxes"`` and ``"labels"``.
        convention: ``"coco"``, ``"every-point"`` or ``"11-point"``.
        iou_thresholds: The least overlaps that count; 0.5, 0.55 ... 0.95 for ``"coco"`` when ``None``, else 0.5.
        inclusive: Whether right and bottom name the last pixel inside, as in the VOC data.
        max_detections: How many detections of a class in a picture count, those with the highest scores; when ``None``,
            100 for ``"coco"`` and all of them else.

    Returns:
        Mean, average precision for each threshold and class, and the curves; best value 1.

    Raises:
        TypeError: If a box, score or label is no tensor.
        ValueError: If there are not as many predictions as targets, a key is missing, the shapes do not fit, or
            ``convention`` is unknown.

    Example:
        >>> box, other = torch.tensor([[0, 0, 10, 10]]), torch.tensor([[50, 50, 60, 60]])
        >>> target = {"boxes": torch.cat([box, other]), "labels": torch.tensor([3, 3])}
        >>> prediction = {"boxes": box, "labels": torch.tensor([3]), "scores": torch.tensor([0.9])}
        >>> mean_average_precision([prediction], [target], convention="every-point").mean
        tensor(0.5000)

    Source: Everingham et al. (2010); Lin et al. (2014), "Microsoft COCO"; pycocotools. Chapter: metrics.
    """
    check_option("convention", convention, CONVENTIONS)
    if len(predictions) != len(targets):
        raise ValueError(f"predictions: expected one for each of the {len(targets)} targets; got {len(predictions)}")
    coco = convention == "coco"
    said, true = _gather("predictions", predictions, scored=True), _gather("targets", targets, scored=False)
    if iou_thresholds is None:
        iou_thresholds = COCO_THRESHOLDS if coco else (0.5,)
    thresholds = torch.tensor(iou_thresholds, device=true.boxes.device, dtype=true.boxes.dtype)
    classes, boxes_of = true.labels.unique(return_counts=True)
    known = torch.isin(said.labels, classes)
    order = said.scores.argsort(descending=True, stable=True)
    said = _Boxes(*(part[order[known[order]]] for part in said))
    said, true = (
        part._replace(labels=torch.searchsorted(classes, part.labels.to(classes.dtype))) for part in (said, true)
    )
    group, true_group = (part.picture * len(classes) + part.labels for part in (said, true))
    limit = 100 if coco and max_detections is None else max_detections
    if limit is not None:
        counted = _place(group) < limit
        said, group = _Boxes(*(part[counted] for part in said)), group[counted]
    if coco:
        hits = _match_free(said.boxes, group, true.boxes, true_group, thresholds, inclusive)
    else:
        hits = _match_best(said.boxes, group, true.boxes, true_group, thresholds, inclusive)
    precision, recall = _curves(hits, said.labels, boxes_of, true.boxes.dtype)
    each = _interpolated(precision, recall, convention)
    mean, each, precision, recall = (part.to(said.scores.dtype) for part in (each.mean(), each, precision, recall))
    return DetectionScores(mean, each, classes, precision, recall)


def _gather(name: str, pictures: Sequence[Mapping[str, Tensor]], scored: bool) -> _Boxes:
    """All pictures' boxes in one list, scores (for true boxes anything) widened to float32 at the least."""
    keys = ("boxes", "labels", "scores") if scored else ("boxes", "labels")
    for i, picture in enumerate(pictures):
        for key in keys:
            if key not in picture:
                raise ValueError(f"{name}[{i}]: expected the keys {keys}; got {tuple(picture)}")
            check_tensor(f"{name}[{i}]['{key}']", picture[key])
        shapes = [tuple(picture[key].shape) for key in keys]
        size = len(picture["labels"])
        if shapes != [(size, 4), (size,), (size,)][: len(keys)] and not (size == 0 == picture["boxes"].numel()):
            raise ValueError(f"{name}[{i}]: expected {keys} of shapes (n, 4), (n,), (n,)[: {len(keys)}]; got {shapes}")
    if not pictures:
        raise ValueError(f"{name}: expected at least one picture; got none")
    boxes, labels = (
        torch.cat([p[key].reshape(-1, *tail) for p in pictures]) for key, tail in (("boxes", (4,)), ("labels", ()))
    )
    sizes = torch.tensor([len(p["labels"]) for p in pictures], device=labels.device)
    picture = torch.arange(len(pictures), device=labels.device).repeat_interleave(sizes)
    # Whether a recall just reaches a point, or an overlap a threshold, must come out as in the reference programs. They
    # count in double precision; Apple's GPUs have none.
    boxes = boxes.to(torch.float32 if boxes.device.type == "mps" else torch.float64)
    scores = torch.cat([p["scores"] for p in pictures]) if scored else boxes[:, 0]
    return _Boxes(boxes, labels, picture, scores.to(torch.promote_types(scores.dtype, torch.float32)))


def _place(group: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """How many of the same group come before each one."""
    ordered, order = group.sort(stable=True)
    index = torch.arange(len(group), device=group.device)
    first = torch.searchsorted(ordered, ordered)
    return torch.empty_like(index).scatter_(0, order, index - first)


def _padded(values: Tensor, group: Tensor, place: Tensor, groups: int, fill: float) -> Tensor:
    """The values as a table, one row a group."""
    width = int(place.max()) + 1 if len(place) else 0
    table = values.new_full((groups, width, *values.shape[1:]), fill)
    table[group, place] = values
    return table


def _overlaps(
    boxes: Tensor, group: Tensor, true_boxes: Tensor, true_group: Tensor, inclusive: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """IoU of all boxes of a group: (groups, boxes, true boxes), -1 where there is no true box, and where each went."""
    present, index = true_group.unique(return_inverse=True)
    row = torch.searchsorted(present, group).clamp(max=max(len(present) - 1, 0))
    matchable = present[row] == group if len(present) else torch.zeros_like(group, dtype=torch.bool)
    row, place, true_place = row[matchable], _place(group[matchable]), _place(true_group)
    table = _padded(boxes[matchable], row, place, len(present), 0)
    true_table = _padded(true_boxes, index, true_place, len(present), 0)
    real = _padded(torch.ones_like(index, dtype=torch.bool), index, true_place, len(present), False)
    return torch.where(real[:, None], iou(table, true_table, inclusive=inclusive), -1.0), row, place, matchable


def _match_free(
    boxes: Tensor, group: Tensor, true_boxes: Tensor, true_group: Tensor, thresholds: Tensor, inclusive: bool
) -> Bool[Tensor, "thresholds n"]:
    """COCO: each detection in turn claims the free box that it overlaps most; of equal overlaps, the last."""
    overlap, row, place, matchable = _overlaps(boxes, group, true_boxes, true_group, inclusive)
    groups, ranks, width = overlap.shape
    least = thresholds.to(overlap.dtype).clamp(max=1 - 1e-10)[:, None, None]
    free = torch.ones(len(thresholds), groups, width, dtype=torch.bool, device=boxes.device)
    number = torch.arange(width, device=boxes.device)
    claimed = []
    # One step a rank: the best detections of all classes, pictures and thresholds at once, then the second best ...
    for rank in range(ranks):
        candidate = torch.where(free & (overlap[:, rank] >= least), overlap[:, rank], -1.0)
        best = candidate.amax(-1, keepdim=True)
        last = torch.where(candidate == best, number, -1).amax(-1, keepdim=True)
        claim = (number == last) & (best >= 0)
        free &= ~claim
        claimed.append(claim.any(-1))
    hits = torch.zeros(len(thresholds), len(boxes), dtype=torch.bool, device=boxes.device)
    if claimed and width:
        hits[:, matchable] = torch.stack(claimed, -1)[:, row, place]
    return hits


def _match_best(
    boxes: Tensor, group: Tensor, true_boxes: Tensor, true_group: Tensor, thresholds: Tensor, inclusive: bool
) -> Bool[Tensor, "thresholds n"]:
    """VOC: each claims the box that it overlaps most, the first of equals; the first to claim a box is right."""
    overlap, row, place, matchable = _overlaps(boxes, group, true_boxes, true_group, inclusive)
    hits = torch.zeros(len(thresholds), len(boxes), dtype=torch.bool, device=boxes.device)
    if not overlap.numel():
        return hits
    best, choice = overlap[row, place].max(-1)
    enough = best >= thresholds.to(best.dtype)[:, None]
    claim = row * overlap.shape[-1] + choice
    late = torch.arange(len(claim), device=boxes.device).expand_as(enough)
    # A detection that overlaps too little claims nothing: it goes to a slot of its own, past the end.
    slots = overlap.shape[0] * overlap.shape[-1]
    slot = torch.where(enough, claim, slots)
    first = late.new_full((len(thresholds), slots + 1), len(claim)).scatter_reduce(1, slot, late, "amin")
    hits[:, matchable] = enough & (first.gather(1, slot) == late)
    return hits


def _curves(hits: Tensor, labels: Tensor, boxes_of: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Precision and recall down each class's list: (thresholds, classes, detections)."""
    place = _place(labels)
    right = _padded(hits.T, labels, place, len(boxes_of), False).permute(2, 0, 1)
    real = _padded(torch.ones_like(labels, dtype=torch.bool), labels, place, len(boxes_of), False)
    found = right.cumsum(-1).to(dtype)
    said = torch.arange(1, right.shape[-1] + 1, device=hits.device, dtype=dtype)
    return torch.where(real, found / said, 0.0), found / boxes_of[:, None].to(dtype)


def _interpolated(precision: Tensor, recall: Tensor, convention: str) -> Float[Tensor, "thresholds classes"]:
    """Average of the interpolated precision over recalls."""
    envelope = precision.flip(-1).cummax(-1).values.flip(-1)
    if convention == "every-point":
        gained = recall.diff(dim=-1, prepend=torch.zeros_like(recall[..., :1]))
        return (gained * envelope).sum(-1)
    points = 101 if convention == "coco" else 11
    # Rounded as the reference programs round them: a recall of 3 / 10 does not reach 3 times 0.1.
    at = torch.arange(points, device=recall.device, dtype=recall.dtype) * (1 / (points - 1))
    index = torch.searchsorted(recall.contiguous(), at.expand(*recall.shape[:-1], points).contiguous())
    envelope = torch.cat(
        [envelope, torch.zeros_like(recall[..., :1]) if recall.shape[-1] else recall.new_zeros(*recall.shape[:-1], 1)],
        -1,
    )
    return envelope.gather(-1, index).mean(-1)
