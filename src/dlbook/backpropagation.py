r"""Backpropagation: the gradient of a whole network for the price of running it twice.

Forwards, a layer computes :math:`z^l = W^l a^{l-1} + b^l` and :math:`a^l = \varphi(z^l)`. How much the cost changes
with :math:`z^l` is the layer's *error* :math:`\delta^l = \partial C / \partial z^l`. Four equations give every
derivative:

.. math::
    \delta^L &= \nabla_a C \odot \varphi'(z^L)                              & \text{(BP1)} \\
    \delta^l &= \bigl((W^{l+1})^T \delta^{l+1}\bigr) \odot \varphi'(z^l)    & \text{(BP2)} \\
    \frac{\partial C}{\partial b^l} &= \delta^l                             & \text{(BP3)} \\
    \frac{\partial C}{\partial W^l} &= \delta^l \, (a^{l-1})^T              & \text{(BP4)}

The code below is these four lines, for a batch of examples at once: a row an example, and the gradient is the mean over
rows. No autograd takes part; the tests hold the equations against it.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from dlbook._checks import check_floating, check_option, check_range, check_same, check_whole

__all__ = ["ACTIVATIONS", "COSTS", "Activation", "Cost", "Network", "Terms", "gradient_check"]


class Activation(NamedTuple):
    """A function, and its derivative written by hand.

    Attributes:
        value: From z to a.
        slope: From z and a to the derivative: often a says it with less work.
    """

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]


class Cost(NamedTuple):
    """A cost of an example, and its gradient written by hand.

    Attributes:
        value: From z, a and the target, a row an example, to one number an example.
        gradient: From a and the target to the derivatives by a; or None where ``error`` is given.
        error: From a and the target to (BP1) as a whole, where the slope of a certain last activation cancels out.
        last: The name of that activation.
    """

    value: Callable[[Tensor, Tensor, Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor] | None = None
    error: Callable[[Tensor, Tensor], Tensor] | None = None
    last: str | None = None


def _no_slope(z: Tensor, a: Tensor) -> Tensor:
    raise ValueError("activations: 'softmax' mixes all outputs, so it has no slope: use it last, with 'log_likelihood'")


ACTIVATIONS = {
    "identity": Activation(lambda z: z, lambda z, a: torch.ones_like(a)),
    "sigmoid": Activation(torch.sigmoid, lambda z, a: a * (1 - a)),
    "tanh": Activation(torch.tanh, lambda z, a: 1 - a * a),
    "relu": Activation(lambda z: z.clamp(min=0), lambda z, a: (z > 0).to(z.dtype)),
    "softmax": Activation(lambda z: torch.softmax(z, -1), _no_slope),
}
COSTS = {
    "quadratic": Cost(lambda z, a, y: (a - y).square().sum(-1) / 2, gradient=lambda a, y: a - y),
    # -y log a - (1 - y) log(1 - a), written by z: there it cannot overflow.
    "cross_entropy": Cost(
        lambda z, a, y: (torch.logaddexp(z, torch.zeros_like(z)) - y * z).sum(-1),
        error=lambda a, y: a - y,
        last="sigmoid",
    ),
    # For targets that add up to 1, such as one-hot ones.
    "log_likelihood": Cost(lambda z, a, y: z.logsumexp(-1) - (y * z).sum(-1), error=lambda a, y: a - y, last="softmax"),
}


class Terms(NamedTuple):
    """What :meth:`Network.backward` computes, in the order in which it does; one tensor a layer.

    Attributes:
        a: Activations, the input first: one more than there are layers.
        z: Weighted sums.
        errors: The errors, by (BP1) and (BP2); of each example's own cost.
        grad_biases: Derivatives of the mean cost by the biases, (BP3).
        grad_weights: Derivatives of the mean cost by the weights, (BP4).
        cost: The mean cost.
    """

    a: list[Tensor]
    z: list[Tensor]
    errors: list[Tensor]
    grad_biases: list[Tensor]
    grad_weights: list[Tensor]
    cost: Tensor


class Network(nn.Module):
    r"""Fully connected layers that learn by backpropagation written out.

    Weights start normal with standard deviation :math:`1/\sqrt{\text{inputs}}`, biases standard normal.

    Args:
        sizes: Units of each layer, the inputs first.
        activations: A name from ``ACTIVATIONS`` or an ``Activation``, for all layers, or one for each.
        cost: A name from ``COSTS``, or a ``Cost``.
        bias: Whether there are biases.
        generator: Draws the starting values; torch's own when ``None``.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        ValueError: If there are fewer than two sizes or one is below 1, an activation or cost is unknown, there are not
            as many activations as layers, or the cost needs another last activation.

    Example:
        >>> network = Network([2, 3, 1], generator=torch.Generator().manual_seed(0))
        >>> terms = network.backward(torch.zeros(5, 2), torch.ones(5, 1))
        >>> [tuple(grad.shape) for grad in terms.grad_weights]
        [(3, 2), (1, 3)]

    Source: Rumelhart, Hinton and Williams (1986); Nielsen (2015), chapter 2. Chapter: backpropagation.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activations: str | Activation | Sequence[str | Activation] = "sigmoid",
        cost: str | Cost = "quadratic",
        *,
        bias: bool = True,
        generator: torch.Generator | None = None,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if len(sizes) < 2:
            raise ValueError(f"sizes: expected two or more numbers of units; got {list(sizes)}")
        for size in sizes:
            check_whole("sizes", size, 1)
        self.sizes, pairs = list(sizes), list(pairwise(sizes))
        self.activations, last = _activations(activations, len(pairs))
        if isinstance(cost, str):
            check_option("cost", cost, COSTS)
        self.cost_function = COSTS[cost] if isinstance(cost, str) else cost
        if self.cost_function.last not in (None, last):
            raise ValueError(f"cost: expected {self.cost_function.last!r} as the last activation; got {last!r}")
        if last == "softmax" and self.cost_function.last != "softmax":
            raise ValueError(f"cost: expected 'log_likelihood' after a softmax; got {cost!r}")

        def draw(*shape: int) -> nn.Parameter:
            where = generator.device if generator is not None else device
            return nn.Parameter(torch.randn(shape, generator=generator, device=where, dtype=dtype).to(device))

        for layer, (inputs, units) in enumerate(pairs):
            weight = draw(units, inputs)
            weight.data /= inputs**0.5
            self.register_parameter(f"weight{layer}", weight)
        for layer, (_, units) in enumerate(pairs if bias else []):
            self.register_parameter(f"bias{layer}", draw(units))

    @property
    def weights(self) -> list[Tensor]:
        """The weights of each layer, units × inputs."""
        return list(self._parameters.values())[: len(self.activations)]  # type: ignore[return-value]

    @property
    def biases(self) -> list[Tensor]:
        """The biases of each layer; none if the network has none."""
        return list(self._parameters.values())[len(self.activations) :]  # type: ignore[return-value]

    def _run(self, input: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Weighted sums of each layer, and activations, the input first."""
        a, z, biases = [input], [], self.biases
        for i, (weight, activation) in enumerate(zip(self.weights, self.activations, strict=True)):
            z.append(torch.addmm(biases[i], a[-1], weight.T) if biases else a[-1] @ weight.T)
            a.append(activation.value(z[-1]))
        return z, a

    def forward(self, input: Float[Tensor, "n inputs"]) -> Float[Tensor, "n outputs"]:
        """The outputs of the last layer; autograd can follow.

        Args:
            input: One example a row.

        Raises:
            TypeError: If the dtype is not the parameters'.
            ValueError: If the shape does not fit.
        """
        self._check("input", input, self.sizes[0])
        return self._run(input)[1][-1]

    def cost(self, input: Float[Tensor, "n inputs"], target: Float[Tensor, "n outputs"]) -> Float[Tensor, ""]:
        """Mean cost of the examples; autograd can follow.

        Args:
            input: One example a row.
            target: What the outputs should be.

        Raises:
            TypeError: If a dtype is not the parameters'.
            ValueError: If a shape does not fit.
        """
        self._check_both(input, target)
        z, a = self._run(input)
        return self.cost_function.value(z[-1], a[-1], target).mean()

    def _errors(self, z: list[Tensor], a: list[Tensor], target: Tensor) -> list[Tensor]:
        """(BP1) for the last layer, then (BP2) back to the first."""
        cost, weights = self.cost_function, self.weights
        slopes = [activation.slope for activation in self.activations]
        if cost.error is not None:
            errors = [cost.error(a[-1], target)]
        else:
            assert cost.gradient is not None
            errors = [cost.gradient(a[-1], target) * slopes[-1](z[-1], a[-1])]
        for layer in reversed(range(len(z) - 1)):
            errors.insert(0, (errors[0] @ weights[layer + 1]) * slopes[layer](z[layer], a[layer + 1]))
        return errors

    @torch.no_grad()
    def backward(self, input: Float[Tensor, "n inputs"], target: Float[Tensor, "n outputs"]) -> Terms:
        """All terms of the four equations; nothing is changed.

        Args:
            input: One example a row.
            target: What the outputs should be.

        Raises:
            TypeError: If a dtype is not the parameters'.
            ValueError: If a shape does not fit or there is no example.
        """
        self._check_both(input, target)
        z, a = self._run(input)
        errors = self._errors(z, a, target)
        grad_biases = [error.mean(0) for error in errors] if self.biases else []
        # One product for the whole batch: rows of errors times rows of activations, summed over the examples.
        grad_weights = [error.T @ before / len(input) for error, before in zip(errors, a[:-1], strict=True)]
        return Terms(a, z, errors, grad_biases, grad_weights, self.cost_function.value(z[-1], a[-1], target).mean())

    @torch.no_grad()
    def step(
        self,
        input: Float[Tensor, "n inputs"],
        target: Float[Tensor, "n outputs"],
        lr: float,
        weight_decay: float = 0.0,
    ) -> None:
        """One step of gradient descent on a batch: parameters minus ``lr`` times their gradients.

        Args:
            input: One example a row.
            target: What the outputs should be.
            lr: The learning rate.
            weight_decay: The penalty's factor: half of it times the sum of the squared weights, without the biases, is
                added to the cost.

        Raises:
            TypeError: If a dtype is not the parameters'.
            ValueError: If a shape does not fit, there is no example, or a number is out of range.
        """
        self._check_both(input, target)
        check_range("lr", lr, 0, open_low=True)
        check_range("weight_decay", weight_decay, 0)
        z, a = self._run(input)
        weights, biases, rate = self.weights, self.biases, -lr / len(input)
        for layer, error in enumerate(self._errors(z, a, target)):
            # (BP4) and the step in one product, without a gradient in between.
            weights[layer].addmm_(error.T, a[layer], beta=1 - lr * weight_decay, alpha=rate)
            if biases:
                biases[layer].add_(error.sum(0), alpha=rate)

    def _check(self, name: str, value: Tensor, units: int) -> None:
        check_floating(name, value)
        check_same(name, value, "weights", self.weights[0])
        if value.ndim != 2 or value.shape[1] != units:
            raise ValueError(f"{name}: expected shape (n, {units}); got {tuple(value.shape)}")

    def _check_both(self, input: Tensor, target: Tensor) -> None:
        self._check("input", input, self.sizes[0])
        self._check("target", target, self.sizes[-1])
        if len(input) != len(target) or not len(input):
            raise ValueError(f"target: expected one row for each of the {len(input)} examples; got {len(target)}")


def _activations(given: Any, layers: int) -> tuple[list[Activation], str | None]:
    """One activation a layer, and the name of the last, if it has one."""
    several = [given] * layers if isinstance(given, str | Activation) else list(given)
    if len(several) != layers:
        raise ValueError(f"activations: expected one for each of the {layers} layers; got {len(several)}")
    for one in several:
        if isinstance(one, str):
            check_option("activations", one, ACTIVATIONS)
    last = several[-1] if isinstance(several[-1], str) else None
    return [ACTIVATIONS[one] if isinstance(one, str) else one for one in several], last


def gradient_check(
    network: Network,
    input: Float[Tensor, "n inputs"],
    target: Float[Tensor, "n outputs"],
    eps: float = 1e-5,
) -> Float[Tensor, ""]:
    r"""How far the network's gradient is from one by finite differences, relative to their sizes.

    .. math:: \frac{\lVert g - \hat g \rVert}{\lVert g \rVert + \lVert \hat g \rVert}, \qquad
              \hat g_i = \frac{C(\theta + \epsilon e_i) - C(\theta - \epsilon e_i)}{2 \epsilon}

    Each parameter is nudged up and down, all of them in one batched run; for small networks, then, and in double
    precision.

    Args:
        network: The network.
        input: One example a row.
        target: What the outputs should be.
        eps: How far to nudge.

    Returns:
        A number in ``[0, 1]``; best value 0. In double precision a right gradient gives 1e-7 or less.

    Raises:
        TypeError: If a dtype is not the parameters'.
        ValueError: If a shape does not fit or ``eps`` is not above 0.

    Example:
        >>> network = Network([2, 3, 1], dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        >>> examples = torch.eye(2, dtype=torch.float64)
        >>> bool(gradient_check(network, examples, torch.ones(2, 1, dtype=torch.float64)) < 1e-8)
        True

    Source: Nielsen (2015), chapter 2. Chapter: backpropagation.
    """
    if not isinstance(network, Network):
        raise TypeError(f"network: expected a Network; got {type(network).__name__}")
    check_range("eps", eps, 0, open_low=True)
    terms = network.backward(input, target)
    gradient = torch.cat([part.flatten() for part in (*terms.grad_weights, *terms.grad_biases)])
    names = [name for name, _ in network.named_parameters()]
    parts = [parameter.detach() for parameter in network.parameters()]
    point = torch.cat([part.flatten() for part in parts])
    nudges = eps * torch.eye(len(point), dtype=point.dtype, device=point.device)

    def cost(vector: Tensor) -> Tensor:
        pieces = vector.split([part.numel() for part in parts])
        values = {n: piece.view_as(part) for n, piece, part in zip(names, pieces, parts, strict=True)}
        return functional_call(_CostOf(network), {f"network.{n}": v for n, v in values.items()}, (input, target))

    costs = vmap(cost, chunk_size=1024)
    estimate = (costs(point + nudges) - costs(point - nudges)) / (2 * eps)
    scale = gradient.square().sum().sqrt() + estimate.square().sum().sqrt()
    return torch.where(scale == 0, 0.0, (gradient - estimate).square().sum().sqrt() / scale)


class _CostOf(nn.Module):
    """The cost as a module's forward, which is what ``functional_call`` can call with other parameters."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return self.network.cost(input, target)
