r"""Convolutions and unfolding as ``torch.nn`` modules: a weight, a bias, and the function called with them.

Parameter names and layout are torch's, so a ``state_dict`` goes both ways; with the same seed the starting values are
torch's too: uniform over :math:`\pm 1/\sqrt{\text{fan in}}`.
"""

from collections.abc import Sequence
from math import prod, sqrt

import torch
from jaxtyping import Num
from torch import Tensor, nn
from torch.nn.functional import pad

from dlbook._checks import check_option, check_whole
from dlbook.convolution import convolve
from dlbook.convolution._layer import Layer
from dlbook.convolution._sizes import Size, string_padding, to_tuple
from dlbook.convolution.convolve import conv1d, conv2d, conv_transpose1d, conv_transpose2d

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(nn.Module):
    """Parameters and settings of a convolution in ``dims`` dimensions."""

    dims: int
    transposed = False
    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_option("padding_mode", padding_mode, PADDING_MODES)
        (groups,) = to_tuple("groups", groups, 1, 1)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            check_whole(name, channels)
            if channels % groups:
                raise ValueError(f"{name}: expected a multiple of groups={groups}; got {channels}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = to_tuple("kernel_size", kernel_size, self.dims, 1)
        self.stride = to_tuple("stride", stride, self.dims, 1)
        self.dilation = to_tuple("dilation", dilation, self.dims, 1)
        if isinstance(padding, str):
            string_padding(padding, self.kernel_size, self.stride, self.dilation)
            self.padding = padding
        else:
            self.padding = to_tuple("padding", padding, self.dims)
        self.padding_mode = padding_mode
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        shape = (first, second // groups, *self.kernel_size)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        fresh = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", fresh)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias afresh, uniformly over ±1/√fan in."""
        fan_in = self.weight.shape[1] * prod(self.kernel_size)
        for parameter in (self.weight, self.bias):
            if isinstance(parameter, Tensor) and fan_in:
                nn.init.uniform_(parameter, -1 / sqrt(fan_in), 1 / sqrt(fan_in))

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        names = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.in_channels}, {self.out_channels}, {settings}, bias={self.bias is not None}"

    def _padded(self, input: Tensor) -> tuple[Tensor, tuple[int, ...] | str]:
        """The input, padded where the padding is not of zeros, and the padding that is left to do."""
        if self.padding_mode == "zeros":
            return input, self.padding
        if isinstance(self.padding, str):
            before, after = string_padding(self.padding, self.kernel_size, self.stride, self.dilation)
        else:
            before = after = self.padding
        # ``pad`` starts from the last dimension.
        margins = [end for ends in zip(reversed(before), reversed(after), strict=True) for end in ends]
        return pad(input, margins, mode=self.padding_mode), (0,) * self.dims


class Conv1d(_Convolution):
    """Convolution layer for signals, as ``torch.nn.Conv1d``.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, one kernel for each.
        kernel_size: Length of the kernel.
        stride: Step between windows.
        padding: Elements added at both ends, or ``"valid"`` or ``"same"``.
        dilation: Distance between neighbouring kernel elements.
        groups: Split the channels into this many convolutions side by side.
        bias: Whether to add a learned number to each output channel.
        padding_mode: What the padding holds: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        TypeError: If a size is no integer.
        ValueError: If an argument is out of range or ``groups`` does not divide the channels.

    Example:
        >>> Conv1d(3, 8, kernel_size=5, padding="same")(torch.zeros(2, 3, 20)).shape
        torch.Size([2, 8, 20])

    Source: LeCun et al. (1998), "Gradient-based learning applied to document recognition". Chapter: convolution.
    """

    dims = 1

    def forward(self, input: Num[Tensor, "*batch channels length"]) -> Num[Tensor, "*batch out_channels out_length"]:
        """Convolve the input with the layer's kernels."""
        input, padding = self._padded(input)
        return conv1d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Convolution):
    """Convolution layer for pictures, as ``torch.nn.Conv2d``.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, one kernel for each.
        kernel_size: Height and width of the kernel, or one number for both.
        stride: Step between windows.
        padding: Elements added on all sides, or ``"valid"`` or ``"same"``.
        dilation: Distance between neighbouring kernel elements.
        groups: Split the channels into this many convolutions side by side.
        bias: Whether to add a learned number to each output channel.
        padding_mode: What the padding holds: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        TypeError: If a size is no integer.
        ValueError: If an argument is out of range or ``groups`` does not divide the channels.

    Example:
        >>> Conv2d(1, 6, kernel_size=5)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 6, 24, 24])

    Source: LeCun et al. (1998), "Gradient-based learning applied to document recognition". Chapter: convolution.
    """

    dims = 2

    def forward(
        self, input: Num[Tensor, "*batch channels height width"]
    ) -> Num[Tensor, "*batch out_channels out_height out_width"]:
        """Convolve the input with the layer's kernels."""
        input, padding = self._padded(input)
        return conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class _Transposed(_Convolution):
    """A transposed convolution's settings, in torch's order."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_option("padding_mode", padding_mode, ("zeros",))
        to_tuple("padding", padding, self.dims)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, "zeros", device, dtype
        )
        self.output_padding = to_tuple("output_padding", output_padding, self.dims)

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        return f"{super().extra_repr()}, output_padding={self.output_padding!r}"

    def _arguments(self, input: Tensor, output_size: Sequence[int] | None) -> tuple:
        """What follows the input in the functional call."""
        extra = self.output_padding
        if output_size is not None:
            wanted = to_tuple("output_size", output_size[-self.dims :], self.dims)
            lines = zip(
                input.shape[-self.dims :], self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
            least = [(n - 1) * s - 2 * int(p) + d * (k - 1) + 1 for n, s, p, d, k in lines]
            extra = tuple(want - low for want, low in zip(wanted, least, strict=True))
            if any(not 0 <= e < s for e, s in zip(extra, self.stride, strict=True)):
                most = [low + s - 1 for low, s in zip(least, self.stride, strict=True)]
                raise ValueError(f"output_size: expected from {least} to {most}; got {wanted}")
        return self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation


class ConvTranspose1d(_Transposed):
    """Transposed convolution layer for signals, as ``torch.nn.ConvTranspose1d``.

    Args:
        in_channels: Channels of the input, one kernel for each.
        out_channels: Channels of the output.
        kernel_size: Length of the kernel.
        stride: Step between the places where neighbouring inputs put their kernels.
        padding: Elements cut off at both ends of the output.
        output_padding: Elements added at the far end, where several output lengths are possible.
        groups: Split the channels into this many convolutions side by side.
        bias: Whether to add a learned number to each output channel.
        dilation: Distance between neighbouring kernel elements.
        padding_mode: ``"zeros"`` only.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        TypeError: If a size is no integer.
        ValueError: If an argument is out of range, or ``forward`` is asked for an ``output_size`` that the stride does
            not allow.

    Example:
        >>> ConvTranspose1d(8, 3, kernel_size=4, stride=2, padding=1)(torch.zeros(2, 8, 10)).shape
        torch.Size([2, 3, 20])

    Source: Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning". Chapter: convolution.
    """

    dims = 1

    def forward(
        self, input: Num[Tensor, "*batch channels length"], output_size: Sequence[int] | None = None
    ) -> Num[Tensor, "*batch out_channels out_length"]:
        """Spread the input with the layer's kernels; ``output_size`` picks one of the possible lengths."""
        return conv_transpose1d(input, *self._arguments(input, output_size))


class ConvTranspose2d(_Transposed):
    """Transposed convolution layer for pictures, as ``torch.nn.ConvTranspose2d``.

    Args:
        in_channels: Channels of the input, one kernel for each.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel, or one number for both.
        stride: Step between the places where neighbouring inputs put their kernels.
        padding: Elements cut off on all sides of the output.
        output_padding: Elements added below and to the right, where several output sizes are possible.
        groups: Split the channels into this many convolutions side by side.
        bias: Whether to add a learned number to each output channel.
        dilation: Distance between neighbouring kernel elements.
        padding_mode: ``"zeros"`` only.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        TypeError: If a size is no integer.
        ValueError: If an argument is out of range, or ``forward`` is asked for an ``output_size`` that the stride does
            not allow.

    Example:
        >>> ConvTranspose2d(8, 3, kernel_size=4, stride=2, padding=1)(torch.zeros(2, 8, 7, 5)).shape
        torch.Size([2, 3, 14, 10])

    Source: Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning". Chapter: convolution.
    """

    dims = 2

    def forward(
        self, input: Num[Tensor, "*batch channels height width"], output_size: Sequence[int] | None = None
    ) -> Num[Tensor, "*batch out_channels out_height out_width"]:
        """Spread the input with the layer's kernels; ``output_size`` picks one of the possible sizes."""
        return conv_transpose2d(input, *self._arguments(input, output_size))


class Unfold(Layer):
    """Every window of a picture as a column: ``unfold`` as a layer, as ``torch.nn.Unfold``.

    Args:
        kernel_size: Size of the window.
        dilation: Distance between neighbouring elements of the window.
        padding: Zeros added on all sides.
        stride: Step between windows.

    Raises:
        TypeError, ValueError: As ``unfold`` does, when called.

    Example:
        >>> Unfold(3)(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 27, 36])

    Source: Chellapilla et al. (2006), "High performance convolutional neural networks for document processing".
    Chapter: convolution.
    """

    function = staticmethod(convolve.unfold)

    def __init__(self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> None:
        super().__init__(kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)


class Fold(Layer):
    """Columns summed into a picture: ``fold`` as a layer, as ``torch.nn.Fold``.

    Args:
        output_size: Height and width of the picture.
        kernel_size: Size of the window.
        dilation: Distance between neighbouring elements of the window.
        padding: Elements cut off on all sides.
        stride: Step between windows.

    Raises:
        TypeError, ValueError: As ``fold`` does, when called.

    Example:
        >>> Fold(8, 3)(torch.zeros(2, 27, 36)).shape
        torch.Size([2, 3, 8, 8])

    Source: Chellapilla et al. (2006), "High performance convolutional neural networks for document processing".
    Chapter: convolution.
    """

    function = staticmethod(convolve.fold)

    def __init__(
        self, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        super().__init__(
            output_size=output_size, kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride
        )
