r"""Beyond one coordinate at a time: Muon and Newton.

Muon treats a weight as the matrix that it is and gives its update equal strength in all directions. Newton's method
asks for the whole Hessian, and with it jumps to the bottom of any quadratic bowl in one step, however narrow; the
Hessian of :math:`n` parameters has :math:`n^2` entries, which is why nobody trains a network with it.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dlbook._checks import check_ndim, check_option, check_tensor
from dlbook.optimizers._base import RuleOptimizer, Scalar, TensorList, check_numbers, is_on

MAX_PARAMETERS = 5000
"""Newton's limit: the Hessian of 5000 float32 parameters takes 100 MB."""


def orthogonalize(
    matrix: Float[Tensor, "rows columns"],
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    steps: int = 5,
    eps: float = 1e-7,
) -> Float[Tensor, "rows columns"]:
    r"""Bring a matrix's singular values near 1, keeping its singular vectors, by Newton-Schulz iteration.

    .. math:: X \leftarrow a X + \left(b\, X X^\top + c\, (X X^\top)^2\right) X

    The polynomial :math:`a s + b s^3 + c s^5` acts on each singular value :math:`s` alone. These coefficients lift
    small ones fast and leave all between about 0.7 and 1.2, which serves as well as exactly 1. In bfloat16, as torch.

    Args:
        matrix: What to orthogonalise.
        coefficients: The polynomial's :math:`a, b, c`.
        steps: Number of iterations, below 100.
        eps: Smallest norm that is divided by.

    Returns:
        A bfloat16 matrix with singular values near 1, those far below the largest excepted.

    Raises:
        ValueError: If ``matrix`` is not two-dimensional, there are not three coefficients, or ``steps`` is too large.

    Example:
        >>> orthogonalize(torch.tensor([[300.0, 0.0], [0.0, 100.0]])).round(decimals=1)
        tensor([[0.8008, 0.0000],
                [0.0000, 1.1016]], dtype=torch.bfloat16)

    Source: Jordan et al. (2024), "Muon: An optimizer for hidden layers in neural networks". Chapter: optimizers.
    """
    check_tensor("matrix", matrix)
    check_ndim("matrix", matrix, {2}, "(rows, columns)")
    if steps >= 100:
        raise ValueError(f"steps: expected fewer than 100; got {steps}")
    if len(coefficients) != 3:
        raise ValueError(f"coefficients: expected 3 numbers; got {len(coefficients)}")
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.bfloat16()
    if tall:
        x = x.T
    # The Frobenius norm bounds the largest singular value, which the polynomial needs to be at most 1.
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def muon(
    param: TensorList,
    grad: TensorList,
    momentum_buffer: TensorList,
    *,
    lr: Scalar,
    weight_decay: Scalar,
    momentum: Scalar,
    nesterov: bool,
    ns_coefficients: tuple[float, float, float],
    eps: float,
    ns_steps: int,
    adjust_lr_fn: str | None,
) -> None:
    r"""One step of Muon, in place: momentum, orthogonalised.

    .. math::
        b \leftarrow \mu b + (1-\mu) g, \qquad
        \theta \leftarrow (1-\gamma\lambda)\,\theta - \gamma' \operatorname{NS}(b)

    Args:
        param: Matrices :math:`\theta`; overwritten.
        grad: Gradients :math:`g`.
        momentum_buffer: Running mean :math:`b` of gradients; overwritten.
        lr: Learning rate :math:`\gamma`.
        weight_decay: Decoupled weight decay :math:`\lambda`.
        momentum: Averaging coefficient :math:`\mu`.
        nesterov: Orthogonalise :math:`\mu b + (1-\mu) g`, the mean as it will be.
        ns_coefficients: Coefficients of :func:`orthogonalize`.
        eps: Smallest norm that :func:`orthogonalize` divides by.
        ns_steps: Iterations of :func:`orthogonalize`.
        adjust_lr_fn: How :math:`\gamma'` follows the shape: ``"original"`` or None for
            :math:`\gamma\sqrt{\max(1, r/c)}`, ``"match_rms_adamw"`` for :math:`0.2\,\gamma\sqrt{\max(r, c)}`.

    Example:
        >>> g = torch.tensor([[300.0, 0.0], [0.0, 100.0]])
        >>> w, g, b = TensorList([torch.zeros(2, 2)]), TensorList([g]), TensorList([torch.zeros(2, 2)])
        >>> muon(w, g, b, lr=1.0, weight_decay=0.1, momentum=0.95, nesterov=True,
        ...      ns_coefficients=(3.4445, -4.7750, 2.0315), eps=1e-7, ns_steps=5, adjust_lr_fn=None)
        >>> w.tensors[0].diag().round(decimals=1)
        tensor([-0.8000, -1.1000])

    Source: Jordan et al. (2024), "Muon"; Liu et al. (2025), "Muon is Scalable for LLM Training". Chapter: optimizers.
    """
    momentum_buffer.lerp_(grad, 1 - momentum)
    direction = grad.lerp(momentum_buffer, momentum) if nesterov else momentum_buffer
    if is_on(weight_decay):
        param.mul_(1 - lr * weight_decay)
    for matrix, d in zip(param, direction, strict=True):
        rows, columns = matrix.shape
        if adjust_lr_fn == "match_rms_adamw":
            factor = 0.2 * max(rows, columns) ** 0.5
        else:
            factor = max(1, rows / columns) ** 0.5
        matrix.add_(orthogonalize(d, ns_coefficients, ns_steps, eps), alpha=-lr * factor)


class Muon(RuleOptimizer):
    """Momentum orthogonalised, for the matrices of hidden layers: :func:`muon` as :class:`torch.optim.Muon`.

    Args:
        params: Two-dimensional parameters, or groups of them; give biases and embeddings to :class:`AdamW`.
        lr: Learning rate.
        weight_decay: Decoupled weight decay.
        momentum: Averaging coefficient of the gradient.
        nesterov: Look one step ahead.
        ns_coefficients: Coefficients of :func:`orthogonalize`.
        eps: Smallest norm that is divided by.
        ns_steps: Iterations, below 100.
        adjust_lr_fn: ``"original"`` (also None) or ``"match_rms_adamw"``.

    Raises:
        ValueError: If a parameter is not a matrix or a hyperparameter out of range.
        TypeError: If a parameter is complex.
        RuntimeError: At ``step``, if a gradient is sparse.

    Example:
        >>> w = torch.zeros(2, 2, requires_grad=True)
        >>> optimizer = Muon([w], lr=0.1)
        >>> (w * torch.tensor([[300.0, 0.0], [0.0, 100.0]])).sum().backward()
        >>> optimizer.step()
        >>> w.detach().diag().round(decimals=2)
        tensor([-0.0800, -0.1100])

    Source: Jordan et al. (2024), "Muon"; Liu et al. (2025), "Muon is Scalable for LLM Training". Chapter: optimizers.
    """

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-3,
        weight_decay: Scalar = 0.1,
        momentum: Scalar = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        check_numbers(lr=lr, weight_decay=weight_decay, momentum=momentum)
        check_option("adjust_lr_fn", adjust_lr_fn, (None, "original", "match_rms_adamw"))
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of matrices, as :meth:`torch.optim.Optimizer.add_param_group`."""
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            check_ndim("params", p, {2}, "(rows, columns) for every parameter")
            if p.is_complex():
                raise TypeError(f"params: expected real matrices; got dtype {p.dtype}")

    def _new_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        return {"momentum_buffer": torch.zeros_like(param)}

    def _update(
        self, param: TensorList, grad: TensorList, state: dict[str, TensorList], step: float, hyper: dict[str, Any]
    ) -> None:
        names = ("lr", "weight_decay", "momentum", "nesterov", "ns_coefficients", "eps", "ns_steps", "adjust_lr_fn")
        muon(param, grad, state["momentum_buffer"], **{name: hyper[name] for name in names})


def newton(
    point: Float[Tensor, "*batch n"],
    grad: Float[Tensor, "*batch n"],
    hessian: Float[Tensor, "*batch n n"],
    *,
    lr: Scalar,
    damping: Scalar,
) -> Float[Tensor, "*batch n"]:
    r"""One step of Newton's method: to where the quadratic model has zero gradient.

    .. math:: \theta \leftarrow \theta - \gamma \left(H + \delta I\right)^{-1} g

    That is the minimum where :math:`H + \delta I` is positive definite; at a saddle it is the saddle.

    Args:
        point: Where to step from.
        grad: Gradient :math:`g` there.
        hessian: Second derivatives :math:`H` there.
        lr: Share :math:`\gamma` of the step that is taken; broadcasts over the points' last dimension.
        damping: Added to the curvature in every direction, :math:`\delta`: large values turn the step toward the
            gradient and shorten it.

    Returns:
        The new point; not finite where the matrix is singular.

    Example:
        >>> newton(torch.tensor([3.0, 3.0]), torch.tensor([3.0, 300.0]), torch.tensor([[1.0, 0.0], [0.0, 100.0]]),
        ...        lr=1.0, damping=0.0)
        tensor([0., 0.])

    Source: Nocedal and Wright (2006), *Numerical Optimization*, chapter 3. Chapter: optimizers.
    """
    eye = torch.eye(point.shape[-1], dtype=hessian.dtype, device=hessian.device)
    shift = damping[..., None] if isinstance(damping, Tensor) and damping.ndim else damping
    direction, info = torch.linalg.solve_ex(hessian + shift * eye, grad.unsqueeze(-1))
    direction = direction.squeeze(-1).masked_fill(info.unsqueeze(-1) != 0, torch.nan)
    return point - lr * direction


class Newton(torch.optim.Optimizer):
    """Newton's method on the whole Hessian, for a few thousand parameters at most: :func:`newton` as an optimizer.

    Each step costs a backward pass for every parameter and the solution of a dense linear system. All groups together
    are one point; ``lr`` and ``damping`` are the first group's.

    Args:
        params: Parameters of one dtype and device, 5000 numbers in all at most.
        lr: Share of the step that is taken.
        damping: Added to the curvature in every direction.

    Raises:
        ValueError: If a hyperparameter is negative or there are too many parameters.
        TypeError: If parameters differ in dtype or are not real floating-point.
        RuntimeError: At ``step``, if the damped Hessian is singular or the closure has used up its graph.

    Example:
        >>> w = torch.tensor([5.0, -7.0], requires_grad=True)
        >>> Newton([w]).step(lambda: (w[0] ** 2 + 100 * w[1] ** 2).sum()).item()
        4925.0
        >>> w.detach()
        tensor([0., 0.])

    Source: Nocedal and Wright (2006), *Numerical Optimization*, chapter 3. Chapter: optimizers.
    """

    def __init__(self, params: Any, lr: Scalar = 1.0, damping: Scalar = 0.0) -> None:
        check_numbers(lr=lr, damping=damping)
        super().__init__(params, {"lr": lr, "damping": damping})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, as :meth:`torch.optim.Optimizer.add_param_group`."""
        super().add_param_group(param_group)
        params = [p for group in self.param_groups for p in group["params"]]
        if any(p.dtype != params[0].dtype or not p.is_floating_point() for p in params):
            raise TypeError(f"params: expected one floating-point dtype; got {sorted({str(p.dtype) for p in params})}")
        if (n := sum(p.numel() for p in params)) > MAX_PARAMETERS:
            raise ValueError(
                f"params: expected at most {MAX_PARAMETERS} numbers; got {n}, whose Hessian has {n * n:,} entries"
            )

    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """Update all parameters once.

        Args:
            closure: Returns the loss and does *not* call ``backward``, which would use up the graph that the second
                derivatives need.

        Returns:
            The closure's loss.
        """
        params = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
        with torch.enable_grad():
            loss = closure()
            try:
                grads = torch.autograd.grad(loss, params, create_graph=True, materialize_grads=True)
            except RuntimeError as error:
                raise RuntimeError(
                    "closure: expected a loss that depends on the parameters, and no call of backward"
                ) from error
            grad = torch.cat([g.flatten() for g in grads])
            hessian = _jacobian(grad, params)
        group = self.param_groups[0]
        with torch.no_grad():
            point = torch.cat([p.flatten() for p in params])
            new = newton(point, grad.detach(), hessian, lr=group["lr"], damping=group["damping"])
            if new.isnan().any() and not grad.isnan().any():
                raise RuntimeError(
                    f"the Hessian is singular with damping={group['damping']}; expected a larger damping"
                )
            for p, values in zip(params, new.split([p.numel() for p in params]), strict=True):
                p.copy_(values.view_as(p))
        return loss.detach()


def _jacobian(grad: Float[Tensor, " n"], params: list[Tensor]) -> Float[Tensor, "n n"]:
    """Derivative of the flat gradient by the parameters: one backward pass for each row, run as one batch."""
    if not grad.requires_grad:  # the loss is linear
        return torch.zeros(len(grad), len(grad), dtype=grad.dtype, device=grad.device)
    eye = torch.eye(len(grad), dtype=grad.dtype, device=grad.device)
    rows = torch.autograd.grad(grad, params, eye, is_grads_batched=True, materialize_grads=True)
    return torch.cat([r.flatten(1) for r in rows], dim=1)
