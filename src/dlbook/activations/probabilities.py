"""Activations that look at a whole axis: they turn scores into probabilities that add up to 1."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from dlbook._checks import check_tensor

from ._common import full_precision


def softmax(input: Shaped[Tensor, "*shape"], dim: int, dtype: torch.dtype | None = None) -> Float[Tensor, "*shape"]:
    r"""Probabilities in proportion to the exponentials of the scores.

    .. math:: p_i = \frac{e^{z_i}}{\sum_j e^{z_j}}

    Subtracts the largest score first: the probabilities stay the same, and no exponential overflows. For a
    temperature :math:`T`, pass ``input / T``.

    Args:
        input: Logits, at least one of them finite and none ``+inf``; NaN comes out otherwise.
        dim: Axis along which the probabilities add up to 1. It has no default: a guess would be wrong too often.
        dtype: Floating-point dtype to which ``input`` is cast first; its own when ``None``.

    Returns:
        Probabilities in ``[0, 1]``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor and no ``dtype`` is given, or ``dtype`` is none.
        ValueError: If there is no axis ``dim``.

    Example:
        >>> softmax(torch.tensor([0.0, 1.0, 2.0]), dim=0)
        tensor([0.0900, 0.2447, 0.6652])

    Source: Bridle (1990); Goodfellow et al. (2016), section 6.2.2.3. Chapter: activations.
    """
    weights = torch.exp(below_max(input, dim, dtype))
    return (weights / weights.sum(dim, keepdim=True)).to(dtype or input.dtype)


def softmin(input: Shaped[Tensor, "*shape"], dim: int, dtype: torch.dtype | None = None) -> Float[Tensor, "*shape"]:
    r"""Softmax of the negated scores: the smallest score gets the largest probability.

    .. math:: p_i = \frac{e^{-z_i}}{\sum_j e^{-z_j}}

    Args:
        input: Scores, such as distances.
        dim: Axis along which the probabilities add up to 1.
        dtype: Floating-point dtype to which ``input`` is cast first; its own when ``None``.

    Returns:
        Probabilities in ``[0, 1]``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor and no ``dtype`` is given, or ``dtype`` is none.
        ValueError: If there is no axis ``dim``.

    Example:
        >>> softmin(torch.tensor([0.0, 1.0, 2.0]), dim=0)
        tensor([0.6652, 0.2447, 0.0900])

    Source: torch.nn.functional.softmin. Chapter: activations.
    """
    check_tensor("input", input)
    return softmax(-input, dim, dtype)


def log_softmax(input: Shaped[Tensor, "*shape"], dim: int, dtype: torch.dtype | None = None) -> Float[Tensor, "*shape"]:
    r"""Logarithm of the softmax, finite where the softmax itself would underflow to 0.

    .. math:: \log p_i = z_i - \log\sum_j e^{z_j}

    Args:
        input: Logits.
        dim: Axis along which the probabilities add up to 1.
        dtype: Floating-point dtype to which ``input`` is cast first; its own when ``None``.

    Returns:
        Log-probabilities in nats, in ``[-inf, 0]``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor and no ``dtype`` is given, or ``dtype`` is none.
        ValueError: If there is no axis ``dim``.

    Example:
        >>> log_softmax(torch.tensor([0.0, 1000.0]), dim=0)
        tensor([-1000.,     0.])

    Source: Goodfellow et al. (2016), section 6.2.2.3. Chapter: activations.
    """
    shifted = below_max(input, dim, dtype)
    return (shifted - shifted.exp().sum(dim, keepdim=True).log()).to(dtype or input.dtype)


def below_max(input: Tensor, dim: int, dtype: torch.dtype | None) -> Tensor:
    """Scores minus the largest of their row, so that each is 0 or less; half precision is widened to float32."""
    check_tensor("input", input)
    if dtype is not None and not dtype.is_floating_point:
        raise TypeError(f"dtype: expected a floating-point dtype; got {dtype}")
    axes = max(input.ndim, 1)
    if not isinstance(dim, int) or not -axes <= dim < axes:
        raise ValueError(f"dim: expected an axis of input, an integer from {-axes} to {axes - 1}; got {dim!r}")
    scores = full_precision(input if dtype is None else input.to(dtype))
    if scores.numel() == 0:
        return scores
    # Detached: the shift cancels out, so its gradient is 0, and autograd need not find that out.
    return scores - scores.detach().amax(dim, keepdim=True)
