r"""Single steps of the recurrences, as ``torch.nn``'s cells, for loops of your own.

Each takes one step's input and the state, and returns the next state; autograd takes the gradient. Parameter names and
layout are torch's, and with the same seed the starting values too: uniform over
:math:`\pm 1/\sqrt{\text{hidden size}}`.
"""

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlbook._checks import check_ndim, check_option, check_same, check_tensor, check_whole
from dlbook.recurrent.scans import gru_step, lstm_step, rnn_step

Device = torch.device | str | int | None
Row = Float[Tensor, "*batch features"]
State = Float[Tensor, "*batch hidden"]


class _Cell(nn.Module):
    """Parameters of one step."""

    gates: int
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_whole("input_size", input_size)
        check_whole("hidden_size", hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size, device=device, dtype=dtype))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size, device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            fresh = nn.Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None
            self.register_parameter(name, fresh)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters afresh, uniformly over ±1/√hidden size."""
        for parameter in self.parameters():
            if self.hidden_size:
                nn.init.uniform_(parameter, -1 / sqrt(self.hidden_size), 1 / sqrt(self.hidden_size))

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")

    def _inputs(self, input: Tensor, bias: Tensor | None) -> Tensor:
        """What the step takes from the input, with a batch dimension."""
        check_tensor("input", input)
        check_ndim("input", input, (1, 2), "(batch, features) or (features)")
        if input.shape[-1] != self.input_size:
            raise ValueError(f"input: expected {self.input_size} features, input_size's; got {input.shape[-1]}")
        check_same("input", input, "the cell's weight", self.weight_ih)
        products = torch.atleast_2d(input) @ self.weight_ih.t()
        return products if bias is None else products + bias

    def _state(self, name: str, state: Tensor | None, input: Tensor) -> Tensor:
        """The state given, checked, with a batch dimension; or zeros."""
        shape = (*input.shape[:-1], self.hidden_size)
        if state is None:
            return torch.atleast_2d(input.new_zeros(shape))
        check_tensor(name, state)
        if state.shape != shape:
            raise ValueError(f"{name}: expected shape {shape} for this input; got {tuple(state.shape)}")
        check_same(name, state, "input", input)
        return torch.atleast_2d(state)

    def _both_biases(self) -> Tensor | None:
        return None if self.bias_ih is None or self.bias_hh is None else self.bias_ih + self.bias_hh


class RNNCell(_Cell):
    r"""One step of a plain recurrence, as ``torch.nn.RNNCell``.

    .. math:: h' = \tanh(W_{ih} x + b_{ih} + W_{hh} h + b_{hh})

    Args:
        input_size: Features of the input.
        hidden_size: Features of the state.
        bias: Whether there are biases.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        ValueError: If a size is negative or ``nonlinearity`` is neither of the two.

    Example:
        >>> RNNCell(3, 5)(torch.zeros(2, 3)).shape
        torch.Size([2, 5])

    Source: Elman (1990), "Finding structure in time". Chapter: recurrent.
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_option("nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Row, hx: State | None = None) -> State:
        """The next state; ``hx`` is the one before, zero when left out."""
        inputs = self._inputs(input, self._both_biases())
        hidden = rnn_step(inputs, self._state("hx", hx, input), self.weight_hh, self.nonlinearity)
        return hidden.view(*input.shape[:-1], self.hidden_size)


class LSTMCell(_Cell):
    r"""One step of a long short-term memory, as ``torch.nn.LSTMCell``.

    .. math:: c' = f c + i g, \qquad h' = o \tanh c'

    Args:
        input_size: Features of the input.
        hidden_size: Features of state and cell.
        bias: Whether there are biases.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        ValueError: If a size is negative.

    Example:
        >>> hidden, cell = LSTMCell(3, 5)(torch.zeros(2, 3))
        >>> hidden.shape, cell.shape
        (torch.Size([2, 5]), torch.Size([2, 5]))

    Source: Hochreiter and Schmidhuber (1997); Gers et al. (2000). Chapter: recurrent.
    """

    gates = 4

    def forward(self, input: Row, hx: tuple[State, State] | None = None) -> tuple[State, State]:
        """The next state and cell; ``hx`` holds the ones before, zero when left out."""
        if hx is not None and (not isinstance(hx, tuple | list) or len(hx) != 2):
            raise TypeError(f"hx: expected a pair of tensors, state and cell; got {type(hx).__name__}")
        inputs = self._inputs(input, self._both_biases())
        hidden, cell = (self._state(f"hx[{i}]", hx[i] if hx else None, input) for i in range(2))
        hidden, cell, *_ = lstm_step(inputs, hidden, cell, self.weight_hh)
        return hidden.view(*input.shape[:-1], self.hidden_size), cell.view(*input.shape[:-1], self.hidden_size)


class GRUCell(_Cell):
    r"""One step of a gated recurrent unit, as ``torch.nn.GRUCell``.

    .. math:: h' = (1 - z)\, n + z\, h

    Args:
        input_size: Features of the input.
        hidden_size: Features of the state.
        bias: Whether there are biases.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        ValueError: If a size is negative.

    Example:
        >>> GRUCell(3, 5)(torch.zeros(2, 3)).shape
        torch.Size([2, 5])

    Source: Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder". Chapter: recurrent.
    """

    gates = 3

    def forward(self, input: Row, hx: State | None = None) -> State:
        """The next state; ``hx`` is the one before, zero when left out."""
        inputs = self._inputs(input, self.bias_ih)
        hidden, *_ = gru_step(inputs, self._state("hx", hx, input), self.weight_hh, self.bias_hh)
        return hidden.view(*input.shape[:-1], self.hidden_size)
