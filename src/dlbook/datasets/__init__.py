"""Data to learn from: generated sets, small handwritten digits, MNIST and Fashion-MNIST.

The generated sets and ``digits`` need no network. ``mnist`` and ``fashion_mnist`` are files: they are looked for in the
folder that the environment variable ``DLBOOK_DATA`` names, then in your user cache, and are downloaded to that cache at
the first call. Every file is held against its SHA-256 checksum each time it is read, so a damaged one is never used.
A chapter that wants MNIST, and must also run without it, says ``mnist() if available("mnist") else digits()``.

Everything comes as tensors on the CPU: ``inputs`` in float32, ``targets`` as class indices in int64.
"""

from dlbook.datasets.examples import Dataset, Examples
from dlbook.datasets.files import DataUnavailable, available
from dlbook.datasets.generated import blobs, logic_gates, moons, spirals
from dlbook.datasets.images import FASHION_MNIST_CLASSES, digits, fashion_mnist, mnist

__all__ = [
    "FASHION_MNIST_CLASSES",
    "DataUnavailable",
    "Dataset",
    "Examples",
    "available",
    "blobs",
    "digits",
    "fashion_mnist",
    "logic_gates",
    "mnist",
    "moons",
    "spirals",
]
