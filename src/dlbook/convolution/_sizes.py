"""The arithmetic of windows: sizes given as one number or one a dimension, and how many windows fit."""

from collections.abc import Sequence
from operator import index
from typing import SupportsIndex

from torch import Tensor

Size = SupportsIndex | Sequence[SupportsIndex]


def to_tuple(name: str, value: Size, dims: int, low: int = 0) -> tuple[int, ...]:
    """One integer a dimension, none below ``low``; a single number serves every dimension."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * dims
    if len(values) == 1:
        values *= dims
    try:
        values = tuple(index(one) for one in values)
    except TypeError:
        raise TypeError(f"{name}: expected an integer or {dims} of them; got {value!r}") from None
    if len(values) != dims:
        raise ValueError(f"{name}: expected an integer or {dims} of them; got {value!r}")
    if min(values) < low:
        raise ValueError(f"{name}: expected at least {low}; got {value!r}")
    return values


def check_spatial(name: str, value: Tensor, dims: int) -> None:
    """Raise unless ``value`` is a batch of pictures, or one picture, with ``dims`` non-empty spatial dimensions."""
    axes = ["length"] if dims == 1 else ["height", "width"]
    if value.ndim not in (dims + 1, dims + 2):
        shape = ", ".join(["channels", *axes])
        raise ValueError(f"{name}: expected shape (batch, {shape}) or ({shape}); got {tuple(value.shape)}")
    if 0 in value.shape[-dims:]:
        raise ValueError(f"{name}: expected {' and '.join(axes)} of at least 1; got shape {tuple(value.shape)}")


def count_windows(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool = False) -> int:
    """How many windows fit along one dimension; 0 or less when none does."""
    free = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return free // stride + 1
    count = -(-free // stride) + 1
    # A last window that would start in the padding after the input sees nothing of it: torch drops it.
    return count - 1 if (count - 1) * stride >= size + padding else count


def output_size(
    size: Size,
    kernel_size: Size,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> int | tuple[int, ...]:
    r"""Size of what a convolution or a pooling returns, along each dimension.

    .. math:: \left\lfloor \frac{n + 2p - d\,(k - 1) - 1}{s} \right\rfloor + 1

    With ``ceil_mode`` the quotient is rounded up, but a window that would start beyond the input and the padding
    before it is left out.

    Args:
        size: Input size :math:`n` in elements, one number or one a dimension.
        kernel_size: Kernel size :math:`k`.
        stride: Step :math:`s` from one window to the next.
        padding: Elements :math:`p` added at each end; or ``"valid"`` (none) or ``"same"`` (size kept, stride 1).
        dilation: Distance :math:`d` between neighbouring kernel elements.
        ceil_mode: Round up, so that the last elements are covered too.

    Returns:
        One number for a number, a tuple for several.

    Raises:
        TypeError: If a size is no integer.
        ValueError: If the kernel, as dilated, is larger than the padded input, or an argument is out of range.

    Example:
        >>> output_size(28, kernel_size=5)
        24
        >>> output_size((224, 112), kernel_size=7, stride=2, padding=3)
        (112, 56)

    Source: Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning". Chapter: convolution.
    """
    dims = len(size) if isinstance(size, Sequence) else 1
    sizes = to_tuple("size", size, dims, 1)
    kernel = to_tuple("kernel_size", kernel_size, dims, 1)
    steps, spread = to_tuple("stride", stride, dims, 1), to_tuple("dilation", dilation, dims, 1)
    if isinstance(padding, str):
        before, after = string_padding(padding, kernel, steps, spread)
        sizes, ends = tuple(n + b + a for n, b, a in zip(sizes, before, after, strict=True)), (0,) * dims
    else:
        ends = to_tuple("padding", padding, dims)
    counts = window_counts(sizes, kernel, steps, ends, spread, ceil_mode)
    return counts if isinstance(size, Sequence) else counts[0]


def window_counts(
    size: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool = False,
) -> tuple[int, ...]:
    """``count_windows`` along every dimension, or an error when no window fits."""
    lines = zip(size, kernel_size, stride, padding, dilation, strict=True)
    counts = tuple(count_windows(*line, ceil_mode=ceil_mode) for line in lines)
    if min(counts) < 1:
        reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True))
        padded = tuple(n + 2 * p for n, p in zip(size, padding, strict=True))
        raise ValueError(f"kernel_size: expected no more than the padded input, {padded}; got {reach}, as dilated")
    return counts


def string_padding(
    padding: str, kernel_size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Elements to add before and after, each dimension, for ``"valid"`` and ``"same"``."""
    if padding not in ("valid", "same"):
        raise ValueError(f"padding: expected integers, 'valid' or 'same'; got {padding!r}")
    if padding == "valid":
        return (0,) * len(kernel_size), (0,) * len(kernel_size)
    if max(stride) > 1:
        raise ValueError(f"padding: 'same' expects stride 1; got stride {tuple(stride)}")
    total = tuple(d * (k - 1) for k, d in zip(kernel_size, dilation, strict=True))
    return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
