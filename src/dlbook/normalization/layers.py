"""The normalizations as ``torch.nn`` modules: parameters, running statistics, and the function called with them.

Names and layout are torch's, so a ``state_dict`` goes both ways.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlbook._checks import check_floating, check_ndim, check_range

from .functions import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm

Device = torch.device | str | int | None
Input = Float[Tensor, "..."]


class _Affine(nn.Module):
    """A weight that starts at 1 and a bias that starts at 0, or neither."""

    weight: Tensor | None
    bias: Tensor | None

    def _affine(self, shape: tuple[int, ...], affine: bool, bias: bool, kind: dict[str, Any]) -> None:
        self.register_parameter("weight", nn.Parameter(torch.ones(shape, **kind)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(shape, **kind)) if affine and bias else None)

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        for parameter, value in ((self.weight, 1.0), (self.bias, 0.0)):
            if isinstance(parameter, Tensor):
                nn.init.constant_(parameter, value)

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        hidden = ("training",)
        settings = {name: value for name, value in vars(self).items() if name[0] != "_" and name not in hidden}
        return ", ".join(f"{name}={value!r}" for name, value in settings.items())


class _Tracking(_Affine):
    """Batch and instance norm: per-channel parameters, and running statistics where wanted."""

    _version = 2
    unbatched: tuple[int, ...] = ()
    batched: tuple[int, ...]
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Device,
        dtype: torch.dtype | None,
        bias: bool,
    ) -> None:
        super().__init__()
        check_range("num_features", num_features, 0)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        kind = {"device": device, "dtype": dtype}
        self._affine((num_features,), affine, bias, kind)
        tracked = track_running_stats
        self.register_buffer("running_mean", torch.zeros(num_features, **kind) if tracked else None)
        self.register_buffer("running_var", torch.ones(num_features, **kind) if tracked else None)
        count = torch.tensor(0, dtype=torch.long, device=device) if tracked else None
        self.register_buffer("num_batches_tracked", count)

    def reset_running_stats(self) -> None:
        """Set the running mean to 0, the running variance to 1 and the count of batches to 0."""
        for statistic, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
            if statistic is not None:
                statistic.fill_(value)

    def reset_parameters(self) -> None:
        """Set parameters and running statistics back to where they started."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check(self, input: Tensor) -> None:
        check_floating("input", input)
        axes = ["(batch, channels" + ", ..." * (n > 2) + ")" for n in self.batched]
        check_ndim("input", input, self.batched + self.unbatched, f"{' or '.join(axes)} with {self.batched[-1]} axes")
        channels = input.shape[0] if input.ndim in self.unbatched else input.shape[1]
        if channels != self.num_features:
            raise ValueError(f"input: expected {self.num_features} channels; got {channels}")


class _BatchNorm(_Tracking):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Input) -> Input:
        """Normalize by the batch's statistics in training, by the running ones in evaluation."""
        self._check(input)
        moving = self.training and self.track_running_stats
        momentum: float | Tensor = 0.0 if self.momentum is None else self.momentum
        if moving and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                # A share of 1/n moves the running statistic to the plain mean of all n batches.
                momentum = 1.0 / self.num_batches_tracked
        training = self.training or self.running_mean is None
        # In training without tracking, statistics that a loaded state brought along stay as they are.
        running = (self.running_mean, self.running_var) if moving or not training else (None, None)
        return batch_norm(input, *running, self.weight, self.bias, training, momentum, self.eps)


class BatchNorm1d(_BatchNorm):
    """Batch normalization of features or signals, as ``torch.nn.BatchNorm1d``.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        momentum: Share of the way that the running statistics move; ``None`` for the mean of all batches.
        affine: Whether to learn a scale and a shift for each channel.
        track_running_stats: Whether to keep running statistics for evaluation; else the batch's are used there too.
        device: Where the parameters live.
        dtype: The parameters' dtype.
        bias: Whether there is a shift.

    Raises:
        ValueError: If an input has the wrong shape, or one value for each channel in training.

    Example:
        >>> BatchNorm1d(2)(torch.tensor([[1.0, 10.0], [3.0, 30.0]])).detach()
        tensor([[-1.0000, -1.0000],
                [ 1.0000,  1.0000]])

    Source: Ioffe and Szegedy (2015). Chapter: normalization.
    """

    batched = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalization of pictures, as ``torch.nn.BatchNorm2d``.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        momentum: Share of the way that the running statistics move; ``None`` for the mean of all batches.
        affine: Whether to learn a scale and a shift for each channel.
        track_running_stats: Whether to keep running statistics for evaluation; else the batch's are used there too.
        device: Where the parameters live.
        dtype: The parameters' dtype.
        bias: Whether there is a shift.

    Raises:
        ValueError: If an input has the wrong shape, or one value for each channel in training.

    Example:
        >>> BatchNorm2d(3)(torch.zeros(2, 3, 5, 7)).shape
        torch.Size([2, 3, 5, 7])

    Source: Ioffe and Szegedy (2015). Chapter: normalization.
    """

    batched = (4,)


class _InstanceNorm(_Tracking):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Input) -> Input:
        """Normalize each example by its own statistics; in evaluation by the running ones, where they are kept."""
        self._check(input)
        alone = input.ndim in self.unbatched
        own = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        out = instance_norm(
            input.unsqueeze(0) if alone else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            own,
            momentum,
            self.eps,
        )
        return out.squeeze(0) if alone else out


class InstanceNorm1d(_InstanceNorm):
    """Instance normalization of signals, as ``torch.nn.InstanceNorm1d``.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        momentum: Share of the way that the running statistics move.
        affine: Whether to learn a scale and a shift for each channel.
        track_running_stats: Whether to keep running statistics and use them in evaluation.
        device: Where the parameters live.
        dtype: The parameters' dtype.
        bias: Whether there is a shift.

    Raises:
        ValueError: If an input has the wrong shape, or one value for each channel.

    Example:
        >>> InstanceNorm1d(1)(torch.tensor([[1.0, 3.0]]))
        tensor([[-1.0000,  1.0000]])

    Source: Ulyanov et al. (2016). Chapter: normalization.
    """

    unbatched, batched = (2,), (3,)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalization of pictures, as ``torch.nn.InstanceNorm2d``.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        momentum: Share of the way that the running statistics move.
        affine: Whether to learn a scale and a shift for each channel.
        track_running_stats: Whether to keep running statistics and use them in evaluation.
        device: Where the parameters live.
        dtype: The parameters' dtype.
        bias: Whether there is a shift.

    Raises:
        ValueError: If an input has the wrong shape, or one value for each channel.

    Example:
        >>> InstanceNorm2d(3)(torch.zeros(2, 3, 5, 7)).shape
        torch.Size([2, 3, 5, 7])

    Source: Ulyanov et al. (2016). Chapter: normalization.
    """

    unbatched, batched = (3,), (4,)


class GroupNorm(_Affine):
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
        check_range("num_groups", num_groups, 1)
        if num_channels % num_groups:
            raise ValueError(f"num_groups: expected a divisor of num_channels={num_channels}; got {num_groups}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._affine((num_channels,), affine, bias, {"device": device, "dtype": dtype})

    def forward(self, input: Input) -> Input:
        """Normalize the input's groups of channels."""
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class LayerNorm(_Affine):
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
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self._affine(shape, elementwise_affine, bias, {"device": device, "dtype": dtype})

    def forward(self, input: Input) -> Input:
        """Normalize the input's last axes."""
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(_Affine):
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
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self._affine(shape, elementwise_affine, False, {"device": device, "dtype": dtype})

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
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Input) -> Input:
        """Divide each channel by the strength of its neighbours."""
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
