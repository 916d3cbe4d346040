"""Residual networks: every block adds to its input what it has to say, and so may say nothing.

A plain network that is made deeper trains worse, on its own training set: its extra layers would have to learn to pass
their input on, which is hard with weights that start at random. A residual block computes :math:`y = f(x) + x`. To pass
its input on, it only has to make :math:`f` small; and backwards, the gradient of :math:`x` is that of :math:`y`, plus
what comes through :math:`f`.

``blocks`` has the two kinds of block and a shortcut without weights, ``models`` the networks of the paper and their
plain twins, ``dense`` the block of DenseNet, which keeps its input beside its output instead of adding it. ``summary``,
in ``table``, lists the layers of any model: their shapes, parameters and multiply-adds.
"""

from dlbook.resnet.blocks import BasicBlock, Bottleneck, PaddedIdentity
from dlbook.resnet.dense import DenseBlock, Transition
from dlbook.resnet.models import ResNet, cifar_resnet, resnet18, resnet34, resnet50
from dlbook.resnet.table import LayerRow, Summary, summary

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "DenseBlock",
    "LayerRow",
    "PaddedIdentity",
    "ResNet",
    "Summary",
    "Transition",
    "cifar_resnet",
    "resnet18",
    "resnet34",
    "resnet50",
    "summary",
]
