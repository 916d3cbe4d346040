"""Rules for starting weights: each fills a tensor in place and returns it."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from dlbook._checks import check_floating, check_option, check_range, check_tensor

Weights = Float[Tensor, "..."]
Generator = torch.Generator | None


@torch.no_grad()
def zeros(tensor: Weights) -> Weights:
    """Set every weight to 0: good for biases, fatal for weights, as all units then learn the same.

    Args:
        tensor: Weights, filled in place.

    Returns:
        The tensor itself.

    Raises:
        TypeError: If ``tensor`` is not a floating-point tensor.

    Example:
        >>> zeros(torch.empty(2))
        tensor([0., 0.])

    Source: Goodfellow et al. (2016), section 8.4. Chapter: initialization.
    """
    return constant(tensor, 0.0)


@torch.no_grad()
def constant(tensor: Weights, val: float) -> Weights:
    """Set every weight to one number, which breaks no symmetry either.

    Args:
        tensor: Weights, filled in place.
        val: The number.

    Returns:
        The tensor itself.

    Raises:
        TypeError: If ``tensor`` is not a floating-point tensor.

    Example:
        >>> constant(torch.empty(2), 0.5)
        tensor([0.5000, 0.5000])

    Source: Goodfellow et al. (2016), section 8.4. Chapter: initialization.
    """
    check_floating("tensor", tensor)
    return tensor.fill_(val)


@torch.no_grad()
def normal(tensor: Weights, mean: float = 0.0, std: float = 1.0, generator: Generator = None) -> Weights:
    """Draw weights from a normal distribution.

    Args:
        tensor: Weights, filled in place.
        mean: Mean of the distribution.
        std: Standard deviation, 0 or more.
        generator: Where the random numbers come from; torch's global generator when ``None``.

    Returns:
        The tensor itself.

    Raises:
        TypeError: If ``tensor`` is not a floating-point tensor.
        ValueError: If ``std`` is negative.

    Example:
        >>> normal(torch.empty(100, 100), std=0.01).abs().max() < 0.1
        tensor(True)

    Source: torch.nn.init.normal_. Chapter: initialization.
    """
    check_floating("tensor", tensor)
    check_range("std", std, 0)
    return tensor.normal_(mean, std, generator=generator)


@torch.no_grad()
def uniform(tensor: Weights, a: float = 0.0, b: float = 1.0, generator: Generator = None) -> Weights:
    r"""Draw weights evenly from an interval; their variance is :math:`(b - a)^2/12`.

    Args:
        tensor: Weights, filled in place.
        a: Lower end.
        b: Upper end, not below the lower.
        generator: Where the random numbers come from; torch's global generator when ``None``.

    Returns:
        The tensor itself.

    Raises:
        TypeError: If ``tensor`` is not a floating-point tensor.
        ValueError: If the ends are not in order.

    Example:
        >>> uniform(torch.empty(1000), -2, 2).abs().max() <= 2
        tensor(True)

    Source: torch.nn.init.uniform_. Chapter: initialization.
    """
    check_floating("tensor", tensor)
    check_range("b", b, a)
    return tensor.uniform_(a, b, generator=generator)


def fans(tensor: Weights) -> tuple[int, int]:
    """How many inputs feed one output, and how many outputs one input feeds.

    Args:
        tensor: Weights, ``(out, in)`` of a linear layer or ``(out, in, *kernel)`` of a convolution.

    Returns:
        Fan in and fan out; a kernel's size multiplies both.

    Raises:
        TypeError: If ``tensor`` is not a tensor.
        ValueError: If it has fewer than two axes.

    Example:
        >>> fans(torch.empty(8, 3, 5, 5))
        (75, 200)

    Source: Glorot and Bengio (2010). Chapter: initialization.
    """
    check_tensor("tensor", tensor)
    if tensor.ndim < 2:
        raise ValueError(f"tensor: expected shape (out, in, ...), for fans to be counted; got {tuple(tensor.shape)}")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def fan_in(tensor: Weights, distribution: str = "normal", generator: Generator = None) -> Weights:
    r"""Weights of scale :math:`1/\sqrt{n}` for :math:`n` inputs.

    .. math:: w \sim N(0, 1/n) \quad\text{or}\quad w \sim U(-1/\sqrt n,\, 1/\sqrt n)

    The normal form keeps the variance of a linear layer's signal. The uniform form, with which torch's layers start,
    has a third of that variance.

    Args:
        tensor: Weights, filled in place, ``(out, in, ...)``.
        distribution: ``"normal"`` or ``"uniform"``.
        generator: Where the random numbers come from; torch's global generator when ``None``.

    Returns:
        The tensor itself.

    Raises:
        TypeError: If ``tensor`` is not a floating-point tensor.
        ValueError: If it has fewer than two axes or the distribution is unknown.

    Example:
        >>> round(fan_in(torch.empty(400, 100)).std().item(), 2)
        0.1

    Source: Nielsen (2015), chapter 3. Chapter: initialization.
    """
    scale = 1 / math.sqrt(max(fans(tensor)[0], 1))
    # A uniform distribution on ±bound has the standard deviation bound / √3.
    return _draw(tensor, scale if distribution == "normal" else scale / math.sqrt(3), distribution, generator)


def lecun(tensor: Weights, distribution: str = "normal", generator: Generator = None) -> Weights:
    r"""Weights of variance :math:`1/n` for :math:`n` inputs, in either form; the start for SELU.

    .. math:: w \sim N(0, 1/n) \quad\text{or}\quad w \sim U\big(-\sqrt{3/n},\, \sqrt{3/n}\big)

    Args:
        tensor: Weights, filled in place, ``(out, in, ...)``.
        distribution: ``"normal"`` or ``"uniform"``.
        generator: Where the random numbers come from; torch's global generator when ``None``.

    Returns:
        The tensor itself.

    Raises:
        TypeError: If ``tensor`` is not a floating-point tensor.
        ValueError: If it has fewer than two axes or the distribution is unknown.

    Example:
        >>> round(lecun(torch.empty(400, 100), "uniform").std().item(), 2)
        0.1

    Source: LeCun et al. (1998), "Efficient BackProp", section 4.6. Chapter: initialization.
    """
    return _draw(tensor, 1 / math.sqrt(max(fans(tensor)[0], 1)), distribution, generator)


def glorot(tensor: Weights, gain: float = 1.0, distribution: str = "uniform", generator: Generator = None) -> Weights:
    r"""Weights between what the signal wants, fan in, and what the gradient wants, fan out.

    .. math:: \operatorname{Var} w = g^2\,\frac{2}{n_\text{in} + n_\text{out}}

    Args:
        tensor: Weights, filled in place, ``(out, in, ...)``.
        gain: Factor :math:`g` that makes up for the activation; see :func:`calculate_gain`.
        distribution: ``"normal"`` or ``"uniform"``.
        generator: Where the random numbers come from; torch's global generator when ``None``.

    Returns:
        The tensor itself.

    Raises:
        TypeError: If ``tensor`` is not a floating-point tensor.
        ValueError: If it has fewer than two axes or the distribution is unknown.

    Example:
        >>> round(glorot(torch.empty(300, 500)).std().item(), 3)
        0.05

    Source: Glorot and Bengio (2010). Chapter: initialization.
    """
    return _draw(tensor, gain * math.sqrt(2 / max(sum(fans(tensor)), 1)), distribution, generator)


def he(
    tensor: Weights,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    distribution: str = "normal",
    generator: Generator = None,
) -> Weights:
    r"""Weights for ReLU, which halves the signal's mean square: twice the variance makes up for it.

    .. math:: \operatorname{Var} w = \frac{g^2}{n}, \qquad g^2 = \frac{2}{1 + a^2} \text{ for a leaky ReLU of slope } a

    Args:
        tensor: Weights, filled in place, ``(out, in, ...)``.
        a: Slope of the leaky ReLU below 0; 0 for ReLU.
        mode: ``"fan_in"`` keeps the signal's scale, ``"fan_out"`` the gradient's.
        nonlinearity: Whose gain; see :func:`calculate_gain`.
        distribution: ``"normal"`` or ``"uniform"``.
        generator: Where the random numbers come from; torch's global generator when ``None``.

    Returns:
        The tensor itself.

    Raises:
        TypeError: If ``tensor`` is not a floating-point tensor.
        ValueError: If it has fewer than two axes or an option is unknown.

    Example:
        >>> round(he(torch.empty(400, 200)).std().item(), 2)
        0.1

    Source: He et al. (2015), "Delving deep into rectifiers". Chapter: initialization.
    """
    check_option("mode", mode, ("fan_in", "fan_out"))
    count = max(fans(tensor)[mode == "fan_out"], 1)
    return _draw(tensor, calculate_gain(nonlinearity, a) / math.sqrt(count), distribution, generator)


@torch.no_grad()
def orthogonal(tensor: Weights, gain: float = 1.0, generator: Generator = None) -> Weights:
    r"""Weights as a rotation: no direction grows or shrinks, however many layers follow.

    .. math:: W W^\top = g^2 I \quad\text{or}\quad W^\top W = g^2 I

    The orthogonal factor of a random matrix; with its signs settled, every rotation is as likely as any other.

    Args:
        tensor: Weights, filled in place, ``(out, in, ...)``; all axes but the first count as one.
        gain: Factor :math:`g`.
        generator: Where the random numbers come from; torch's global generator when ``None``.

    Returns:
        The tensor itself.

    Raises:
        TypeError: If ``tensor`` is not a floating-point tensor.
        ValueError: If it has fewer than two axes.

    Example:
        >>> w = orthogonal(torch.empty(2, 5))
        >>> torch.allclose(w @ w.T, torch.eye(2), atol=1e-5)
        True

    Source: Saxe et al. (2014). Chapter: initialization.
    """
    check_floating("tensor", tensor)
    fans(tensor)
    if tensor.numel() == 0:
        return tensor
    rows, columns = len(tensor), tensor.numel() // len(tensor)
    matrix = tensor.new_empty(rows, columns).normal_(generator=generator)
    q, r = torch.linalg.qr(matrix if rows >= columns else matrix.T)
    # A QR factorization is unique up to signs; these make r's diagonal positive.
    q = q * r.diagonal().sign()
    return tensor.copy_(gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Factor on the weights' standard deviation that makes up for what an activation does to the signal.

    Args:
        nonlinearity: ``"linear"``, ``"conv1d"``, ``"conv2d"``, ``"conv3d"``, ``"sigmoid"``, ``"tanh"``, ``"relu"``,
            ``"leaky_relu"`` or ``"selu"``.
        param: Slope of the leaky ReLU below 0; 0.01 when ``None``.

    Returns:
        The gain: 1 for linear layers and, as in torch, for the sigmoid.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> round(calculate_gain("relu") ** 2, 6)
        2.0

    Source: torch.nn.init.calculate_gain. Chapter: initialization.
    """
    gains = dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d", "sigmoid"), 1.0)
    slope = 0.01 if param is None else param
    gains |= {"tanh": 5 / 3, "relu": math.sqrt(2), "leaky_relu": math.sqrt(2 / (1 + slope**2)), "selu": 3 / 4}
    check_option("nonlinearity", nonlinearity, gains)
    return gains[nonlinearity]


@torch.no_grad()
def _draw(tensor: Tensor, std: float, distribution: str, generator: Generator) -> Tensor:
    """Numbers of mean 0 and the given standard deviation."""
    check_floating("tensor", tensor)
    check_option("distribution", distribution, ("normal", "uniform"))
    if distribution == "normal":
        return tensor.normal_(0, std, generator=generator)
    bound = math.sqrt(3) * std
    return tensor.uniform_(-bound, bound, generator=generator)
