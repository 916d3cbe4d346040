"""Losses beside torch's, forward and backward: rows of a small language model's logits, two million numbers."""

import torch
import torch.nn.functional as F
from timing import Case

from dlbook import losses


def cases(device: torch.device) -> list[Case]:
    rows, classes = 512, 4096
    logits = torch.randn(rows, classes, device=device, requires_grad=True)
    classes_true = torch.randint(classes, (rows,), device=device)
    soft = torch.randn(rows, classes, device=device).softmax(1)
    out = []

    def add(kernel, size, call, inputs, compiled=True, limit=None):
        out.append(
            Case(
                kernel,
                size,
                lambda *a: call(losses, *a),
                lambda *a: call(F, *a),
                inputs=inputs,
                compiled=compiled,
                limit=limit,
            )
        )

    size = f"{rows}×{classes}"
    add("cross_entropy", size, lambda m, x, y: m.cross_entropy(x, y), (logits, classes_true), limit=1.5)
    add("cross_entropy", "32×1000", lambda m, x, y: m.cross_entropy(x, y), _small(device))
    add(
        "cross_entropy, smoothed",
        size,
        lambda m, x, y: m.cross_entropy(x, y, label_smoothing=0.1),
        (logits, classes_true),
    )
    add("cross_entropy, probabilities", size, lambda m, x, y: m.cross_entropy(x, y), (logits, soft))
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits"):
        add(name, size, lambda m, x, y, name=name: getattr(m, name)(x, y), (logits, soft))
    anchors = tuple(torch.randn(4096, 128, device=device, requires_grad=True) for _ in range(3))
    add("triplet_margin_loss", "4096×128", lambda m, *a: m.triplet_margin_loss(*a), anchors)
    log_probs = torch.randn(100, 32, 40, device=device).log_softmax(-1).requires_grad_()
    targets = torch.randint(1, 40, (32, 25), device=device)
    lengths = (torch.full((32,), 100), torch.full((32,), 25))
    add(
        "ctc_loss",
        "100 frames, 32, 40 classes",
        lambda m, x, y: m.ctc_loss(x, y, *lengths),
        (log_probs, targets),
        compiled=False,
    )
    return out


def _small(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(32, 1000, device=device, requires_grad=True), torch.randint(1000, (32,), device=device)
