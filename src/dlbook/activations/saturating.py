"""Activations that level off on both sides: the step, its smooth forms, and their straight-line approximations."""

import torch
from jaxtyping import Float
from torch import Tensor

from dlbook._checks import check_floating

from ._common import Number, full_precision, minus_abs, with_slope


def step(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Heaviside's step: the neuron fires, or it does not.

    .. math:: f(x) = 1 \text{ if } x > 0, \text{ else } 0

    Its derivative is 0 everywhere, so gradient descent learns nothing through it. It is itself the derivative of
    :func:`relu`.

    Args:
        input: Weighted sums.

    Returns:
        0 or 1 for each element; 0 at 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> step(torch.tensor([-2.0, 0.0, 3.0]))
        tensor([0., 0., 1.])

    Source: McCulloch and Pitts (1943). Chapter: activations.
    """
    check_floating("input", input)
    return input.sign().clamp(min=0)


def sigmoid(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""The logistic function: a step made smooth.

    .. math:: \sigma(x) = \frac{1}{1 + e^{-x}} = \frac{e^x}{1 + e^x}, \qquad \sigma'(x) = \sigma(x)\,(1 - \sigma(x))

    Takes the first form for :math:`x \ge 0` and the second below, so that the exponential never overflows and small
    results keep all their digits.

    Args:
        input: Any real numbers.

    Returns:
        Numbers in ``[0, 1]``; 0.5 at 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> sigmoid(torch.tensor([-1000.0, 0.0, 2.0]))
        tensor([0.0000, 0.5000, 0.8808])

    Source: Goodfellow et al. (2016), section 3.10. Chapter: activations.
    """
    x = full_precision(input)
    decay = torch.exp(minus_abs(x))
    return (torch.where(x < 0, decay, 1.0) / (1 + decay)).to(input.dtype)


def tanh(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Hyperbolic tangent: a sigmoid stretched to run from -1 to 1, through the origin.

    .. math:: \tanh x = \frac{1 - e^{-2x}}{1 + e^{-2x}} = 2\sigma(2x) - 1, \qquad \tanh' x = 1 - \tanh^2 x

    Computed from :math:`e^{-2|x|} - 1` by ``expm1``, which neither overflows nor loses the digits of a small
    :math:`x`.

    Args:
        input: Any real numbers.

    Returns:
        Numbers in ``[-1, 1]``; 0 at 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> tanh(torch.tensor([-1000.0, 0.0, 0.5]))
        tensor([-1.0000,  0.0000,  0.4621])

    Source: LeCun et al. (1998), "Efficient BackProp", section 4.4. Chapter: activations.
    """
    x = full_precision(input)
    drop = torch.expm1(2 * minus_abs(x))
    return (torch.where(x < 0, drop, -drop) / (2 + drop)).to(input.dtype)


def softsign(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Like :func:`tanh`, but it levels off slowly: its tails are polynomial.

    .. math:: f(x) = \frac{x}{1 + |x|}, \qquad f'(x) = \frac{1}{(1 + |x|)^2}

    Args:
        input: Any real numbers.

    Returns:
        Numbers in ``[-1, 1]``; 0 at 0.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> softsign(torch.tensor([-3.0, 0.0, 1.0]))
        tensor([-0.7500,  0.0000,  0.5000])

    Source: Bergstra et al. (2009); Glorot and Bengio (2010). Chapter: activations.
    """
    x = full_precision(input)
    return (x / (1 + x.abs())).to(input.dtype)


def logsigmoid(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Logarithm of the sigmoid, finite where the sigmoid itself would underflow to 0.

    .. math:: \log\sigma(x) = \min(x, 0) - \log(1 + e^{-|x|}), \qquad (\log\sigma)'(x) = 1 - \sigma(x)

    Args:
        input: Logits.

    Returns:
        Log-probabilities in nats, in ``(-inf, 0]``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> logsigmoid(torch.tensor([-1000.0, 0.0]))
        tensor([-1.0000e+03, -6.9315e-01])

    Source: Goodfellow et al. (2016), section 6.2.2.2. Chapter: activations.
    """
    x = full_precision(input)
    return (torch.where(x < 0, x, 0.0) - torch.log1p(torch.exp(minus_abs(x)))).to(input.dtype)


def hardtanh(input: Float[Tensor, "*shape"], min_val: Number = -1.0, max_val: Number = 1.0) -> Float[Tensor, "*shape"]:
    r"""Straight line between two bounds, flat outside them.

    .. math:: f(x) = \min(\max(x, \text{min\_val}), \text{max\_val})

    The derivative is 1 strictly between the bounds and 0 elsewhere, at the bounds too.

    Args:
        input: Any real numbers.
        min_val: Lower bound.
        max_val: Upper bound.

    Returns:
        Numbers in ``[min_val, max_val]``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If ``min_val`` is greater than ``max_val``.

    Example:
        >>> hardtanh(torch.tensor([-2.0, 0.5, 2.0]))
        tensor([-1.0000,  0.5000,  1.0000])

    Source: Collobert (2004). Chapter: activations.
    """
    check_floating("input", input)
    if min_val > max_val:
        raise ValueError(f"min_val: expected at most max_val, {max_val!r}; got {min_val!r}")
    inside = step(input - min_val) * step(max_val - input)
    return with_slope(input, value=input.clamp(min_val, max_val), slope=inside)


def relu6(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""ReLU capped at 6, so that it fits in the few bits of low-precision arithmetic.

    .. math:: f(x) = \min(\max(x, 0), 6)

    Args:
        input: Any real numbers.

    Returns:
        Numbers in ``[0, 6]``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> relu6(torch.tensor([-1.0, 2.0, 9.0]))
        tensor([0., 2., 6.])

    Source: Krizhevsky (2010), "Convolutional deep belief networks on CIFAR-10". Chapter: activations.
    """
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Sigmoid of three straight lines: no exponential to compute.

    .. math:: f(x) = \frac{\min(\max(x + 3, 0), 6)}{6}

    Args:
        input: Any real numbers.

    Returns:
        Numbers in ``[0, 1]``; 0 up to -3, 0.5 at 0, 1 from 3 on.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> hardsigmoid(torch.tensor([-4.0, 0.0, 1.5]))
        tensor([0.0000, 0.5000, 0.7500])

    Source: Howard et al. (2019), section 5.2. Chapter: activations.
    """
    x = full_precision(input)
    return (relu6(x + 3) / 6).to(input.dtype)
