"""The rungs that know which pixels are neighbours, and how a digit may be shifted, turned and bent and stay itself."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from dlbook.activations import relu
from dlbook.convolution import Conv2d, MaxPool2d
from dlbook.initialization import he
from dlbook.ladder.rungs import CLASSES, Learned, Lesson, Predict, trained
from dlbook.neurons import Linear
from dlbook.regularization import Dropout, elastic, rotate, shift
from dlbook.resnet import BasicBlock, ResNet

ENSEMBLE = 5


class Apply(nn.Module):
    """A function as a module, so that it finds its place in a sequence."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """The function of the input."""
        return self.function(x)


def flatten(x: Tensor) -> Tensor:
    """Each example as one row."""
    return x.flatten(1)


def dense(*sizes: int, bend=relu, dropout: float = 0.0, drop_inputs: float = 0.0) -> nn.Sequential:
    """Fully connected layers from pixels to logits, with a bend and dropout after each hidden one."""
    layers: list[nn.Module] = [Apply(flatten), Dropout(drop_inputs)]
    for units, more in pairwise(sizes[:-1]):
        layers += [Linear(units, more), Apply(bend), Dropout(dropout)]
    return nn.Sequential(*layers, Linear(sizes[-2], sizes[-1]))


def convolutional(*channels: int, hidden: tuple[int, ...] = (100,), bend=relu, dropout: float = 0.0) -> nn.Sequential:
    """Convolutions of 5×5, each with pooling of 2×2 and a bend, and then dense layers, for pictures of 28×28.

    The bends rise, so pooling before them gives what pooling after them would, with a quarter of the work.
    """
    layers: list[nn.Module] = []
    side, before = 28, 1
    for count in channels:
        layers += [Conv2d(before, count, 5), MaxPool2d(2), Apply(bend)]
        side, before = (side - 4) // 2, count
    return nn.Sequential(*layers, *dense(before * side**2, *hidden, CLASSES, bend=bend, dropout=dropout))


def residual(width: int = 24, blocks: tuple[int, ...] = (1, 1, 1)) -> nn.Module:
    """The book's best: residual and batch-normalised, behind a first convolution of 5×5 and a pooling of 2×2."""
    model = ResNet(BasicBlock, blocks, num_classes=CLASSES, in_channels=1, width=width, stem="small")
    first = Conv2d(1, width, 5, bias=False)
    he(first.weight, mode="fan_out", nonlinearity="relu")
    model.conv1 = nn.Sequential(first, MaxPool2d(2))
    return model


def by_a_pixel(x: Tensor) -> Tensor:
    """Each picture moved by up to one pixel in each direction."""
    return shift(x, torch.randint(-1, 2, (len(x), 2), device=x.device).to(x.dtype))


def bent(x: Tensor) -> Tensor:
    """Each picture bent as by an unsteady hand."""
    return elastic(x, alpha=36.0, sigma=5.0)


def handled(x: Tensor) -> Tensor:
    """Each picture bent a little, turned by up to 8 degrees and moved by up to one pixel."""
    x = elastic(x, alpha=20.0, sigma=5.0)
    x = rotate(x, torch.rand(len(x), device=x.device) * 16 - 8)
    return shift(x, torch.rand(len(x), 2, device=x.device) * 2 - 1)


def moved(x: Tensor) -> Tensor:
    """Each picture moved by up to two pixels and, every other one, mirrored: for clothes, which have no handwriting."""
    x = torch.where((torch.rand(len(x), device=x.device) < 0.5)[:, None, None, None], x.flip(-1), x)
    return shift(x, torch.randint(-2, 3, (len(x), 2), device=x.device).to(x.dtype))


BEST = {"epochs": 18, "lr": 0.006, "batch_size": 100, "weight_decay": 0.02}
best = trained(residual, **BEST, augment=handled, name="residual")


def ensemble(lesson: Lesson) -> Learned:
    """The mean probabilities of five networks of the rung below, of seeds one after the other."""
    learned = [best(lesson._replace(seed=lesson.seed + i)) for i in range(ENSEMBLE)]
    predicts: list[Predict] = [one.predict for one in learned]
    return Learned(
        lambda x: torch.stack([predict(x) for predict in predicts]).mean(0),
        learned[0].epochs,
        sum(one.seconds for one in learned),
    )
