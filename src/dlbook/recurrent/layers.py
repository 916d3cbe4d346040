r"""Recurrent layers as ``torch.nn`` modules: the scans, stacked in layers and run in one direction or in both.

Parameter names and layout are torch's, so a ``state_dict`` goes both ways; with the same seed the starting values are
torch's too: uniform over :math:`\pm 1/\sqrt{\text{hidden size}}`.
"""

import warnings
from math import sqrt
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from dlbook._checks import check_ndim, check_option, check_range, check_same, check_tensor, check_whole
from dlbook.recurrent.scans import GRUScan, LSTMScan, RNNScan, Spans

Device = torch.device | str | int | None
State = Float[Tensor, "*layers_and_batch hidden"]
Cell = Float[Tensor, "*layers_and_batch cells"]


class _Recurrent(nn.Module):
    """Parameters of a stack of recurrent layers, and the way of a sequence through them."""

    gates: int
    weight_ih_l0: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _check_sizes(input_size, hidden_size, num_layers, proj_size)
        check_range("dropout", dropout, 0, 1)
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout: it acts between layers, so that dropout={dropout} does nothing with num_layers=1",
                stacklevel=3,
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        for shapes in self._shapes():
            for name, shape in shapes.items():
                self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    @property
    def _output_size(self) -> int:
        return self.proj_size or self.hidden_size

    def _shapes(self) -> list[dict[str, tuple[int, ...]]]:
        """Names and shapes of the parameters of each layer and direction, in torch's order."""
        rows, found = self.gates * self.hidden_size, []
        for layer in range(self.num_layers):
            features = self._output_size * (1 + self.bidirectional) if layer else self.input_size
            for end in (f"l{layer}", f"l{layer}_reverse")[: 1 + self.bidirectional]:
                shapes: dict[str, tuple[int, ...]] = {f"weight_ih_{end}": (rows, features)}
                shapes[f"weight_hh_{end}"] = (rows, self._output_size)
                if self.bias:
                    shapes |= {f"bias_ih_{end}": (rows,), f"bias_hh_{end}": (rows,)}
                if self.proj_size:
                    shapes[f"weight_hr_{end}"] = (self.proj_size, self.hidden_size)
                found.append(shapes)
        return found

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in shapes] for shapes in self._shapes()]

    def reset_parameters(self) -> None:
        """Draw all parameters afresh, uniformly over ±1/√hidden size."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / sqrt(self.hidden_size), 1 / sqrt(self.hidden_size))

    def flatten_parameters(self) -> None:
        """Do nothing: there only because torch's layers have it, where it serves cuDNN."""

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        defaults |= {"bidirectional": False}
        changed = [f"{k}={getattr(self, k)}" for k, default in defaults.items() if getattr(self, k) != default]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])

    def _run(self, input: Any, states: tuple[Tensor, ...] | None) -> tuple[Any, tuple[Tensor, ...]]:
        """Outputs, laid out as the input is, and the last states, from a sequence and the first states."""
        packed = isinstance(input, PackedSequence)
        data = input.data if packed else input
        if isinstance(data, Tensor) and not data.is_meta and torch.is_autocast_enabled(data.device.type):
            # A state that passes through every step is no place for autocast's half precision.
            with torch.autocast(data.device.type, enabled=False):
                full = data.to(self.weight_ih_l0.dtype)
                return self._run(PackedSequence(full, *input[1:]) if packed else full, states)
        self._check_input(data, packed)
        single = not packed and input.ndim == 2
        if single:
            data = data.unsqueeze(1)
        elif self.batch_first and not packed:
            data = data.transpose(0, 1)
        counts = input.batch_sizes.tolist() if packed else [data.shape[1]] * data.shape[0]
        states = self._first_states(data, counts[0] if counts else 0, states, single)
        if packed and input.sorted_indices is not None:
            states = tuple(state.index_select(1, input.sorted_indices) for state in states)
        output, states = self._stack(data if packed else data.flatten(0, 1), counts, states)
        if packed:
            if input.unsorted_indices is not None:
                states = tuple(state.index_select(1, input.unsorted_indices) for state in states)
            return PackedSequence(output, *input[1:]), states
        output = output.unflatten(0, data.shape[:2])
        if single:
            return output.squeeze(1), tuple(state.squeeze(1) for state in states)
        return (output.transpose(0, 1) if self.batch_first else output), states

    def _stack(self, data: Tensor, counts: list[int], states: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The packed steps through all layers."""
        starts = [sum(counts[:step]) for step in range(len(counts))]
        spans = tuple(zip(starts, counts, strict=True))
        last, directions = [], 1 + self.bidirectional
        for number, weights in enumerate(self.all_weights):
            direction = number % directions
            if direction == 0:
                if number and self.dropout:
                    data = functional.dropout(data, self.dropout, self.training)
                outputs = []
            first = tuple(state[number] for state in states)
            output, *ends = self._scan(data, first, weights, spans[::-1] if direction else spans)
            outputs.append(output)
            last.append(ends)
            if direction == directions - 1:
                data = torch.cat(outputs, dim=-1) if self.bidirectional else output
        return data, tuple(torch.stack(ends) for ends in zip(*last, strict=True))

    def _scan(
        self, data: Tensor, states: tuple[Tensor, ...], weights: list[Tensor], spans: Spans
    ) -> tuple[Tensor, ...]:
        """One layer in one direction: outputs and last states."""
        raise NotImplementedError

    def _state_sizes(self) -> tuple[int, ...]:
        """Features of each state."""
        return (self._output_size,)

    def _first_states(
        self, data: Tensor, batch: int, states: tuple[Tensor, ...] | None, single: bool
    ) -> tuple[Tensor, ...]:
        """The states given, checked, with a batch dimension; or zeros."""
        layers = self.num_layers * (1 + self.bidirectional)
        if states is None:
            return tuple(data.new_zeros(layers, batch, size) for size in self._state_sizes())
        for number, (state, size) in enumerate(zip(states, self._state_sizes(), strict=True)):
            name = f"hx[{number}]" if len(states) > 1 else "hx"
            check_tensor(name, state)
            expected = (layers, size) if single else (layers, batch, size)
            if state.shape != expected:
                raise ValueError(f"{name}: expected shape {expected} for this input; got {tuple(state.shape)}")
            check_same(name, state, "input", data)
        return tuple(state.unsqueeze(1) if single else state for state in states)

    def _check_input(self, data: Tensor, packed: bool) -> None:
        check_tensor("input", data)
        form = "(batch, time, features)" if self.batch_first else "(time, batch, features)"
        if packed:
            check_ndim("input", data, (2,), "(steps, features) for packed sequences")
        else:
            check_ndim("input", data, (2, 3), f"{form} or (time, features)")
        if data.shape[-1] != self.input_size:
            raise ValueError(f"input: expected {self.input_size} features, input_size's; got {data.shape[-1]}")
        if data.shape[1 if self.batch_first and data.ndim == 3 else 0] == 0:
            raise ValueError(f"input: expected at least one step; got shape {tuple(data.shape)}")
        check_same("input", data, "the layer's weight", self.weight_ih_l0)


def _check_sizes(input_size: int, hidden_size: int, num_layers: int, proj_size: int) -> None:
    sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
    for name, size in sizes.items():
        if not isinstance(size, int):
            raise TypeError(f"{name}: expected an integer; got {type(size).__name__}")
        check_whole(name, size, 1)
    if not 0 <= proj_size < hidden_size:
        raise ValueError(
            f"proj_size: expected an integer from 0 to hidden_size - 1 = {hidden_size - 1}; got {proj_size!r}"
        )


def _affine(data: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """All steps' products with the input weights at once."""
    return data @ weight.t() if bias is None else torch.addmm(bias, data, weight.t())


class RNN(_Recurrent):
    r"""Plain recurrent layers (Elman's), as ``torch.nn.RNN``.

    .. math:: h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})

    Args:
        input_size: Features of each step's input.
        hidden_size: Features of the state.
        num_layers: Layers; each reads the outputs of the one below.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: Whether there are biases.
        batch_first: Whether a batch is (batch, time, features) instead of (time, batch, features).
        dropout: Chance with which an output between two layers is set to 0 in training.
        bidirectional: Whether a second scan reads each sequence backwards; its outputs stand beside the first's.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        TypeError: If a size is no integer.
        ValueError: If an argument is out of range.

    Example:
        >>> output, hidden = RNN(3, 5, num_layers=2)(torch.zeros(7, 2, 3))
        >>> output.shape, hidden.shape
        (torch.Size([7, 2, 5]), torch.Size([2, 2, 5]))

    Source: Elman (1990), "Finding structure in time". Chapter: recurrent.
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_option("nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )
        self.nonlinearity = nonlinearity

    def forward(
        self, input: Float[Tensor, "*time_and_batch features"] | PackedSequence, hx: State | None = None
    ) -> tuple[Float[Tensor, "*time_and_batch outputs"] | PackedSequence, State]:
        """Outputs of the last layer at every step, and every layer's last state.

        ``input`` may be a batch, one sequence without a batch dimension, or a ``PackedSequence``; ``hx`` is the first
        state, (layers × directions, batch, hidden), zero when left out.
        """
        output, (hidden,) = self._run(input, None if hx is None else (hx,))
        return output, hidden

    def _scan(self, data, states, weights, spans):
        into, own, *biases = weights
        inputs = _affine(data, into, biases[0] + biases[1] if biases else None)
        return RNNScan.apply((spans, self.nonlinearity), inputs, *states, own)


class LSTM(_Recurrent):
    r"""Long short-term memory, as ``torch.nn.LSTM``.

    .. math::

        i, f, o &= \sigma(W x_t + b + U h_{t-1}), \quad g = \tanh(W_g x_t + b_g + U_g h_{t-1}) \\
        c_t &= f c_{t-1} + i g, \qquad h_t = o \tanh c_t

    The cell :math:`c` is carried from step to step with a factor :math:`f` that can stay near 1: along it a gradient
    need not vanish.

    Args:
        input_size: Features of each step's input.
        hidden_size: Features of the cell.
        num_layers: Layers; each reads the outputs of the one below.
        bias: Whether there are biases.
        batch_first: Whether a batch is (batch, time, features) instead of (time, batch, features).
        dropout: Chance with which an output between two layers is set to 0 in training.
        bidirectional: Whether a second scan reads each sequence backwards; its outputs stand beside the first's.
        proj_size: Features to which the state is projected by a learned matrix; 0 for no projection.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        TypeError: If a size is no integer.
        ValueError: If an argument is out of range.

    Example:
        >>> output, (hidden, cell) = LSTM(3, 5, batch_first=True)(torch.zeros(2, 7, 3))
        >>> output.shape, hidden.shape, cell.shape
        (torch.Size([2, 7, 5]), torch.Size([1, 2, 5]), torch.Size([1, 2, 5]))

    Source: Hochreiter and Schmidhuber (1997); the forget gate, Gers et al. (2000); the projection, Sak et al. (2014).
    Chapter: recurrent.
    """

    gates = 4

    def forward(
        self, input: Float[Tensor, "*time_and_batch features"] | PackedSequence, hx: tuple[State, Cell] | None = None
    ) -> tuple[Float[Tensor, "*time_and_batch outputs"] | PackedSequence, tuple[State, Cell]]:
        """Outputs of the last layer at every step, and every layer's last state and cell.

        ``input`` may be a batch, one sequence without a batch dimension, or a ``PackedSequence``; ``hx`` holds the
        first state and cell, (layers × directions, batch, hidden) each, zero when left out.
        """
        if hx is not None and (not isinstance(hx, tuple | list) or len(hx) != 2):
            raise TypeError(f"hx: expected a pair of tensors, state and cell; got {type(hx).__name__}")
        output, (hidden, cell) = self._run(input, hx)
        return output, (hidden, cell)

    def _state_sizes(self):
        return self._output_size, self.hidden_size

    def _scan(self, data, states, weights, spans):
        into, own, *rest = weights
        inputs = _affine(data, into, rest[0] + rest[1] if self.bias else None)
        return LSTMScan.apply(spans, inputs, *states, own, *rest[2 * self.bias :])[:3]


class GRU(_Recurrent):
    r"""Gated recurrent units, as ``torch.nn.GRU``.

    .. math::

        r, z &= \sigma(W x_t + b + U h_{t-1} + b') \\
        n &= \tanh(W_n x_t + b_n + r\,(U_n h_{t-1} + b'_n)), \qquad h_t = (1 - z)\, n + z\, h_{t-1}

    The reset gate :math:`r` acts behind the state's product, as in torch and cuDNN; in the first paper it acts before.

    Args:
        input_size: Features of each step's input.
        hidden_size: Features of the state.
        num_layers: Layers; each reads the outputs of the one below.
        bias: Whether there are biases.
        batch_first: Whether a batch is (batch, time, features) instead of (time, batch, features).
        dropout: Chance with which an output between two layers is set to 0 in training.
        bidirectional: Whether a second scan reads each sequence backwards; its outputs stand beside the first's.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        TypeError: If a size is no integer.
        ValueError: If an argument is out of range.

    Example:
        >>> output, hidden = GRU(3, 5, bidirectional=True)(torch.zeros(7, 2, 3))
        >>> output.shape, hidden.shape
        (torch.Size([7, 2, 10]), torch.Size([2, 2, 5]))

    Source: Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder". Chapter: recurrent.
    """

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )

    def forward(
        self, input: Float[Tensor, "*time_and_batch features"] | PackedSequence, hx: State | None = None
    ) -> tuple[Float[Tensor, "*time_and_batch outputs"] | PackedSequence, State]:
        """Outputs of the last layer at every step, and every layer's last state; arguments as ``RNN``'s."""
        output, (hidden,) = self._run(input, None if hx is None else (hx,))
        return output, hidden

    def _scan(self, data, states, weights, spans):
        into, own, *biases = weights
        inputs = _affine(data, into, biases[0] if biases else None)
        return GRUScan.apply(spans, inputs, *states, own, *biases[1:])[:2]
