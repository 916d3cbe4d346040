r"""The residual block, :math:`y = \operatorname{relu}(f(x) + x)`, in its two forms.

Where a block changes the shape, :math:`x` cannot be added as it is: ``downsample`` then brings it to the shape of
:math:`f(x)`.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from dlbook._checks import check_whole
from dlbook.activations import relu
from dlbook.convolution import Conv2d
from dlbook.normalization import BatchNorm2d

Norm = Callable[[int], nn.Module]
Pictures = Float[Tensor, "batch channels height width"]
Output = Float[Tensor, "batch out_channels out_height out_width"]


class ResidualBlock(nn.Module):
    """What both blocks have in common: the sum of branch and shortcut."""

    expansion: int
    downsample: nn.Module | None
    shortcut: bool

    def branch(self, input: Tensor) -> Tensor:
        """The block without its shortcut, up to the sum: :math:`f(x)`."""
        raise NotImplementedError

    def forward(self, input: Pictures) -> Output:
        """Branch plus shortcut, rectified."""
        output = self.branch(input)
        if self.shortcut:
            passed = input if self.downsample is None else self.downsample(input)
            if passed.shape != output.shape:
                # A sum would broadcast a single channel, or a single row, without a word.
                raise ValueError(
                    f"downsample: expected to bring the input to the branch's shape {tuple(output.shape)}; "
                    f"got {'None and ' if self.downsample is None else ''}shape {tuple(passed.shape)}"
                )
            output = output + passed
        return relu(output)


class BasicBlock(ResidualBlock):
    r"""Two 3×3 convolutions and a shortcut around them, as torchvision's: the block of ResNet-18 and ResNet-34.

    .. math:: y = \operatorname{relu}\big(\operatorname{norm}(W_2 * \operatorname{relu}(\operatorname{norm}(W_1 * x)))
        + x\big)

    Args:
        inplanes: Channels of the input.
        planes: Channels of the output.
        stride: Step of the first convolution.
        downsample: Brings the input to the output's shape on the shortcut; not needed where the shape stays.
        groups: 1 only.
        base_width: 64 only.
        dilation: 1 only.
        norm_layer: From channels to a norm; :class:`dlbook.normalization.BatchNorm2d` when ``None``.
        shortcut: Whether there is one; without it the block is plain, :math:`\operatorname{relu}(f(x))`.

    Raises:
        ValueError: If ``groups``, ``base_width`` or ``dilation`` is another; when called, if the shortcut's shape is
            not the branch's.

    Example:
        >>> import torch
        >>> BasicBlock(16, 16)(torch.zeros(2, 16, 8, 8)).shape
        torch.Size([2, 16, 8, 8])

    Source: He et al. (2016), "Deep residual learning for image recognition", figure 5. Chapter: resnet.
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
        *,
        shortcut: bool = True,
    ) -> None:
        super().__init__()
        for name, value, only in (("groups", groups, 1), ("base_width", base_width, 64), ("dilation", dilation, 1)):
            if value != only:
                raise ValueError(f"{name}: expected {only}, as a basic block has nothing else; got {value}")
        norm = norm_layer or BatchNorm2d
        self.conv1 = Conv2d(inplanes, planes, 3, stride, padding=1, bias=False)
        self.bn1 = norm(planes)
        self.conv2 = Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = norm(planes)
        self.downsample, self.shortcut = downsample, shortcut

    def branch(self, input: Tensor) -> Tensor:
        """The block without its shortcut, up to the sum: :math:`f(x)`."""
        hidden = relu(self.bn1(self.conv1(input)))
        return self.bn2(self.conv2(hidden))


class Bottleneck(ResidualBlock):
    r"""A 3×3 convolution between two 1×1, and a shortcut, as torchvision's: the block of ResNet-50 and deeper.

    The first 1×1 convolution takes channels away, so that the 3×3 costs less; the last brings back four times as many.
    The stride is in the 3×3, as in torchvision; the paper had it in the first 1×1, which skips three pixels of four.

    Args:
        inplanes: Channels of the input.
        planes: A quarter of the channels of the output.
        stride: Step of the 3×3 convolution.
        downsample: Brings the input to the output's shape on the shortcut; not needed where the shape stays.
        groups: Groups of the 3×3 convolution, as in ResNeXt.
        base_width: Channels of each group for every 64 planes.
        dilation: Distance between the taps of the 3×3 convolution.
        norm_layer: From channels to a norm; :class:`dlbook.normalization.BatchNorm2d` when ``None``.
        shortcut: Whether there is one; without it the block is plain, :math:`\operatorname{relu}(f(x))`.

    Raises:
        ValueError: If a size is out of range; when called, if the shortcut's shape is not the branch's.

    Example:
        >>> import torch
        >>> Bottleneck(64, 16)(torch.zeros(2, 64, 8, 8)).shape
        torch.Size([2, 64, 8, 8])

    Source: He et al. (2016), figure 5; ``groups``: Xie et al. (2017), "Aggregated residual transformations for deep
    neural networks". Chapter: resnet.
    """

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
        *,
        shortcut: bool = True,
    ) -> None:
        super().__init__()
        norm = norm_layer or BatchNorm2d
        width, outplanes = planes * base_width // 64 * groups, planes * self.expansion
        self.conv1 = Conv2d(inplanes, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = Conv2d(width, width, 3, stride, dilation, dilation, groups, bias=False)
        self.bn2 = norm(width)
        self.conv3 = Conv2d(width, outplanes, 1, bias=False)
        self.bn3 = norm(outplanes)
        self.downsample, self.shortcut = downsample, shortcut

    def branch(self, input: Tensor) -> Tensor:
        """The block without its shortcut, up to the sum: :math:`f(x)`."""
        hidden = relu(self.bn1(self.conv1(input)))
        hidden = relu(self.bn2(self.conv2(hidden)))
        return self.bn3(self.conv3(hidden))


class PaddedIdentity(nn.Module):
    """A shortcut without weights: every ``stride``-th pixel of the input, and zeros for the channels it lacks.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, no fewer.
        stride: Step between the pixels that are kept.

    Raises:
        TypeError: If a size is no whole number.
        ValueError: If ``out_channels`` is less than ``in_channels`` or ``stride`` less than 1.

    Example:
        >>> import torch
        >>> PaddedIdentity(1, 2, stride=2)(torch.ones(1, 1, 3, 3)).flatten()
        tensor([1., 1., 1., 1., 0., 0., 0., 0.])

    Source: He et al. (2016), section 3.3, option A. Chapter: resnet.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        check_whole("in_channels", in_channels, 1)
        check_whole("out_channels", out_channels, in_channels)
        check_whole("stride", stride, 1)
        self.in_channels, self.out_channels, self.stride = in_channels, out_channels, stride

    def forward(self, input: Pictures) -> Output:
        """The input, thinned out and widened."""
        kept = input[:, :, :: self.stride, :: self.stride]
        return pad(kept, (0, 0, 0, 0, 0, self.out_channels - self.in_channels))

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        return f"{self.in_channels}, {self.out_channels}, stride={self.stride}"
