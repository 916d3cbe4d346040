r"""The three recurrences as loops over time, and backpropagation through time derived by hand.

What a step takes from the input, :math:`W_{ih} x_t + b`, does not depend on the step before, so it is computed for all
steps in one matrix product outside the loop; a loop holds only what must wait for :math:`h_{t-1}`. Backwards the same
holds: the loop carries :math:`\partial L / \partial h_t`, and the weights' gradient is one product after it.

Sequences of several lengths lie packed, as in torch's ``PackedSequence``: the steps of all sequences one below the
other, the longest sequence first. A span ``(start, count)`` names the rows of one step. State rows beyond ``count``
belong to sequences that have ended (or, read backwards, have not begun) and stay as they are.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

Spans = tuple[tuple[int, int], ...]


def rnn_step(inputs: Tensor, hidden: Tensor, weight: Tensor, nonlinearity: str) -> Tensor:
    r"""The next state, :math:`h' = \tanh(a)` or :math:`\max(a, 0)` of :math:`a = W_{ih} x + W_{hh} h + b`.

    In all three steps ``inputs`` is what comes from outside, :math:`W_{ih} x` and the biases.
    """
    total = torch.addmm(inputs, hidden, weight.t())
    return total.tanh() if nonlinearity == "tanh" else total.relu()


def lstm_step(
    inputs: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, projection: Tensor | None = None
) -> tuple[Tensor, ...]:
    r"""The next state :math:`h' = o \tanh c'`, the next cell :math:`c' = f c + i g`, and the gates i, f, g and o."""
    i, f, g, o = torch.addmm(inputs, hidden, weight.t()).chunk(4, dim=-1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    cell = torch.addcmul(f * cell, i, g)
    hidden = o * cell.tanh()
    return (hidden if projection is None else hidden @ projection.t()), cell, i, f, g, o


def gru_step(
    inputs: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""The next state, :math:`h' = (1 - z)\,n + z h` with :math:`n = \tanh(W_{in} x + r\,(W_{hn} h + b_{hn}))`.

    Returns:
        The state; the gates :math:`r` and :math:`z`; the candidate :math:`n`; and :math:`W_{hn} h + b_{hn}`.
    """
    own = hidden @ weight.t() if bias is None else torch.addmm(bias, hidden, weight.t())
    size = hidden.shape[-1]
    from_inputs, from_hidden = own.split((2 * size, size), dim=-1)
    gates = (inputs[..., : 2 * size] + from_inputs).sigmoid_()
    reset, update = gates.chunk(2, dim=-1)
    candidate = torch.addcmul(inputs[..., 2 * size :], reset, from_hidden).tanh_()
    return torch.lerp(candidate, hidden, update), gates, candidate, from_hidden.contiguous()


def _replace(state: Tensor, rows: Tensor) -> Tensor:
    """``state`` with its first rows replaced."""
    return rows if len(rows) == len(state) else torch.cat([rows, state[len(rows) :]])


def _before(state: Tensor, after: Tensor, spans: Spans) -> list[Tensor]:
    """The state that each step met, from the first state and the packed states after each step."""
    met = []
    for start, count in spans:
        met.append(state[:count])
        state = _replace(state, after[start : start + count])
    return met


def _pack(steps: list[Tensor], spans: Spans) -> Tensor:
    """Steps in the order of ``spans`` as one packed tensor."""
    order = sorted(range(len(spans)), key=lambda step: spans[step])
    return torch.cat([steps[step] for step in order])


def _keep(ctx: Any, inputs: tuple, output: tuple, results: int) -> None:
    """Keep the operands and the outputs of each step; all but the first ``results`` serve the gradient only."""
    ctx.settings, operands = inputs[0], inputs[1:]
    ctx.operands, ctx.results = len(operands), results
    ctx.mark_non_differentiable(*output[results:])
    ctx.save_for_backward(*operands, output[0], *output[results:])


def _gradients(ctx: Any, scan: Any, grads: tuple[Tensor, ...]) -> tuple:
    """Backpropagation through time, or, for derivatives of higher order, autograd's own walk through the loop."""
    saved = ctx.saved_tensors
    operands, kept, grads = saved[: ctx.operands], saved[ctx.operands :], grads[: ctx.results]
    if torch.is_grad_enabled():
        pull = torch.func.vjp(lambda *x: scan.forward(ctx.settings, *x)[: ctx.results], *operands)[1]
        return None, *pull(grads)
    return None, *scan.through_time(ctx.settings, operands, kept, grads)


class RNNScan(Function):
    """The plain recurrence: ``apply((spans, nonlinearity), inputs, hidden, weight)`` gives outputs and last state."""

    generate_vmap_rule = True

    @staticmethod
    def forward(settings: tuple[Spans, str], inputs: Tensor, hidden: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
        """Walk through the steps, the state in hand."""
        spans, nonlinearity = settings
        outputs = []
        for start, count in spans:
            outputs.append(rnn_step(inputs[start : start + count], hidden[:count], weight, nonlinearity))
            hidden = _replace(hidden, outputs[-1])
        return _pack(outputs, spans), hidden

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep what the gradients need."""
        _keep(ctx, inputs, output, results=2)

    @staticmethod
    def backward(ctx, *grads):
        """The gradients of the operands."""
        return _gradients(ctx, RNNScan, grads)

    @staticmethod
    def through_time(settings, operands, kept, grads):
        r"""Backwards, a step multiplies the gradient by the activation's slope and then by the weights."""
        spans, nonlinearity = settings
        _, hidden, weight = operands
        (outputs,), (by_outputs, by_hidden) = kept, grads
        # Both derivatives can be read off the value: 1 - tanh², and 1 wherever the ReLU is above 0.
        slopes = 1 - outputs * outputs if nonlinearity == "tanh" else (outputs > 0).to(outputs.dtype)
        steps = []
        for start, count in reversed(spans):
            rows = slice(start, start + count)
            steps.append((by_hidden[:count] + by_outputs[rows]) * slopes[rows])
            by_hidden = _replace(by_hidden, steps[-1] @ weight)
        by_inputs = _pack(steps, spans[::-1])
        met = _pack(_before(hidden, outputs, spans), spans)
        return by_inputs, by_hidden, by_inputs.t() @ met


class LSTMScan(Function):
    """Long short-term memory: ``apply(spans, inputs, hidden, cell, weight, [projection])``.

    It gives the outputs and the last state and cell; the rest is for the gradient.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        spans: Spans, inputs: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, *projection: Tensor
    ) -> tuple[Tensor, ...]:
        """Walk through the steps, the state in hand."""
        outputs, cells, gates = [], [], []
        for start, count in spans:
            step = lstm_step(inputs[start : start + count], hidden[:count], cell[:count], weight, *projection)
            outputs.append(step[0])
            cells.append(step[1])
            # The gates stay a list: packing the largest tensors of all would only copy them.
            gates += step[2:]
            hidden, cell = _replace(hidden, step[0]), _replace(cell, step[1])
        return _pack(outputs, spans), hidden, cell, _pack(cells, spans), *gates

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep what the gradients need."""
        _keep(ctx, inputs, output, results=3)

    @staticmethod
    def backward(ctx, *grads):
        """The gradients of the operands."""
        return _gradients(ctx, LSTMScan, grads)

    @staticmethod
    def through_time(spans, operands, kept, grads):
        r"""The cell carries its gradient back through :math:`f` alone; the gates' part goes through :math:`W_{hh}`.

        With :math:`\delta_h = \partial L/\partial h_t` and :math:`\delta_c = \partial L/\partial c_t`:
        :math:`\delta_c \mathrel{+}= \delta_h\, o\,(1 - \tanh^2 c_t)`, and before the activations the gates' gradients
        are :math:`\delta_c\, g\, i(1-i)`, :math:`\delta_c\, c_{t-1} f(1-f)`, :math:`\delta_c\, i\,(1-g^2)` and
        :math:`\delta_h \tanh(c_t)\, o(1-o)`.
        """
        _, hidden, cell, weight, *projection = operands
        outputs, cells, *gates = kept
        by_outputs, by_hidden, by_cell = grads
        met_cells = _before(cell, cells, spans)
        steps, projected = [], []
        for index, (start, count) in reversed(list(enumerate(spans))):
            i, f, g, o = gates[4 * index : 4 * index + 4]
            met, rows = met_cells[index], slice(start, start + count)
            squashed = cells[rows].tanh()
            delta = by_hidden[:count] + by_outputs[rows]
            if projection:
                projected.append(delta.t() @ (o * squashed))
                delta = delta @ projection[0]
            by_met = torch.addcmul(by_cell[:count], delta, o * (1 - squashed * squashed))
            step = (by_met * g * i * (1 - i), by_met * met * f * (1 - f), by_met * i * (1 - g * g))
            steps.append(torch.cat([*step, delta * squashed * o * (1 - o)], dim=-1))
            by_cell = _replace(by_cell, by_met * f)
            by_hidden = _replace(by_hidden, steps[-1] @ weight)
        by_inputs = _pack(steps, spans[::-1])
        met = _pack(_before(hidden, outputs, spans), spans)
        by_projection = [torch.stack(projected).sum(0)] if projection else []
        return by_inputs, by_hidden, by_cell, by_inputs.t() @ met, *by_projection


class GRUScan(Function):
    """Gated recurrent unit: ``apply(spans, inputs, hidden, weight, [bias])`` gives outputs and last state."""

    generate_vmap_rule = True

    @staticmethod
    def forward(spans: Spans, inputs: Tensor, hidden: Tensor, weight: Tensor, *bias: Tensor) -> tuple[Tensor, ...]:
        """Walk through the steps, the state in hand."""
        outputs, kept = [], []
        for start, count in spans:
            output, *values = gru_step(inputs[start : start + count], hidden[:count], weight, *bias)
            outputs.append(output)
            kept += values
            hidden = _replace(hidden, output)
        return _pack(outputs, spans), hidden, *kept

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep what the gradients need."""
        _keep(ctx, inputs, output, results=2)

    @staticmethod
    def backward(ctx, *grads):
        """The gradients of the operands."""
        return _gradients(ctx, GRUScan, grads)

    @staticmethod
    def through_time(spans, operands, kept, grads):
        r"""Part of the gradient goes straight back through :math:`z`, part through the gates.

        Before the activations, with :math:`\delta = \partial L/\partial h_t` and :math:`m = W_{hn} h + b_{hn}`:
        :math:`\delta_n = \delta\,(1-z)(1-n^2)`, :math:`\delta_r = \delta_n\, m\, r(1-r)`,
        :math:`\delta_z = \delta\,(h_{t-1} - n)\, z(1-z)`. The state's own product meets the candidate behind the reset
        gate, so that there it gets :math:`r\,\delta_n`.
        """
        _, hidden, weight, *bias = operands
        (outputs, *kept), (by_outputs, by_hidden) = kept, grads
        met = _before(hidden, outputs, spans)
        by_inputs, by_own = [], []
        for index, (start, count) in reversed(list(enumerate(spans))):
            gates, n, m = kept[3 * index : 3 * index + 3]
            r, z = gates.chunk(2, dim=-1)
            delta = by_hidden[:count] + by_outputs[start : start + count]
            by_n = delta * (1 - z) * (1 - n * n)
            gate_part = torch.cat([by_n * m * r * (1 - r), delta * (met[index] - n) * z * (1 - z)], dim=-1)
            by_inputs.append(torch.cat([gate_part, by_n], dim=-1))
            by_own.append(torch.cat([gate_part, by_n * r], dim=-1))
            by_hidden = _replace(by_hidden, torch.addmm(delta * z, by_own[-1], weight))
        by_own = _pack(by_own, spans[::-1])
        by_bias = [by_own.sum(0)] if bias else []
        return _pack(by_inputs, spans[::-1]), by_hidden, by_own.t() @ _pack(met, spans), *by_bias
