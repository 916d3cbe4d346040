"""Rosenblatt's perceptron: a neuron that learns its weights from its mistakes.

Show it an example. If it answers rightly, do nothing; if not, move the weights towards the example or away from it, so
that it is nearer to right next time. When a line can part the two classes, this rule finds one after a number of
mistakes that has a bound. When none can, it never settles, and the *pocket* keeps the best weights that came by.

The targets are -1 and +1: with 0 and 1, an example of class 0 would never move a weight.
"""

import torch
from jaxtyping import Float, Int, Real
from torch import Tensor

from dlbook._checks import check_floating, check_ndim, check_range, check_tensor

__all__ = ["Perceptron", "convergence_bound"]


class Perceptron:
    r"""A linear classifier of two classes, trained by the perceptron rule.

    .. math:: w \leftarrow w + \eta \, y \, x, \quad b \leftarrow b + \eta \, y \qquad \text{whenever } y (w \cdot x +
    b) \le 0

    Args:
        lr: Learning rate :math:`\eta`. As the weights start at zero, it scales them and changes no answer.
        epochs: How often to go through the examples at most; training stops after an epoch without a mistake.
        pocket: Whether to end with the weights that were right most often over all examples, not with the last ones.
        generator: Shuffles the examples before each epoch; they keep their order when ``None``.

    Attributes:
        weight: The weights after :meth:`fit`.
        bias: The bias after :meth:`fit`.
        mistakes_: Mistakes in each epoch.
        path_: Weights and, last, bias: at the start and after every mistake.

    Raises:
        ValueError: If ``lr`` is not above 0 or ``epochs`` is below 1.

    Example:
        >>> corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> model = Perceptron().fit(corners, torch.tensor([-1, -1, -1, 1]))
        >>> model.predict(corners), model.mistakes_
        (tensor([-1, -1, -1,  1]), tensor([2, 3, 3, 2, 2, 3, 2, 1, 0]))

    Source: Rosenblatt (1958), "The perceptron"; Gallant (1990), "Perceptron-based learning algorithms". Chapter:
        perceptrons.
    """

    weight: Float[Tensor, " features"]
    bias: Float[Tensor, ""]
    mistakes_: Int[Tensor, " epochs"]
    path_: Float[Tensor, "updates parameters"]

    def __init__(
        self, lr: float = 1.0, epochs: int = 100, pocket: bool = False, generator: torch.Generator | None = None
    ) -> None:
        check_range("lr", lr, 0, open_low=True)
        check_range("epochs", epochs, 1)
        self.lr, self.epochs, self.pocket, self.generator = lr, epochs, pocket, generator

    def fit(self, input: Float[Tensor, "n features"], target: Real[Tensor, " n"]) -> "Perceptron":
        """Learn from examples and return the model itself.

        Args:
            input: The examples.
            target: -1 or +1 for each.

        Raises:
            TypeError: If ``input`` is no floating-point tensor.
            ValueError: If the shapes do not fit, or a target is neither -1 nor +1.
        """
        _check_examples(input, target)
        examples, target = _with_one(input), target.to(input.dtype)
        parameters = input.new_zeros(examples.shape[1])
        path, mistakes = [parameters], []
        for _ in range(self.epochs):
            order = self._order(len(examples), input.device)
            steps = self._epoch(parameters, examples[order], target[order])
            path += steps
            mistakes.append(len(steps))
            if not steps:
                break
            parameters = steps[-1]
        self.path_ = torch.stack(path)
        self.mistakes_ = torch.tensor(mistakes, device=input.device)
        if self.pocket:
            right = ((self.path_ @ examples.T > 0) == (target > 0)).sum(1)
            parameters = self.path_[right.argmax()]
        self.weight, self.bias = parameters[:-1], parameters[-1]
        return self

    def _order(self, n: int, device: torch.device) -> Tensor:
        if self.generator is None:
            return torch.arange(n, device=device)
        return torch.randperm(n, generator=self.generator, device=self.generator.device).to(device)

    def _epoch(self, parameters: Tensor, examples: Tensor, target: Tensor) -> list[Tensor]:
        """The parameters after each mistake of one epoch.

        Between two mistakes nothing changes, so all examples are judged at once, and the next mistake is the first of
        those that come later: one step a mistake, not one an example.
        """
        steps, start = [], 0
        while start < len(examples):
            wrong = (target[start:] * (examples[start:] @ parameters) <= 0).nonzero()
            if not len(wrong):
                break
            start += int(wrong[0])
            parameters = parameters + self.lr * target[start] * examples[start]
            steps.append(parameters)
            start += 1
        return steps

    def decision_function(self, input: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch"]:
        """Weighted sum and bias of each example: above 0 on the side of class +1.

        Args:
            input: The examples.

        Raises:
            RuntimeError: If :meth:`fit` has not been called.
        """
        if not hasattr(self, "weight"):
            raise RuntimeError("this perceptron has learnt nothing yet: call fit first")
        return input @ self.weight + self.bias

    def predict(self, input: Float[Tensor, "*batch features"]) -> Int[Tensor, "*batch"]:
        """The class of each example, -1 or +1; -1 on the line itself.

        Args:
            input: The examples.
        """
        return torch.where(self.decision_function(input) > 0, 1, -1)


def convergence_bound(
    input: Float[Tensor, "n features"],
    target: Real[Tensor, " n"],
    weight: Float[Tensor, " features"],
    bias: float | Float[Tensor, ""] = 0.0,
) -> Float[Tensor, ""]:
    r"""The most mistakes that the perceptron rule can make on these examples, in any order.

    .. math:: \Bigl(\frac{R}{\gamma}\Bigr)^2, \qquad R = \max_i \lVert \hat x_i \rVert, \quad
              \gamma = \min_i \frac{y_i \, \hat w \cdot \hat x_i}{\lVert \hat w \rVert}

    Here :math:`\hat x = (x, 1)` and :math:`\hat w = (w, b)`: the bias is the weight of a constant input. Any line that
    parts the classes gives a bound; the one with the widest margin :math:`\gamma` gives the lowest.

    Args:
        input: The examples.
        target: -1 or +1 for each.
        weight: Weights of a line that parts the classes.
        bias: Its bias.

    Returns:
        A number of mistakes; infinity if the line does not part the classes.

    Raises:
        TypeError: If ``input`` or ``weight`` is no floating-point tensor.
        ValueError: If the shapes do not fit, or a target is neither -1 nor +1.

    Example:
        >>> points = torch.tensor([[2.0, 2.0], [-1.0, 0.0]])
        >>> convergence_bound(points, torch.tensor([1, -1]), torch.tensor([1.0, 0.0]))
        tensor(9.)

    Source: Novikoff (1962), "On convergence proofs on perceptrons". Chapter: perceptrons.
    """
    _check_examples(input, target)
    check_floating("weight", weight)
    if weight.shape != input.shape[1:]:
        raise ValueError(f"weight: expected shape {tuple(input.shape[1:])}; got {tuple(weight.shape)}")
    line = torch.cat([weight, torch.as_tensor(bias, dtype=weight.dtype, device=weight.device).reshape(1)])
    examples = _with_one(input)
    radius = examples.square().sum(1).max().sqrt()
    margin = (target * (examples @ line)).min() / line.square().sum().sqrt()
    return torch.where(margin > 0, (radius / margin) ** 2, torch.inf)


def _with_one(input: Tensor) -> Tensor:
    """The examples with a constant 1 appended, the input of the bias."""
    return torch.cat([input, torch.ones_like(input[:, :1])], 1)


def _check_examples(input: Tensor, target: Tensor) -> None:
    check_floating("input", input)
    check_tensor("target", target)
    check_ndim("input", input, (2,), "(n, features)")
    if target.shape != input.shape[:1] or not len(input) or not input.shape[1]:
        raise ValueError(
            f"target: expected one for each of the examples, {tuple(input.shape)}; got {tuple(target.shape)}"
        )
    if not bool((target.abs() == 1).all()):
        raise ValueError(f"target: expected only -1 and +1; got {target.unique().tolist()[:5]}")
