"""Rectifiers: positive inputs pass, negative ones are cut off, leaked, or bent smoothly towards a floor."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlbook._checks import check_floating, check_ndim, check_same

from ._common import Number, full_precision, with_slope
from .saturating import step


def relu(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Rectified linear unit.

    .. math:: f(x) = \max(x, 0)

    The derivative is 1 for positive inputs and 0 elsewhere, at 0 too.

    Args:
        input: Any real numbers.

    Returns:
        Numbers in ``[0, inf)``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> relu(torch.tensor([-2.0, 0.0, 3.0]))
        tensor([0., 0., 3.])

    Source: Nair and Hinton (2010); Glorot et al. (2011). Chapter: activations.
    """
    check_floating("input", input)
    return with_slope(input, value=input.clamp(min=0), slope=step(input))


def threshold(input: Float[Tensor, "*shape"], threshold: Number, value: Number) -> Float[Tensor, "*shape"]:
    r"""Inputs above a threshold pass; the others become a constant.

    .. math:: f(x) = x \text{ if } x > \text{threshold, else value}

    Args:
        input: Any real numbers.
        threshold: What an input must exceed to pass.
        value: What the others become.

    Returns:
        One number for each element.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> threshold(torch.tensor([-2.0, 1.0, 3.0]), 1.0, -1.0)
        tensor([-1., -1.,  3.])

    Source: torch.nn.functional.threshold. Chapter: activations.
    """
    check_floating("input", input)
    passed = torch.where(input <= threshold, value, input)
    return with_slope(input, value=passed, slope=step(input - threshold))


def leaky_relu(input: Float[Tensor, "*shape"], negative_slope: Number = 0.01) -> Float[Tensor, "*shape"]:
    r"""ReLU that leaks: negative inputs keep a small slope, so no unit stops learning for good.

    .. math:: f(x) = x \text{ if } x > 0, \text{ else negative\_slope} \cdot x

    Args:
        input: Any real numbers.
        negative_slope: Slope up to and including 0.

    Returns:
        Any real numbers.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> leaky_relu(torch.tensor([-2.0, 3.0]), 0.1)
        tensor([-0.2000,  3.0000])

    Source: Maas et al. (2013). Chapter: activations.
    """
    check_floating("input", input)
    positive = step(input)
    leaked = torch.where(input > 0, input, negative_slope * input)
    return with_slope(input, value=leaked, slope=positive + negative_slope * (1 - positive))


def prelu(input: Float[Tensor, "*shape"], weight: Float[Tensor, "..."]) -> Float[Tensor, "*shape"]:
    r"""Leaky ReLU whose slope is learned, one for all or one a channel.

    .. math:: f(x) = \max(x, 0) + a \min(x, 0)

    Args:
        input: Any real numbers; where there is a slope a channel, channels are axis 1.
        weight: The slope :math:`a`: one number, or one for each channel.

    Returns:
        Any real numbers.

    Raises:
        TypeError: If ``input`` is not floating point, or ``weight`` has another dtype.
        ValueError: If ``weight`` has neither one element nor one for each channel, or is on another device.

    Example:
        >>> prelu(torch.tensor([[-2.0, -2.0, 3.0]]), torch.tensor([0.1, 0.5, 0.5]))
        tensor([[-0.2000, -1.0000,  3.0000]])

    Source: He et al. (2015). Chapter: activations.
    """
    check_floating("input", input)
    check_floating("weight", weight)
    check_same("weight", weight, "input", input)
    check_ndim("weight", weight, (0, 1), "() or (channels,)")
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.numel() not in (1, channels):
        raise ValueError(f"weight: expected 1 element or {channels}, one for each channel; got {weight.numel()}")
    slope = weight.reshape(()) if weight.numel() == 1 else weight.reshape(-1, *[1] * (input.ndim - 2))
    # Clamped, so that an infinite positive input adds 0, not inf * 0, to the slope's gradient.
    return torch.where(input > 0, input, slope * input.clamp(max=0))


class PReLU(nn.Module):
    r"""Leaky ReLU whose slope is learned: :func:`prelu` with its parameter.

    Args:
        num_parameters: 1, or the number of channels.
        init: Starting slope.
        device: Where the parameter lives.
        dtype: The parameter's dtype.

    Attributes:
        weight: The slopes, of shape ``(num_parameters,)``, as in ``torch.nn.PReLU``.

    Example:
        >>> PReLU()(torch.tensor([-2.0, 3.0]))
        tensor([-0.5000,  3.0000], grad_fn=<WhereBackward0>)

    Source: He et al. (2015). Chapter: activations.
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: Number = 0.25,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = nn.Parameter(torch.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set every slope to ``init``."""
        nn.init.constant_(self.weight, self.init)

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Apply :func:`prelu`."""
        return prelu(input, self.weight)

    def extra_repr(self) -> str:
        """The number of slopes."""
        return f"num_parameters={self.num_parameters}"


def elu(input: Float[Tensor, "*shape"], alpha: Number = 1.0) -> Float[Tensor, "*shape"]:
    r"""Exponential linear unit: below 0 it bends to a floor, so that outputs average nearer to 0 than a ReLU's.

    .. math:: f(x) = x \text{ if } x > 0, \text{ else } \alpha (e^x - 1)

    Args:
        input: Any real numbers.
        alpha: Depth of the floor, and the slope just below 0.

    Returns:
        Numbers in ``[-alpha, inf)``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> elu(torch.tensor([-1.0, 3.0]))
        tensor([-0.6321,  3.0000])

    Source: Clevert et al. (2016). Chapter: activations.
    """
    x = full_precision(input)
    # Clamped: a large x would overflow in the branch not taken, and 0 * inf in its gradient is NaN.
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0))).to(input.dtype)


def selu(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Scaled ELU: keeps mean 0 and variance 1 from layer to layer, if the weights start with variance 1/n.

    .. math:: f(x) = \lambda\,\mathrm{elu}(x, \alpha), \qquad \lambda \approx 1.0507, \quad \alpha \approx 1.6733

    The two constants make mean 0 and variance 1 a fixed point of a layer with normal inputs.

    Args:
        input: Any real numbers.

    Returns:
        Numbers in ``[-1.7581, inf)``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> selu(torch.tensor([-1.0, 3.0]))
        tensor([-1.1113,  3.1521])

    Source: Klambauer et al. (2017). Chapter: activations.
    """
    x = full_precision(input)
    return (1.0507009873554805 * elu(x, 1.6732632423543772)).to(input.dtype)


def celu(input: Float[Tensor, "*shape"], alpha: Number = 1.0) -> Float[Tensor, "*shape"]:
    r"""ELU with slope 1 at 0 on both sides, whatever the depth of its floor.

    .. math:: f(x) = x \text{ if } x > 0, \text{ else } \alpha (e^{x / \alpha} - 1)

    Args:
        input: Any real numbers.
        alpha: Depth of the floor; not 0.

    Returns:
        Numbers in ``[-alpha, inf)`` for a positive ``alpha``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If ``alpha`` is 0.

    Example:
        >>> celu(torch.tensor([-1.0, 3.0]), alpha=2.0)
        tensor([-0.7869,  3.0000])

    Source: Barron (2017). Chapter: activations.
    """
    if alpha == 0:
        raise ValueError(f"alpha: expected a number other than 0; got {alpha!r}")
    x = full_precision(input)
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0) / alpha)).to(input.dtype)


def softplus(input: Float[Tensor, "*shape"], beta: Number = 1.0, threshold: Number = 20.0) -> Float[Tensor, "*shape"]:
    r"""Smooth ReLU; its derivative is the sigmoid of :math:`\beta x`.

    .. math:: f(x) = \frac{1}{\beta} \log(1 + e^{\beta x})

    Where :math:`\beta x` exceeds ``threshold`` the result is :math:`x` itself, which differs by less than rounding.

    Args:
        input: Any real numbers.
        beta: Sharpness; the larger, the nearer to :func:`relu`.
        threshold: Where the curve is taken as straight.

    Returns:
        Numbers in ``[0, inf)`` for a positive ``beta``.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.

    Example:
        >>> softplus(torch.tensor([-1000.0, 0.0, 1000.0]))
        tensor([0.0000e+00, 6.9315e-01, 1.0000e+03])

    Source: Dugas et al. (2001); Glorot et al. (2011). Chapter: activations.
    """
    x = full_precision(input)
    scaled = beta * x
    # Clamped: the exponential would overflow in the branch not taken, and 0 * inf in its gradient is NaN.
    curve = torch.log1p(torch.exp(scaled.clamp(max=threshold))) / beta
    return torch.where(scaled > threshold, x, curve).to(input.dtype)
