"""What a model is made of: for each layer its output's shape, its parameters and its multiply-adds.

Nothing is looked up by a layer's type. The model runs once, on zeros, and every matrix product and convolution that
torch is asked for is counted for the module that asked: so the table holds for any model, and counts what is done.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

# Fused kernels of torch that hold products of several kinds: what they do inside cannot be seen from their operands.
OPAQUE = {
    "_cudnn_rnn",
    "miopen_rnn",
    "mkldnn_rnn_layer",
    "_native_multi_head_attention",
    "_transformer_encoder_layer_fwd",
}


class LayerRow(NamedTuple):
    """One call of a layer: one row of :func:`summary`.

    ``multiply_adds`` is ``None`` where they could not be counted.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int | None


class Summary(NamedTuple):
    """The layers of a model and their totals, as :func:`summary` returns them; it prints as a table.

    Attributes:
        model: The model's class.
        input_size: Shape of each input.
        rows: One for each call of a layer, in order.
        parameters: Number of parameters, those that several layers share counted once.
        multiply_adds: Sum of those that could be counted.
        complete: Whether all could.

    Source: He et al. (2016), table 1, counts multiply-adds so. Chapter: resnet.
    """

    model: str
    input_size: tuple[tuple[int, ...], ...]
    rows: tuple[LayerRow, ...]
    parameters: int
    multiply_adds: int
    complete: bool

    @property
    def _cells(self) -> list[tuple[str, ...]]:
        """The table as text: titles, rows, totals."""
        head = ("layer", "type", "output shape", "parameters", "multiply-adds")
        body = [
            (r.name, r.kind, _product(r.output_shape), f"{r.parameters:,}", _count(r.multiply_adds)) for r in self.rows
        ]
        total = f"{'' if self.complete else '≥ '}{self.multiply_adds:,}"
        return [head, *body, ("total", "", "", f"{self.parameters:,}", total)]

    @property
    def _title(self) -> str:
        return f"{self.model}, input {', '.join(_product(size) for size in self.input_size)}"

    def __str__(self) -> str:
        cells = self._cells
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        sides = "<<<>>"
        lines = ["  ".join(f"{c:{side}{w}}" for c, side, w in zip(row, sides, widths, strict=True)) for row in cells]
        rule = "─" * len(lines[0])
        return "\n".join([self._title, rule, lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def _repr_html_(self) -> str:
        def row(cells: tuple[str, ...], tag: str) -> str:
            sides = ["left"] * 3 + ["right"] * 2
            aligned = zip(cells, sides, strict=True)
            inner = [f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>' for cell, side in aligned]
            return f"<tr>{''.join(inner)}</tr>"

        head, *body, total = self._cells
        return (
            f"<table><caption>{escape(self._title)}</caption><thead>{row(head, 'th')}</thead>"
            f"<tbody>{''.join(row(cells, 'td') for cells in body)}</tbody><tfoot>{row(total, 'td')}</tfoot></table>"
        )


def _product(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def summary(
    model: nn.Module, input_size: Sequence[int] | Sequence[Sequence[int]], dtype: torch.dtype | None = None
) -> Summary:
    """Every layer of a model, with its output's shape, its parameters and its multiply-adds.

    The model runs once, on zeros, in evaluation and without gradients. Its mode, parameters and buffers stay as they
    are. Multiply-adds are those of matrix products and convolutions, the padding's included, as published tables count
    them: norms, activations and pooling do work in proportion to their output, and count 0. A row is a layer without
    parts, or a module with parameters or products of its own.

    Args:
        model: Any module.
        input_size: Shape of the input, batch included; or one for each of the model's inputs.
        dtype: The inputs' dtype, such as ``torch.long`` for indices; the first parameter's when ``None``.

    Returns:
        Rows and totals, which print as a table.

    Raises:
        TypeError: If ``model`` is no module.
        ValueError: If ``input_size`` is no shape and no sequence of shapes.

    Example:
        >>> print(summary(nn.Sequential(nn.Linear(3, 5), nn.ReLU()), (2, 3)))
        Sequential, input 2×3
        ──────────────────────────────────────────────────────
        layer  type    output shape  parameters  multiply-adds
        ──────────────────────────────────────────────────────
        0      Linear  2×5                   20             30
        1      ReLU    2×5                    0              0
        ──────────────────────────────────────────────────────
        total                                20             30

    Source: He et al. (2016), table 1, counts multiply-adds so. Chapter: resnet.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module; got {type(model).__name__}")
    sizes = _sizes(input_size)
    names = {module: name for name, module in model.named_modules()}
    calls = _run(model, names, _zeros(model, sizes, dtype))
    owned = _owned(names, {call.name for call in calls})
    rows = []
    for call in calls:
        parameters = owned.pop(call.name, 0)  # a second call of a layer brings no new parameters
        if call.is_leaf or parameters or call.multiply_adds or call.opaque:
            count = None if call.opaque else call.multiply_adds
            rows.append(LayerRow(call.name, call.kind, call.output_shape, parameters, count))
    return Summary(
        type(model).__name__,
        sizes,
        tuple(rows),
        sum(row.parameters for row in rows),
        sum(call.multiply_adds for call in calls),
        not any(call.opaque for call in calls),
    )


@dataclass
class _Call:
    """A module while it runs, and what it has asked for itself."""

    name: str
    kind: str
    is_leaf: bool
    output_shape: tuple[int, ...] = ()
    multiply_adds: int = 0
    opaque: bool = False


class _Counting(TorchDispatchMode):
    """Sees every operation that reaches torch, and counts it for the innermost module that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.running: list[_Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        output = func(*args, **(kwargs or {}))
        # The underscore at its end says that an operation works in place.
        name = func.overloadpacket.__name__.rstrip("_")
        if self.running:
            self.running[-1].multiply_adds += _multiply_adds(name, args, output)
            self.running[-1].opaque |= name in OPAQUE
        return output


def _multiply_adds(name: str, args: tuple, output: Any) -> int:
    """Multiply-adds of one of torch's operations; 0 where it is no product."""
    if name in ("mm", "bmm"):
        return args[0].numel() * args[1].shape[-1]
    if name in ("addmm", "baddbmm", "addbmm"):
        return args[1].numel() * args[2].shape[-1]
    if name in ("mv", "dot", "vdot"):
        return args[0].numel()
    if name == "addmv":
        return args[1].numel()
    if name == "convolution":
        # A transposed one uses the kernel once for each element of its input, the other for each of its output.
        visited = args[0] if args[6] else output
        return visited.numel() * args[1][0].numel()
    if name.startswith("_scaled_dot_product"):
        query, key = args[:2]
        return key.shape[-2] * (query.numel() + output[0].numel())
    return 0


def _sizes(input_size: Sequence[int] | Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """One shape for each input."""
    listed: Any = list(input_size) if isinstance(input_size, Sequence) else [(None,)]
    sizes = listed if listed and all(isinstance(size, Sequence) for size in listed) else [listed]
    if not all(isinstance(n, int) and n >= 0 for size in sizes for n in size):
        raise ValueError(f"input_size: expected a shape, such as (1, 3, 32, 32), or several; got {input_size!r}")
    return tuple(tuple(size) for size in sizes)


def _zeros(model: nn.Module, sizes: tuple[tuple[int, ...], ...], dtype: torch.dtype | None) -> list[Tensor]:
    """An input of each size, where the model is and of its dtype."""
    tensors = (t for t in chain(model.parameters(), model.buffers()) if t.is_floating_point())
    like = next(tensors, torch.empty(0))
    return [torch.zeros(size, device=like.device, dtype=dtype or like.dtype) for size in sizes]


def _run(model: nn.Module, names: dict[nn.Module, str], inputs: list[Tensor]) -> list[_Call]:
    """Run the model and note every call of a module; afterwards the model is as it was."""
    calls: list[_Call] = []
    counting = _Counting()

    def enter(module: nn.Module, _: Any) -> None:
        calls.append(_Call(names[module], type(module).__name__, not any(module.children())))
        counting.running.append(calls[-1])

    def leave(module: nn.Module, _: Any, output: Any) -> None:
        counting.running.pop().output_shape = _shape(output)

    modes = {module: module.training for module in names}
    # Buffers that a module writes to even in evaluation are copies.
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    hooks = []
    try:
        for module in names:
            module.training = False
            hooks.append(module.register_forward_pre_hook(enter))
            # Always: also where a module fails, and the one around it carries on.
            hooks.append(module.register_forward_hook(leave, always_call=True))
        with torch.no_grad(), counting:
            functional_call(model, buffers, tuple(inputs))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    return calls


def _shape(output: Any) -> tuple[int, ...]:
    """Shape of the output, or of the first tensor in it."""
    if isinstance(output, Tensor):
        return tuple(output.shape)
    parts = output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    return next((shape for part in parts if (shape := _shape(part))), ())


def _owned(names: dict[nn.Module, str], called: set[str]) -> Counter[str]:
    """Parameters of each module that was called, its own and those of the parts that it used without a call."""
    owned: Counter[str] = Counter()
    seen: set[nn.Parameter] = set()
    for module, name in names.items():
        while name not in called:
            name = name.rpartition(".")[0]
        fresh = set(module.parameters(recurse=False)) - seen
        owned[name] += sum(p.numel() for p in fresh)
        seen |= fresh
    return owned
