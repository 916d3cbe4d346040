"""What the losses share: reduction, aligned shapes, a safe dtype, checks of values, and a softplus."""

import warnings

import torch
from torch import Tensor

from dlbook._checks import check_floating, check_option, check_tensor

REDUCTIONS = ("none", "mean", "sum")


def reduce(loss: Tensor, reduction: str, dtype: torch.dtype | None = None) -> Tensor:
    """The losses as they are, their mean or their sum, in ``dtype``."""
    check_option("reduction", reduction, REDUCTIONS)
    if reduction != "none":
        loss = loss.mean() if reduction == "mean" else loss.sum()
    return loss.to(dtype or loss.dtype)


def weighted(loss: Tensor, weight: Tensor | None, reduction: str, dtype: torch.dtype) -> Tensor:
    """Losses times their weights; their mean is divided by the weights' sum, not by how many there are."""
    if weight is None:
        return reduce(loss, reduction, dtype)
    check_shape("weight", weight, "input", loss)
    if reduction == "mean":
        return (reduce(loss * weight, "sum") / weight.sum()).to(dtype)
    return reduce(loss * weight, reduction, torch.promote_types(dtype, weight.dtype))


def widen(input: Tensor) -> Tensor:
    """Half precision as float32: a sum of rounded terms would lose what a sum rounded once keeps."""
    return input.float() if input.dtype in (torch.bfloat16, torch.float16) else input


def result_dtype(first: Tensor, second: Tensor) -> torch.dtype:
    """The dtype of ``first + second``, as ``torch.result_type`` says it, which cannot be traced."""
    if not second.is_floating_point() or second.ndim == 0 < first.ndim:
        return first.dtype
    return second.dtype if first.ndim == 0 < second.ndim else torch.promote_types(first.dtype, second.dtype)


def aligned(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, torch.dtype]:
    """Both tensors, checked and widened, and the dtype of the result.

    Shapes that differ broadcast, as in torch, but never in silence: between ``(batch,)`` and ``(batch, 1)`` they
    broadcast to ``(batch, batch)``, which is hardly ever meant.
    """
    check_floating("input", input)
    check_tensor("target", target)
    if input.device != target.device:
        raise ValueError(f"target: expected device {input.device}, where input is; got {target.device}")
    if input.shape != target.shape:
        try:
            shape = torch.broadcast_shapes(input.shape, target.shape)
        except RuntimeError:
            raise ValueError(f"target: expected shape {tuple(input.shape)}; got {tuple(target.shape)}") from None
        warnings.warn(
            f"target has shape {tuple(target.shape)} and input {tuple(input.shape)}: they broadcast to {tuple(shape)}",
            UserWarning,
            stacklevel=3,
        )
    return widen(input), widen(target), result_dtype(input, target)


def check_shape(name: str, value: object, other_name: str, other: Tensor) -> None:
    """Raise unless ``value`` is a tensor of the same shape as ``other``."""
    check_tensor(name, value)
    if value.shape != other.shape:  # type: ignore[attr-defined]
        raise ValueError(
            f"{name}: expected shape {tuple(other.shape)}, as {other_name} has; got {tuple(value.shape)}"  # type: ignore[attr-defined]
        )


def check_values(name: str, wrong: Tensor, expected: str) -> None:
    """Raise ``ValueError`` if any element is marked wrong, where the values can be looked at.

    They cannot be while a compiler traces or ``vmap`` batches; on an accelerator a look would stall it.
    """
    if torch.compiler.is_compiling() or wrong.device.type != "cpu":
        return
    try:
        found = bool(wrong.any())
    except RuntimeError:  # inside vmap
        return
    if found:
        raise ValueError(f"{name}: expected {expected}; got {int(wrong.sum())} that are not")


def check_classes(name: str, target: Tensor, classes: int) -> None:
    """Raise unless ``target`` holds class indices in ``[0, classes)``."""
    check_tensor(name, target)
    if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
        raise TypeError(f"{name}: expected class indices of an integer dtype; got dtype {target.dtype}")
    check_values(name, (target < 0) | (target >= classes), f"class indices in [0, {classes})")


def softplus(x: Tensor) -> Tensor:
    r""":math:`\log(1 + e^x)` without overflow; its slope at 0 is a half, as it should be.

    Written with two ``where``, not with ``abs`` and ``clamp``, whose slopes at 0 do not add up to a half.
    """
    return torch.where(x > 0, x, 0.0) + torch.log1p(torch.exp(torch.where(x > 0, -x, x)))
