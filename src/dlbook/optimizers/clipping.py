"""Gradient clipping: a limit on one step, whatever the loss does.

Clipping by norm shortens the whole gradient and keeps its direction; clipping by value bends it toward the diagonal.
"""

# torch exports no torch._foreach_* by name
# pyright: reportPrivateImportUsage=false

from collections.abc import Iterable

import torch
from torch import Tensor

from dlbook._checks import check_range, check_tensor


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float | int,
    norm_type: float | int | str = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    r"""Shorten all gradients together, in place, so that their joint norm is at most ``max_norm``.

    .. math:: g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert_p + 10^{-6}}\right)

    Args:
        parameters: A parameter or several; those without a gradient are passed over.
        max_norm: Largest norm :math:`c`.
        norm_type: Order :math:`p` of the norm; ``"inf"`` or infinity for the largest entry.
        error_if_nonfinite: Raise where the norm is infinite or NaN, instead of spreading it.

    Returns:
        The norm before clipping, a scalar tensor, at least 0.

    Raises:
        TypeError: If a parameter is no tensor, or ``max_norm`` no number.
        RuntimeError: If ``error_if_nonfinite`` and the norm is infinite or NaN.

    Example:
        >>> w = torch.zeros(2, requires_grad=True)
        >>> w.grad = torch.tensor([30.0, 40.0])
        >>> clip_grad_norm_([w], max_norm=1.0)
        tensor(50.)
        >>> w.grad
        tensor([0.6000, 0.8000])

    Source: Pascanu et al. (2013), "On the difficulty of training recurrent neural networks". Chapter: optimizers.
    """
    grads = _grads(parameters)
    check_range("max_norm", max_norm)
    if not grads:
        return torch.tensor(0.0)
    norm_type = float(norm_type)
    with torch.no_grad():
        norms = [norm.to(grads[0].device) for norm in torch._foreach_norm(grads, norm_type)]
        total_norm = torch.linalg.vector_norm(torch.stack(norms), norm_type)
        if error_if_nonfinite and not total_norm.isfinite():
            raise RuntimeError(f"parameters: expected gradients of finite norm; got {total_norm.item()}")
        # Never above 1, and applied even when it is 1: asking first would make the GPU wait for the answer.
        factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        for grad_list in _by_device(grads):
            torch._foreach_mul_(grad_list, factor.to(grad_list[0].device))
    return total_norm


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float | int) -> None:
    r"""Limit every entry of every gradient, in place.

    .. math:: g_i \leftarrow \max(-c, \min(c, g_i))

    Args:
        parameters: A parameter or several; those without a gradient are passed over.
        clip_value: Largest magnitude :math:`c`.

    Raises:
        TypeError: If a parameter is no tensor, or ``clip_value`` no number.

    Example:
        >>> w = torch.zeros(2, requires_grad=True)
        >>> w.grad = torch.tensor([30.0, -0.5])
        >>> clip_grad_value_([w], clip_value=1.0)
        >>> w.grad
        tensor([ 1.0000, -0.5000])

    Source: Mikolov (2012), *Statistical Language Models Based on Neural Networks*. Chapter: optimizers.
    """
    check_range("clip_value", clip_value)
    clip_value = float(clip_value)
    with torch.no_grad():
        for grads in _by_device(_grads(parameters)):
            torch._foreach_clamp_min_(grads, -clip_value)
            torch._foreach_clamp_max_(grads, clip_value)


def _grads(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """The gradients that there are."""
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for parameter in parameters:
        check_tensor("parameters", parameter)
    return [p.grad for p in parameters if p.grad is not None]


def _by_device(tensors: list[Tensor]) -> Iterable[list[Tensor]]:
    """Lists of one device and dtype each, as ``torch._foreach_*`` runs fastest on."""
    lists: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for tensor in tensors:
        lists.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    return lists.values()
