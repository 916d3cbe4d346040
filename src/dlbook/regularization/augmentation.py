"""Augmentation: more examples out of the ones there are, by changes that leave the label as it is.

Each function takes a whole batch of pictures and changes every one in its own way, on the device where they are.
``shift`` and ``rotate`` do as they are told: draw their amounts at random, as in
``rotate(x, 20 * torch.rand(n) - 10)``. The others draw for themselves.
"""

from itertools import product
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from dlbook._checks import check_floating, check_ndim, check_range

Pictures = Float[Tensor, "..."]
Generator = torch.Generator | None


def shift(images: Pictures, offsets: Float[Tensor, "..."] | tuple[float, float], fill: float = 0.0) -> Pictures:
    """Move pictures down and to the right.

    Args:
        images: ``(batch, channels, height, width)`` or ``(batch, height, width)``.
        offsets: Pixels down and right: one pair, or one for each picture, ``(batch, 2)``. Fractions blend neighbours.
        fill: What comes in from outside.

    Returns:
        Pictures of the same size.

    Raises:
        TypeError: If ``images`` is not a floating-point tensor.
        ValueError: If shapes do not fit.

    Example:
        >>> shift(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), (0, 1))
        tensor([[[0., 1.],
                 [0., 3.]]])

    Source: Simard et al. (2003). Chapter: regularization.
    """
    y, x = _grid(images)
    moves = torch.as_tensor(offsets, dtype=y.dtype, device=y.device)
    if moves.shape not in ((2,), (len(images), 2)):
        raise ValueError(f"offsets: expected shape (2,) or ({len(images)}, 2); got {tuple(moves.shape)}")
    down, right = moves.expand(len(images), 2)[:, :, None, None].unbind(1)
    return _sample(images, y - down, x - right, fill)


def rotate(images: Pictures, degrees: float | Float[Tensor, "..."], fill: float = 0.0) -> Pictures:
    """Turn pictures about their centres, anticlockwise.

    Args:
        images: ``(batch, channels, height, width)`` or ``(batch, height, width)``.
        degrees: One angle, or one for each picture.
        fill: What comes in from outside.

    Returns:
        Pictures of the same size.

    Raises:
        TypeError: If ``images`` is not a floating-point tensor.
        ValueError: If shapes do not fit.

    Example:
        >>> rotate(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 90).round()
        tensor([[[2., 4.],
                 [1., 3.]]])

    Source: Simard et al. (2003). Chapter: regularization.
    """
    y, x = _grid(images)
    angles = torch.as_tensor(degrees, dtype=y.dtype, device=y.device).deg2rad()
    if angles.shape not in ((), (len(images),)):
        raise ValueError(f"degrees: expected a number or shape ({len(images)},); got {tuple(angles.shape)}")
    angles = angles.expand(len(images))[:, None, None]
    middle_y, middle_x = (y.shape[-2] - 1) / 2, (y.shape[-1] - 1) / 2
    dy, dx = y - middle_y, x - middle_x
    # Where each pixel comes from: the turn undone. The y axis points down.
    from_y = middle_y + angles.sin() * dx + angles.cos() * dy
    from_x = middle_x + angles.cos() * dx - angles.sin() * dy
    return _sample(images, from_y, from_x, fill)


def elastic(
    images: Pictures, alpha: float = 34.0, sigma: float = 4.0, fill: float = 0.0, generator: Generator = None
) -> Pictures:
    """Bend pictures as an unsteady hand would: move every pixel at random, but neighbours alike.

    Args:
        images: ``(batch, channels, height, width)`` or ``(batch, height, width)``.
        alpha: How far: the factor on random moves in ``[-1, 1]``, once they have been smoothed.
        sigma: How smoothly: the width in pixels, above 0, of the bell curve that smooths the moves.
        fill: What comes in from outside.
        generator: Where the random numbers come from; torch's global generator when ``None``.

    Returns:
        Pictures of the same size.

    Raises:
        TypeError: If ``images`` is not a floating-point tensor.
        ValueError: If shapes do not fit or a number is out of range.

    Example:
        >>> elastic(torch.rand(2, 1, 28, 28)).shape
        torch.Size([2, 1, 28, 28])

    Source: Simard et al. (2003). Chapter: regularization.
    """
    check_range("alpha", alpha, 0)
    check_range("sigma", sigma, 0, open_low=True)
    y, x = _grid(images)
    moves = 2 * torch.rand(2, *y.shape, generator=generator, dtype=y.dtype, device=y.device) - 1
    # Smoothing is linear along each axis: two matrix products.
    moves = alpha * (_bell(y.shape[1], sigma, y) @ moves @ _bell(y.shape[2], sigma, y).T)
    return _sample(images, y + moves[0], x + moves[1], fill)


def cutout(images: Pictures, size: int, fill: float = 0.0, generator: Generator = None) -> Pictures:
    """Blank out a square at a random place of each picture, so that no single part can decide.

    Args:
        images: ``(batch, channels, height, width)`` or ``(batch, height, width)``.
        size: The square's side in pixels. Its centre is a random pixel, so that part of it may lie outside.
        fill: What to paint it with.
        generator: Where the random numbers come from; torch's global generator when ``None``.

    Returns:
        Pictures of the same size.

    Raises:
        TypeError: If ``images`` is not a floating-point tensor.
        ValueError: If the shape does not fit or ``size`` is negative.

    Example:
        >>> (cutout(torch.ones(1, 9, 9), size=3) == 0).sum() <= 9
        tensor(True)

    Source: DeVries and Taylor (2017). Chapter: regularization.
    """
    check_range("size", size, 0)
    y, x = _grid(images)
    inside = torch.ones_like(y, dtype=torch.bool)
    for place, length in ((y, y.shape[1]), (x, y.shape[2])):
        centre = torch.randint(length, (len(images), 1, 1), generator=generator, device=images.device)
        start = centre - size // 2
        inside &= (place >= start) & (place < start + size)
    return torch.where(inside.unsqueeze(1) if images.ndim == 4 else inside, fill, images)


def mixup(
    input: Float[Tensor, "*shape"], target: Float[Tensor, "*labels"], alpha: float = 0.2
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*labels"]]:
    r"""Blend each example with another, and its target likewise.

    .. math:: \tilde x = \lambda x_i + (1 - \lambda) x_j, \qquad \tilde y = \lambda y_i + (1 - \lambda) y_j,
              \qquad \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    Args:
        input: A batch.
        target: Probabilities or numbers for each example; turn class indices into them with ``losses.one_hot``.
        alpha: 0 blends nothing; the larger, the nearer to half and half. One :math:`\lambda` is drawn for the batch.

    Returns:
        The blended batch and its targets.

    Raises:
        TypeError: If a tensor is not floating point.
        ValueError: If the batches differ in length or ``alpha`` is negative.

    Example:
        >>> x, y = mixup(torch.rand(8, 5), torch.eye(8))
        >>> torch.allclose(y.sum(1), torch.ones(8))
        True

    Source: Zhang et al. (2018). Chapter: regularization.
    """
    check_floating("input", input)
    check_floating("target", target)
    check_range("alpha", alpha, 0)
    if not input.ndim or not target.ndim or len(input) != len(target):
        raise ValueError(f"target: expected one for each example of {tuple(input.shape)}; got {tuple(target.shape)}")
    if alpha == 0:
        return input, target
    share = torch.distributions.Beta(alpha, alpha).sample().to(input.device)
    other = torch.randperm(len(input), device=input.device)
    mixed = (share.to(t.dtype) * t + (1 - share).to(t.dtype) * t[other] for t in (input, target))
    return next(mixed), next(mixed)


def _grid(images: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of every pixel of every picture, ``(batch, height, width)``."""
    check_floating("images", images)
    check_ndim("images", images, (3, 4), "(batch, channels, height, width) or (batch, height, width)")
    dtype = torch.promote_types(images.dtype, torch.float32)
    rows, columns = (torch.arange(n, dtype=dtype, device=images.device) for n in images.shape[-2:])
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    shape = (len(images), *y.shape)
    return y.expand(shape), x.expand(shape)


def _bell(size: int, sigma: float, like: Tensor) -> Tensor:
    """A matrix that smooths a row of numbers with a bell curve; near the ends it averages over fewer."""
    place = torch.arange(size, dtype=like.dtype, device=like.device)
    weights = torch.exp(-((place[:, None] - place) ** 2) / (2 * sigma**2))
    return weights / weights.sum(1, keepdim=True)


def _sample(images: Tensor, y: Tensor, x: Tensor, fill: float) -> Tensor:
    """The pictures read off at the given places, each a blend of the four pixels around it."""
    height, width = images.shape[-2:]
    pixels = images.reshape(len(images), prod(images.shape[1:-2]), height * width)
    top, left = y.floor(), x.floor()
    out = torch.zeros_like(pixels, dtype=y.dtype)
    for down, right in product((0, 1), (0, 1)):
        row, column = top + down, left + right
        weight = (1 - (y - row).abs()) * (1 - (x - column).abs())
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        index = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long()
        value = pixels.gather(2, index.flatten(1).unsqueeze(1).expand_as(pixels))
        out = out + weight.flatten(1).unsqueeze(1) * torch.where(inside.flatten(1).unsqueeze(1), value, fill)
    return out.reshape(images.shape).to(images.dtype)
