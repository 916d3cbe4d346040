"""Shrinkage: small inputs go to 0 or near it, large ones stay. Born in denoising, where small means noise."""

import torch
from jaxtyping import Float
from torch import Tensor

from dlbook._checks import check_floating, check_range

from ._common import Number, full_precision, with_slope
from .saturating import step, tanh


def hardshrink(input: Float[Tensor, "*shape"], lambd: Number = 0.5) -> Float[Tensor, "*shape"]:
    r"""Zero within a band around 0, the input itself outside it.

    .. math:: f(x) = x \text{ if } |x| > \lambda, \text{ else } 0

    Args:
        input: Any real numbers.
        lambd: Half the width of the band.

    Returns:
        Any real numbers.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> hardshrink(torch.tensor([-2.0, 0.5, 2.0]))
        tensor([-2.,  0.,  2.])

    Source: Donoho and Johnstone (1994). Chapter: activations.
    """
    check_floating("input", input)
    size = input.abs()
    return with_slope(input, value=torch.where(size <= lambd, 0.0, input), slope=step(size - lambd))


def softshrink(input: Float[Tensor, "*shape"], lambd: Number = 0.5) -> Float[Tensor, "*shape"]:
    r"""Every input moves towards 0 by the same amount, and no further than 0.

    .. math:: f(x) = \operatorname{sign}(x) \max(|x| - \lambda, 0)

    It is the step that an L1 penalty of weight :math:`\lambda` makes.

    Args:
        input: Any real numbers.
        lambd: How far to move; 0 or more.

    Returns:
        Any real numbers.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If ``lambd`` is negative.

    Example:
        >>> softshrink(torch.tensor([-2.0, 0.5, 2.0]))
        tensor([-1.5000,  0.0000,  1.5000])

    Source: Donoho and Johnstone (1994). Chapter: activations.
    """
    check_floating("input", input)
    check_range("lambd", lambd, low=0)
    return with_slope(input, value=input - input.clamp(-lambd, lambd), slope=step(input.abs() - lambd))


def tanhshrink(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""What the hyperbolic tangent leaves of its input: a soft band around 0, a straight line outside.

    .. math:: f(x) = x - \tanh x, \qquad f'(x) = \tanh^2 x

    Args:
        input: Any real numbers.

    Returns:
        Any real numbers.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> tanhshrink(torch.tensor([-2.0, 0.0, 2.0]))
        tensor([-1.0360,  0.0000,  1.0360])

    Source: torch.nn.functional.tanhshrink. Chapter: activations.
    """
    x = full_precision(input)
    return (x - tanh(x)).to(input.dtype)
