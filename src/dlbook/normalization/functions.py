r"""Normalization inside a network: subtract a mean, divide by a standard deviation, then scale and shift as learned.

All of these do the same thing and differ in *what they average over*. In a tensor of shape
``(batch, channels, height, width)``: batch norm over batch, height and width; instance norm over height and width;
group norm over some channels, height and width; layer norm over the last axes, usually a token's features. RMS norm
leaves the mean where it is; local response norm divides by a channel's neighbours.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from dlbook._checks import check_floating, check_range, check_tensor

from ._statistics import affine, by_statistics, standardize, widen

Vector = Float[Tensor, " channels"]


def batch_norm(
    input: Float[Tensor, "batch channels *rest"],
    running_mean: Vector | None,
    running_var: Vector | None,
    weight: Vector | None = None,
    bias: Vector | None = None,
    training: bool = False,
    momentum: float | Float[Tensor, ""] = 0.1,
    eps: float = 1e-5,
) -> Float[Tensor, "batch channels *rest"]:
    r"""Normalize each channel by its mean and variance over the batch.

    .. math:: y = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    In training :math:`\mu` and :math:`\sigma^2` are the batch's, with the biased variance, which divides by the number
    of values. The running statistics then move a share ``momentum`` of the way to the batch's, *in place*, and the
    running variance to the **unbiased** one. In inference the running statistics stand in for the batch's.

    Args:
        input: Activations.
        running_mean: Running mean; may be ``None`` in training.
        running_var: Running variance; may be ``None`` in training.
        weight: Scale :math:`\gamma`; 1 when ``None``.
        bias: Shift :math:`\beta`; 0 when ``None``.
        training: Whether to use the batch's statistics.
        momentum: Share in ``[0, 1]`` of the way that the running statistics move; a number or a tensor.
        eps: Added to the variance; above 0 in training.

    Returns:
        Activations of mean :math:`\beta` and standard deviation :math:`|\gamma|` in each channel.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit, ``eps`` is out of range, in inference a running statistic is missing, or in
            training a channel has one value only, whose variance says nothing.

    Example:
        >>> batch_norm(torch.tensor([[1.0], [3.0]]), None, None, training=True)
        tensor([[-1.0000],
                [ 1.0000]])

    Source: Ioffe and Szegedy (2015). Chapter: normalization.
    """
    _check_channels(input, 2, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    check_range("eps", eps, 0, open_low=training)
    over = [0, *range(2, input.ndim)]
    if training and math.prod([input.shape[axis] for axis in over]) == 1:
        raise ValueError(f"input: expected more than 1 value per channel in training; got {tuple(input.shape)}")
    y = by_statistics(input, over, running_mean, running_var, training, momentum, eps)
    return affine(y, weight, bias).to(input.dtype)


def instance_norm(
    input: Float[Tensor, "batch channels *rest"],
    running_mean: Vector | None = None,
    running_var: Vector | None = None,
    weight: Vector | None = None,
    bias: Vector | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Float[Tensor, "batch channels *rest"]:
    r"""Normalize each channel of each example by its own mean and variance: the contrast of a picture goes.

    .. math:: y = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    Args:
        input: Activations.
        running_mean: Running mean over examples, moved in place as in :func:`batch_norm`.
        running_var: Running unbiased variance over examples, moved likewise.
        weight: Scale :math:`\gamma`; 1 when ``None``.
        bias: Shift :math:`\beta`; 0 when ``None``.
        use_input_stats: Whether to use the examples' own statistics, and not the running ones.
        momentum: Share in ``[0, 1]`` of the way that the running statistics move.
        eps: Added to the variance; above 0 where it is the examples' own.

    Returns:
        Activations of mean :math:`\beta` and standard deviation :math:`|\gamma|` in each channel of each example.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit, ``eps`` is out of range, a running statistic is missing where it is used, or a
            channel has one value only, whose variance says nothing.

    Example:
        >>> instance_norm(torch.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
        tensor([[[-1.0000,  1.0000],
                 [-1.0000,  1.0000]]])

    Source: Ulyanov et al. (2016). Chapter: normalization.
    """
    _check_channels(input, 2, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    check_range("eps", eps, 0, open_low=use_input_stats)
    over = list(range(2, input.ndim))
    if use_input_stats and math.prod([input.shape[axis] for axis in over]) == 1:
        raise ValueError(f"input: expected more than 1 value per channel and example; got {tuple(input.shape)}")
    y = by_statistics(input, over, running_mean, running_var, use_input_stats, momentum, eps)
    return affine(y, weight, bias).to(input.dtype)


def group_norm(
    input: Float[Tensor, "batch channels *rest"],
    num_groups: int,
    weight: Vector | None = None,
    bias: Vector | None = None,
    eps: float = 1e-5,
) -> Float[Tensor, "batch channels *rest"]:
    r"""Normalize each group of channels of each example by its own mean and variance.

    .. math:: y = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    With one group it is layer norm over channels and places; with as many as channels, :func:`instance_norm`.

    Args:
        input: Activations.
        num_groups: Number of groups; it divides the number of channels.
        weight: Scale :math:`\gamma` of each channel; 1 when ``None``.
        bias: Shift :math:`\beta` of each channel; 0 when ``None``.
        eps: Added to the variance.

    Returns:
        Activations, normalized whatever the batch's size.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit, ``num_groups`` does not divide the channels, or a batch of one example has one
            value in each group.

    Example:
        >>> group_norm(torch.tensor([[1.0, 3.0, 10.0, 30.0]]), num_groups=2)
        tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])

    Source: Wu and He (2018). Chapter: normalization.
    """
    _check_channels(input, 2, weight=weight, bias=bias)
    check_range("num_groups", num_groups, 1)
    batch, channels, *rest = input.shape
    if channels % num_groups:
        raise ValueError(f"num_groups: expected a divisor of the {channels} channels; got {num_groups}")
    if batch * channels // num_groups * math.prod(rest) == 1:
        raise ValueError(f"input: expected more than 1 value per group; got {tuple(input.shape)}")
    x = widen(input).reshape(batch, num_groups, channels // num_groups, *rest)
    y, _, _ = standardize(x, list(range(2, x.ndim)), eps)
    return affine(y.reshape(input.shape), weight, bias).to(input.dtype)


def layer_norm(
    input: Float[Tensor, "*shape"],
    normalized_shape: Sequence[int],
    weight: Float[Tensor, "*last"] | None = None,
    bias: Float[Tensor, "*last"] | None = None,
    eps: float = 1e-5,
) -> Float[Tensor, "*shape"]:
    r"""Normalize the last axes, such as a token's features, by their own mean and variance.

    .. math:: y = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    Nothing is shared between examples, so that training and inference do the same.

    Args:
        input: Activations.
        normalized_shape: Sizes of the axes to normalize, the input's last.
        weight: Scale :math:`\gamma`, of that shape; 1 when ``None``.
        bias: Shift :math:`\beta`, of that shape; 0 when ``None``.
        eps: Added to the variance.

    Returns:
        Activations of mean 0 and variance 1 along those axes, before scale and shift.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit.

    Example:
        >>> layer_norm(torch.tensor([[1.0, 3.0], [10.0, 30.0]]), (2,))
        tensor([[-1.0000,  1.0000],
                [-1.0000,  1.0000]])

    Source: Ba et al. (2016). Chapter: normalization.
    """
    over = _last_axes(input, normalized_shape, weight=weight, bias=bias)
    y, _, _ = standardize(widen(input), over, eps)
    # Spread out in two steps, over the axis before the last ones and then over the rest, so that backward adds up
    # neighbours first: a sum down all rows at once would wait for memory at each.
    steps = (*input.shape[: -len(over) - 1], *[1] * (input.ndim > len(over)), *input.shape[-len(over) :])
    y = y if weight is None else y * weight.expand(steps)
    return (y if bias is None else y + bias.expand(steps)).to(input.dtype)


def rms_norm(
    input: Float[Tensor, "*shape"],
    normalized_shape: Sequence[int],
    weight: Float[Tensor, "*last"] | None = None,
    eps: float | None = None,
) -> Float[Tensor, "*shape"]:
    r"""Divide the last axes by their root mean square; the mean stays.

    .. math:: y = \gamma\,\frac{x}{\sqrt{\frac1n\sum_i x_i^2 + \epsilon}}

    Args:
        input: Activations.
        normalized_shape: Sizes of the axes to normalize, the input's last.
        weight: Scale :math:`\gamma`, of that shape; 1 when ``None``.
        eps: Added to the mean square; the least step above 1 of the dtype computed in, when ``None``.

    Returns:
        Activations of root mean square 1 along those axes, before the scale.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If shapes do not fit.

    Example:
        >>> rms_norm(torch.tensor([3.0, 4.0, 0.0, 0.0]), (4,))
        tensor([1.2000, 1.6000, 0.0000, 0.0000])

    Source: Zhang and Sennrich (2019). Chapter: normalization.
    """
    over = _last_axes(input, normalized_shape, weight=weight)
    x = widen(input)
    floor = torch.finfo(x.dtype).eps if eps is None else eps
    y = x * torch.rsqrt(x.square().mean(over, keepdim=True) + floor)
    return (y if weight is None else y * weight).to(input.dtype)


def local_response_norm(
    input: Float[Tensor, "batch channels *rest"], size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Float[Tensor, "batch channels *rest"]:
    r"""Divide each channel by the strength of its neighbours, which compete as neurons of the retina do.

    .. math:: y_c = x_c\,\Big(k + \frac{\alpha}{n}\sum_{c'} x_{c'}^2\Big)^{-\beta}

    The sum runs over the :math:`n` channels around :math:`c`; those beyond the ends count as 0.

    Args:
        input: Activations with at least one axis after the channels.
        size: Number :math:`n` of channels in the sum.
        alpha: Weight of the sum.
        beta: Exponent.
        k: Added to the sum.

    Returns:
        Activations, the smaller the stronger their neighbours.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If ``input`` has fewer than three axes or ``size`` is not above 0.

    Example:
        >>> local_response_norm(torch.ones(1, 3, 1), size=3, alpha=3.0, beta=1.0).flatten()
        tensor([0.3333, 0.2500, 0.3333])

    Source: Krizhevsky et al. (2012), section 3.3. Chapter: normalization.
    """
    _check_channels(input, 3)
    check_range("size", size, 1)
    x = widen(input)
    if x.numel() == 0:
        return input
    # Zeros before and after the channels: half of the neighbours, rounded up, come before.
    ends = [0, 0] * (x.ndim - 2) + [size // 2, (size - 1) // 2]
    squares = torch.nn.functional.pad(x.square(), ends)
    strength = squares.unfold(1, size, 1).mean(-1)
    return (x / (k + alpha * strength) ** beta).to(input.dtype)


def normalize(
    input: Float[Tensor, "*shape"],
    p: float = 2.0,
    dim: int | tuple[int, ...] = 1,
    eps: float = 1e-12,
    out: Float[Tensor, "*shape"] | None = None,
) -> Float[Tensor, "*shape"]:
    r"""Divide vectors by their length.

    .. math:: y = \frac{x}{\max(\lVert x\rVert_p,\, \epsilon)}

    Args:
        input: Vectors.
        p: Order of the norm.
        dim: The vectors' axis, or axes.
        eps: Least length to divide by: a zero vector stays zero.
        out: Tensor to write to; there is no gradient then.

    Returns:
        Vectors of length 1.

    Raises:
        TypeError: If ``input`` is not a floating-point tensor.
        ValueError: If there is no such axis.

    Example:
        >>> normalize(torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])

    Source: torch.nn.functional.normalize. Chapter: normalization.
    """
    check_floating("input", input)
    for axis in (dim,) if isinstance(dim, int) else dim:
        if not -input.ndim <= axis < input.ndim:
            raise ValueError(f"dim: expected an axis of input, which has {input.ndim}; got {axis}")
    length = torch.linalg.vector_norm(input, p, dim, keepdim=True).clamp(min=eps)
    return input / length if out is None else torch.div(input, length, out=out)


def _check_channels(input: Tensor, ndim: int, **vectors: Tensor | None) -> None:
    """Raise unless the input has at least ``ndim`` axes, and each vector one number for each channel."""
    check_floating("input", input)
    if input.ndim < ndim:
        rest = ", ..." if ndim == 2 else ", length, ..."
        raise ValueError(f"input: expected shape (batch, channels{rest}); got {tuple(input.shape)}")
    _check_shapes(tuple(input.shape[1:2]), vectors)


def _last_axes(input: Tensor, normalized_shape: Sequence[int], **tensors: Tensor | None) -> list[int]:
    """The axes to normalize, once shapes are checked."""
    check_floating("input", input)
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ValueError(f"normalized_shape: expected the last sizes of input's {tuple(input.shape)}; got {shape}")
    _check_shapes(shape, tensors)
    return list(range(-len(shape), 0))


def _check_shapes(shape: tuple[int, ...], tensors: dict[str, Tensor | None]) -> None:
    for name, value in tensors.items():
        if value is not None:
            check_tensor(name, value)
            if tuple(value.shape) != shape:
                raise ValueError(f"{name}: expected shape {shape}; got {tuple(value.shape)}")
