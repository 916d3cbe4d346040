"""What several metrics need: matching lengths, labels as indices, weighted counts and means."""

import torch
from torch import Tensor

from dlbook._checks import check_ndim, check_tensor


def check_pair(first_name: str, first: Tensor, second_name: str, second: Tensor, weight: Tensor | None) -> None:
    """Raise unless both are tensors of as many examples, and the weight, if any, has one number for each."""
    check_tensor(first_name, first)
    check_tensor(second_name, second)
    if not first.ndim or not second.ndim or first.shape[0] != second.shape[0]:
        raise ValueError(
            f"{second_name}: expected as many examples as {first_name} of shape {tuple(first.shape)}; "
            f"got shape {tuple(second.shape)}"
        )
    if weight is not None:
        check_tensor("sample_weight", weight)
        if weight.shape != first.shape[:1]:
            raise ValueError(f"sample_weight: expected shape {tuple(first.shape[:1])}; got {tuple(weight.shape)}")


def check_labels(y_true: Tensor, y_pred: Tensor, weight: Tensor | None) -> None:
    """Raise unless both hold one label for each example."""
    check_pair("y_true", y_true, "y_pred", y_pred, weight)
    check_ndim("y_true", y_true, (1,), "(n,)")
    check_ndim("y_pred", y_pred, (1,), "(n,)")


def index_of(values: Tensor, labels: Tensor) -> Tensor:
    """Position of each value among the labels; ``len(labels)`` where it is none of them."""
    # At least int64, as booleans cannot be searched.
    dtype = torch.promote_types(torch.promote_types(values.dtype, labels.dtype), torch.int64)
    (ordered, order), values = labels.to(dtype).sort(), values.to(dtype)
    place = torch.searchsorted(ordered, values).clamp(max=len(labels) - 1)
    return torch.where(ordered[place] == values, order[place], len(labels))


def count(index: Tensor, size: int, weight: Tensor | None) -> Tensor:
    """How often each of ``0 ... size - 1`` occurs, or the weight of its occurrences; larger ones are left out."""
    return torch.bincount(index, weight, minlength=size + 1)[:size]


def mean(values: Tensor, weight: Tensor | None, normalize: bool = True) -> Tensor:
    """Weighted mean of the values, or their weighted sum."""
    weight = values.new_ones(()).expand_as(values) if weight is None else weight
    total = (values * weight).sum()
    return total / weight.sum() if normalize else total
