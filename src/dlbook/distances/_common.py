"""What the distances share: the shapes of a comparison, and a norm whose gradient exists at zero."""

import math

import torch
from torch import Tensor

from dlbook._checks import check_tensor


def compared(
    names: tuple[str, str], first: Tensor, second: Tensor, pairwise: bool, equal: bool = True
) -> tuple[Tensor, Tensor]:
    """The two tensors, shaped so that they broadcast: row by row, or every row with every row.

    Args:
        names: The arguments' names.
        first: Vectors along the last axis.
        second: Vectors along the last axis.
        pairwise: Whether every vector of one meets every vector of the other.
        equal: Whether the vectors must be of one length.
    """
    for name, value in zip(names, (first, second), strict=True):
        check_tensor(name, value)
        if value.ndim < 1 + pairwise:
            shape = "(..., vectors, features)" if pairwise else "(..., features)"
            raise ValueError(f"{name}: expected shape {shape}; got {tuple(value.shape)}")
    if equal and first.shape[-1] != second.shape[-1]:
        raise ValueError(f"{names[1]}: expected {first.shape[-1]} features, as {names[0]} has; got {second.shape[-1]}")
    if pairwise:
        first, second = first[..., :, None, :], second[..., None, :, :]
    try:
        torch.broadcast_shapes(first.shape[:-1], second.shape[:-1])
    except RuntimeError:
        raise ValueError(
            f"{names[1]}: expected leading dimensions that broadcast with {names[0]}'s {tuple(first.shape[:-1])}; "
            f"got {tuple(second.shape[:-1])}"
        ) from None
    return first, second


def result_dtype(*tensors: Tensor) -> torch.dtype:
    """The floating-point dtype of a result: what the inputs promote to."""
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype if dtype.is_floating_point else torch.get_default_dtype()


def widened(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in one floating-point dtype, float32 at the least: half precision would lose a long sum."""
    dtype = torch.promote_types(result_dtype(*tensors), torch.float32)
    return tuple(tensor.to(dtype) for tensor in tensors)


def norm(values: Tensor, p: float, dim: int = -1, keepdim: bool = False) -> Tensor:
    r""":math:`\bigl(\sum_i |x_i|^p\bigr)^{1/p}`; the number of nonzeros for p = 0, the largest for infinity.

    Where all is zero the root has no slope, and the gradient is 0 by convention, as in torch.
    """
    size = values.abs()
    if p == 0:
        return (values != 0).sum(dim, keepdim=keepdim).to(values.dtype)
    if math.isinf(p):
        return (size.amax if p > 0 else size.amin)(dim, keepdim=keepdim)
    if p == 1:
        return size.sum(dim, keepdim=keepdim)
    if p == 2:
        return root(values.square().sum(dim, keepdim=keepdim))
    if p < 2:
        # Below 2 the power has an infinite second slope at 0, below 1 the first: step around it.
        zero = size == 0
        size = torch.where(zero, 0.0 if p > 0 else torch.inf, torch.where(zero, 1.0, size) ** p)
        return root(size.sum(dim, keepdim=keepdim), p)
    return root((size**p).sum(dim, keepdim=keepdim), p)


def root(total: Tensor, p: float = 2.0) -> Tensor:
    """The p-th root, with a gradient of 0 at 0."""
    zero = total == 0
    inside = torch.where(zero, 1.0, total)
    return torch.where(zero, 0.0, inside.sqrt() if p == 2 else inside ** (1 / p))
