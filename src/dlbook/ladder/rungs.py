"""What a rung is, and the rungs that do not know which pixels are neighbours."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlbook import optimizers, schedules, training
from dlbook._progress import progress_bar
from dlbook.backpropagation import Network
from dlbook.datasets import Examples
from dlbook.losses import cross_entropy

Pictures = Float[Tensor, "batch 1 height width"]
Predict = Callable[[Tensor], Tensor]
Augment = Callable[[Tensor], Tensor]
CLASSES = 10


class Lesson(NamedTuple):
    """What a rung is given.

    Attributes:
        train: The examples to learn from, on the device to learn on.
        seed: Settles all that is random.
        folder: Where long trainings keep checkpoints from which they go on; None for nowhere.
        epochs: Passes over the training examples; the rung's own number for None.
    """

    train: Examples
    seed: int
    folder: Path | None = None
    epochs: int | None = None


class Learned(NamedTuple):
    """What a rung gives back.

    Attributes:
        predict: From pictures to ten scores a picture, the largest for its answer.
        epochs: Passes over the training examples.
        seconds: Time of training, those before an interruption included.
    """

    predict: Predict
    epochs: int
    seconds: float


class Rung(NamedTuple):
    """One step of the ladder.

    Attributes:
        title: What is new, in a few words.
        published: The published share of right answers on MNIST's test set, in per cent; None if there is none.
        learn: From a lesson to what was learned.
        seeded: Whether chance plays a part; where it does not, one run is enough.
        data: The data set's name in ``datasets``.
        beside: Whether it is no step of the ladder, but a comparison.
    """

    title: str
    published: float | None
    learn: Callable[[Lesson], Learned]
    seeded: bool = True
    data: str = "mnist"
    beside: bool = False


def mean_darkness(lesson: Lesson) -> Learned:
    """The digit whose training pictures are on average about as dark as this one."""
    start = time.perf_counter()
    inputs, targets = lesson.train
    darkness = inputs.flatten(1).mean(1)
    means = torch.stack([darkness[targets == digit].mean() for digit in range(CLASSES)])
    return Learned(lambda x: -(x.flatten(1).mean(1, keepdim=True) - means).abs(), 1, time.perf_counter() - start)


def support_vectors(lesson: Lesson) -> Learned:
    """scikit-learn's support vector machine with a Gaussian kernel: what a network has to beat."""
    from sklearn.svm import SVC  # a second to import, and only this rung needs it

    start = time.perf_counter()
    inputs, targets = lesson.train
    machine = SVC(C=5.0, gamma=0.03, cache_size=2000)  # type: ignore[arg-type]
    machine.fit(inputs.flatten(1).cpu().numpy(), targets.cpu().numpy())
    seconds = time.perf_counter() - start

    def predict(x: Tensor) -> Tensor:
        answers = torch.from_numpy(machine.predict(x.flatten(1).cpu().numpy()))
        return nn.functional.one_hot(answers, CLASSES).to(x)

    return Learned(predict, 1, seconds)


def sigmoid_network(
    hidden: int,
    cost: str,
    *,
    epochs: int,
    lr: float,
    batch_size: int = 30,
    l2: float = 0.0,
    wide_start: bool = False,
) -> Callable[[Lesson], Learned]:
    """A rung of one hidden layer of sigmoids and plain gradient descent, by ``backpropagation.Network``.

    Args:
        hidden: Hidden units.
        cost: ``"quadratic"`` or ``"cross_entropy"``.
        epochs: Passes over the training examples.
        lr: Learning rate at the start; it falls to zero along a cosine.
        batch_size: Examples a step.
        l2: The factor λ of the penalty λ/2n times the sum of squared weights, for n training examples.
        wide_start: Whether all weights start with standard deviation 1, instead of one over the root of the inputs.
    """

    @torch.no_grad()
    def learn(lesson: Lesson) -> Learned:
        start, passes = time.perf_counter(), lesson.epochs or epochs
        inputs, targets = lesson.train
        pixels, generator = inputs.flatten(1), torch.Generator().manual_seed(lesson.seed)
        network = Network([pixels.shape[1], hidden, CLASSES], cost=cost, generator=generator).to(pixels.device)
        if wide_start:
            for weight in network.weights:
                weight.copy_(torch.randn(weight.shape, generator=generator))
        wanted = nn.functional.one_hot(targets, CLASSES).to(pixels)
        steps = passes * math.ceil(len(pixels) / batch_size)
        falling = schedules.cosine(T_max=steps)
        with progress_bar(steps, "training", unit="batch") as bar:
            orders = (torch.randperm(len(pixels), generator=generator) for _ in range(passes))
            batches = (rows for order in orders for rows in order.to(pixels.device).split(batch_size))
            for step, rows in enumerate(batches):
                network.step(pixels[rows], wanted[rows], falling(step, lr), weight_decay=l2 / len(pixels))
                bar.update()
        return Learned(lambda x: network(x.flatten(1)), passes, time.perf_counter() - start)

    return learn


def trained(
    make: Callable[[], nn.Module],
    *,
    epochs: int,
    lr: float,
    batch_size: int = 100,
    weight_decay: float = 0.0,
    augment: Augment | None = None,
    name: str,
) -> Callable[[Lesson], Learned]:
    """A rung that trains a module by cross-entropy, AdamW and one cycle of the learning rate.

    Args:
        make: Makes the module, from pictures to logits.
        epochs: Passes over the training examples.
        lr: Highest learning rate.
        batch_size: Examples a step.
        weight_decay: AdamW's.
        augment: Alters each batch of training pictures.
        name: Names the checkpoint.
    """

    def learn(lesson: Lesson) -> Learned:
        passes, steps = lesson.epochs or epochs, math.ceil(len(lesson.train.targets) / batch_size)
        training.seed_everything(lesson.seed)
        model = make().to(lesson.train.inputs.device)
        if augment is not None:
            model.register_forward_pre_hook(_while_training(augment))
        optimizer = optimizers.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
        cycle = schedules.one_cycle(max_lr=lr, total_steps=passes * steps)
        history = training.fit(
            model,
            lesson.train,
            cross_entropy,
            optimizer,
            epochs=passes,
            batch_size=batch_size,
            scheduler=schedules.as_scheduler(optimizer, cycle),
            checkpoint=lesson.folder and lesson.folder / f"{name}-{lesson.seed}.pt",
        )
        return Learned(predictor([model]), passes, sum(history["seconds"]))

    return learn


def _while_training(augment: Augment) -> Callable[[nn.Module, tuple[Tensor]], tuple[Tensor]]:
    """A hook that alters what a module is given, in training mode only."""
    return lambda module, given: (augment(given[0]),) if module.training else given


def predictor(models: Sequence[nn.Module], batch_size: int = 500) -> Predict:
    """Mean probabilities of models, in batches and without gradients."""

    @torch.no_grad()
    def predict(x: Tensor) -> Tensor:
        for model in models:
            model.eval()
        return torch.cat([
            torch.stack([model(some).softmax(-1) for model in models]).mean(0) for some in x.split(batch_size)
        ])  # fmt: skip

    return predict
