"""Metrics beside scikit-learn, pycocotools and sacreBLEU."""

import contextlib
import io

import torch
from timing import Case

from dlbook import metrics


def cases(device: torch.device) -> list[Case]:
    return [*_curves(device), *_detection(device), *_labels(device), *_translation()]


def _curves(device: torch.device) -> list[Case]:
    import sklearn.metrics as sk

    n = 1_000_000
    y_score = torch.rand(n, device=device)
    y_true = (torch.rand(n, device=device) < y_score).long()
    arrays = (y_true.cpu().numpy(), y_score.cpu().numpy())
    pairs = [("roc_curve", sk.roc_curve), ("average_precision", sk.average_precision_score)]
    rows = []
    for name, peer in pairs:
        ours = getattr(metrics, name)
        rows.append(
            Case(
                name,
                "1,000,000 scores",
                lambda f=ours: f(y_true, y_score),
                lambda f=peer: f(*arrays),
                peer_name="sklearn",
                limit=1.0,
            )
        )
    return rows


def _labels(device: torch.device) -> list[Case]:
    import sklearn.metrics as sk

    y_true, y_pred = torch.randint(10, (2, 1_000_000), device=device)
    arrays = (y_true.cpu().numpy(), y_pred.cpu().numpy())
    return [
        Case(
            name,
            "1,000,000 labels, 10 classes",
            lambda name=name, k=kwargs: getattr(metrics, name)(y_true, y_pred, **k),
            lambda name=name, k=kwargs: getattr(sk, name)(*arrays, **k),
            peer_name="sklearn",
        )
        for name, kwargs in (("confusion_matrix", {}), ("f1_score", {"average": "macro"}))
    ]


def scene(pictures: int, detections: int, classes: int) -> tuple[list[dict], list[dict]]:
    """Random true boxes, and detections that mostly lie near one of them."""
    predictions, targets = [], []
    for _ in range(pictures):
        corner, size = 400 * torch.rand(20, 2), 20 + 80 * torch.rand(20, 2)
        boxes, labels = torch.cat([corner, corner + size], 1), torch.randint(classes, (20,))
        source = torch.randint(20, (detections,))
        noisy = boxes[source] + 6 * torch.randn(detections, 4)
        said = torch.where(torch.rand(detections) < 0.8, labels[source], torch.randint(classes, (detections,)))
        targets.append({"boxes": boxes, "labels": labels})
        predictions.append({"boxes": noisy, "labels": said, "scores": torch.rand(detections)})
    return predictions, targets


def coco_evaluation(predictions: list[dict], targets: list[dict]):
    """The evaluation of pycocotools, of all areas together, 100 detections, ready to run."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def rows(pictures: list[dict]) -> list[dict]:
        flat = []
        for i, picture in enumerate(pictures):
            boxes = picture["boxes"].double()
            sides = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).tolist()
            scores = picture.get("scores", torch.ones(len(boxes))).tolist()
            for box, label, score in zip(sides, picture["labels"].tolist(), scores, strict=True):
                flat.append({"image_id": i, "category_id": label, "bbox": box, "score": score})
        return [
            {**row, "id": j, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0} for j, row in enumerate(flat, 1)
        ]

    with contextlib.redirect_stdout(io.StringIO()):
        true, said = COCO(), COCO()
        labels = sorted({label for picture in targets for label in picture["labels"].tolist()})
        for store, pictures in ((true, targets), (said, predictions)):
            store.dataset = {
                "images": [{"id": i} for i in range(len(pictures))],
                "categories": [{"id": label} for label in labels],
                "annotations": rows(pictures),
            }
            store.createIndex()
        evaluation = COCOeval(true, said, "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [100]
    return evaluation


def _detection(device: torch.device) -> list[Case]:
    try:
        import pycocotools  # noqa: F401
    except ImportError:
        print("mean_average_precision: left out, as pycocotools is not installed")
        return []
    predictions, targets = scene(100, 100, 80)
    evaluation = coco_evaluation(predictions, targets)
    here = [[{k: v.to(device) for k, v in p.items()} for p in pictures] for pictures in (predictions, targets)]

    def peer() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
            evaluation.accumulate()

    size = "100 pictures × 100 boxes, 80 classes"
    ours = lambda: metrics.mean_average_precision(*here)  # noqa: E731
    return [Case("mean_average_precision", size, ours, peer, peer_name="pycocotools", limit=1.0)]


def _translation() -> list[Case]:
    try:
        from sacrebleu.metrics import BLEU
    except ImportError:
        print("bleu: left out, as sacrebleu is not installed")
        return []
    words = [f"w{i}" for i in range(1000)]
    lines = [[" ".join(words[j] for j in torch.randint(100, (20,))) for _ in range(1000)] for _ in range(2)]
    said, true = lines
    peer = BLEU(tokenize="none", force=True)
    ours = lambda: metrics.bleu(said, [[one] for one in true])  # noqa: E731
    return [
        Case(
            "bleu", "1,000 sentences of 20 words", ours, lambda: peer.corpus_score(said, [true]), peer_name="sacrebleu"
        )
    ]
