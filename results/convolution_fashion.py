"""LeNet and four relatives on all of Fashion-MNIST: what the chapter "convolution" is too short to train.

Run ``python results/convolution_fashion.py``; it writes ``convolution_fashion.json`` beside itself. Ten minutes on one
core.
"""

import json
import platform
from datetime import date
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from dlbook import convolution, datasets, device, optimizers, training

SEEDS, EPOCHS, BATCH_SIZE, LR = (0, 1, 2), 4, 64, 2e-3


def head() -> list[nn.Module]:
    """LeNet's three fully connected layers."""
    return [nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]


def lenet(pool: type[nn.Module]) -> nn.Module:
    """LeNet with ReLU and the pooling of your choice."""
    first = [convolution.Conv2d(1, 6, 5, padding=2), nn.ReLU(), pool(2)]
    return nn.Sequential(*first, convolution.Conv2d(6, 16, 5), nn.ReLU(), pool(2), *head())


def strided() -> nn.Module:
    """No pooling: each convolution itself takes every second position."""
    first = [convolution.Conv2d(1, 6, 5, padding=2, stride=2), nn.ReLU()]
    return nn.Sequential(*first, convolution.Conv2d(6, 16, 5, stride=2), nn.ReLU(), *head())


def learned() -> nn.Module:
    """No pooling: a further convolution, of stride 2, learns how to make the picture smaller."""
    first = [convolution.Conv2d(1, 6, 5, padding=2), nn.ReLU(), convolution.Conv2d(6, 6, 2, stride=2), nn.ReLU()]
    second = [convolution.Conv2d(6, 16, 5), nn.ReLU(), convolution.Conv2d(16, 16, 2, stride=2), nn.ReLU()]
    return nn.Sequential(*first, *second, *head())


def dense() -> nn.Module:
    """No convolution: three fully connected layers."""
    layers = [nn.Linear(784, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    return nn.Sequential(nn.Flatten(), *layers)


NETWORKS = {
    "dense": dense,
    "max": lambda: lenet(convolution.MaxPool2d),
    "average": lambda: lenet(convolution.AvgPool2d),
    "stride": strided,
    "learned": learned,
}


def main() -> None:
    """Train every network with every seed, and write the record."""
    here = device.device()
    train, test = datasets.fashion_mnist().to(here)
    mean, spread = train.inputs.mean(), train.inputs.std()
    train, test = (((part.inputs - mean) / spread, part.targets) for part in (train, test))
    models: dict[str, list[nn.Module]] = {}
    accuracy: dict[str, list[float]] = {}
    sizes: dict[str, int] = {}
    for name, build in NETWORKS.items():
        for seed in SEEDS:
            training.seed_everything(seed)
            model = build().to(here)
            optimizer = optimizers.Adam(model.parameters(), lr=LR)
            training.fit(model, train, cross_entropy, optimizer, epochs=EPOCHS, batch_size=BATCH_SIZE)
            models.setdefault(name, []).append(model)
            accuracy.setdefault(name, []).append(training.evaluate(model, test, cross_entropy)["accuracy"])
            sizes[name] = sum(parameter.numel() for parameter in model.parameters())
            print(name, seed, accuracy[name][-1], flush=True)
    kept = models["max"][0].state_dict()
    record = {
        "script": "results/convolution_fashion.py",
        "data": "fashion_mnist, 60,000 training and 10,000 test pictures",
        "seeds": SEEDS,
        "epochs": EPOCHS,
        "batch_size": BATCH_SIZE,
        "optimizer": f"Adam, lr {LR}",
        "device": str(here),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "date": date.today().isoformat(),
        "test_accuracy": accuracy,
        "parameters": sizes,
        "first_layer": {  # of LeNet with max pooling, first seed: its six filters, row by row, and their biases
            "weight": [[round(w, 4) for w in row] for row in kept["0.weight"].flatten(1).tolist()],
            "bias": [round(b, 4) for b in kept["0.bias"].tolist()],
        },
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
