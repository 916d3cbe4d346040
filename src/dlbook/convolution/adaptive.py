"""Poolings whose windows follow from the output: adaptive, global and k-max pooling; and max pooling undone.

An adaptive pooling is asked for a size and splits the picture into that many windows, as equal as they come; where the
sizes do not divide, neighbouring windows share an element. A classifier that ends in one takes pictures of any size.
"""

from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float, Int, Num, Shaped
from torch import Tensor

from dlbook._checks import check_floating, check_range, check_tensor
from dlbook.convolution._sizes import Size, check_spatial, to_tuple
from dlbook.convolution.pooling import largest

OutputSize = Size | Sequence[int | None] | None


def adaptive_max_pool1d(
    input: Num[Tensor, "*batch channels length"], output_size: OutputSize, return_indices: bool = False
) -> (
    Num[Tensor, "*batch channels out_length"]
    | tuple[Num[Tensor, "*batch channels out_length"], Int[Tensor, "*batch channels out_length"]]
):
    """Maxima of as many windows as asked for, as ``torch.nn.functional.adaptive_max_pool1d``.

    Args:
        input: One signal or a batch of them.
        output_size: Number of windows; None keeps the input's size.
        return_indices: Also return where each maximum was.

    Returns:
        The maxima; with ``return_indices``, and their positions.

    Raises:
        TypeError: If ``input`` is no tensor or the size no integer.
        ValueError: If the input's shape is none of a signal's or the size is negative.

    Example:
        >>> adaptive_max_pool1d(torch.tensor([[1.0, 3.0, 2.0, 0.0, 5.0]]), 2)
        tensor([[3., 5.]])

    Source: He et al. (2015), "Spatial pyramid pooling in deep convolutional networks". Chapter: convolution.
    """
    values, indices = largest(input, _bins(1, input, output_size))
    return (values, indices) if return_indices else values


def adaptive_max_pool2d(
    input: Num[Tensor, "*batch channels height width"], output_size: OutputSize, return_indices: bool = False
) -> (
    Num[Tensor, "*batch channels out_height out_width"]
    | tuple[Num[Tensor, "*batch channels out_height out_width"], Int[Tensor, "*batch channels out_height out_width"]]
):
    """Maxima of as many windows as asked for, as ``torch.nn.functional.adaptive_max_pool2d``.

    Args:
        input: One picture or a batch of them.
        output_size: Height and width of the output, or one number for both; None in a pair keeps the input's size.
        return_indices: Also return where each maximum was, counted row by row over the picture.

    Returns:
        The maxima; with ``return_indices``, and their positions.

    Raises:
        TypeError: If ``input`` is no tensor or a size no integer.
        ValueError: If the input's shape is none of a picture's or a size is negative.

    Example:
        >>> adaptive_max_pool2d(torch.arange(9.0).view(1, 3, 3), 2)
        tensor([[[4., 5.],
                 [7., 8.]]])

    Source: He et al. (2015), "Spatial pyramid pooling in deep convolutional networks". Chapter: convolution.
    """
    values, indices = largest(input, _bins(2, input, output_size))
    return (values, indices) if return_indices else values


def adaptive_avg_pool1d(
    input: Float[Tensor, "*batch channels length"], output_size: OutputSize
) -> Float[Tensor, "*batch channels out_length"]:
    """Means of as many windows as asked for, as ``torch.nn.functional.adaptive_avg_pool1d``.

    Args:
        input: One signal or a batch of them.
        output_size: Number of windows; None keeps the input's size.

    Returns:
        The means.

    Raises:
        TypeError: If ``input`` is no floating-point tensor or the size no integer.
        ValueError: If the input's shape is none of a signal's or the size is negative.

    Example:
        >>> adaptive_avg_pool1d(torch.tensor([[1.0, 3.0, 2.0, 0.0, 5.0]]), 1)
        tensor([[2.2000]])

    Source: He et al. (2015), "Spatial pyramid pooling in deep convolutional networks". Chapter: convolution.
    """
    check_floating("input", input)
    return _means(input, _bins(1, input, output_size))


def adaptive_avg_pool2d(
    input: Float[Tensor, "*batch channels height width"], output_size: OutputSize
) -> Float[Tensor, "*batch channels out_height out_width"]:
    """Means of as many windows as asked for, as ``torch.nn.functional.adaptive_avg_pool2d``.

    Args:
        input: One picture or a batch of them.
        output_size: Height and width of the output, or one number for both; None in a pair keeps the input's size.

    Returns:
        The means.

    Raises:
        TypeError: If ``input`` is no floating-point tensor or a size no integer.
        ValueError: If the input's shape is none of a picture's or a size is negative.

    Example:
        >>> adaptive_avg_pool2d(torch.arange(9.0).view(1, 3, 3), (3, 1))
        tensor([[[1.],
                 [4.],
                 [7.]]])

    Source: He et al. (2015), "Spatial pyramid pooling in deep convolutional networks". Chapter: convolution.
    """
    check_floating("input", input)
    return _means(input, _bins(2, input, output_size))


def global_avg_pool2d(input: Float[Tensor, "*batch channels height width"]) -> Float[Tensor, "*batch channels"]:
    """Mean of each channel over the whole picture: one number a channel, whatever the picture's size.

    Args:
        input: One picture or a batch of them.

    Returns:
        The means, without spatial dimensions: ``adaptive_avg_pool2d(input, 1)``, flattened.

    Raises:
        TypeError: If ``input`` is no floating-point tensor.
        ValueError: If its shape is none of a picture's.

    Example:
        >>> global_avg_pool2d(torch.arange(1.0, 17.0).view(1, 4, 4))
        tensor([8.5000])

    Source: Lin et al. (2014), "Network in network". Chapter: convolution.
    """
    check_floating("input", input)
    check_spatial("input", input, 2)
    return input.mean((-2, -1))


def k_max_pool1d(input: Shaped[Tensor, "*batch length"], k: int) -> Shaped[Tensor, "*batch {k}"]:
    """The k largest elements of each signal, in the order in which they stood.

    Args:
        input: Signals along the last dimension.
        k: How many elements to keep, from 0 to the signal's length.

    Returns:
        The kept elements; of equal ones the first stay, and NaN counts as largest.

    Raises:
        TypeError: If ``input`` is no tensor.
        ValueError: If the signal is shorter than ``k``.

    Example:
        >>> k_max_pool1d(torch.tensor([4.0, 1.0, 7.0, 5.0]), 3)
        tensor([4., 7., 5.])

    Source: Kalchbrenner et al. (2014), "A convolutional neural network for modelling sentences". Chapter: convolution.
    """
    check_tensor("input", input)
    if input.ndim == 0:
        raise ValueError("input: expected shape (..., length); got a single number")
    check_range("k", k, 0, input.shape[-1])
    order = input.detach().sort(dim=-1, descending=True, stable=True).indices
    return input.gather(-1, order[..., :k].sort(dim=-1).values)


def max_unpool1d(
    input: Num[Tensor, "*batch channels length"],
    indices: Int[Tensor, "*batch channels length"],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Num[Tensor, "*batch channels out_length"]:
    """Maxima put back where ``max_pool1d`` found them, zeros elsewhere, as ``torch.nn.functional.max_unpool1d``.

    Args:
        input: Maxima, one signal or a batch of them.
        indices: Where they were, as ``max_pool1d`` returns them.
        kernel_size: Window size of the pooling.
        stride: Its step between windows; the window size when None.
        padding: Its padding.
        output_size: Length of the output, where several are possible; the other dimensions may be given too.

    Returns:
        Signals of length ``(length - 1) * stride + kernel_size - 2 * padding`` or of ``output_size``.

    Raises:
        TypeError: If ``indices`` is no int64 tensor or a size no integer.
        ValueError: If the shapes differ, the length is not one that pools to the input's, or (on the CPU) an index lies
            outside.

    Example:
        >>> max_unpool1d(torch.tensor([[3.0, 2.0]]), torch.tensor([[1, 2]]), 2)
        tensor([[0., 3., 2., 0.]])

    Source: Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks". Chapter: convolution.
    """
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Num[Tensor, "*batch channels height width"],
    indices: Int[Tensor, "*batch channels height width"],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Num[Tensor, "*batch channels out_height out_width"]:
    """Maxima put back where ``max_pool2d`` found them, zeros elsewhere, as ``torch.nn.functional.max_unpool2d``.

    Args:
        input: Maxima, one picture or a batch of them.
        indices: Where they were, as ``max_pool2d`` returns them.
        kernel_size: Window size of the pooling; one number, or vertical and horizontal.
        stride: Its step between windows; the window size when None.
        padding: Its padding.
        output_size: Height and width of the output, where several are possible; the other dimensions may be given too.

    Returns:
        Pictures of size ``(size - 1) * stride + kernel_size - 2 * padding`` or of ``output_size``.

    Raises:
        TypeError: If ``indices`` is no int64 tensor or a size no integer.
        ValueError: If the shapes differ, the size is not one that pools to the input's, or (on the CPU) an index lies
            outside.

    Example:
        >>> max_unpool2d(torch.tensor([[[6.0]]]), torch.tensor([[[3]]]), 2)
        tensor([[[0., 0.],
                 [0., 6.]]])

    Source: Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks". Chapter: convolution.
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def _bins(dims: int, input: Tensor, output_size: OutputSize) -> list[Tensor]:
    """For each dimension, the elements of each window: (windows, elements), the last one repeated to equal lengths."""
    check_tensor("input", input)
    check_spatial("input", input, dims)
    sizes = input.shape[-dims:]
    wanted = output_size if isinstance(output_size, Sequence) else (output_size,) * dims
    filled: list = [sizes[at] if want is None and at < dims else want for at, want in enumerate(wanted)]
    counts = to_tuple("output_size", filled, dims)
    return [_bin(size, count, input.device) for size, count in zip(sizes, counts, strict=True)]


def _bin(size: int, count: int, device: torch.device) -> Tensor:
    window = torch.arange(count, device=device)[:, None]
    first = window * size // max(count, 1)
    last = ((window + 1) * size - 1) // max(count, 1)
    # A window of a size that does not divide covers part of one element at each end.
    longest = size // max(count, 1) + 2 * (size % max(count, 1) > 0)
    return torch.minimum(first + torch.arange(max(longest, 1), device=device), last)


def _means(input: Tensor, bins: list[Tensor]) -> Tensor:
    for dim, taps in zip(range(-len(bins), 0), bins, strict=True):
        seen = input.index_select(dim, taps.flatten()).unflatten(dim, taps.shape)
        fresh = torch.cat([torch.ones_like(taps[:, :1], dtype=torch.bool), taps.diff(dim=1) > 0], dim=1)
        # Zeros in place of the repeated elements, so that a sum sees each once; a factor 0 would turn inf into NaN.
        shape = (-1, taps.shape[1]) + (1,) * (-dim - 1)
        total = torch.where(fresh.view(shape), seen, 0).sum(dim)
        input = total / fresh.sum(1).view(-1, *shape[2:])
    return input


def _max_unpool(
    dims: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    output_size: Sequence[int] | None,
) -> Tensor:
    check_tensor("input", input)
    check_tensor("indices", indices)
    check_spatial("input", input, dims)
    if indices.dtype != torch.int64:
        raise TypeError(f"indices: expected dtype torch.int64; got {indices.dtype}")
    if indices.shape != input.shape:
        raise ValueError(f"indices: expected the shape of input, {tuple(input.shape)}; got {tuple(indices.shape)}")
    size = _unpooled(dims, input.shape[-dims:], kernel_size, stride, padding, output_size)
    zeros = input.new_zeros(*input.shape[:-dims], prod(size))
    try:
        return zeros.scatter(-1, indices.flatten(-dims), input.flatten(-dims)).unflatten(-1, size)
    except RuntimeError as error:
        raise ValueError(f"indices: expected positions in an output of size {size}; got {error}") from None


def _unpooled(
    dims: int,
    sizes: Sequence[int],
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    output_size: Sequence[int] | None,
) -> tuple[int, ...]:
    """Spatial size of an unpooling's output."""
    kernel, ends = to_tuple("kernel_size", kernel_size, dims, 1), to_tuple("padding", padding, dims)
    step = kernel if stride is None else to_tuple("stride", stride, dims, 1)
    usual = tuple((n - 1) * s + k - 2 * p for n, s, k, p in zip(sizes, step, kernel, ends, strict=True))
    if output_size is None:
        size = usual
    else:
        size = to_tuple("output_size", output_size[2:] if len(output_size) == dims + 2 else output_size, dims)
    if any(abs(n - u) >= s for n, u, s in zip(size, usual, step, strict=True)) or min(size) < 0:
        raise ValueError(f"output_size: expected within less than the stride {step} of {usual}; got {size}")
    return size
