"""Scalers: put the features of a data set on one scale, with what was learned from the training split alone.

``fit`` looks at data and remembers numbers; ``transform`` uses them on any data; ``inverse_transform`` goes back.
Fitting on the test split, or on everything before the split, would leak what should be unseen. Samples lie along the
first axis, and every feature has its own numbers; NaN counts as missing: it is left out of the fit and stays NaN.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dlbook._checks import check_floating, check_option, check_range

# scikit-learn's: how near to an end of the data, in the feature's units, counts as the end of a normal distribution.
NEAR = 1e-7

Data = Float[Tensor, "..."]


class _Scaler:
    """Checks, and the order of fitting and transforming."""

    _features: torch.Size | None = None

    def fit(self, x: Data) -> Any:
        """Learn the features' numbers from ``x``."""
        check_floating("x", x)
        if x.ndim == 0 or len(x) == 0:
            raise ValueError(f"x: expected shape (samples, ...) with one sample or more; got {tuple(x.shape)}")
        self._features = x.shape[1:]
        self._fit(x)
        return self

    def transform(self, x: Data) -> Data:
        """Put ``x`` on the scale that was learned."""
        return self._forward(self._checked(x))

    def inverse_transform(self, x: Data) -> Data:
        """Put scaled ``x`` back on its own scale."""
        return self._backward(self._checked(x))

    def fit_transform(self, x: Data) -> Data:
        """Fit on ``x``, then transform it."""
        return self.fit(x).transform(x)

    def _checked(self, x: Tensor) -> Tensor:
        check_floating("x", x)
        if self._features is None:
            raise ValueError(f"{type(self).__name__}: expected a call of fit before this one; got none")
        if x.shape[1:] != self._features:
            raise ValueError(
                f"x: expected features of shape {tuple(self._features)}, as in fit; got {tuple(x.shape[1:])}"
            )
        return x

    def _fit(self, x: Tensor) -> None:
        raise NotImplementedError

    def _forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _backward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class _Linear(_Scaler):
    """A scaler that subtracts ``center_`` and divides by ``scale_``."""

    center_: Tensor
    scale_: Tensor

    def _forward(self, x: Tensor) -> Tensor:
        return (x - self.center_) / self.scale_

    def _backward(self, x: Tensor) -> Tensor:
        return x * self.scale_ + self.center_


class MinMaxScaler(_Linear):
    r"""Puts the least value of each feature at one end of a range and the largest at the other.

    .. math:: x' = a + (b - a)\,\frac{x - \min}{\max - \min}

    Args:
        feature_range: The ends :math:`a < b`.
        clip: Whether values beyond the training data's are cut off at the ends.

    Raises:
        ValueError: If the range's ends are not in order.

    Example:
        >>> MinMaxScaler().fit_transform(torch.tensor([[2.0], [4.0], [3.0]])).flatten()
        tensor([0.0000, 1.0000, 0.5000])

    Source: scikit-learn, ``MinMaxScaler``. Chapter: normalization.
    """

    def __init__(self, feature_range: tuple[float, float] = (0.0, 1.0), *, clip: bool = False) -> None:
        check_range("feature_range", feature_range[1], feature_range[0], open_low=True)
        self.feature_range, self.clip = feature_range, clip

    def _fit(self, x: Tensor) -> None:
        self.data_min_, self.data_max_ = _extremes(x)
        low, high = self.feature_range
        self.scale_ = _no_zeros(self.data_max_ - self.data_min_) / (high - low)
        self.center_ = self.data_min_ - low * self.scale_

    def _forward(self, x: Tensor) -> Tensor:
        x = super()._forward(x)
        return x.clamp(*self.feature_range) if self.clip else x


class MeanScaler(_Linear):
    r"""Centres each feature at its mean and divides it by its range.

    .. math:: x' = \frac{x - \mathrm{mean}}{\max - \min}

    Example:
        >>> MeanScaler().fit_transform(torch.tensor([[2.0], [4.0], [3.0]])).flatten()
        tensor([-0.5000,  0.5000,  0.0000])

    Source: "mean normalization" of the machine-learning literature. Chapter: normalization.
    """

    def _fit(self, x: Tensor) -> None:
        low, high = _extremes(x)
        self.center_, self.scale_ = x.nanmean(0), _no_zeros(high - low)


class StandardScaler(_Linear):
    r"""Gives each feature mean 0 and standard deviation 1: z-scores.

    .. math:: x' = \frac{x - \mu}{\sigma}

    The deviation is the biased one, which divides by the number of samples.

    Args:
        with_mean: Whether to subtract the mean.
        with_std: Whether to divide by the standard deviation.

    Example:
        >>> StandardScaler().fit_transform(torch.tensor([[1.0], [3.0]])).flatten()
        tensor([-1.,  1.])

    Source: scikit-learn, ``StandardScaler``. Chapter: normalization.
    """

    def __init__(self, *, with_mean: bool = True, with_std: bool = True) -> None:
        self.with_mean, self.with_std = with_mean, with_std

    def _fit(self, x: Tensor) -> None:
        mean = x.nanmean(0)
        self.var_ = (x - mean).square().nanmean(0)
        samples = (~x.isnan()).sum(0)
        # A constant feature's variance is 0 but for rounding: this is how large rounding can make it.
        rounding = samples * torch.finfo(x.dtype).eps
        constant = self.var_ <= rounding * self.var_ + (rounding * mean) ** 2
        self.center_ = mean if self.with_mean else torch.zeros_like(mean)
        self.scale_ = torch.where(constant, 1, self.var_.sqrt()) if self.with_std else torch.ones_like(mean)


class RobustScaler(_Linear):
    r"""Centres each feature at its median and divides it by a range that outliers do not move.

    .. math:: x' = \frac{x - Q_{50}}{Q_{75} - Q_{25}}

    Args:
        with_centering: Whether to subtract the median.
        with_scaling: Whether to divide by the range.
        quantile_range: The range's ends, in percent.

    Raises:
        ValueError: If the ends are not in order within 0 and 100.

    Example:
        >>> RobustScaler().fit_transform(torch.tensor([[1.0], [2.0], [3.0], [4.0], [1000.0]])).flatten()
        tensor([ -1.0000,  -0.5000,   0.0000,   0.5000, 498.5000])

    Source: scikit-learn, ``RobustScaler``. Chapter: normalization.
    """

    def __init__(
        self,
        *,
        with_centering: bool = True,
        with_scaling: bool = True,
        quantile_range: tuple[float, float] = (25.0, 75.0),
    ) -> None:
        check_range("quantile_range", quantile_range[0], 0, quantile_range[1])
        check_range("quantile_range", quantile_range[1], quantile_range[0], 100)
        self.with_centering, self.with_scaling, self.quantile_range = with_centering, with_scaling, quantile_range

    def _fit(self, x: Tensor) -> None:
        low, high = self.quantile_range
        q = _percentiles(x, torch.tensor([low, 50.0, high], dtype=x.dtype, device=x.device))
        self.center_ = q[1] if self.with_centering else torch.zeros_like(q[1])
        self.scale_ = _no_zeros(q[2] - q[0]) if self.with_scaling else torch.ones_like(q[1])


class LogScaler(_Scaler):
    r"""Takes logarithms, which turn equal ratios into equal distances, for features that span magnitudes.

    .. math:: x' = \ln(x + c)

    Args:
        offset: The :math:`c` that keeps the logarithm's argument above 0; 1 for counts.

    Example:
        >>> LogScaler().fit_transform(torch.tensor([[0.0], [9.0], [99.0]])).flatten()
        tensor([0.0000, 2.3026, 4.6052])

    Source: Box and Cox (1964). Chapter: normalization.
    """

    def __init__(self, offset: float = 1.0) -> None:
        self.offset = offset

    def _fit(self, x: Tensor) -> None:
        low = _extremes(x)[0].min()
        if low <= -self.offset:
            raise ValueError(f"x: expected numbers above {-self.offset:g}, minus the offset; got {low:g}")

    def _forward(self, x: Tensor) -> Tensor:
        # log1p keeps the digits of a small x.
        return torch.log1p(x) if self.offset == 1 else torch.log(x + self.offset)

    def _backward(self, x: Tensor) -> Tensor:
        return torch.expm1(x) if self.offset == 1 else torch.exp(x) - self.offset


class QuantileScaler(_Scaler):
    r"""Replaces each value by its rank among the training data, so that any distribution becomes an even one.

    .. math:: x' = \hat F(x) \quad\text{or}\quad \Phi^{-1}(\hat F(x))

    The distribution function :math:`\hat F` is a line through quantiles. Values beyond the training data's go to the
    ends.

    Args:
        n_quantiles: How many quantiles; no more are used than there are samples.
        output_distribution: ``"uniform"`` on ``[0, 1]``, or ``"normal"``, cut off at ±5.2.

    Raises:
        ValueError: If ``n_quantiles`` is below 2 or the distribution is unknown.

    Example:
        >>> QuantileScaler().fit_transform(torch.tensor([[1.0], [10.0], [1000.0]])).flatten()
        tensor([0.0000, 0.5000, 1.0000])

    Source: scikit-learn, ``QuantileTransformer``. Chapter: normalization.
    """

    def __init__(self, n_quantiles: int = 1000, output_distribution: str = "uniform") -> None:
        check_range("n_quantiles", n_quantiles, 2)
        check_option("output_distribution", output_distribution, ("uniform", "normal"))
        self.n_quantiles, self.output_distribution = n_quantiles, output_distribution

    def _fit(self, x: Tensor) -> None:
        count = max(2, min(self.n_quantiles, len(x)))
        self.references_ = torch.arange(count, dtype=x.dtype, device=x.device) * (1 / (count - 1))
        # Rounding may put neighbours out of order by a bit.
        self.quantiles_ = _percentiles(x, 100 * self.references_).cummax(0).values

    def _forward(self, x: Tensor) -> Tensor:
        values, points, ranks = _columns(x), _columns(self.quantiles_), self.references_
        # From the left and from the right: among equal quantiles, a value gets the rank in their middle.
        left = _interpolate(values, points, ranks.expand_as(points))
        right = -_interpolate(-values, -points.flip(1), -ranks.flip(0).expand_as(points))
        rank = (left + right) / 2
        near = NEAR if self.output_distribution == "normal" else 0.0
        rank = torch.where(values >= points[:, -1:] - near, 1.0, rank)
        rank = torch.where(values <= points[:, :1] + near, 0.0, rank)
        if self.output_distribution == "normal":
            end = torch.special.ndtri(torch.tensor(1 - NEAR, dtype=torch.float64)).item()
            rank = torch.special.ndtri(rank).clamp(-end, end)
        return rank.T.reshape(x.shape)

    def _backward(self, x: Tensor) -> Tensor:
        rank = torch.special.ndtr(x) if self.output_distribution == "normal" else x
        points = _columns(self.quantiles_)
        rank = _columns(rank)
        values = _interpolate(rank, self.references_.expand_as(points), points)
        if self.output_distribution == "normal":
            values = torch.where(rank > 1 - NEAR, points[:, -1:], torch.where(rank < NEAR, points[:, :1], values))
        return values.T.reshape(x.shape)


def _no_zeros(scale: Tensor) -> Tensor:
    """A scale by which a constant feature can be divided."""
    return torch.where(scale < 10 * torch.finfo(scale.dtype).eps, 1, scale)


def _extremes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest value of each feature, NaN left out."""
    low, high = (torch.where(x.isnan(), end, x) for end in (torch.inf, -torch.inf))
    return low.amin(0), high.amax(0)


def _percentiles(x: Tensor, percent: Tensor) -> Tensor:
    """The percentiles of each feature, on straight lines between the sorted values; NaN is sorted last and left out."""
    ordered = x.reshape(len(x), -1).sort(dim=0).values
    last = ((~ordered.isnan()).sum(0) - 1).clamp(min=0)
    place = percent.unsqueeze(1) / 100 * last
    below = place.floor().long()
    above = torch.minimum(below + 1, last)
    low, high = ordered.gather(0, below), ordered.gather(0, above)
    # Exact at both ends.
    return torch.lerp(low, high, place - below).reshape(-1, *x.shape[1:])


def _columns(x: Tensor) -> Tensor:
    """One row for each feature."""
    return x.reshape(len(x), -1).T.contiguous()


def _interpolate(x: Tensor, points: Tensor, values: Tensor) -> Tensor:
    """Straight lines through ``(points, values)``, row by row; the ends' values beyond the ends."""
    j = (torch.searchsorted(points.contiguous(), x, right=True) - 1).clamp(0, points.shape[1] - 2)
    x0, x1 = points.gather(1, j), points.gather(1, j + 1)
    y0, y1 = values.gather(1, j), values.gather(1, j + 1)
    inside = y0 + (x - x0) * (y1 - y0) / torch.where(x1 > x0, x1 - x0, 1)
    inside = torch.where(x >= points[:, -1:], values[:, -1:], inside)
    return torch.where(x < points[:, :1], values[:, :1], inside)
