"""Pictures to classify: scikit-learn's small digits, MNIST and Fashion-MNIST.

The last two are IDX files: a header with the sizes, then one byte a pixel.
"""

import gzip
import math
import zlib

import numpy as np
import torch

from dlbook.datasets.examples import Dataset, Examples
from dlbook.datasets.files import SOURCES, DataUnavailable, Source, read_file

FASHION_MNIST_CLASSES = (
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


def digits(seed: int = 0) -> Dataset:
    """1,797 handwritten digits of 8×8 pixels, without a network: they come with scikit-learn.

    The split keeps each digit's share (stratified) and may hold one writer's images in both parts.

    Args:
        seed: Which images are held out.

    Returns:
        1,437 training and 360 test examples; inputs of shape ``(n, 1, 8, 8)`` in [0, 1], targets in [0, 9].

    Example:
        >>> train, test = digits()
        >>> train.inputs.shape, len(test.targets)
        (torch.Size([1437, 1, 8, 8]), 360)

    Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI. Chapter: activations.
    """
    from sklearn.datasets import load_digits  # a second to import, and only this function needs it
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    inputs = torch.from_numpy(images.reshape(-1, 1, 8, 8) / 16).float()
    targets = torch.from_numpy(labels).long()
    rows = train_test_split(np.arange(len(labels)), test_size=360, stratify=labels, random_state=seed)
    return Dataset(*(Examples(inputs[part], targets[part]) for part in rows))


def mnist() -> Dataset:
    """MNIST: 70,000 handwritten digits of 28×28 pixels; 11 MB, downloaded at the first call.

    Returns:
        60,000 training and 10,000 test examples; inputs of shape ``(n, 1, 28, 28)`` in [0, 1], targets in [0, 9].

    Raises:
        DataUnavailable: If a file is missing and cannot be fetched, or is damaged; it says what to put where.

    Example:
        >>> from dlbook import datasets
        >>> found = datasets.available("mnist")
        >>> train, test = datasets.mnist() if found else datasets.digits()
        >>> train.inputs.ndim
        4

    Source: LeCun et al. (1998), licence CC BY-SA 3.0. Chapter: digits.
    """
    return _idx_dataset(SOURCES["mnist"])


def fashion_mnist() -> Dataset:
    """Fashion-MNIST: 70,000 pictures of clothes, 28×28 pixels; 31 MB, downloaded at the first call.

    ``FASHION_MNIST_CLASSES`` names the ten classes.

    Returns:
        60,000 training and 10,000 test examples; inputs of shape ``(n, 1, 28, 28)`` in [0, 1], targets in [0, 9].

    Raises:
        DataUnavailable: If a file is missing and cannot be fetched, or is damaged; it says what to put where.

    Example:
        >>> from dlbook import datasets
        >>> found = datasets.available("fashion_mnist")
        >>> train, test = datasets.fashion_mnist() if found else datasets.digits()
        >>> train.inputs.ndim
        4

    Source: Xiao, Rasul and Vollgraf (2017), licence MIT. Chapter: convolution.
    """
    return _idx_dataset(SOURCES["fashion_mnist"])


def _idx_dataset(source: Source) -> Dataset:
    train_x, train_y, test_x, test_y = (
        _parse_idx(read_file(source, file), 3 if "images" in file else 1, file) for file in source.files
    )
    return Dataset(_examples(train_x, train_y), _examples(test_x, test_y))


def _examples(images: np.ndarray, labels: np.ndarray) -> Examples:
    inputs = torch.from_numpy(images[:, None].astype(np.float32)).div_(255)
    return Examples(inputs, torch.from_numpy(labels.astype(np.int64)))


def _parse_idx(content: bytes, ndim: int, file: str) -> np.ndarray:
    """Unpack a gzipped IDX array of bytes: 0, 0, 8 (unsigned byte), ndim; the sizes as big-endian int32; the values."""
    try:
        raw = gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataUnavailable(f"{file}: not a whole gzip file ({error})") from error
    header = 4 + 4 * ndim
    if raw[:4] != bytes([0, 0, 8, ndim]) or len(raw) < header:
        raise DataUnavailable(f"{file}: expected an IDX array of bytes with {ndim} axes; it starts {raw[:4].hex(' ')}")
    shape = tuple(np.frombuffer(raw, ">i4", count=ndim, offset=4).tolist())
    if len(raw) - header != math.prod(shape):
        raise DataUnavailable(f"{file}: expected {math.prod(shape)} values for shape {shape}; got {len(raw) - header}")
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)
