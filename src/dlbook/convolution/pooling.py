"""Pooling: one number for each window, the largest, the mean or a power mean.

Pooling has no weights. It makes a picture smaller and its numbers less dependent on where exactly something was found.
Windows are products of intervals, so every pooling here works along the width first and along the height next:
kh + kw steps in place of kh × kw.
"""

from math import prod

import torch
from jaxtyping import Int, Num
from torch import Tensor
from torch.nn.functional import pad

from dlbook._checks import check_tensor
from dlbook.convolution._sizes import Size, check_spatial, to_tuple, window_counts


def max_pool1d(
    input: Num[Tensor, "*batch channels length"],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> (
    Num[Tensor, "*batch channels out_length"]
    | tuple[Num[Tensor, "*batch channels out_length"], Int[Tensor, "*batch channels out_length"]]
):
    r"""Largest element of each window of a signal, as ``torch.nn.functional.max_pool1d``.

    .. math:: y_i = \max_{a < k} x_{s i + d a - p}

    Args:
        input: One signal or a batch of them.
        kernel_size: Window size :math:`k`.
        stride: Step :math:`s` between windows; the window size when None.
        padding: Elements :math:`p` of :math:`-\infty` at both ends, at most half the window.
        dilation: Distance :math:`d` between neighbouring elements of a window.
        ceil_mode: Keep a last window that reaches over the end.
        return_indices: Also return where each maximum was: the first of several, the last of several NaN.

    Returns:
        The maxima, NaN where a window holds one; with ``return_indices``, and their positions.

    Raises:
        TypeError: If ``input`` is no tensor or a size no integer.
        ValueError: If the window is larger than the padded input, the padding larger than half the window, or a
            window holds nothing but padding.

    Example:
        >>> max_pool1d(torch.tensor([[1.0, 3.0, 2.0, 0.0]]), 2, return_indices=True)
        (tensor([[3., 2.]]), tensor([[1, 2]]))

    Source: Zhou and Chellappa (1988), "Computation of optical flow using a neural network". Chapter: convolution.
    """
    values, indices = _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode)
    return (values, indices) if return_indices else values


def max_pool2d(
    input: Num[Tensor, "*batch channels height width"],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> (
    Num[Tensor, "*batch channels out_height out_width"]
    | tuple[Num[Tensor, "*batch channels out_height out_width"], Int[Tensor, "*batch channels out_height out_width"]]
):
    r"""Largest element of each window of a picture, as ``torch.nn.functional.max_pool2d``.

    .. math:: y_{i,j} = \max_{a,b < k} x_{s i + d a - p,\, s j + d b - p}

    Args:
        input: One picture or a batch of them.
        kernel_size: Window size :math:`k`; one number, or vertical and horizontal.
        stride: Step :math:`s` between windows; the window size when None.
        padding: Elements :math:`p` of :math:`-\infty` on all sides, at most half the window.
        dilation: Distance :math:`d` between neighbouring elements of a window.
        ceil_mode: Keep a last window that reaches over the edge.
        return_indices: Also return where each maximum was, counted row by row over the picture: the first of
            several, the last of several NaN.

    Returns:
        The maxima, NaN where a window holds one; with ``return_indices``, and their positions.

    Raises:
        TypeError: If ``input`` is no tensor or a size no integer.
        ValueError: If the window is larger than the padded input, the padding larger than half the window, or a
            window holds nothing but padding.

    Example:
        >>> max_pool2d(torch.arange(1.0, 17.0).view(1, 4, 4), 2)
        tensor([[[ 6.,  8.],
                 [14., 16.]]])

    Source: Zhou and Chellappa (1988), "Computation of optical flow using a neural network". Chapter: convolution.
    """
    values, indices = _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode)
    return (values, indices) if return_indices else values


def avg_pool1d(
    input: Num[Tensor, "*batch channels length"],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Num[Tensor, "*batch channels out_length"]:
    r"""Mean of each window of a signal, as ``torch.nn.functional.avg_pool1d``.

    .. math:: y_i = \frac{1}{k} \sum_{a < k} x_{s i + a - p}

    Args:
        input: One signal or a batch of them.
        kernel_size: Window size :math:`k`.
        stride: Step :math:`s` between windows; the window size when None.
        padding: Zeros :math:`p` at both ends, at most half the window.
        ceil_mode: Keep a last window that reaches over the end; what lies beyond the padding is not counted.
        count_include_pad: Count the padding in the mean.

    Returns:
        The means; integers are divided towards zero.

    Raises:
        TypeError: If ``input`` is no tensor or a size no integer.
        ValueError: If the window is larger than the padded input or the padding larger than half the window.

    Example:
        >>> avg_pool1d(torch.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
        tensor([[2., 1.]])

    Source: LeCun et al. (1998), "Gradient-based learning applied to document recognition". Chapter: convolution.
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Num[Tensor, "*batch channels height width"],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Num[Tensor, "*batch channels out_height out_width"]:
    r"""Mean of each window of a picture, as ``torch.nn.functional.avg_pool2d``.

    .. math:: y_{i,j} = \frac{1}{k^2} \sum_{a,b < k} x_{s i + a - p,\, s j + b - p}

    Args:
        input: One picture or a batch of them.
        kernel_size: Window size :math:`k`; one number, or vertical and horizontal.
        stride: Step :math:`s` between windows; the window size when None.
        padding: Zeros :math:`p` on all sides, at most half the window.
        ceil_mode: Keep a last window that reaches over the edge; what lies beyond the padding is not counted.
        count_include_pad: Count the padding in the mean.
        divisor_override: Divide every sum by this number.

    Returns:
        The means; integers are divided towards zero.

    Raises:
        TypeError: If ``input`` is no tensor or a size no integer.
        ValueError: If the window is larger than the padded input, the padding larger than half the window, or the
            divisor 0.

    Example:
        >>> avg_pool2d(torch.arange(1.0, 17.0).view(1, 4, 4), 2)
        tensor([[[ 3.5000,  5.5000],
                 [11.5000, 13.5000]]])

    Source: LeCun et al. (1998), "Gradient-based learning applied to document recognition". Chapter: convolution.
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def lp_pool1d(
    input: Num[Tensor, "*batch channels length"],
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Num[Tensor, "*batch channels out_length"]:
    r"""Norm of each window of a signal, as ``torch.nn.functional.lp_pool1d``.

    .. math:: y_i = \Big( \sum_{a < k} x_{s i + a}^{\,p} \Big)^{1/p}

    Args:
        input: One signal or a batch of them.
        norm_type: The power :math:`p`: 1 gives the sum, 2 the Euclidean norm, ``inf`` the largest magnitude.
        kernel_size: Window size :math:`k`.
        stride: Step :math:`s` between windows; the window size when None.
        ceil_mode: Keep a last window that reaches over the end, its sum scaled up to a whole window's.

    Returns:
        The norms, whose gradient is 0 where the sum is 0; NaN where an odd power makes the sum negative.

    Raises:
        TypeError: If ``input`` is no tensor or a size no integer.
        ValueError: If the window is larger than the input or the power 0.

    Example:
        >>> lp_pool1d(torch.tensor([[3.0, 4.0, 5.0, 12.0]]), 2, 2)
        tensor([[ 5., 13.]])

    Source: Sermanet et al. (2012), "Convolutional neural networks applied to house numbers digit classification".
    Chapter: convolution.
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Num[Tensor, "*batch channels height width"],
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Num[Tensor, "*batch channels out_height out_width"]:
    r"""Norm of each window of a picture, as ``torch.nn.functional.lp_pool2d``.

    .. math:: y_{i,j} = \Big( \sum_{a,b < k} x_{s i + a,\, s j + b}^{\,p} \Big)^{1/p}

    Args:
        input: One picture or a batch of them.
        norm_type: The power :math:`p`: 1 gives the sum, 2 the Euclidean norm, ``inf`` the largest magnitude.
        kernel_size: Window size :math:`k`; one number, or vertical and horizontal.
        stride: Step :math:`s` between windows; the window size when None.
        ceil_mode: Keep a last window that reaches over the edge, its sum scaled up to a whole window's.

    Returns:
        The norms, whose gradient is 0 where the sum is 0; NaN where an odd power makes the sum negative.

    Raises:
        TypeError: If ``input`` is no tensor or a size no integer.
        ValueError: If the window is larger than the input or the power 0.

    Example:
        >>> lp_pool2d(torch.tensor([[[1.0, 2.0], [2.0, 4.0]]]), 2, 2)
        tensor([[[5.]]])

    Source: Sermanet et al. (2012), "Convolutional neural networks applied to house numbers digit classification".
    Chapter: convolution.
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def largest(input: Tensor, taps: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Each window's maximum and its position, counted row by row over the picture.

    Args:
        input: Pictures, or signals.
        taps: For each dimension, which elements each window holds: (windows, elements of a window).
    """
    sizes = input.shape[-len(taps) :]
    best, position = input.detach(), torch.arange(prod(sizes), device=input.device).view(sizes)
    for dim in range(-1, -len(taps) - 1, -1):
        first, *others = taps[dim].unbind(1)
        seen, place = best, position
        best, position = seen.index_select(dim, first), place.index_select(dim, first)
        for tap in others:
            value, at = seen.index_select(dim, tap), place.index_select(dim, tap)
            # Not greater than itself means NaN, which wins; among equals the first stays, as in torch.
            wins = (value > best) | (value != value)
            best, position = torch.where(wins, value, best), torch.where(wins, at, position)
    position = position.expand(best.shape)
    # Picking the maxima by position gives autograd their gradient: it goes to the winner alone.
    picked = input.flatten(-len(taps)).gather(-1, position.flatten(-len(taps)))
    return picked.view(best.shape), position


def _max_pool(
    dims: int,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
) -> tuple[Tensor, Tensor]:
    kernel, step, ends = _window(dims, input, kernel_size, stride, padding)
    spacing, sizes = to_tuple("dilation", dilation, dims, 1), input.shape[-dims:]
    counts = window_counts(sizes, kernel, step, ends, spacing, ceil_mode)
    lines = zip(counts, kernel, step, ends, spacing, sizes, strict=True)
    return largest(input, [_taps(n, k, s, p, d, size, input.device) for n, k, s, p, d, size in lines])


def _taps(count: int, kernel: int, stride: int, padding: int, dilation: int, size: int, device) -> Tensor:
    """The elements of every window along one dimension: (count, kernel).

    An element in the padding is replaced by the window's nearest one in the picture: seen twice, it is no larger.
    """
    starts = range(-padding, 0, stride)
    if any(start % dilation >= size for start in starts[:count]):
        raise ValueError(
            f"padding: expected every window to hold an element of the input; got {padding} for size {size}"
        )
    start = torch.arange(count, device=device)[:, None] * stride - padding
    taps = start + torch.arange(kernel, device=device) * dilation
    first = torch.where(taps >= 0, taps, size).amin(1, keepdim=True)
    last = torch.where(taps < size, taps, -1).amax(1, keepdim=True)
    return taps.clamp(first, last)


def _avg_pool(
    dims: int,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    kernel, step, ends = _window(dims, input, kernel_size, stride, padding)
    if divisor_override == 0:
        raise ValueError("divisor_override: expected a number other than 0; got 0")
    sizes = input.shape[-dims:]
    counts = window_counts(sizes, kernel, step, ends, (1,) * dims, ceil_mode)
    total, divisor = input, torch.ones((), dtype=torch.long, device=input.device)
    for dim, count, k, s, p, size in zip(range(-dims, 0), counts, kernel, step, ends, sizes, strict=True):
        reach = (count - 1) * s + k
        margins = [0, 0] * (-dim - 1) + [p, reach - size - p]
        total = pad(total, margins).unfold(dim, k, s).sum(-1)
        start = torch.arange(count, device=input.device) * s - p
        low, high = (-p, size + p) if count_include_pad else (0, size)
        divisor = divisor[..., None] * ((start + k).clamp(max=high) - start.clamp(min=low))
    divisor = divisor if divisor_override is None else divisor_override
    return total / divisor if input.is_floating_point() else torch.div(total, divisor, rounding_mode="trunc")


def _lp_pool(
    dims: int, input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None, ceil_mode: bool
) -> Tensor:
    check_tensor("input", input)
    if norm_type == 0:
        raise ValueError("norm_type: expected a power other than 0; got 0")
    if abs(norm_type) == torch.inf:
        sign = 1 if norm_type > 0 else -1
        return sign * _max_pool(dims, sign * input.abs(), kernel_size, stride, 0, 1, ceil_mode)[0]
    mean = _avg_pool(dims, input.pow(norm_type), kernel_size, stride, 0, ceil_mode, True, None)
    total = mean * prod(to_tuple("kernel_size", kernel_size, dims, 1))
    # The root's slope at 0 is infinite: a stand-in of 1 keeps it out of the gradient, which torch sets to 0.
    zero = total == 0
    return torch.where(zero, total, torch.where(zero, 1, total).pow(1 / norm_type))


def _window(
    dims: int, input: Tensor, kernel_size: Size, stride: Size | None, padding: Size
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel, stride and padding of a pooling, one number a dimension."""
    check_tensor("input", input)
    check_spatial("input", input, dims)
    kernel, ends = to_tuple("kernel_size", kernel_size, dims, 1), to_tuple("padding", padding, dims)
    step = kernel if stride is None else to_tuple("stride", stride, dims, 1)
    if any(2 * p > k for p, k in zip(ends, kernel, strict=True)):
        raise ValueError(f"padding: expected at most half of kernel_size {kernel}; got {padding!r}")
    return kernel, step, ends
