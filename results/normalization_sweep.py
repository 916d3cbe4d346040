"""No norm, batch norm and layer norm over learning rates and batch sizes: too many steps for a chapter's 30 seconds.

Run ``python results/normalization_sweep.py``; it writes ``normalization_sweep.json`` beside itself. Each call of
``fit_many`` trains the networks of all rates and seeds of one norm and one batch size as one program. Eight minutes on
one core.
"""

import json
import platform
from datetime import date
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from dlbook import activations, datasets, initialization, losses, normalization, training

SEEDS, EPOCHS = (0, 1, 2, 3, 4), 6
RATES = [round(10 ** (-3 + k / 2), 5) for k in range(9)]
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LAYERS = {"none": nn.Identity, "batch": normalization.BatchNorm1d, "layer": normalization.LayerNorm}
# 1,280 is a multiple of every batch size: no last batch of one example, which batch norm refuses.
TRAINING = 1280


class Network(nn.Module):
    """Three hidden layers of 32 units, each with a norm before its ReLU or after it."""

    def __init__(self, norm: str, after: bool = False) -> None:
        super().__init__()
        sizes = (64, 32, 32, 32)
        self.linears = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(sizes))
        self.norms = nn.ModuleList(LAYERS[norm](m) for m in sizes[1:])
        self.last, self.after = nn.Linear(32, 10), after
        for linear in (*self.linears, self.last):
            initialization.he(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Ten logits for each picture."""
        for linear, norm in zip(self.linears, self.norms, strict=True):
            x = linear(x)
            x = norm(activations.relu(x)) if self.after else activations.relu(norm(x))
        return self.last(x)


def networks(norm: str, after: bool = False) -> list[nn.Module]:
    """One network for each rate and seed; networks of one seed start alike."""
    made = []
    for _ in RATES:
        for seed in SEEDS:
            torch.manual_seed(seed)
            made.append(Network(norm, after))
    return made


@torch.no_grad()
def accuracies(models: list[nn.Module], inputs: Tensor, targets: Tensor) -> list[list[float]]:
    """The share of right answers, a row for each rate and a column for each seed."""
    right = torch.stack([(model(inputs).argmax(-1) == targets).double().mean() for model in models])
    return [[round(share, 4) for share in row] for row in right.reshape(len(RATES), len(SEEDS)).tolist()]


def main() -> None:
    """Train them all and write what came out."""
    data = datasets.digits()
    pictures, labels = data.train.inputs.flatten(1), data.train.targets
    splits = {
        "train": (pictures[:TRAINING], labels[:TRAINING]),
        "held_out": (pictures[TRAINING:], labels[TRAINING:]),
        "test": (data.test.inputs.flatten(1), data.test.targets),
    }
    results: dict[str, dict[str, dict[str, list[list[float]]]]] = {}
    for name, norm, after in (
        ("none", "none", False), ("batch", "batch", False), ("layer", "layer", False), ("batch_after", "batch", True),
    ):  # fmt: skip
        results[name] = {}
        for size in BATCH_SIZES:
            if size == 1 and norm == "batch":
                continue
            models = networks(norm, after)
            rates = [rate for rate in RATES for _ in SEEDS]
            seeds = list(SEEDS) * len(RATES)
            training.fit_many(
                models, splits["train"], losses.cross_entropy, epochs=EPOCHS, batch_size=size, seeds=seeds, lr=rates
            )
            results[name][str(size)] = {split: accuracies(models, *examples) for split, examples in splits.items()}
    about = {
        "script": "results/normalization_sweep.py",
        "data": "digits: 1,280 training, 157 held-out and 360 test pictures",
        "network": "64-32-32-32-10, ReLU, He's initialisation; sgd without momentum",
        "axes": "norm, batch size, split, learning rate, seed",
        "learning_rates": RATES, "batch_sizes": BATCH_SIZES, "seeds": SEEDS, "epochs": EPOCHS,
        "device": "cpu", "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "date": date.today().isoformat(),
    }  # fmt: skip
    text = json.dumps(about | {"accuracy": results})
    Path(__file__).with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()
