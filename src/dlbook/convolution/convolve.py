"""Convolutions, forwards and transposed, and the unfolding that turns one into a matrix product.

What every library calls a convolution is a *cross-correlation*: the kernel is not flipped. The same small kernel visits
every place of the picture, so a pattern costs its weights once and is found wherever it is. The transposed convolution
runs the same visits backwards and so makes pictures larger; it is the convolution's gradient by its input, and not its
inverse. The arithmetic itself is in ``dlbook.convolution.correlation``; here arguments become its geometry.
"""

from math import prod

import torch
from jaxtyping import Num, Shaped
from torch import Tensor
from torch.nn.functional import pad

from dlbook._checks import check_ndim, check_same, check_tensor
from dlbook.convolution._sizes import Size, check_spatial, string_padding, to_tuple, window_counts
from dlbook.convolution.correlation import Correlate, Geometry, Spread


def conv1d(
    input: Num[Tensor, "*batch in_channels length"],
    weight: Num[Tensor, "out_channels channels_per_group kernel_length"],
    bias: Num[Tensor, " out_channels"] | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Num[Tensor, "*batch out_channels out_length"]:
    r"""Convolution along one dimension, as ``torch.nn.functional.conv1d``.

    .. math:: y_{o,i} = b_o + \sum_{c} \sum_{a} w_{o,c,a}\, x_{c,\,s i + d a - p}

    Args:
        input: One signal or a batch of them.
        weight: One kernel for each output channel.
        bias: Added to each output channel.
        stride: Step :math:`s` between windows.
        padding: Zeros :math:`p` added at both ends; or ``"valid"`` (none) or ``"same"`` (length kept).
        dilation: Distance :math:`d` between neighbouring kernel elements.
        groups: Split the channels into this many convolutions side by side.

    Returns:
        The weighted sum at each position; its length is ``output_size``'s.

    Raises:
        TypeError: If an operand is no tensor or the dtypes differ.
        ValueError: If shapes or devices do not fit together, or the kernel is larger than the padded input.

    Example:
        >>> conv1d(torch.tensor([[1.0, 2.0, 4.0, 7.0]]), torch.tensor([[[-1.0, 1.0]]]))
        tensor([[1., 2., 3.]])

    Source: LeCun et al. (1998), "Gradient-based learning applied to document recognition". Chapter: convolution.
    """
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Num[Tensor, "*batch in_channels height width"],
    weight: Num[Tensor, "out_channels channels_per_group kernel_height kernel_width"],
    bias: Num[Tensor, " out_channels"] | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Num[Tensor, "*batch out_channels out_height out_width"]:
    r"""Convolution over a picture, as ``torch.nn.functional.conv2d``.

    .. math:: y_{o,i,j} = b_o + \sum_{c} \sum_{a,b} w_{o,c,a,b}\, x_{c,\,s i + d a - p,\,s j + d b - p}

    Args:
        input: One picture or a batch of them.
        weight: One kernel for each output channel.
        bias: Added to each output channel.
        stride: Step :math:`s` between windows; one number, or vertical and horizontal.
        padding: Zeros :math:`p` added on all sides; or ``"valid"`` (none) or ``"same"`` (size kept).
        dilation: Distance :math:`d` between neighbouring kernel elements.
        groups: Split the channels into this many convolutions side by side.

    Returns:
        The weighted sum at each position; its size is ``output_size``'s.

    Raises:
        TypeError: If an operand is no tensor or the dtypes differ.
        ValueError: If shapes or devices do not fit together, or the kernel is larger than the padded input.

    Example:
        >>> picture = torch.tensor([[[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]])
        >>> conv2d(picture, torch.tensor([[[[-1.0, 1.0]]]]))
        tensor([[[0., 1.],
                 [0., 1.]]])

    Source: LeCun et al. (1998), "Gradient-based learning applied to document recognition". Chapter: convolution.
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Num[Tensor, "*batch in_channels length"],
    weight: Num[Tensor, "in_channels channels_per_group kernel_length"],
    bias: Num[Tensor, " out_channels"] | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Num[Tensor, "*batch out_channels out_length"]:
    r"""Transposed convolution along one dimension, as ``torch.nn.functional.conv_transpose1d``.

    .. math:: y_{o,\,s i + d a - p} \mathrel{+}= w_{c,o,a}\, x_{c,i}

    Args:
        input: One signal or a batch of them.
        weight: One kernel for each input channel.
        bias: Added to each output channel.
        stride: Step :math:`s` between the places where neighbouring inputs put their kernels.
        padding: Elements :math:`p` cut off at both ends of the output.
        output_padding: Elements added at the far end, where several output lengths are possible.
        groups: Split the channels into this many convolutions side by side.
        dilation: Distance :math:`d` between neighbouring kernel elements.

    Returns:
        The sum of the kernels, each scaled by its input, of length
        :math:`(n - 1) s - 2 p + d (k - 1) + p_\text{out} + 1`.

    Raises:
        TypeError: If an operand is no tensor or the dtypes differ.
        ValueError: If shapes or devices do not fit together, or nothing would be left of the output.

    Example:
        >>> conv_transpose1d(torch.tensor([[1.0, 2.0]]), torch.tensor([[[1.0, 10.0, 100.0]]]), stride=2)
        tensor([[  1.,  10., 102.,  20., 200.]])

    Source: Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning". Chapter: convolution.
    """
    return _transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Num[Tensor, "*batch in_channels height width"],
    weight: Num[Tensor, "in_channels channels_per_group kernel_height kernel_width"],
    bias: Num[Tensor, " out_channels"] | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Num[Tensor, "*batch out_channels out_height out_width"]:
    r"""Transposed convolution over a picture, as ``torch.nn.functional.conv_transpose2d``.

    .. math:: y_{o,\,s i + d a - p,\,s j + d b - p} \mathrel{+}= w_{c,o,a,b}\, x_{c,i,j}

    Args:
        input: One picture or a batch of them.
        weight: One kernel for each input channel.
        bias: Added to each output channel.
        stride: Step :math:`s` between the places where neighbouring inputs put their kernels.
        padding: Elements :math:`p` cut off on all sides of the output.
        output_padding: Elements added below and to the right, where several output sizes are possible.
        groups: Split the channels into this many convolutions side by side.
        dilation: Distance :math:`d` between neighbouring kernel elements.

    Returns:
        The sum of the kernels, each scaled by its input, of size
        :math:`(n - 1) s - 2 p + d (k - 1) + p_\text{out} + 1` along each dimension.

    Raises:
        TypeError: If an operand is no tensor or the dtypes differ.
        ValueError: If shapes or devices do not fit together, or nothing would be left of the output.

    Example:
        >>> conv_transpose2d(torch.tensor([[[1.0, 2.0]]]), torch.ones(1, 1, 2, 2), stride=2)
        tensor([[[1., 1., 2., 2.],
                 [1., 1., 2., 2.]]])

    Source: Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning". Chapter: convolution.
    """
    return _transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def unfold(
    input: Shaped[Tensor, "*batch channels height width"],
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Shaped[Tensor, "*batch window positions"]:
    """Every window of a picture as one column, as ``torch.nn.functional.unfold``.

    With it a convolution is one matrix product: ``weight.flatten(1) @ unfold(input, kernel_size)``.

    Args:
        input: One picture or a batch of them.
        kernel_size: Size of the window; one number, or vertical and horizontal.
        dilation: Distance between neighbouring elements of the window.
        padding: Zeros added on all sides.
        stride: Step between windows.

    Returns:
        A column of channels × kernel height × kernel width elements for each position, row by row.

    Raises:
        TypeError: If ``input`` is no tensor or a size no integer.
        ValueError: If the window is larger than the padded input, or an argument is out of range.

    Example:
        >>> unfold(torch.arange(6.0).view(1, 2, 3), kernel_size=2)
        tensor([[0., 1.],
                [1., 2.],
                [3., 4.],
                [4., 5.]])

    Source: Chellapilla et al. (2006), "High performance convolutional neural networks for document processing".
    Chapter: convolution.
    """
    check_tensor("input", input)
    check_spatial("input", input, 2)
    kernel, spacing = to_tuple("kernel_size", kernel_size, 2, 1), to_tuple("dilation", dilation, 2, 1)
    (top, left), step = to_tuple("padding", padding, 2), to_tuple("stride", stride, 2, 1)
    window_counts(input.shape[-2:], kernel, step, (top, left), spacing)
    seen = windows(pad(input, (left, left, top, top)), kernel, step, spacing)
    return seen.movedim((-2, -1), (-4, -3)).flatten(-5, -3).flatten(-2)


def fold(
    input: Shaped[Tensor, "*batch window positions"],
    output_size: Size,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Shaped[Tensor, "*batch channels height width"]:
    """The sum of columns put back where ``unfold`` took them, as ``torch.nn.functional.fold``.

    It is the transpose of ``unfold``, and not its inverse: elements seen by several windows are added up.

    Args:
        input: Columns, as ``unfold`` returns them.
        output_size: Height and width of the picture.
        kernel_size: Size of the window; one number, or vertical and horizontal.
        dilation: Distance between neighbouring elements of the window.
        padding: Elements cut off on all sides.
        stride: Step between windows.

    Returns:
        One picture or a batch of them.

    Raises:
        TypeError: If ``input`` is no tensor or a size no integer.
        ValueError: If the columns do not fit the window or their number does not fit the picture.

    Example:
        >>> fold(unfold(torch.ones(1, 3, 3), kernel_size=2), output_size=3, kernel_size=2)
        tensor([[[1., 2., 1.],
                 [2., 4., 2.],
                 [1., 2., 1.]]])

    Source: Chellapilla et al. (2006), "High performance convolutional neural networks for document processing".
    Chapter: convolution.
    """
    check_tensor("input", input)
    check_ndim("input", input, (2, 3), "(batch, window, positions) or (window, positions)")
    size, kernel = to_tuple("output_size", output_size, 2, 1), to_tuple("kernel_size", kernel_size, 2, 1)
    spacing, step = to_tuple("dilation", dilation, 2, 1), to_tuple("stride", stride, 2, 1)
    top, left = to_tuple("padding", padding, 2)
    counts = window_counts(size, kernel, step, (top, left), spacing)
    if input.shape[-2] % prod(kernel) or input.shape[-1] != prod(counts):
        expected = f"(..., a multiple of {prod(kernel)}, {prod(counts)})"
        raise ValueError(f"input: expected shape {expected} for this window and picture; got {tuple(input.shape)}")
    padded = (size[0] + 2 * top, size[1] + 2 * left)
    origins = windows(torch.arange(prod(padded), device=input.device).view(padded), kernel, step, spacing)
    values = input.unflatten(-2, (-1, prod(kernel))).flatten(-2)
    picture = values.new_zeros(*values.shape[:-1], prod(padded))
    picture = picture.index_add(-1, origins.movedim((-2, -1), (0, 1)).flatten(), values)
    return pad(picture.unflatten(-1, padded), (-left, -left, -top, -top))


def windows(padded: Tensor, kernel_size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> Tensor:
    """All windows as a view, nothing copied: (..., out_height, out_width, kernel_height, kernel_width)."""
    dims = len(kernel_size)
    for dim, kernel, step, spacing in zip(range(-dims, 0), kernel_size, stride, dilation, strict=True):
        # Each unfold appends the window's own dimension, which moves the remaining ones by one.
        padded = padded.unfold(dim if dim == -dims else dim - (dims + dim), spacing * (kernel - 1) + 1, step)
        padded = padded[..., ::spacing]
    return padded


def _convolve(
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size | str,
    dilation: Size,
    groups: int,
) -> Tensor:
    input, weight, bias = _check_operands(dims, input, weight, bias, groups, transposed=False)
    step, spacing = to_tuple("stride", stride, dims, 1), to_tuple("dilation", dilation, dims, 1)
    size, kernel = tuple(input.shape[-dims:]), tuple(weight.shape[2:])
    if isinstance(padding, str):
        before, after = string_padding(padding, kernel, step, spacing)
    else:
        before = after = to_tuple("padding", padding, dims)
    padded = [n + b + a for n, b, a in zip(size, before, after, strict=True)]
    out = window_counts(padded, kernel, step, (0,) * dims, spacing)
    geometry = Geometry(_pair(size), _pair(out), _pair(kernel), _pair(step), _pair(before, 0), _pair(spacing), groups)
    return _apply(Correlate, dims, input, weight, bias, geometry)


def _transpose(
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size,
    output_padding: Size,
    groups: int,
    dilation: Size,
) -> Tensor:
    input, weight, bias = _check_operands(dims, input, weight, bias, groups, transposed=True)
    step, spacing = to_tuple("stride", stride, dims, 1), to_tuple("dilation", dilation, dims, 1)
    cut, extra = to_tuple("padding", padding, dims), to_tuple("output_padding", output_padding, dims)
    if any(e >= max(s, d) for e, s, d in zip(extra, step, spacing, strict=True)):
        raise ValueError(f"output_padding: expected less than stride {step} or dilation {spacing}; got {extra}")
    kernel, seen = tuple(weight.shape[2:]), tuple(input.shape[-dims:])
    lines = zip(seen, step, cut, spacing, kernel, extra, strict=True)
    size = tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, s, p, d, k, e in lines)
    if min(size) < 1:
        raise ValueError(f"padding: expected to leave an output of at least 1 element; got {cut}, which leaves {size}")
    geometry = Geometry(_pair(size), _pair(seen), _pair(kernel), _pair(step), _pair(cut, 0), _pair(spacing), groups)
    return _apply(Spread, dims, input, weight, bias, geometry)


def _pair(values: tuple[int, ...], vertical: int = 1) -> tuple[int, int]:
    """(vertical, horizontal); a signal is a picture of height 1."""
    return (vertical, values[0]) if len(values) == 1 else (values[0], values[1])


def _apply(product, dims: int, input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Run the product on pictures, whatever the input was, and give back what the input was."""
    pictures = input if input.ndim == dims + 2 else input.unsqueeze(0)
    if dims == 1:
        pictures, weight = pictures.unsqueeze(2), weight.unsqueeze(2)
    output = product.apply(pictures, weight, geometry)
    if bias is not None:
        output = output + bias[:, None, None]
    output = output.squeeze(2) if dims == 1 else output
    return output if input.ndim == dims + 2 else output.squeeze(0)


def _check_operands(
    dims: int, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int, *, transposed: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The operands, in autocast's dtype where it is on, once they are known to fit together."""
    check_tensor("input", input)
    check_tensor("weight", weight)
    check_spatial("input", input, dims)
    check_ndim("weight", weight, (dims + 2,), "(channels, channels per group, kernel)")
    (groups,) = to_tuple("groups", groups, 1, 1)
    channels, first = input.shape[-dims - 1], weight.shape[0]
    if 0 in weight.shape[:1] + weight.shape[2:] or first % groups:
        shape = tuple(weight.shape)
        raise ValueError(f"weight: expected no empty kernel, and groups={groups} to divide its first size; got {shape}")
    wanted = first if transposed else weight.shape[1] * groups
    if channels != wanted:
        shape = f"weight of shape {tuple(weight.shape)} and groups={groups}"
        raise ValueError(f"input: expected {wanted} channels for {shape}; got shape {tuple(input.shape)}")
    out_channels = weight.shape[1] * groups if transposed else first
    if bias is not None:
        check_tensor("bias", bias)
        if bias.shape != (out_channels,):
            raise ValueError(
                f"bias: expected shape ({out_channels},), one for each output channel; got {tuple(bias.shape)}"
            )
    input, weight = _autocast(input), _autocast(weight)
    bias = bias if bias is None else _autocast(bias)
    check_same("weight", weight, "input", input)
    if bias is not None:
        check_same("bias", bias, "input", input)
    return input, weight, bias


def _autocast(value: Tensor) -> Tensor:
    """The value in autocast's dtype where autocast is on, as torch's own convolutions do it."""
    kind = value.device.type
    if not (value.is_floating_point() and torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
        return value
    return value if value.dtype == torch.float64 else value.to(torch.get_autocast_dtype(kind))
