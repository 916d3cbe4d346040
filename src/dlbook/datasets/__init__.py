"""Data to learn from: generated sets, handwritten digits and other pictures, sentences with their translations, a text.

The generated sets and ``digits`` need no network. ``mnist``, ``fashion_mnist``, ``tatoeba`` and ``shakespeare`` are
files: they are looked for in the folder that the environment variable ``DLBOOK_DATA`` names, then in your user cache,
and are downloaded to that cache at the first call. Every file is held against its SHA-256 checksum each time it is
read, so a damaged one is never used. A chapter that wants MNIST, and must also run without it, says
``mnist() if available("mnist") else digits()``; and in the same way ``tatoeba`` or ``number_words``.

Points and pictures come as tensors on the CPU: ``inputs`` in float32, ``targets`` as class indices in int64. Sentences
come as pairs of token lists, source and target; the text as one string; ``seven_pictures`` as boxes.
"""

from dlbook.datasets.detections import seven_pictures
from dlbook.datasets.examples import Dataset, Examples, Pair
from dlbook.datasets.files import DataUnavailable, available
from dlbook.datasets.generated import blobs, logic_gates, moons, spirals
from dlbook.datasets.images import FASHION_MNIST_CLASSES, digits, fashion_mnist, mnist
from dlbook.datasets.numerals import number_words, spell_number
from dlbook.datasets.text import shakespeare, tatoeba

__all__ = [
    "FASHION_MNIST_CLASSES",
    "DataUnavailable",
    "Dataset",
    "Examples",
    "Pair",
    "available",
    "blobs",
    "digits",
    "fashion_mnist",
    "logic_gates",
    "mnist",
    "moons",
    "number_words",
    "seven_pictures",
    "shakespeare",
    "spell_number",
    "spirals",
    "tatoeba",
]
