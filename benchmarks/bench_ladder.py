"""One epoch of each dense rung of the digit ladder, beside the published procedure: numpy, one example after another.

Both learn from the same random numbers of MNIST's shape, as the time does not depend on what they show. The published
procedure has no dropout and bends no pictures; what ours does beyond it counts against ours.
"""

import torch
from bench_backpropagation import PerExample
from timing import Case

from dlbook.datasets import Examples
from dlbook.ladder import LADDER, Lesson

PUBLISHED_BATCH = 10
DENSE = {
    "hidden30": [784, 30, 10],
    "hidden100": [784, 100, 10],
    "cross_entropy": [784, 100, 10],
    "l2": [784, 100, 10],
    "dropout": [784, 800, 800, 10],
    "elastic": [784, 800, 800, 10],
}


def case(name: str, sizes: list[int], device: torch.device) -> Case:
    examples = 3000 if sizes[1] < 800 else 200
    pictures, targets = torch.rand(examples, 1, 28, 28), torch.randint(10, (examples,))
    lesson = Lesson(Examples(pictures.to(device), targets.to(device)), 0, epochs=1)
    columns = [
        (x.reshape(-1, 1).double().numpy(), y[:, None].double().numpy())
        for x, y in zip(pictures, torch.eye(10)[targets], strict=True)
    ]
    plain = PerExample(sizes)
    return Case(
        f"rung {name}, an epoch",
        f"{sizes}, {examples:,} examples",
        lambda: LADDER[name].learn(lesson),
        lambda: plain.epoch(columns, PUBLISHED_BATCH, 0.5),
        peer_name="np.dot",
        limit=1 / 15,
    )


def cases(device: torch.device) -> list[Case]:
    return [case(name, sizes, device) for name, sizes in DENSE.items()]
