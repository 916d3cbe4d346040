"""What was the first symbol? Recurrent networks asked after 5 to 40 steps: too many runs for a chapter's 30 seconds.

Run ``python results/recurrent_lags.py``; it writes ``recurrent_lags.json`` beside itself after each configuration, and
goes on from there when it is started again. ``fit_many`` trains the five seeds of one configuration as one program.
Three minutes on one core.

A sequence begins with one of four symbols and goes on with noise; at its end the network names the symbol. Before any
training the script also measures how much smaller the gradient is at the first step than at the last.
"""

import json
import platform
import time
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn

from dlbook import initialization, losses, neurons, recurrent, training

SEEDS, LAGS = (0, 1, 2, 3, 4), (5, 10, 20, 40)
SYMBOLS, HIDDEN, NOISE, EXAMPLES, BATCH = 4, 16, 0.3, 12_800, 32
# What each is called: the layer, the start of its recurrent weights, what is added to the forget gates' bias.
NETWORKS = {
    "RNN": ("RNN", None, 0.0),
    "RNN, orthogonal": ("RNN", "orthogonal", 0.0),
    "LSTM, forget bias 0": ("LSTM", None, 0.0),
    "LSTM, forget bias 2": ("LSTM", None, 2.0),
    "GRU": ("GRU", None, 0.0),
}
FILE = Path(__file__).with_suffix(".json")


class Reader(nn.Module):
    """Reads a sequence and names its class from the last state."""

    def __init__(self, kind: str, start: str | None, forget_bias: float) -> None:
        super().__init__()
        self.body = getattr(recurrent, kind)(SYMBOLS, HIDDEN, batch_first=True)
        self.head = neurons.Linear(HIDDEN, SYMBOLS)
        with torch.no_grad():
            if start == "orthogonal":
                initialization.orthogonal(self.body.weight_hh_l0)
            if kind == "LSTM":
                self.body.bias_ih_l0[HIDDEN : 2 * HIDDEN] += forget_bias

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the first symbol."""
        return self.head(self.body(x)[0][:, -1])


def examples(lag: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Sequences with ``lag`` steps of noise behind the symbol."""
    generator = torch.Generator().manual_seed(seed)
    symbols = torch.randint(SYMBOLS, (count,), generator=generator)
    inputs = NOISE * torch.randn(count, lag + 1, SYMBOLS, generator=generator)
    inputs[:, 0] = 2 * nn.functional.one_hot(symbols, SYMBOLS)
    return inputs, symbols


def reach(net: Reader, lag: int) -> float:
    """Norm of the loss's gradient by the first input over that by the last one: median over 200 sequences."""
    inputs, symbols = examples(lag, 200, 2)
    inputs.requires_grad_()
    (gradient,) = torch.autograd.grad(losses.cross_entropy(net(inputs), symbols, reduction="sum"), inputs)
    norms = gradient.norm(dim=-1)
    return (norms[:, 0] / norms[:, -1]).median().item()


def main() -> None:
    """Whatever is not yet in the file."""
    torch.set_num_threads(1)
    content = json.loads(FILE.read_text()) if FILE.exists() else {}
    content |= {
        "script": "results/recurrent_lags.py",
        "data": f"one of {SYMBOLS} symbols, then noise of standard deviation {NOISE}; 1,000 test sequences",
        "network": f"{HIDDEN} units, the class read off the last state; Adam, lr 0.01, gradients clipped to norm 1",
        "axes": "configuration, then lag, then seed",
        "lags": LAGS, "seeds": SEEDS, "steps": EXAMPLES // BATCH, "batch_size": BATCH, "hidden": HIDDEN,
        "device": "cpu, one thread", "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "date": date.today().isoformat(),
    }  # fmt: skip
    results = content.setdefault("results", {})
    for name, settings in NETWORKS.items():
        for lag in LAGS:
            if str(lag) in results.setdefault(name, {}):
                continue
            began, nets = time.process_time(), []
            for seed in SEEDS:
                torch.manual_seed(seed)
                nets.append(Reader(*settings))
            reached = [float(f"{reach(net, lag):.4g}") for net in nets]
            history = training.fit_many(
                nets, examples(lag, EXAMPLES, 0), losses.cross_entropy, "adam", epochs=1, batch_size=BATCH,
                validation=examples(lag, 1000, 1), seeds=SEEDS, max_norm=1.0, lr=0.01,
            )  # fmt: skip
            accuracy = [round(share, 4) for share in history["validation_accuracy"][-1].tolist()]
            seconds = round(time.process_time() - began, 1)
            results[name][str(lag)] = {"reach": reached, "accuracy": accuracy, "seconds": seconds}
            print(name, lag, results[name][str(lag)], flush=True)
            FILE.with_suffix(".part").write_text(json.dumps(content) + "\n")
            FILE.with_suffix(".part").replace(FILE)


if __name__ == "__main__":
    main()
