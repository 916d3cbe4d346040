"""``fit_many`` beside as many runs of ``fit``: one epoch over the handwritten digits, in batches of 32."""

from collections.abc import Callable

import torch
from timing import Case
from torch import nn
from torch.nn.functional import cross_entropy

from dlbook import datasets, normalization, optimizers, training


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def normalized() -> nn.Module:
    norm = normalization.BatchNorm1d(32)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), norm, nn.ReLU(), nn.Linear(32, 10))


def case(
    size: str, make: Callable[[], nn.Module], count: int, rule: type, device: torch.device, **hyper: float
) -> Case:
    train, _ = datasets.digits().to(device)
    models = [make().to(device) for _ in range(count)]
    name = rule.__name__.lower()
    grid = {key: [value] * count for key, value in hyper.items()}

    def together() -> None:
        training.fit_many(models, train, cross_entropy, name, epochs=1, seeds=range(count), **grid)

    def apart() -> None:
        for seed, model in enumerate(models):
            training.seed_everything(seed)
            training.fit(model, train, cross_entropy, rule(model.parameters(), **hyper), epochs=1)

    # Five times faster is the promise for 64 networks; the others show where it comes from and where it ends.
    limit = 0.2 if count == 64 else None
    return Case("fit_many", size, together, apart, peer_name="fit", limit=limit)


def cases(device: torch.device) -> list[Case]:
    sgd, adam = optimizers.SGD, optimizers.AdamW
    return [
        case("64 × [64, 32, 10], SGD", perceptron, 64, sgd, device, lr=0.1, momentum=0.9),
        case("64 × [64, 32, 10], AdamW", perceptron, 64, adam, device, lr=1e-3),
        case("64 × [64, 32, 10] batch norm, AdamW", normalized, 64, adam, device, lr=1e-3),
        case("8 × [64, 32, 10], AdamW", perceptron, 8, adam, device, lr=1e-3),
    ]
