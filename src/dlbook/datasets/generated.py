"""Generated sets in the plane: as many points as you like, with as much noise as you like.

Each takes ``n``, ``noise`` and ``seed``, and draws from its own generator, so that no other random number moves.
"""

import math

import torch
from torch import Tensor

from dlbook._checks import check_option, check_range
from dlbook.datasets.examples import Examples

_GATES = {"and": (0, 0, 0, 1), "or": (0, 1, 1, 1), "nand": (1, 1, 1, 0), "nor": (1, 0, 0, 0), "xor": (0, 1, 1, 0)}


def logic_gates(gate: str = "xor", n: int = 4, noise: float = 0.0, seed: int = 0) -> Examples:
    """Truth table of a logic gate with two inputs, or a cloud of points around its four corners.

    Example ``i`` is the corner ``i % 4`` in the order 00, 01, 10, 11, so the default is the truth table itself.

    Args:
        gate: ``"and"``, ``"or"``, ``"nand"``, ``"nor"`` or ``"xor"``.
        n: Number of examples.
        noise: Standard deviation of the Gaussian noise added to the inputs; the corners lie 1 apart.
        seed: Seed of the noise.

    Returns:
        Inputs of shape ``(n, 2)``, targets 0 or 1.

    Raises:
        ValueError: If the gate is unknown, ``n`` is below 1 or the noise negative.

    Example:
        >>> inputs, targets = logic_gates("xor")
        >>> targets.tolist()
        [0, 1, 1, 0]

    Source: Minsky and Papert (1969). Chapter: neurons.
    """
    check_option("gate", gate, _GATES)
    generator = _generator(n, noise, seed)
    corner = torch.arange(n) % 4
    inputs = torch.stack([corner // 2, corner % 2], dim=1).float()
    return Examples(inputs + noise * torch.randn(n, 2, generator=generator), torch.tensor(_GATES[gate])[corner])


def blobs(n: int = 300, noise: float = 0.3, seed: int = 0, classes: int = 3) -> Examples:
    """Round Gaussian clouds, one a class, their centres evenly spaced on the unit circle.

    Args:
        n: Number of examples; example ``i`` is of class ``i % classes``.
        noise: Standard deviation of each cloud, in both directions.
        seed: Seed of the points; the same call with another seed gives a test set.
        classes: Number of clouds.

    Returns:
        Inputs of shape ``(n, 2)``, targets in ``[0, classes)``.

    Raises:
        ValueError: If ``n`` or ``classes`` is below 1 or the noise negative.

    Example:
        >>> inputs, targets = blobs(6, noise=0.0, classes=2)
        >>> inputs[0].tolist(), targets.tolist()
        ([1.0, 0.0], [0, 1, 0, 1, 0, 1])

    Source: written for this book. Chapter: perceptrons.
    """
    check_range("classes", classes, 1)
    generator = _generator(n, noise, seed)
    targets = torch.arange(n) % classes
    return _noisy(torch.ones(n), 2 * math.pi * targets / classes, targets, noise, generator)


def moons(n: int = 200, noise: float = 0.1, seed: int = 0) -> Examples:
    """Two interleaved half circles of radius 1: no straight line separates them.

    Args:
        n: Number of examples; their classes alternate.
        noise: Standard deviation of the Gaussian noise added to both coordinates.
        seed: Seed of the points; the same call with another seed gives a test set.

    Returns:
        Inputs of shape ``(n, 2)``, targets 0 or 1.

    Raises:
        ValueError: If ``n`` is below 1 or the noise negative.

    Example:
        >>> inputs, targets = moons(100)
        >>> inputs.shape, targets.sum().item()
        (torch.Size([100, 2]), 50)

    Source: scikit-learn's ``make_moons``. Chapter: backpropagation.
    """
    generator = _generator(n, noise, seed)
    targets = torch.arange(n) % 2
    angle = math.pi * (torch.rand(n, generator=generator) + targets)  # the second moon is the lower half circle
    upper = _noisy(torch.ones(n), angle, targets, noise, generator)
    return Examples(upper.inputs + targets[:, None] * torch.tensor([1.0, 0.5]), targets)


def spirals(n: int = 300, noise: float = 0.02, seed: int = 0, classes: int = 2, turns: float = 1.0) -> Examples:
    """Spiral arms wound around each other inside the unit disc: hard for a shallow net.

    Args:
        n: Number of examples; example ``i`` is of class ``i % classes``.
        noise: Standard deviation of the Gaussian noise added to both coordinates.
        seed: Seed of the points; the same call with another seed gives a test set.
        classes: Number of arms.
        turns: How often each arm goes round.

    Returns:
        Inputs of shape ``(n, 2)``, targets in ``[0, classes)``.

    Raises:
        ValueError: If ``n`` or ``classes`` is below 1 or the noise negative.

    Example:
        >>> spirals(9, classes=3).targets.tolist()
        [0, 1, 2, 0, 1, 2, 0, 1, 2]

    Source: Lang and Witbrock (1988). Chapter: backpropagation.
    """
    check_range("classes", classes, 1)
    generator = _generator(n, noise, seed)
    targets = torch.arange(n) % classes
    # the square root spreads the points evenly along an arm, which is longer further out
    radius = torch.rand(n, generator=generator).sqrt()
    return _noisy(radius, 2 * math.pi * (turns * radius + targets / classes), targets, noise, generator)


def _generator(n: int, noise: float, seed: int) -> torch.Generator:
    check_range("n", n, 1)
    check_range("noise", noise, 0)
    return torch.Generator().manual_seed(seed)


def _noisy(radius: Tensor, angle: Tensor, targets: Tensor, noise: float, generator: torch.Generator) -> Examples:
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return Examples(points + noise * torch.randn(points.shape, generator=generator), targets)
