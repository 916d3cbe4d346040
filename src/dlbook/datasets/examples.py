"""The shapes that data comes in: examples, a data set of training and test examples, and pairs of sentences."""

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from dlbook._checks import check_range, check_whole

T = TypeVar("T")

Pair = tuple[list[str], list[str]]
"""A sentence and its translation, both as tokens."""

SPLITS = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}
"""Where the parts of a set of pairs begin and end, once it is shuffled."""


class Examples(NamedTuple):
    """Inputs and their targets, row by row; a plain pair, ``inputs, targets = moons()``.

    ``inputs`` has the shape ``(n, ...)``, ``targets`` has ``n`` entries.
    """

    inputs: Tensor
    targets: Tensor

    def to(self, device: torch.device | str) -> "Examples":
        """The same examples on another device."""
        return Examples(self.inputs.to(device), self.targets.to(device))


class Dataset(NamedTuple):
    """Examples to learn from and examples to be judged by; a plain pair, ``train, test = digits()``."""

    train: Examples
    test: Examples

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data set on another device."""
        return Dataset(self.train.to(device), self.test.to(device))


def first(found: list[T], pairs: int | None) -> list[T]:
    """So many of what was found; all of it for None."""
    if pairs is not None:
        check_whole("pairs", pairs)
        check_range("pairs", pairs, 1, len(found))
    return found[:pairs]
