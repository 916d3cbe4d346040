"""A neuron weighs its inputs and fires above a threshold; a layer is many of them, asked all at once.

One threshold neuron can be a logic gate, and enough NAND gates can be any computer. Give the neuron a bias in place of
the threshold and leave out the step, and a layer of neurons is one matrix product: ``linear``. ``bilinear`` multiplies
two inputs, and ``embedding`` is what ``linear`` becomes when its input is a single 1 among zeros: the choice of a row.

``threshold`` holds the neuron and its gates, ``layers`` the two products, ``lookup`` the embedding.
"""

from .layers import Bilinear, Linear, bilinear, linear
from .lookup import Embedding, embedding
from .threshold import AND, NAND, NOT, OR, ThresholdNeuron

__all__ = [
    "AND",
    "NAND",
    "NOT",
    "OR",
    "Bilinear",
    "Embedding",
    "Linear",
    "ThresholdNeuron",
    "bilinear",
    "embedding",
    "linear",
]
