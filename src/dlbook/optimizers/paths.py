r"""Paths of optimizers over surfaces: what the chapter draws.

A surface is a function of two coordinates (or more) that a whole batch of points can walk at once. The surfaces here
have known curvature: on a quadratic of largest curvature :math:`L`, gradient descent is stable while its learning
rate is below :math:`2/L`.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dlbook._checks import check_floating, check_range
from dlbook.optimizers import _grid as grid
from dlbook.optimizers.matrices import Newton, newton

Points = Float[Tensor, "*batch 2"]
Heights = Float[Tensor, "*batch"]

RULES: dict[str, Any] = {**grid.RULES, "newton": Newton}
"""The rules that :func:`trajectory` knows. Muon is not among them: it orthogonalises matrices, and a point is none."""


def trajectory(
    rule: str,
    surface: Callable[[Tensor], Tensor],
    start: Float[Tensor, "*start n"],
    steps: int,
    **hyper: Any,
) -> Float[Tensor, "*batch {steps}+1 n"]:
    r"""Path of an optimizer over a surface; a grid of starts and hyperparameters walks as one batch.

    It is the optimizer's own ``step`` that runs, so a path is exactly what the class does. A run that diverges goes to
    infinity or NaN and disturbs no other.

    Args:
        rule: Name of the optimizer in lower case, such as ``"sgd"``, ``"adam"`` or ``"newton"``.
        surface: Height at each point: takes ``(..., n)`` and returns ``(...)``, each point for itself.
        start: Where to start.
        steps: Number of steps, at least 0.
        **hyper: The optimizer's arguments; a number, or a tensor that broadcasts with the starts' batch, such as
            ``lr=torch.logspace(-3, 0, 13)[:, None], momentum=torch.tensor([0.0, 0.5, 0.9])``.

    Returns:
        The points from the start on, along the second-last dimension; the batch is that of the starts and of all
        hyperparameters, broadcast.

    Raises:
        ValueError: If the rule is unknown, ``steps`` negative, a hyperparameter out of the optimizer's range, or the
            surface does not return one height a point.
        TypeError: If ``start`` is not floating-point or the optimizer has no such argument.

    Example:
        >>> trajectory("sgd", lambda p: (p**2).sum(-1), torch.tensor([1.0]), steps=2, lr=torch.tensor([0.25, 0.75]))
        tensor([[[ 1.0000],
                 [ 0.5000],
                 [ 0.2500]],
        <BLANKLINE>
                [[ 1.0000],
                 [-0.5000],
                 [ 0.2500]]])

    Source: the optimizers' own; see each class. Chapter: optimizers.
    """
    check_floating("start", start)
    check_range("steps", steps, low=0)
    tensors = [v for value in hyper.values() for v in grid.flat(value) if isinstance(v, Tensor)]
    batch = torch.broadcast_shapes(start.shape[:-1], *(v.shape for v in tensors))
    point = start.detach().expand(*batch, start.shape[-1]).clone().requires_grad_()
    optimizer = grid.grid_optimizer(rule, [point], hyper, RULES)
    path = [point.detach().clone()]
    for _ in range(steps):
        _advance(optimizer, surface, point)
        path.append(point.detach().clone())
    return torch.stack(path, dim=-2)


def _advance(optimizer: torch.optim.Optimizer, surface: Callable[[Tensor], Tensor], point: Tensor) -> None:
    """One step of every point of the batch."""
    with torch.enable_grad():
        height = surface(point)
        if height.shape != point.shape[:-1]:
            raise ValueError(
                f"surface: expected one height a point, shape {tuple(point.shape[:-1])}; got {tuple(height.shape)}"
            )
        # The sum's gradient is each height's own, for a point acts on its own height alone.
        (point.grad,) = torch.autograd.grad(height.sum(), point)
    if not isinstance(optimizer, Newton):
        optimizer.step()
        return
    flat = point.detach().flatten(0, -2) if point.ndim > 1 else point.detach()[None]
    hessian = torch.func.vmap(torch.func.hessian(surface))(flat).view(*point.shape, point.shape[-1])
    group = optimizer.param_groups[0]
    with torch.no_grad():
        point.copy_(newton(point, point.grad, hessian, lr=group["lr"], damping=group["damping"]))


def valley(point: Points) -> Heights:
    r"""A narrow valley along the first axis, :math:`\tfrac12 (x^2 + 10 y^2)`: curvatures 1 and 10."""
    x, y = point.unbind(-1)
    return (x**2 + 10 * y**2) / 2


def ravine(point: Points) -> Heights:
    r"""A ravine along the diagonal, :math:`\tfrac12 (u^2 + 100 v^2)`, :math:`u, v = (x \pm y)/\sqrt2`."""
    x, y = point.unbind(-1)
    return ((x + y) ** 2 + 100 * (x - y) ** 2) / 4


def rosenbrock(point: Points) -> Heights:
    r"""A curved valley, :math:`(1-x)^2 + 100 (y - x^2)^2`, lowest at (1, 1), where its largest curvature is 1001.6."""
    x, y = point.unbind(-1)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def saddle(point: Points) -> Heights:
    r"""A saddle between two basins, :math:`\tfrac12 x^2 - \tfrac12 y^2 + \tfrac14 y^4`; curvature 2 at its minima."""
    x, y = point.unbind(-1)
    return x**2 / 2 - y**2 / 2 + y**4 / 4


def plateau(point: Points) -> Heights:
    r"""A pit in a plain, :math:`1 - e^{-(x^2+y^2)/2}`: curvature 1 at its bottom and next to none far away."""
    return 1 - (-(point**2).sum(-1) / 2).exp()


def ripples(point: Points) -> Heights:
    r"""A bowl with many dips, :math:`\sum_i \tfrac{1}{20} x_i^2 + \tfrac12 (1 - \cos 3 x_i)`; curvature at most 4.6."""
    return (point**2 / 20 + (1 - (3 * point).cos()) / 2).sum(-1)


SURFACES: dict[str, Callable[[Tensor], Tensor]] = {
    function.__name__: function for function in (valley, ravine, rosenbrock, saddle, plateau, ripples)
}
"""Surfaces to walk on, by name."""
