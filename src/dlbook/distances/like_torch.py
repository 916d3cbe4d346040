"""The distances that PyTorch has, under its names and with its arguments."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from dlbook._checks import check_floating, check_ndim, check_range, check_tensor

from ._common import norm, result_dtype, widened


def cosine_similarity(
    x1: Float[Tensor, "..."],
    x2: Float[Tensor, "..."],
    dim: int = 1,
    eps: float = 1e-8,
    *,
    pairwise: bool = False,
) -> Float[Tensor, "..."]:
    r"""Cosine of the angle between vectors, whatever their lengths.

    .. math:: \frac{x \cdot y}{\max(\lVert x \rVert, \epsilon) \max(\lVert y \rVert, \epsilon)}

    Args:
        x1: Vectors along ``dim``; the tensors broadcast.
        x2: Vectors to compare them with.
        dim: The axis of the vectors, in the shape that both broadcast to.
        eps: The least length to divide by.
        pairwise: Whether to compare every vector of ``x1`` with every vector of ``x2``. The axis before the last (once
            ``dim`` is moved to the end) then counts the vectors.

    Returns:
        A similarity in ``[-1, 1]``: 1 for the same direction, 0 for a right angle and for the zero vector.

    Raises:
        TypeError: If an argument is no floating-point tensor.
        ValueError: If the shapes do not broadcast or there is no axis ``dim``.

    Example:
        >>> cosine_similarity(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]]))
        tensor([0.7071])

    Source: Salton et al. (1975); torch.nn.functional.cosine_similarity. Chapter: distances.
    """
    check_floating("x1", x1)
    check_floating("x2", x2)
    if pairwise:
        for name, value in (("x1", x1), ("x2", x2)):
            if value.ndim < 2 or not -value.ndim <= dim < value.ndim:
                raise ValueError(f"{name}: expected two axes or more, one of them dim={dim}; got {tuple(value.shape)}")
        first, second = (_unit(value.movedim(dim, -1), -1, eps) for value in widened(x1, x2))
        if first.shape[-1] != second.shape[-1]:
            raise ValueError(f"x2: expected {first.shape[-1]} features, as x1 has; got {second.shape[-1]}")
        return (first @ second.mT).to(result_dtype(x1, x2))
    first, second = _broadcast(*widened(x1, x2))
    axes = max(first.ndim, 1)
    if not -axes <= dim < axes:
        raise ValueError(f"dim: expected an axis of the common shape, from {-axes} to {axes - 1}; got {dim}")
    return (_unit(first, dim, eps) * _unit(second, dim, eps)).sum(dim).to(result_dtype(x1, x2))


def _unit(vectors: Tensor, dim: int, eps: float) -> Tensor:
    """The vectors at length 1; each is divided first, as a product of two long ones would overflow."""
    length = norm(vectors, 2.0, dim, keepdim=True)
    # Where eps takes over, torch still takes the gradient of the length itself.
    return vectors / torch.where(length < eps, eps + length - length.detach(), length)


def pairwise_distance(
    x1: Shaped[Tensor, "..."], x2: Shaped[Tensor, "..."], p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Float[Tensor, "..."]:
    r"""Distance between vectors, row by row: pairs, not every pair.

    .. math:: \lVert x - y + \epsilon \rVert_p

    Args:
        x1: Vectors along the last axis; the tensors broadcast.
        x2: Vectors to compare them with.
        p: The norm's degree; may be negative or infinite.
        eps: Added to each difference, so that no gradient is taken at 0.
        keepdim: Whether to keep the last axis, at length 1.

    Returns:
        Distances, 0 or more.

    Raises:
        TypeError: If an argument is no tensor, or a boolean one.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> pairwise_distance(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]))
        tensor([5.0000])

    Source: torch.nn.functional.pairwise_distance. Chapter: distances.
    """
    for name, value in (("x1", x1), ("x2", x2)):
        check_tensor(name, value)
        if value.dtype == torch.bool:
            raise TypeError(f"{name}: expected numbers; got dtype torch.bool")
    first, second = _broadcast(*widened(x1, x2))
    return norm(first - second + eps, p, -1, keepdim).to(result_dtype(x1, x2))


def pdist(input: Float[Tensor, "n features"], p: float = 2.0) -> Float[Tensor, " pairs"]:
    r"""Distance between every two rows of a matrix, each pair once.

    .. math:: \lVert x_i - x_j \rVert_p \quad \text{for } i < j

    Args:
        input: Vectors, one a row.
        p: The norm's degree, 0 or more; may be infinite.

    Returns:
        The n (n - 1) / 2 distances in the order (0, 1), (0, 2) ... (1, 2) ...

    Raises:
        TypeError: If ``input`` is no floating-point tensor.
        ValueError: If it has not two axes or ``p`` is negative.

    Example:
        >>> pdist(torch.tensor([[0.0], [1.0], [3.0]]))
        tensor([1., 3., 2.])

    Source: torch.nn.functional.pdist. Chapter: distances.
    """
    check_floating("input", input)
    check_ndim("input", input, (2,), "(n, features)")
    check_range("p", p, 0)
    if not input.shape[1]:
        return input.new_zeros(len(input) * (len(input) - 1) // 2)
    (rows,) = widened(input)
    first, second = torch.triu_indices(len(input), len(input), offset=1, device=input.device)
    # index_select, whose backward adds up rows faster than that of brackets.
    return norm(rows.index_select(0, first) - rows.index_select(0, second), p).to(input.dtype)


def _broadcast(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    try:
        shape = torch.broadcast_shapes(first.shape, second.shape)
    except RuntimeError:
        raise ValueError(
            f"x2: expected a shape that broadcasts with {tuple(first.shape)}; got {tuple(second.shape)}"
        ) from None
    return first.expand(shape), second.expand(shape)


class CosineSimilarity(nn.Module):
    """Cosine similarity as a module, like ``torch.nn.CosineSimilarity``.

    Args:
        dim: The axis of the vectors.
        eps: The least length to divide by.

    Example:
        >>> CosineSimilarity()(torch.eye(2), torch.ones(2, 2))
        tensor([0.7071, 0.7071])

    Source: Salton et al. (1975). Chapter: distances.
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Float[Tensor, "..."], x2: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Compare the vectors."""
        return cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(nn.Module):
    """Distance row by row as a module, like ``torch.nn.PairwiseDistance``.

    Args:
        p: The norm's degree.
        eps: Added to each difference.
        keepdim: Whether to keep the last axis, at length 1.

    Example:
        >>> PairwiseDistance(p=1.0)(torch.zeros(2, 3), torch.ones(2, 3))
        tensor([3.0000, 3.0000])

    Source: torch.nn.PairwiseDistance. Chapter: distances.
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Shaped[Tensor, "..."], x2: Shaped[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Measure each pair of rows."""
        return pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
