"""Distances between vectors: the Minkowski family, and those that look at something other than length."""

import math

import torch
from jaxtyping import Float, Real, Shaped
from torch import Tensor

from dlbook._checks import check_range, check_tensor

from ._common import compared, norm, result_dtype, root, widened

NAMES = ("x1", "x2")


def minkowski(
    x1: Real[Tensor, "*left features"], x2: Real[Tensor, "*right features"], p: float = 2.0, *, pairwise: bool = False
) -> Float[Tensor, "..."]:
    r"""Minkowski distance, the family that holds Manhattan (p = 1), Euclid (2) and Chebyshev (infinity).

    .. math:: \Bigl(\sum_i |x_i - y_i|^p\Bigr)^{1/p}

    Args:
        x1: Vectors along the last axis; leading dimensions broadcast.
        x2: Vectors to compare them with.
        p: The power, above 0. A metric from 1 on: below it, a detour can be shorter than the straight way.
        pairwise: Whether to compare every row of ``x1`` with every row of ``x2``.

    Returns:
        Distances, 0 or more; 0 for equal vectors.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit or ``p`` is not above 0.

    Example:
        >>> minkowski(torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0]), p=3)
        tensor(4.4979)

    Source: Minkowski (1896); scipy.spatial.distance.minkowski. Chapter: distances.
    """
    check_range("p", p, 0, open_low=True)
    first, second = compared(NAMES, x1, x2, pairwise)
    wide = widened(first, second)
    return norm(wide[0] - wide[1], p).to(result_dtype(x1, x2))


def manhattan(
    x1: Real[Tensor, "*left features"], x2: Real[Tensor, "*right features"], *, pairwise: bool = False
) -> Float[Tensor, "..."]:
    r"""Manhattan distance: the way along a grid of streets.

    .. math:: \sum_i |x_i - y_i|

    Args:
        x1: Vectors along the last axis; leading dimensions broadcast.
        x2: Vectors to compare them with.
        pairwise: Whether to compare every row of ``x1`` with every row of ``x2``.

    Returns:
        Distances, 0 or more.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit.

    Example:
        >>> manhattan(torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0]))
        tensor(7.)

    Source: scipy.spatial.distance.cityblock. Chapter: distances.
    """
    return minkowski(x1, x2, 1.0, pairwise=pairwise)


def euclidean(
    x1: Real[Tensor, "*left features"], x2: Real[Tensor, "*right features"], *, pairwise: bool = False
) -> Float[Tensor, "..."]:
    r"""Euclidean distance: the straight line.

    .. math:: \sqrt{\sum_i (x_i - y_i)^2}

    Args:
        x1: Vectors along the last axis; leading dimensions broadcast.
        x2: Vectors to compare them with.
        pairwise: Whether to compare every row of ``x1`` with every row of ``x2``.

    Returns:
        Distances, 0 or more.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit.

    Example:
        >>> euclidean(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), torch.tensor([[3.0, 4.0]]), pairwise=True)
        tensor([[5.],
                [4.]])

    Source: Euclid, "Elements", book I, proposition 47; scipy.spatial.distance.euclidean. Chapter: distances.
    """
    return minkowski(x1, x2, 2.0, pairwise=pairwise)


def chebyshev(
    x1: Real[Tensor, "*left features"], x2: Real[Tensor, "*right features"], *, pairwise: bool = False
) -> Float[Tensor, "..."]:
    r"""Chebyshev distance: the largest difference, a king's moves on a chessboard.

    .. math:: \max_i |x_i - y_i|

    Args:
        x1: Vectors along the last axis; leading dimensions broadcast.
        x2: Vectors to compare them with.
        pairwise: Whether to compare every row of ``x1`` with every row of ``x2``.

    Returns:
        Distances, 0 or more.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit.

    Example:
        >>> chebyshev(torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0]))
        tensor(4.)

    Source: scipy.spatial.distance.chebyshev. Chapter: distances.
    """
    return minkowski(x1, x2, math.inf, pairwise=pairwise)


def hamming(
    x1: Shaped[Tensor, "*left features"], x2: Shaped[Tensor, "*right features"], *, pairwise: bool = False
) -> Float[Tensor, "..."]:
    r"""Hamming distance: the share of places in which two vectors differ.

    .. math:: \frac{1}{n} \sum_i [x_i \ne y_i]

    Hamming counted the places; multiply by their number for that.

    Args:
        x1: Vectors of any dtype along the last axis; leading dimensions broadcast.
        x2: Vectors to compare them with.
        pairwise: Whether to compare every row of ``x1`` with every row of ``x2``.

    Returns:
        Shares in ``[0, 1]``; NaN for vectors without a place.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit.

    Example:
        >>> hamming(torch.tensor([1, 0, 1, 1]), torch.tensor([1, 1, 1, 0]))
        tensor(0.5000)

    Source: Hamming (1950), "Error detecting and error correcting codes"; scipy.spatial.distance.hamming. Chapter:
        distances.
    """
    first, second = compared(NAMES, x1, x2, pairwise)
    return (first != second).to(result_dtype(x1, x2)).mean(-1)


def jaccard(
    x1: Shaped[Tensor, "*left features"], x2: Shaped[Tensor, "*right features"], *, pairwise: bool = False
) -> Float[Tensor, "..."]:
    r"""Jaccard distance between sets: the share of their union that they do not have in common.

    .. math:: 1 - \frac{|A \cap B|}{|A \cup B|}

    Args:
        x1: Sets along the last axis, nonzero where a thing belongs; leading dimensions broadcast.
        x2: Sets to compare them with.
        pairwise: Whether to compare every row of ``x1`` with every row of ``x2``.

    Returns:
        Distances in ``[0, 1]``; 0 for two empty sets.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit.

    Example:
        >>> jaccard(torch.tensor([True, True, False]), torch.tensor([True, False, True]))
        tensor(0.6667)

    Source: Jaccard (1912); scipy.spatial.distance.jaccard. Chapter: distances.
    """
    first, second = compared(NAMES, x1, x2, pairwise)
    first, second = first != 0, second != 0
    either, differing = (first | second).sum(-1), (first ^ second).sum(-1)
    return torch.where(either == 0, 0.0, differing / either).to(result_dtype(x1, x2))


def pearson_correlation(
    x1: Real[Tensor, "*left features"], x2: Real[Tensor, "*right features"], *, pairwise: bool = False
) -> Float[Tensor, "..."]:
    r"""Pearson's correlation: the cosine of the angle between the vectors once their means are taken off.

    .. math:: r = \frac{\sum_i (x_i - \bar x)(y_i - \bar y)}{\sqrt{\sum_i (x_i - \bar x)^2 \sum_i (y_i - \bar y)^2}}

    Args:
        x1: Vectors along the last axis; leading dimensions broadcast.
        x2: Vectors to compare them with.
        pairwise: Whether to compare every row of ``x1`` with every row of ``x2``.

    Returns:
        Correlations in ``[-1, 1]``: a similarity, 1 for vectors that rise and fall in step. NaN for a constant vector.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit.

    Example:
        >>> pearson_correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 6.0, 5.0]))
        tensor(0.5000)

    Source: Pearson (1895); scipy.stats.pearsonr. Chapter: distances.
    """
    compared(NAMES, x1, x2, pairwise)
    first, second = (_direction(vectors) for vectors in widened(x1, x2))
    product = first @ second.mT if pairwise else (first * second).sum(-1)
    return product.clamp(-1, 1).to(result_dtype(x1, x2))


def _direction(vectors: Tensor) -> Tensor:
    """The vectors without their mean, of length 1; NaN where nothing is left."""
    centred = vectors - vectors.mean(-1, keepdim=True)
    return centred / norm(centred, 2.0, keepdim=True)


def mahalanobis(
    x1: Real[Tensor, "*left features"],
    x2: Real[Tensor, "*right features"],
    inverse_covariance: Float[Tensor, "features features"],
    *,
    pairwise: bool = False,
) -> Float[Tensor, "..."]:
    r"""Mahalanobis distance: Euclid's, in units of how much the data spread in each direction.

    .. math:: \sqrt{(x - y)^T \, \Sigma^{-1} \, (x - y)}

    Args:
        x1: Vectors along the last axis; leading dimensions broadcast.
        x2: Vectors to compare them with.
        inverse_covariance: Inverse of the data's covariance matrix.
        pairwise: Whether to compare every row of ``x1`` with every row of ``x2``.

    Returns:
        Distances in standard deviations, 0 or more.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit.

    Example:
        >>> mahalanobis(torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0]), torch.diag(torch.tensor([1.0, 0.25])))
        tensor(3.6056)

    Source: Mahalanobis (1936), "On the generalised distance in statistics". Chapter: distances.
    """
    first, second = compared(NAMES, x1, x2, pairwise)
    check_tensor("inverse_covariance", inverse_covariance)
    size = x1.shape[-1]
    if inverse_covariance.shape != (size, size):
        raise ValueError(f"inverse_covariance: expected shape {(size, size)}; got {tuple(inverse_covariance.shape)}")
    first, second, matrix = widened(first, second, inverse_covariance)
    difference = first - second
    return root(((difference @ matrix) * difference).sum(-1)).to(result_dtype(x1, x2))
