r"""Penalties on the weights: of two models that fit alike, prefer the one with the smaller weights.

A penalty is added to the loss. Its gradient shrinks the weights: in proportion to their size (L2), or by equal steps
until they are 0 (L1). ``max_norm`` sets a bound instead.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from dlbook._checks import check_floating, check_range

Parameters = Tensor | Iterable[Tensor]
Scalar = Float[Tensor, ""]


def l1_penalty(parameters: Parameters, strength: float = 1.0) -> Scalar:
    r"""Sum of absolute weights: drives small ones to exactly 0.

    .. math:: \lambda \sum_i |w_i|, \qquad \text{gradient } \lambda\,\operatorname{sign}(w_i)

    Args:
        parameters: A tensor, or several, such as ``model.parameters()``. Biases are usually left out.
        strength: The factor :math:`\lambda`, 0 or more.

    Returns:
        The penalty; 0 at least.

    Raises:
        TypeError: If a parameter is not a floating-point tensor.
        ValueError: If ``strength`` is negative or there is no parameter.

    Example:
        >>> l1_penalty(torch.tensor([3.0, -4.0]), strength=0.1)
        tensor(0.7000)

    Source: Tibshirani (1996); Goodfellow et al. (2016), section 7.1.2. Chapter: regularization.
    """
    return elastic_net(parameters, strength, l1_ratio=1.0)


def l2_penalty(parameters: Parameters, strength: float = 1.0) -> Scalar:
    r"""Half the sum of squared weights: shrinks every weight in proportion to its size.

    .. math:: \frac\lambda2 \sum_i w_i^2, \qquad \text{gradient } \lambda\,w_i

    With plain SGD it is what ``weight_decay`` :math:`= \lambda` does; with Adam it is not.

    Args:
        parameters: A tensor, or several, such as ``model.parameters()``. Biases are usually left out.
        strength: The factor :math:`\lambda`, 0 or more.

    Returns:
        The penalty; 0 at least.

    Raises:
        TypeError: If a parameter is not a floating-point tensor.
        ValueError: If ``strength`` is negative or there is no parameter.

    Example:
        >>> l2_penalty(torch.tensor([3.0, -4.0]), strength=0.1)
        tensor(1.2500)

    Source: Krogh and Hertz (1992); Goodfellow et al. (2016), section 7.1.1. Chapter: regularization.
    """
    return elastic_net(parameters, strength, l1_ratio=0.0)


def elastic_net(parameters: Parameters, strength: float = 1.0, l1_ratio: float = 0.5) -> Scalar:
    r"""Both penalties at once, as scikit-learn weighs them.

    .. math:: \lambda\Big(\rho \sum_i |w_i| + \frac{1 - \rho}2 \sum_i w_i^2\Big)

    Args:
        parameters: A tensor, or several, such as ``model.parameters()``. Biases are usually left out.
        strength: The factor :math:`\lambda`, 0 or more.
        l1_ratio: The share :math:`\rho` of L1, in ``[0, 1]``.

    Returns:
        The penalty; 0 at least.

    Raises:
        TypeError: If a parameter is not a floating-point tensor.
        ValueError: If a number is out of range or there is no parameter.

    Example:
        >>> elastic_net(torch.tensor([3.0, -4.0]), strength=0.1)
        tensor(0.9750)

    Source: Zou and Hastie (2005). Chapter: regularization.
    """
    check_range("strength", strength, 0)
    check_range("l1_ratio", l1_ratio, 0, 1)
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not tensors:
        raise ValueError("parameters: expected one tensor or more; got none")
    for tensor in tensors:
        check_floating("parameters", tensor)
    terms = []
    for w in tensors:
        if l1_ratio > 0:
            terms.append(l1_ratio * w.abs().sum())
        if l1_ratio < 1:
            terms.append((1 - l1_ratio) / 2 * w.square().sum())
    return strength * torch.stack(terms).sum()


def max_norm(weight: Float[Tensor, "*shape"], limit: float, p: float = 2.0, dim: int = 0) -> Float[Tensor, "*shape"]:
    r"""Scales each unit's weights back to a greatest length, where they exceed it.

    .. math:: w \leftarrow w\,\min\Big(1, \frac{c}{\lVert w\rVert_p}\Big)

    Apply it after each step of the optimizer: ``layer.weight.copy_(max_norm(layer.weight, 3.0))`` under
    ``torch.no_grad()``. It is ``torch.renorm`` with its arguments in another order.

    Args:
        weight: Weights, ``(out, in, ...)``.
        limit: Greatest length :math:`c`, 0 or more.
        p: Order of the norm.
        dim: The units' axis.

    Returns:
        Weights none of whose units is longer than the limit.

    Raises:
        TypeError: If ``weight`` is not a floating-point tensor.
        ValueError: If ``limit`` is negative, or there is no such axis or no other.

    Example:
        >>> max_norm(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), limit=1.0)
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])

    Source: Srivastava et al. (2014), section 5.1. Chapter: regularization.
    """
    check_floating("weight", weight)
    check_range("limit", limit, 0)
    if weight.ndim < 2 or not -weight.ndim <= dim < weight.ndim:
        raise ValueError(f"dim: expected an axis of a weight with two axes or more; got {dim}, {tuple(weight.shape)}")
    others = [axis for axis in range(weight.ndim) if axis != dim % weight.ndim]
    length = torch.linalg.vector_norm(weight, p, others, keepdim=True)
    # The small number is torch.renorm's: no unit ends up above the limit by rounding.
    return weight * torch.where(length > limit, limit / (length + 1e-7), 1.0)
