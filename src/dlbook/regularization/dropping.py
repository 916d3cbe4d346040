r"""Dropout: in each training step, switch off a random part of the network, so that no unit can rely on another.

What is left is scaled up at once ("inverted" dropout), so that the expected signal stays the same and inference uses
the whole network as it is. Under one seed on the CPU, the masks are torch's.
"""

import warnings

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlbook._checks import check_floating, check_ndim, check_range

Activations = Float[Tensor, "*shape"]
# SELU's limit for very negative inputs, -scale * alpha: what "off" means in a net that keeps mean 0 and variance 1.
SELU_FLOOR = -1.7580993408473766


def dropout(input: Activations, p: float = 0.5, training: bool = True) -> Activations:
    r"""Zeroes each element with probability ``p`` and divides the others by the probability of staying.

    .. math:: y = \frac{m\,x}{1 - p}, \qquad m \sim \mathrm{Bernoulli}(1 - p), \qquad E[y] = x

    Args:
        input: Activations.
        p: Probability of being dropped, in ``[0, 1]``.
        training: Whether to drop at all; in inference the input comes out as it is.

    Returns:
        Activations with the same expectation.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If ``p`` is out of range.

    Example:
        >>> dropout(torch.ones(10_000), p=0.2).unique()
        tensor([0.0000, 1.2500])

    Source: Srivastava et al. (2014). Chapter: regularization.
    """
    return _drop(input, p, training, input.shape if isinstance(input, Tensor) else ())


def dropout1d(input: Activations, p: float = 0.5, training: bool = True) -> Activations:
    """Drops whole channels of signals, whose neighbouring elements would tell what a dropped one was.

    Args:
        input: Signals, ``(batch, channels, length)`` or ``(channels, length)``.
        p: Probability of a channel being dropped, in ``[0, 1]``.
        training: Whether to drop at all.

    Returns:
        Signals with the same expectation.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If ``p`` is out of range or the shape is another.

    Example:
        >>> dropout1d(torch.ones(2, 100, 3)).std(dim=2).max()
        tensor(0.)

    Source: Tompson et al. (2015). Chapter: regularization.
    """
    check_floating("input", input)
    check_ndim("input", input, (2, 3), "(batch, channels, length) or (channels, length)")
    return _drop(input, p, training, (*input.shape[:-1], 1))


def dropout2d(input: Activations, p: float = 0.5, training: bool = True) -> Activations:
    """Drops whole channels of pictures, whose neighbouring pixels would tell what a dropped one was.

    Args:
        input: Pictures, ``(batch, channels, height, width)``. Three axes are taken for a batch of signals, with a
            warning, as in torch.
        p: Probability of a channel being dropped, in ``[0, 1]``.
        training: Whether to drop at all.

    Returns:
        Pictures with the same expectation.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If ``p`` is out of range or the shape is another.

    Example:
        >>> dropout2d(torch.ones(2, 100, 3, 5)).std(dim=(2, 3)).max()
        tensor(0.)

    Source: Tompson et al. (2015). Chapter: regularization.
    """
    check_floating("input", input)
    check_ndim("input", input, (3, 4), "(batch, channels, height, width)")
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: 3 axes are read as (batch, channels, length); use dropout1d", UserWarning, stacklevel=2
        )
    return _drop(input, p, training, _channels(input))


def alpha_dropout(input: Activations, p: float = 0.5, training: bool = False) -> Activations:
    r"""Dropout for SELU networks: "off" is SELU's lower limit, and mean 0 and variance 1 are kept.

    .. math:: y = a\,\big(m\,x + (1 - m)\,\alpha'\big) + b, \qquad a = \big((1 - p)(1 + p\,\alpha'^2)\big)^{-1/2},
              \quad b = -a\,p\,\alpha'

    Args:
        input: Activations of mean 0 and variance 1.
        p: Probability of being dropped, in ``[0, 1]``.
        training: Whether to drop at all. As in torch, not unless asked.

    Returns:
        Activations of the same mean and variance.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If ``p`` is out of range.

    Example:
        >>> y = alpha_dropout(torch.randn(100_000), p=0.3, training=True)
        >>> round(abs(y.mean().item()), 1), round(y.std().item(), 1)
        (0.0, 1.0)

    Source: Klambauer et al. (2017), section 2. Chapter: regularization.
    """
    return _drop(input, p, training, input.shape if isinstance(input, Tensor) else (), alpha=True)


def feature_alpha_dropout(input: Activations, p: float = 0.5, training: bool = False) -> Activations:
    """Alpha dropout of whole channels.

    Args:
        input: Activations of mean 0 and variance 1, ``(batch, channels, ...)``.
        p: Probability of a channel being dropped, in ``[0, 1]``.
        training: Whether to drop at all. As in torch, not unless asked.

    Returns:
        Activations of the same mean and variance.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If ``p`` is out of range or there are fewer than two axes.

    Example:
        >>> feature_alpha_dropout(torch.ones(2, 100, 3), training=True).std(dim=2).max()
        tensor(0.)

    Source: Klambauer et al. (2017), section 2. Chapter: regularization.
    """
    check_floating("input", input)
    if input.ndim < 2:
        raise ValueError(f"input: expected shape (batch, channels, ...); got {tuple(input.shape)}")
    return _drop(input, p, training, _channels(input), alpha=True)


class Dropout(nn.Module):
    """Dropout, as ``torch.nn.Dropout``: on in training, off in evaluation.

    Args:
        p: Probability of being dropped, in ``[0, 1]``.

    Raises:
        ValueError: If ``p`` is out of range.

    Example:
        >>> Dropout(0.3).eval()(torch.ones(3))
        tensor([1., 1., 1.])

    Source: Srivastava et al. (2014). Chapter: regularization.
    """

    function = staticmethod(dropout)

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        check_range("p", p, 0, 1)
        self.p = p

    def forward(self, input: Activations) -> Activations:
        """Drop, if in training."""
        return self.function(input, self.p, self.training)

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        return f"p={self.p}"


class Dropout1d(Dropout):
    """Dropout of whole channels of signals, as ``torch.nn.Dropout1d``.

    Args:
        p: Probability of a channel being dropped, in ``[0, 1]``.

    Source: Tompson et al. (2015). Chapter: regularization.
    """

    function = staticmethod(dropout1d)


class Dropout2d(Dropout):
    """Dropout of whole channels of pictures, as ``torch.nn.Dropout2d``.

    Args:
        p: Probability of a channel being dropped, in ``[0, 1]``.

    Source: Tompson et al. (2015). Chapter: regularization.
    """

    function = staticmethod(dropout2d)


class AlphaDropout(Dropout):
    """Dropout for SELU networks, as ``torch.nn.AlphaDropout``.

    Args:
        p: Probability of being dropped, in ``[0, 1]``.

    Source: Klambauer et al. (2017), section 2. Chapter: regularization.
    """

    function = staticmethod(alpha_dropout)


class FeatureAlphaDropout(Dropout):
    """Alpha dropout of whole channels, as ``torch.nn.FeatureAlphaDropout``.

    Args:
        p: Probability of a channel being dropped, in ``[0, 1]``.

    Source: Klambauer et al. (2017), section 2. Chapter: regularization.
    """

    function = staticmethod(feature_alpha_dropout)


def _channels(input: Tensor) -> tuple[int, ...]:
    """Shape of one number for each example and channel."""
    return (*input.shape[:2], *[1] * (input.ndim - 2))


def _drop(input: Tensor, p: float, training: bool, shape: torch.Size | tuple[int, ...], alpha: bool = False) -> Tensor:
    """The input under a random mask of the given shape, which broadcasts to it."""
    check_floating("input", input)
    check_range("p", p, 0, 1)
    if p == 0 or not training or input.numel() == 0:
        return input
    if p == 1:
        return input * 0
    kept = input.new_empty(shape).bernoulli_(1 - p)
    if not alpha:
        return input * (kept / (1 - p))
    scale = ((1 - p) * (1 + p * SELU_FLOOR**2)) ** -0.5
    return input * (scale * kept) + scale * SELU_FLOOR * ((1 - kept) - p)
