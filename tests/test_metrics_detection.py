"""Boxes: IoU, non-maximum suppression and mean average precision, against hand-made figures and a plain-loop form."""

import os
from itertools import chain
from pathlib import Path

import pytest
import torch

from dlbook import metrics as M
from dlbook.datasets import seven_pictures


def picture(rows):
    """Boxes as corners; a row with five numbers starts with its confidence."""
    table = torch.tensor([[float(x) for x in row] for row in rows])
    corner, size = table[:, -4:-2], table[:, -2:]
    found = {"boxes": torch.cat([corner, corner + size], 1), "labels": torch.zeros(len(table), dtype=torch.long)}
    return found | ({"scores": table[:, 0]} if table.shape[1] == 5 else {})


def moved(pictures, device):
    return [{key: value.to(device) for key, value in one.items()} for one in pictures]


def scene(pictures, detections, classes, dtype=torch.float32):
    """Whole-pixel boxes and few different scores, so that overlaps and scores tie."""
    predictions, targets = [], []
    for _ in range(pictures):
        size = int(torch.randint(0, 9, ()))
        corner = torch.randint(60, (size, 2))
        boxes = torch.cat([corner, corner + torch.randint(8, 30, (size, 2))], 1).to(dtype)
        labels = torch.randint(classes, (size,))
        source = torch.randint(max(size, 1), (detections if size else 0,))
        said = torch.where(torch.rand(len(source)) < 0.8, labels[source], torch.randint(classes + 1, (len(source),)))
        scores = torch.randint(12, (len(source),)).to(dtype) / 12
        noisy = boxes[source] + torch.randint(-3, 4, (len(source), 4))
        predictions.append({"boxes": noisy, "labels": said, "scores": scores})
        targets.append({"boxes": boxes, "labels": labels})
    return predictions, targets


def plain_match(overlap, least, coco):
    """Which detections (rows, by falling score) are right, one after another, as the reference programs do it."""
    taken, hits = set(), []
    for row in overlap.tolist():
        best, chosen = -1.0, None
        for j, value in enumerate(row):
            if coco and (j in taken or value < min(least, 1 - 1e-10) or value < best):
                continue
            if coco or value > best:
                best, chosen = value, j
        right = chosen is not None and best >= least and chosen not in taken
        if right:
            taken.add(chosen)
        hits.append(right)
    return hits


def plain_map(predictions, targets, convention, least, inclusive):
    coco, results = convention == "coco", []
    labels = sorted({int(label) for one in targets for label in one["labels"]})
    for label in labels:
        rows, boxes = [], 0
        for said, true in zip(predictions, targets, strict=True):
            mine, wanted = said["labels"] == label, true["labels"] == label
            order = said["scores"][mine].argsort(descending=True, stable=True)[: 100 if coco else None]
            overlap = M.iou(said["boxes"][mine][order], true["boxes"][wanted], inclusive=inclusive)
            hits = plain_match(overlap, least, coco) if wanted.any() else [False] * len(order)
            rows += list(zip(said["scores"][mine][order].tolist(), hits, strict=True))
            boxes += int(wanted.sum())
        rows.sort(key=lambda row: -row[0])
        right, precision, recall = 0, [], []
        for i, (_, hit) in enumerate(rows, 1):
            right += hit
            precision.append(right / i)
            recall.append(right / boxes)
        best = [max(precision[i:]) for i in range(len(precision))]
        if convention == "every-point":
            results.append(sum((r - r0) * p for r, r0, p in zip(recall, [0, *recall], best, strict=False)))
            continue
        points = 101 if coco else 11
        at = [
            next((p for r, p in zip(recall, best, strict=True) if r >= i * (1 / (points - 1))), 0)
            for i in range(points)
        ]
        results.append(sum(at) / points)
    return torch.tensor(results, dtype=torch.float64)


class TestIou:
    def test_hand_values(self, device):
        first = torch.tensor([[0, 0, 10, 10], [0, 0, 0, 0]], device=device)
        second = torch.tensor(
            [[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 4], [0, 0, 0, 0]], device=device
        )
        expected = torch.tensor([[1, 1 / 3, 0, 0.04, 0], [0, 0, 0, 0, 0]], device=device)
        torch.testing.assert_close(M.iou(first, second), expected)
        # Inclusive pixels: 11 × 11 each, 6 × 11 shared.
        mine = M.iou(first[:1], second[1:3], inclusive=True)
        torch.testing.assert_close(mine, torch.tensor([[66 / 176, 11 / 231]], device=device))

    def test_counts_pixels(self):
        boxes = torch.randint(12, (2, 7, 2))
        boxes = torch.cat([boxes, boxes + torch.randint(9, (2, 7, 2))], -1)
        grid = torch.arange(25)

        def mask(b):
            across = (grid >= b[..., 0, None]) & (grid <= b[..., 2, None])
            down = (grid >= b[..., 1, None]) & (grid <= b[..., 3, None])
            return across[..., None] & down[..., None, :]

        first, second = mask(boxes[0])[:, None], mask(boxes[1])[None]
        expected = (first & second).sum((-1, -2)) / (first | second).sum((-1, -2))
        torch.testing.assert_close(M.iou(boxes[0], boxes[1], inclusive=True), expected)

    def test_leading_dimensions_symmetry_dtype_and_emptiness(self):
        boxes = torch.rand(3, 5, 4, dtype=torch.float64)
        boxes[..., 2:] += boxes[..., :2]
        whole = M.iou(boxes, boxes[0])
        assert whole.shape == (3, 5, 5)
        assert whole.dtype == torch.float64
        torch.testing.assert_close(M.iou(boxes[0], boxes[2]).T, whole[2])
        assert M.iou(boxes.bfloat16(), boxes.bfloat16()).dtype == torch.float32
        assert M.iou(boxes[0, :0], boxes[0]).shape == (0, 5)

    def test_has_a_gradient(self):
        boxes = torch.tensor([[0.0, 0.0, 2.0, 3.0]], dtype=torch.float64, requires_grad=True)
        other = torch.tensor([[1.0, 1.1, 4.0, 5.0]], dtype=torch.float64)
        assert torch.autograd.gradcheck(lambda b: M.iou(b, other), boxes)

    @pytest.mark.bad_input
    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"boxes2: expected shape \(\.\.\., boxes, 4\); got \(3, 5\)"):
            M.iou(torch.zeros(2, 4), torch.zeros(3, 5))
        with pytest.raises(TypeError, match=r"boxes1: expected a torch\.Tensor"):
            M.iou([[0, 0, 1, 1]], torch.zeros(3, 4))

    @pytest.mark.compile
    def test_compiles(self):
        boxes = torch.rand(5, 4)
        compiled = torch.compile(M.iou, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(boxes, boxes), M.iou(boxes, boxes))


class TestNonMaxSuppression:
    @pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
    @pytest.mark.parametrize("classes", [None, 3])
    def test_one_after_another(self, threshold, classes, device):
        corner = torch.randint(40, (61, 2), device=device)
        boxes = torch.cat([corner, corner + torch.randint(5, 30, (61, 2), device=device)], 1)
        scores = torch.randint(20, (61,), device=device).float()
        labels = None if classes is None else torch.randint(classes, (61,), device=device)
        kept = []
        overlap = M.iou(boxes, boxes)
        for i in scores.argsort(descending=True, stable=True).tolist():
            if all(overlap[i, j] <= threshold or (labels is not None and labels[i] != labels[j]) for j in kept):
                kept.append(i)
        assert M.non_max_suppression(boxes, scores, threshold, labels=labels).tolist() == kept

    def test_a_chain_and_nothing(self):
        # Each removes the next, so every second one stays.
        left = torch.arange(40) * 5
        boxes = torch.stack([left, left * 0, left + 12, left * 0 + 10], 1)
        kept = M.non_max_suppression(boxes, torch.linspace(1, 0, 40), 0.3)
        assert kept.tolist() == list(range(0, 40, 2))
        assert M.non_max_suppression(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []

    @pytest.mark.bad_input
    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"boxes: expected shape \(2, 4\); got \(3, 4\)"):
            M.non_max_suppression(torch.zeros(3, 4), torch.zeros(2), 0.5)
        with pytest.raises(ValueError, match=r"iou_threshold: expected a number in \[0, 1\]"):
            M.non_max_suppression(torch.zeros(2, 4), torch.zeros(2), 1.5)


class TestMeanAveragePrecision:
    @pytest.mark.parametrize(
        ("convention", "inclusive", "published"),
        [("11-point", True, 26.84), ("every-point", True, 24.57), ("every-point", False, 22.54)],
    )
    def test_published_figures(self, convention, inclusive, published, device):
        predictions, targets = (moved(pictures, device) for pictures in seven_pictures())
        assert sum(len(one["scores"]) for one in predictions) == 24
        assert sum(len(one["labels"]) for one in targets) == 15
        found = M.mean_average_precision(
            predictions, targets, convention=convention, iou_thresholds=[0.3], inclusive=inclusive
        )
        assert round(100 * found.mean.item(), 2) == published

    def test_published_curve(self):
        found = M.mean_average_precision(
            *seven_pictures(), convention="every-point", iou_thresholds=[0.3], inclusive=True
        )
        assert isinstance(found, M.DetectionScores)
        precision = "100 50 67 50 40 33 29 25 22 30 27 33 38 43 40 38 35 33 32 30 29 27 30 29"
        recall = "07 07 13 13 13 13 13 13 13 20 20 27 33 40 40 40 40 40 40 40 40 40 47 47"
        assert [f"{100 * p:02.0f}" for p in found.precision[0, 0].tolist()] == precision.split()
        assert [f"{100 * r:02.0f}" for r in found.recall[0, 0].tolist()] == recall.split()

    def test_the_files_hold_the_same_boxes(self):
        folder = Path(os.environ.get("DLBOOK_DATA", "")) / "detection" / "voc-toy"
        if "DLBOOK_DATA" not in os.environ or not folder.exists():
            pytest.skip("DLBOOK_DATA holds no detection/voc-toy")
        read = []
        for part in ("detections", "groundtruths"):
            files = sorted((folder / part).glob("*.txt"))
            rows = [[line.split()[1:] for line in file.read_text().splitlines()] for file in files]
            read.append([picture(one) for one in rows])
        for mine, expected in zip(chain(*read), chain(*seven_pictures()), strict=True):
            for key in expected:
                torch.testing.assert_close(mine[key], expected[key])
        for convention, published in (("11-point", 26.84), ("every-point", 24.57)):
            found = M.mean_average_precision(*read, convention=convention, iou_thresholds=[0.3], inclusive=True)
            assert round(100 * found.mean.item(), 2) == published

    @pytest.mark.parametrize("convention", ["coco", "every-point", "11-point"])
    @pytest.mark.parametrize("inclusive", [False, True])
    def test_one_after_another(self, convention, inclusive, device):
        predictions, targets = scene(7, 23, 3, torch.float64)
        thresholds = [0.3, 0.5, 0.75]
        found = M.mean_average_precision(
            moved(predictions, device),
            moved(targets, device),
            convention=convention,
            iou_thresholds=thresholds,
            inclusive=inclusive,
        )
        expected = torch.stack([plain_map(predictions, targets, convention, t, inclusive) for t in thresholds])
        torch.testing.assert_close(found.average_precision.cpu(), expected)
        torch.testing.assert_close(found.mean.cpu(), expected.mean())

    def test_default_thresholds(self):
        predictions, targets = scene(3, 11, 2)
        assert M.mean_average_precision(predictions, targets).average_precision.shape[0] == 10
        assert M.mean_average_precision(predictions, targets, convention="11-point").average_precision.shape[0] == 1

    def test_at_most_so_many_of_a_class_in_a_picture(self):
        box = torch.tensor([[0.0, 0, 10, 10]])
        far = box + 100
        said = {"boxes": torch.cat([far, box]), "labels": torch.tensor([1, 1]), "scores": torch.tensor([0.9, 0.8])}
        true = {"boxes": box, "labels": torch.tensor([1])}
        for convention in ("coco", "every-point"):
            cut = M.mean_average_precision([said], [true], convention=convention, max_detections=1)
            assert cut.mean == 0
            assert M.mean_average_precision([said], [true], convention=convention).mean == 0.5

    def test_free_box_or_best_box(self):
        # The second detection overlaps the taken box most, and the free one enough.
        true = {"boxes": torch.tensor([[0.0, 0, 10, 10], [0, 3, 10, 13]]), "labels": torch.tensor([0, 0])}
        said = {
            "boxes": torch.tensor([[0.0, 0, 10, 10], [0, 1, 10, 11]]),
            "labels": torch.tensor([0, 0]),
            "scores": torch.tensor([0.9, 0.8]),
        }
        assert M.mean_average_precision([said], [true], iou_thresholds=[0.5]).mean == 1
        assert M.mean_average_precision([said], [true], convention="every-point").mean == 0.5

    def test_nothing_there(self):
        none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
        said, true = none | {"scores": torch.zeros(0)}, {"boxes": torch.ones(1, 4), "labels": torch.tensor([2])}
        for convention in ("coco", "every-point", "11-point"):
            assert M.mean_average_precision([said], [true], convention=convention).mean == 0
            assert M.mean_average_precision([said], [none], convention=convention).mean.isnan()
            false = true | {"scores": torch.ones(1)}
            assert M.mean_average_precision([false], [none], convention=convention).mean.isnan()

    def test_like_pycocotools(self):
        pytest.importorskip("pycocotools")
        import sys

        sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
        try:
            from bench_metrics import coco_evaluation
        finally:
            sys.path.pop(0)
        for dtype in (torch.float64, torch.float32):
            self.compare(coco_evaluation, *scene(9, 31, 4, dtype))
            # Ten boxes of one class, so that recalls are tenths.
            box = torch.tensor([[0, 0, 10, 10]])
            boxes = torch.cat([box + 20 * i for i in range(10)]).to(dtype)
            labels = torch.ones(10, dtype=torch.long)
            scores = torch.linspace(0.9, 0.1, 10, dtype=dtype)
            boxes[4::3] += 300
            said = {"boxes": boxes, "labels": labels, "scores": scores}
            self.compare(coco_evaluation, [said], [{"boxes": boxes - 300 * (boxes > 300), "labels": labels}])

    def compare(self, coco_evaluation, predictions, targets):
        # Their list of images leaves out none, and ties between equal scores keep the order of the list.
        evaluation = coco_evaluation(predictions, targets)
        evaluation.evaluate()
        evaluation.accumulate()
        theirs = torch.from_numpy(evaluation.eval["precision"])[:, :, :, 0, 0].mean(1)
        mine = M.mean_average_precision(predictions, targets)
        torch.testing.assert_close(mine.average_precision, theirs.to(mine.mean.dtype))

    @pytest.mark.bad_input
    def test_bad_input(self):
        predictions, targets = seven_pictures()
        with pytest.raises(ValueError, match="convention: expected one of 'coco', 'every-point', '11-point'"):
            M.mean_average_precision(predictions, targets, convention="voc")
        with pytest.raises(ValueError, match="predictions: expected one for each of the 7 targets; got 6"):
            M.mean_average_precision(predictions[1:], targets)
        with pytest.raises(ValueError, match=r"predictions\[0\]: expected the keys"):
            M.mean_average_precision(targets, targets)
        with pytest.raises(ValueError, match=r"targets\[0\]: expected"):
            M.mean_average_precision(predictions[:1], [{"boxes": torch.zeros(2, 5), "labels": torch.zeros(2)}])
        with pytest.raises(TypeError, match=r"targets\[0\]\['boxes'\]: expected a torch.Tensor"):
            M.mean_average_precision(predictions[:1], [{"boxes": [[0, 0, 1, 1]], "labels": torch.zeros(1)}])
        with pytest.raises(ValueError, match="expected at least one picture"):
            M.mean_average_precision([], [])
