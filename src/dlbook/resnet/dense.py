"""DenseNet's block, for comparison: what a layer finds is put beside its input, where a residual block adds it.

Every layer so sees the outputs of all the layers before it, unmixed, and the channels grow with each; a transition
between two blocks brings them down again.
"""

import torch
from torch import Tensor, nn

from dlbook._checks import check_whole
from dlbook.activations import relu
from dlbook.convolution import AvgPool2d, Conv2d
from dlbook.normalization import BatchNorm2d
from dlbook.resnet.blocks import Output, Pictures


class _DenseLayer(nn.Module):
    """Norm, ReLU and convolution, in this order, so that each layer has its own norm of the channels it shares."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.norm = BatchNorm2d(in_channels)
        self.conv = Conv2d(in_channels, out_channels, kernel_size, padding="same", bias=False)

    def forward(self, input: Tensor) -> Tensor:
        return self.conv(relu(self.norm(input)))


class DenseBlock(nn.Module):
    r"""Layers that each see all that came before, and add ``growth_rate`` channels of their own.

    .. math:: x_{l+1} = [x_l,\, f_l(x_l)], \qquad f_l(x) = W_l * \operatorname{relu}(\operatorname{norm}(x))

    Args:
        in_channels: Channels of the input.
        growth_rate: Channels that each layer adds.
        num_layers: Number of layers.

    Raises:
        TypeError: If a size is no whole number.
        ValueError: If it is less than 1.

    Example:
        >>> DenseBlock(16, growth_rate=12, num_layers=3)(torch.zeros(2, 16, 8, 8)).shape
        torch.Size([2, 52, 8, 8])

    Source: Huang et al. (2017), "Densely connected convolutional networks", section 3. Chapter: resnet.
    """

    def __init__(self, in_channels: int, growth_rate: int, num_layers: int) -> None:
        super().__init__()
        for name, value in (("in_channels", in_channels), ("growth_rate", growth_rate), ("num_layers", num_layers)):
            check_whole(name, value, 1)
        widths = range(in_channels, in_channels + num_layers * growth_rate, growth_rate)
        self.layers = nn.ModuleList([_DenseLayer(width, growth_rate, 3) for width in widths])
        self.out_channels = in_channels + num_layers * growth_rate

    def forward(self, input: Pictures) -> Output:
        """The input and what each layer found, side by side."""
        for layer in self.layers:
            input = torch.cat([input, layer(input)], dim=1)
        return input


class Transition(nn.Module):
    """Between two dense blocks: a 1×1 convolution to fewer channels, and average pooling to half the sides.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.

    Raises:
        TypeError: If a size is no whole number.
        ValueError: If it is less than 1.

    Example:
        >>> Transition(52, 26)(torch.zeros(2, 52, 8, 8)).shape
        torch.Size([2, 26, 4, 4])

    Source: Huang et al. (2017), section 3. Chapter: resnet.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        for name, value in (("in_channels", in_channels), ("out_channels", out_channels)):
            check_whole(name, value, 1)
        self.mix, self.pool = _DenseLayer(in_channels, out_channels, 1), AvgPool2d(2)

    def forward(self, input: Pictures) -> Output:
        """The channels mixed, the sides halved."""
        return self.pool(self.mix(input))
