"""An epoch of a [784, 100, 10] network in mini-batches of 10, beside a plain numpy implementation, example by example.

The pictures are random numbers of MNIST's shape, as the time does not depend on what they show; 1,000 examples stand
for the 60,000, and the ratio is the same.
"""

from itertools import pairwise

import numpy as np
import torch
from timing import Case

from dlbook.backpropagation import Network

SIZES, EXAMPLES, BATCH, LR = [784, 100, 10], 1000, 10, 0.5


class PerExample:
    """The published procedure: lists of columns, and one example after another."""

    def __init__(self, sizes: list[int]) -> None:
        generator = np.random.default_rng(0)
        pairs = list(pairwise(sizes))
        self.biases = [generator.standard_normal((n, 1)) for _, n in pairs]
        self.weights = [generator.standard_normal((n, m)) / np.sqrt(m) for m, n in pairs]

    def epoch(self, data: list[tuple[np.ndarray, np.ndarray]], batch: int, lr: float) -> None:
        """All examples once, in mini-batches."""
        for start in range(0, len(data), batch):
            self.update(data[start : start + batch], lr)

    def update(self, batch: list[tuple[np.ndarray, np.ndarray]], lr: float) -> None:
        """One step of gradient descent, on the sum of the examples' gradients."""
        total_b = [np.zeros(b.shape) for b in self.biases]
        total_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in batch:
            grad_b, grad_w = self.gradient(x, y)
            total_b = [total + grad for total, grad in zip(total_b, grad_b, strict=True)]
            total_w = [total + grad for total, grad in zip(total_w, grad_w, strict=True)]
        rate = lr / len(batch)
        self.weights = [w - rate * total for w, total in zip(self.weights, total_w, strict=True)]
        self.biases = [b - rate * total for b, total in zip(self.biases, total_b, strict=True)]

    def gradient(self, x: np.ndarray, y: np.ndarray) -> tuple[list, list]:
        """The gradient of one example's cross-entropy."""
        activations = [x]
        for b, w in zip(self.biases, self.weights, strict=True):
            activations.append(1 / (1 + np.exp(-(w @ activations[-1] + b))))
        grad_b, grad_w = [], []
        delta = activations[-1] - y
        for layer in range(len(self.weights) - 1, -1, -1):
            grad_b.insert(0, delta)
            grad_w.insert(0, delta @ activations[layer].T)
            before = activations[layer]
            delta = (self.weights[layer].T @ delta) * before * (1 - before) if layer else delta
        return grad_b, grad_w


def cases(device: torch.device) -> list[Case]:
    network = Network(SIZES, cost="cross_entropy", device=device)
    pictures = torch.rand(EXAMPLES, SIZES[0], device=device)
    targets = torch.eye(10, device=device)[torch.randint(10, (EXAMPLES,), device=device)]
    columns = [
        (x[:, None].double().cpu().numpy(), y[:, None].double().cpu().numpy())
        for x, y in zip(pictures, targets, strict=True)
    ]
    plain = PerExample(SIZES)

    def ours() -> None:
        for x, y in zip(pictures.split(BATCH), targets.split(BATCH), strict=True):
            network.step(x, y, LR)

    size = f"{SIZES}, {EXAMPLES:,} examples by {BATCH}"
    return [
        Case("Network, an epoch", size, ours, lambda: plain.epoch(columns, BATCH, LR), peer_name="numpy", limit=1 / 15)
    ]
