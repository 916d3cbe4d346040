"""Batch and instance normalization as ``torch.nn`` modules, with the running statistics that evaluation uses.

Names and layout are torch's, so a ``state_dict`` goes both ways.
"""

import torch
from torch import Tensor

from dlbook._checks import check_floating, check_ndim, check_whole

from ._layer import AffineLayer, Device, Input
from .functions import batch_norm, instance_norm


class _Tracking(AffineLayer):
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
        check_whole("num_features", num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        kind = {"device": device, "dtype": dtype}
        self.add_parameters((num_features,), affine, bias, kind)
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
