"""Group, layer, RMS and local response normalization as ``torch.nn`` modules: the same in training and evaluation.

Names and layout are torch's, so a ``state_dict`` goes both ways.
"""

from collections.abc import Sequence

import torch
from torch import nn

from dlbook._checks import check_whole

from ._layer import AffineLayer, Device, Input, as_shape
from .functions import group_norm, layer_norm, local_response_norm, rms_norm


class GroupNorm(AffineLayer):
    """Group normalization, as ``torch.nn.GroupNorm``.

    Args:
        num_groups: Number of groups; it divides the number of channels.
        num_channels: Number of channels.
        eps: Added to the variance.
        affine: Whether to learn a scale and a shift for each channel.
        device: Where the parameters live.
        dtype: The parameters' dtype.
        bias: Whether there is a shift.

    Raises:
        ValueError: If ``num_groups`` does not divide the channels, or an input has the wrong shape.

    Example:
        >>> GroupNorm(2, 4)(torch.tensor([[1.0, 3.0, 10.0, 30.0]])).detach()
        tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])

    Source: Wu and He (2018). Chapter: normalization.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_whole("num_groups", num_groups, 1)
        check_whole("num_channels", num_channels)
        if num_channels % num_groups:
            raise ValueError(f"num_groups: expected a divisor of num_channels={num_channels}; got {num_groups}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.add_parameters((num_channels,), affine, bias, {"device": device, "dtype": dtype})

    def forward(self, input: Input) -> Input:
        """Normalize the input's groups of channels."""
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class LayerNorm(AffineLayer):
    """Layer normalization, as ``torch.nn.LayerNorm``.

    Args:
        normalized_shape: Sizes of the last axes, or the last axis's size.
        eps: Added to the variance.
        elementwise_affine: Whether to learn a scale and a shift for each element.
        bias: Whether there is a shift.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        ValueError: If an input's last axes have other sizes.

    Example:
        >>> LayerNorm(2)(torch.tensor([[1.0, 3.0], [10.0, 30.0]])).detach()
        tensor([[-1.0000,  1.0000],
                [-1.0000,  1.0000]])

    Source: Ba et al. (2016). Chapter: normalization.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        shape = as_shape(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.add_parameters(shape, elementwise_affine, bias, {"device": device, "dtype": dtype})

    def forward(self, input: Input) -> Input:
        """Normalize the input's last axes."""
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(AffineLayer):
    """Root-mean-square normalization, as ``torch.nn.RMSNorm``.

    Args:
        normalized_shape: Sizes of the last axes, or the last axis's size.
        eps: Added to the mean square; the least step above 1 of the dtype computed in, when ``None``.
        elementwise_affine: Whether to learn a scale for each element.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        ValueError: If an input's last axes have other sizes.

    Example:
        >>> RMSNorm(4)(torch.tensor([3.0, 4.0, 0.0, 0.0])).detach()
        tensor([1.2000, 1.6000, 0.0000, 0.0000])

    Source: Zhang and Sennrich (2019). Chapter: normalization.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        shape = as_shape(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.add_parameters(shape, elementwise_affine, False, {"device": device, "dtype": dtype})

    def forward(self, x: Input) -> Input:
        """Divide the input's last axes by their root mean square."""
        return rms_norm(x, self.normalized_shape, self.weight, self.eps)


class LocalResponseNorm(nn.Module):
    """Local response normalization, as ``torch.nn.LocalResponseNorm``.

    Args:
        size: Number of neighbouring channels in the sum.
        alpha: Weight of the sum.
        beta: Exponent.
        k: Added to the sum.

    Raises:
        ValueError: If an input has fewer than three axes.

    Example:
        >>> LocalResponseNorm(3, alpha=3.0, beta=1.0)(torch.ones(1, 3, 1)).flatten()
        tensor([0.3333, 0.2500, 0.3333])

    Source: Krizhevsky et al. (2012), section 3.3. Chapter: normalization.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        check_whole("size", size, 1)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Input) -> Input:
        """Divide each channel by the strength of its neighbours."""
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
