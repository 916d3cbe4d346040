r"""Where a token stands, told to a network that looks at all tokens at once.

Both ways use a clock with many hands: hand :math:`i` turns by :math:`\theta_i = b^{-2i/d}` at each step, the first
fast, the last hardly at all. Sinusoidal positions are added to the tokens; rotary positions turn queries and keys, so
that their dot product depends on how far apart they stand, and not on where.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dlbook._checks import check_floating, check_whole


def sinusoidal_positions(
    length: int,
    d_model: int,
    base: float = 10000.0,
    *,
    device: torch.device | str | int | None = None,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "length d_model"]:
    r"""A vector for each position: sines and cosines of angles that turn at different speeds.

    .. math:: p_{t,2i} = \sin(t\, b^{-2i/d}), \qquad p_{t,2i+1} = \cos(t\, b^{-2i/d})

    Args:
        length: Number of positions, from 0 on.
        d_model: Features of each vector.
        base: How much faster than the last (almost) the first pair turns.
        device: Where the result lives.
        dtype: Its dtype; torch's default when left out.

    Returns:
        Numbers in ``[-1, 1]``, to be added to the tokens' embeddings.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> sinusoidal_positions(2, 4)
        tensor([[0.0000, 1.0000, 0.0000, 1.0000],
                [0.8415, 0.5403, 0.0100, 0.9999]])

    Source: Vaswani et al. (2017), "Attention is all you need", section 3.5. Chapter: attention.
    """
    check_whole("length", length)
    check_whole("d_model", d_model, 1)
    angles = _angles(torch.arange(length, device=device), d_model, base)
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)
    return waves[:, :d_model].to(torch.get_default_dtype() if dtype is None else dtype)


def rotary_embedding(
    input: Float[Tensor, "*batch time features"],
    positions: Int[Tensor, "..."] | None = None,
    base: float = 10000.0,
) -> Float[Tensor, "*batch time features"]:
    r"""Queries or keys, each pair of features turned by an angle in proportion to the position.

    .. math::

        \begin{pmatrix} y_{2i} \\ y_{2i+1} \end{pmatrix} =
        \begin{pmatrix} \cos t\theta_i & -\sin t\theta_i \\ \sin t\theta_i & \cos t\theta_i \end{pmatrix}
        \begin{pmatrix} x_{2i} \\ x_{2i+1} \end{pmatrix}, \qquad \theta_i = b^{-2i/d}

    A turn keeps lengths, and the dot product of a query turned by :math:`s` and a key turned by :math:`t` depends on
    :math:`s - t` alone.

    Args:
        input: Queries or keys, with an even number of features.
        positions: The position of each step, of a shape that broadcasts to ``input``'s without its features; 0, 1, 2
            ... when left out.
        base: How much faster than the last (almost) the first pair turns.

    Returns:
        The turned vectors.

    Raises:
        TypeError: If ``input`` is no floating-point tensor.
        ValueError: If the number of features is odd.

    Example:
        >>> rotary_embedding(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
        tensor([[1.0000, 0.0000],
                [0.5403, 0.8415]])

    Source: Su et al. (2021), "RoFormer: Enhanced transformer with rotary position embedding". Chapter: attention.
    """
    check_floating("input", input)
    if input.ndim < 2 or input.shape[-1] % 2:
        raise ValueError(f"input: expected shape (..., time, an even number of features); got {tuple(input.shape)}")
    if positions is None:
        positions = torch.arange(input.shape[-2], device=input.device)
    angles = _angles(positions, input.shape[-1], base)
    cos, sin = angles.cos().to(input.dtype), angles.sin().to(input.dtype)
    even, odd = input.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


def _angles(positions: Tensor, features: int, base: float) -> Tensor:
    """Angle of each pair of features at each position."""
    # In double precision where there is one: at position 10,000 single precision has lost three digits of the angle.
    wide = torch.float32 if positions.device.type == "mps" else torch.float64
    exponents = torch.arange(0, features, 2, device=positions.device, dtype=wide) / features
    return positions.unsqueeze(-1).to(wide) * base**-exponents
