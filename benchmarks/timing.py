"""One case of the benchmark, and how its ratio is measured.

Ours and the peer run in turn, A B A B ..., in one process; the ratio is the median over the pairs. A machine that
slows down slows both halves of a pair, so the ratio can be trusted where an absolute time cannot.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Case:
    """A kernel beside its peer.

    Attributes:
        kernel: Name in the table.
        size: Problem size in words, such as ``"32×16×28×28, 3×3"``.
        ours: Called with the inputs.
        peer: The same for torch's native, or another peer's, implementation.
        inputs: Tensors; those that require a gradient make the case run backward too.
        peer_name: Whose implementation the peer is.
        compiled: Also measure ``torch.compile(ours)`` against the eager peer.
        limit: The ratio promised, or None: of the eager run for convolutions, attention, recurrent layers and
            optimizers; of the compiled one for what the compiler fuses (activations, losses, normalizations).
    """

    kernel: str
    size: str
    ours: Callable
    peer: Callable
    inputs: tuple = ()
    peer_name: str = "torch"
    compiled: bool = False
    limit: float | None = None
    extra: dict = field(default_factory=dict)


def _runner(function: Callable, inputs: tuple) -> Callable[[], None]:
    """A call that runs forward, and backward where an input wants a gradient."""
    learn = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not learn:
        return lambda: function(*inputs)
    out = function(*inputs)
    out = out if isinstance(out, tuple) else (out,)
    heads = [i for i, o in enumerate(out) if o.requires_grad]
    upstream = [torch.randn_like(out[i]) for i in heads]

    def run() -> None:
        result = function(*inputs)
        result = result if isinstance(result, tuple) else (result,)
        torch.autograd.grad([result[i] for i in heads], learn, upstream)

    return run


def ratio(ours: Callable[[], None], peer: Callable[[], None], seconds: float = 1.5) -> dict:
    """Median ratio of ours to the peer over alternating pairs, with the median milliseconds of both."""

    def once(run: Callable[[], None]) -> float:
        start = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - start

    for _ in range(3):
        once(ours), once(peer)
    pairs: list[tuple[float, float]] = []
    stop = time.perf_counter() + seconds
    while len(pairs) < 7 or (time.perf_counter() < stop and len(pairs) < 300):
        pairs.append((once(ours), once(peer)))
    return {
        "ratio": statistics.median(a / b for a, b in pairs),
        "ours_ms": 1e3 * statistics.median(a for a, _ in pairs),
        "peer_ms": 1e3 * statistics.median(b for _, b in pairs),
        "pairs": len(pairs),
    }


def measure(case: Case) -> dict:
    """All figures of one case: eager, and compiled where the case asks for it."""
    peer = _runner(case.peer, case.inputs)
    row = {
        "kernel": case.kernel,
        "size": case.size,
        "peer": case.peer_name,
        "limit": case.limit,
        **case.extra,
    }
    row["eager"] = ratio(_runner(case.ours, case.inputs), peer)
    if case.compiled:
        torch._dynamo.reset()
        row["compiled"] = ratio(_runner(torch.compile(case.ours, fullgraph=True), case.inputs), peer)
    return row
