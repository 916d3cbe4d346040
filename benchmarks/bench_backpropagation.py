"""An epoch of a [784, 100, 10] network in mini-batches of 10, beside a plain numpy implementation, example by example.

The pictures are random numbers of MNIST's shape, as the time does not depend on what they show; 5,000 examples stand
for the 60,000, and the ratio is the same. The plain implementation is the one that Nielsen (2015) describes, with
either of numpy's products: ``np.dot``, as published, and ``@``, which for a column times a row is about half as fast.
"""

import operator
import random
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from timing import Case

from dlbook.backpropagation import Network

SIZES, EXAMPLES, BATCH, LR = [784, 100, 10], 5000, 10, 0.5


class PerExample:
    """The published procedure: lists of columns, and one example after another."""

    def __init__(self, sizes: list[int], product: Callable = np.dot) -> None:
        self.product = product
        generator = np.random.default_rng(0)
        pairs = list(pairwise(sizes))
        self.biases = [generator.standard_normal((n, 1)) for _, n in pairs]
        self.weights = [generator.standard_normal((n, m)) / np.sqrt(m) for m, n in pairs]

    def epoch(self, data: list[tuple[np.ndarray, np.ndarray]], batch: int, lr: float) -> None:
        """All examples once, shuffled, in mini-batches."""
        random.shuffle(data)
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
        """The gradient of one example's quadratic cost."""
        grad_b = [np.zeros(b.shape) for b in self.biases]
        grad_w = [np.zeros(w.shape) for w in self.weights]
        activation, activations, sums = x, [x], []
        for b, w in zip(self.biases, self.weights, strict=True):
            z = self.product(w, activation) + b
            activation = sigmoid(z)
            sums.append(z)
            activations.append(activation)
        delta = (activations[-1] - y) * sigmoid_slope(sums[-1])
        grad_b[-1], grad_w[-1] = delta, self.product(delta, activations[-2].T)
        for layer in range(2, len(self.weights) + 1):
            delta = self.product(self.weights[-layer + 1].T, delta) * sigmoid_slope(sums[-layer])
            grad_b[-layer], grad_w[-layer] = delta, self.product(delta, activations[-layer - 1].T)
        return grad_b, grad_w


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_slope(z: np.ndarray) -> np.ndarray:
    return sigmoid(z) * (1 - sigmoid(z))


def cases(device: torch.device) -> list[Case]:
    network = Network(SIZES, device=device)
    pictures = torch.rand(EXAMPLES, SIZES[0], device=device)
    targets = torch.eye(10, device=device)[torch.randint(10, (EXAMPLES,), device=device)]
    columns = [
        (x[:, None].double().cpu().numpy(), y[:, None].double().cpu().numpy())
        for x, y in zip(pictures, targets, strict=True)
    ]

    def ours() -> None:
        order = torch.randperm(EXAMPLES, device=device)
        for x, y in zip(pictures[order].split(BATCH), targets[order].split(BATCH), strict=True):
            network.step(x, y, LR)

    size = f"{SIZES}, {EXAMPLES:,} examples by {BATCH}"
    rows = []
    for name, product in (("np.dot", np.dot), ("numpy @", operator.matmul)):
        plain = PerExample(SIZES, product)
        peer = lambda plain=plain: plain.epoch(columns, BATCH, LR)  # noqa: E731
        rows.append(Case("Network, an epoch", size, ours, peer, peer_name=name, limit=1 / 15))
    return rows
