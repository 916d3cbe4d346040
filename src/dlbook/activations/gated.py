"""Gated activations: the input times a gate between 0 and 1, which the input itself, or its other half, opens."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from dlbook._checks import check_option

from ._common import Number, full_precision
from .rectifiers import softplus
from .saturating import sigmoid, tanh


def gelu(input: Float[Tensor, "*shape"], *, approximate: str = "none") -> Float[Tensor, "*shape"]:
    r"""Gaussian error linear unit: the input times the chance that a standard normal number lies below it.

    .. math:: f(x) = x\,\Phi(x) = \frac{x}{2}\Big(1 + \operatorname{erf}\frac{x}{\sqrt 2}\Big)

    Nothing in it is random: :math:`\Phi` is a fixed curve.

    Args:
        input: Any real numbers.
        approximate: ``"none"`` for the formula above; ``"tanh"`` for
            :math:`\frac{x}{2}\big(1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715\,x^3))\big)`, which is off by at most 0.0005.

    Returns:
        Numbers in ``[-0.17, inf)``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If ``approximate`` is neither ``"none"`` nor ``"tanh"``.

    Example:
        >>> gelu(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.1587,  0.0000,  0.8413])

    Source: Hendrycks and Gimpel (2016). Chapter: activations.
    """
    check_option("approximate", approximate, ("none", "tanh"))
    x = full_precision(input)
    if approximate == "tanh":
        # (1 + tanh u) / 2 is the sigmoid of 2u, which keeps the digits of a gate that is almost shut.
        gate = sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    else:
        gate = (1 + torch.erf(x / math.sqrt(2))) / 2
    return (x * gate).to(input.dtype)


def silu(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Sigmoid linear unit: the input, gated by its own sigmoid.

    .. math:: f(x) = x\,\sigma(x), \qquad f'(x) = \sigma(x)\,\big(1 + x\,(1 - \sigma(x))\big)

    Args:
        input: Any real numbers.

    Returns:
        Numbers in ``[-0.28, inf)``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> silu(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.2689,  0.0000,  0.7311])

    Source: Elfwing et al. (2018). Chapter: activations.
    """
    x = full_precision(input)
    return (x * sigmoid(x)).to(input.dtype)


def swish(input: Float[Tensor, "*shape"], beta: Number | Float[Tensor, "..."] = 1.0) -> Float[Tensor, "*shape"]:
    r"""SiLU with a sharpness, fixed or learned.

    .. math:: f(x) = x\,\sigma(\beta x)

    With :math:`\beta = 1` it is :func:`silu`; at 0 the line :math:`x/2`; for large :math:`\beta` nearly :func:`relu`.

    Args:
        input: Any real numbers.
        beta: Sharpness of the gate: a number, or a tensor that broadcasts to ``input``.

    Returns:
        One number for each element.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> swish(torch.tensor([-1.0, 1.0]), beta=2.0)
        tensor([-0.1192,  0.8808])

    Source: Ramachandran et al. (2017). Chapter: activations.
    """
    x = full_precision(input)
    return (x * sigmoid(beta * x)).to(input.dtype)


def mish(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""The input, gated by the hyperbolic tangent of its softplus.

    .. math:: f(x) = x \tanh(\log(1 + e^x))

    Args:
        input: Any real numbers.

    Returns:
        Numbers in ``[-0.31, inf)``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> mish(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.3034,  0.0000,  0.8651])

    Source: Misra (2020). Chapter: activations.
    """
    x = full_precision(input)
    return (x * tanh(softplus(x))).to(input.dtype)


def hardswish(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""SiLU of straight lines and a parabola: the input, gated by :func:`hardsigmoid`.

    .. math:: f(x) = x\,\frac{\min(\max(x + 3, 0), 6)}{6}

    Args:
        input: Any real numbers.

    Returns:
        Numbers in ``[-0.375, inf)``; 0 up to -3, the input itself from 3 on.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> hardswish(torch.tensor([-4.0, -1.5, 3.0]))
        tensor([-0.0000, -0.3750,  3.0000])

    Source: Howard et al. (2019), section 5.2. Chapter: activations.
    """
    x = full_precision(input)
    # Not x * hardsigmoid(x): the gate's slope of 0 times an infinite x would be NaN.
    gate = torch.where(x <= -3, 0.0, torch.where(x >= 3, 1.0, (x + 3) / 6))
    return (x * gate).to(input.dtype)


def glu(input: Float[Tensor, "..."], dim: int = -1) -> Float[Tensor, "..."]:
    r"""Gated linear unit: one half of the features, gated by the other half.

    .. math:: f([a, b]) = a \odot \sigma(b)

    Args:
        input: Features; an even number of them along ``dim``, the gates last.
        dim: Axis to halve.

    Returns:
        Half as many features along ``dim``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If there is no axis ``dim``, or its size is odd.

    Example:
        >>> glu(torch.tensor([3.0, 4.0, 0.0, 0.0]))
        tensor([1.5000, 2.0000])

    Source: Dauphin et al. (2017). Chapter: activations.
    """
    features, gate = halves(full_precision(input), dim)
    return (features * sigmoid(gate)).to(input.dtype)


def swiglu(input: Float[Tensor, "..."], dim: int = -1) -> Float[Tensor, "..."]:
    r"""Gated linear unit whose gate is a SiLU, as in the feed-forward blocks of large language models.

    .. math:: f([a, b]) = \mathrm{silu}(a) \odot b

    The gate is the *first* half here, as in the paper and in published checkpoints; in :func:`glu`, as in torch's, it
    is the second.

    Args:
        input: Features; an even number of them along ``dim``, the gates first.
        dim: Axis to halve.

    Returns:
        Half as many features along ``dim``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If there is no axis ``dim``, or its size is odd.

    Example:
        >>> swiglu(torch.tensor([1.0, -1.0, 2.0, 2.0]))
        tensor([ 1.4621, -0.5379])

    Source: Shazeer (2020). Chapter: activations.
    """
    gate, features = halves(full_precision(input), dim)
    return (silu(gate) * features).to(input.dtype)


def halves(input: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The two halves of a tensor along ``dim``, or an error that says why there are none."""
    if not -input.ndim <= dim < input.ndim:
        raise ValueError(f"dim: expected an axis of input, which has {input.ndim}; got {dim}")
    if input.shape[dim] % 2:
        raise ValueError(f"input: expected an even size along dim {dim}; got shape {tuple(input.shape)}")
    half = input.shape[dim] // 2
    return input.narrow(dim, 0, half), input.narrow(dim, half, half)
