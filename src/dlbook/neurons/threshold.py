"""The threshold neuron of McCulloch and Pitts, and the logic gates that it can be."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from dlbook._checks import check_ndim, check_tensor


class ThresholdNeuron(nn.Module):
    r"""A neuron that fires when the weighted sum of its inputs exceeds a threshold.

    .. math:: y = 1 \text{ if } \sum_i w_i x_i > \theta, \text{ else } 0

    A bias is a threshold with its sign turned, :math:`b = -\theta`: the neuron fires when :math:`w \cdot x + b > 0`.

    Args:
        weight: One weight for each input.
        threshold: What the sum has to exceed.

    Raises:
        TypeError: If ``weight`` is no tensor.
        ValueError: If ``weight`` has not one axis, or inputs do not match it.

    Example:
        >>> ThresholdNeuron(torch.tensor([1.0, 1.0]), threshold=1.5)(torch.tensor([[0, 1], [1, 1]]))
        tensor([0., 1.])

    Source: McCulloch and Pitts (1943), "A logical calculus of the ideas immanent in nervous activity". Chapter:
        neurons.
    """

    weight: Tensor
    threshold: Tensor

    def __init__(self, weight: Float[Tensor, " inputs"], threshold: float) -> None:
        super().__init__()
        check_tensor("weight", weight)
        check_ndim("weight", weight, (1,), "(inputs,)")
        self.register_buffer("weight", weight)
        self.register_buffer("threshold", torch.as_tensor(threshold, dtype=weight.dtype, device=weight.device))

    @property
    def bias(self) -> Float[Tensor, ""]:
        """The threshold with its sign turned."""
        return -self.threshold

    def forward(self, input: Shaped[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch"]:
        """1 where the neuron fires, 0 where it does not."""
        check_tensor("input", input)
        if not input.ndim or input.shape[-1] != len(self.weight):
            raise ValueError(
                f"input: expected {len(self.weight)} numbers along the last axis; got {tuple(input.shape)}"
            )
        total = (input.to(self.weight.dtype) * self.weight).sum(-1)
        return (total > self.threshold).to(self.weight.dtype)


def _gate(weight: tuple[float, ...], threshold: float, *inputs: Tensor) -> Tensor:
    """What a threshold neuron with these weights makes of the inputs, one tensor an input."""
    for i, value in enumerate(inputs, 1):
        check_tensor(f"x{i}" if len(inputs) > 1 else "x", value)
    together = torch.stack(torch.broadcast_tensors(*inputs), -1)
    return ThresholdNeuron(torch.tensor(weight, device=together.device), threshold)(together)


def AND(x1: Shaped[Tensor, "..."], x2: Shaped[Tensor, "..."]) -> Float[Tensor, "..."]:
    """1 where both inputs are 1.

    Args:
        x1: Zeros and ones.
        x2: Zeros and ones.

    Returns:
        0 or 1 for each pair.

    Raises:
        TypeError: If an input is no tensor.

    Example:
        >>> AND(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1]))
        tensor([0., 0., 0., 1.])

    Source: McCulloch and Pitts (1943). Chapter: neurons.
    """
    return _gate((1.0, 1.0), 1.5, x1, x2)


def OR(x1: Shaped[Tensor, "..."], x2: Shaped[Tensor, "..."]) -> Float[Tensor, "..."]:
    """1 where at least one input is 1.

    Args:
        x1: Zeros and ones.
        x2: Zeros and ones.

    Returns:
        0 or 1 for each pair.

    Raises:
        TypeError: If an input is no tensor.

    Example:
        >>> OR(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1]))
        tensor([0., 1., 1., 1.])

    Source: McCulloch and Pitts (1943). Chapter: neurons.
    """
    return _gate((1.0, 1.0), 0.5, x1, x2)


def NOT(x: Shaped[Tensor, "..."]) -> Float[Tensor, "..."]:
    """1 where the input is 0.

    Args:
        x: Zeros and ones.

    Returns:
        0 or 1 for each.

    Raises:
        TypeError: If the input is no tensor.

    Example:
        >>> NOT(torch.tensor([0, 1]))
        tensor([1., 0.])

    Source: McCulloch and Pitts (1943). Chapter: neurons.
    """
    return _gate((-1.0,), -0.5, x)


def NAND(x1: Shaped[Tensor, "..."], x2: Shaped[Tensor, "..."]) -> Float[Tensor, "..."]:
    """0 where both inputs are 1: the gate from which every other can be built.

    Args:
        x1: Zeros and ones.
        x2: Zeros and ones.

    Returns:
        0 or 1 for each pair.

    Raises:
        TypeError: If an input is no tensor.

    Example:
        >>> NAND(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1]))
        tensor([1., 1., 1., 0.])

    Source: Sheffer (1913), "A set of five independent postulates for Boolean algebras". Chapter: neurons.
    """
    return _gate((-2.0, -2.0), -3.0, x1, x2)
