"""Plain and residual networks of 20 and 44 layers on all of Fashion-MNIST, for the chapter "resnet".

Run ``python results/resnet_fashion.py``; it writes ``resnet_fashion.json`` beside itself, after every network, and goes
on from there when it is started again. A quarter of an hour on one core.

The networks are the paper's for small pictures at half the width, behind its stem for large ones, which saves three
quarters of the time. Shortcuts have no weights: a network and its plain twin have the same parameters, and start from
the same numbers.
"""

import json
import platform
import time
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dlbook import convolution, datasets, optimizers, resnet, schedules, training

SEEDS, DEPTHS, KINDS = (0, 1, 2), (20, 44), {"plain": "none", "residual": "padding"}
EPOCHS, BATCH_SIZE, LR, WARM_UP, WEIGHT_DECAY = 3, 250, 0.1, 120, 1e-4
GRADIENT_BATCH, LESION_TEST = 1000, 2000
RECORD = Path(__file__).with_suffix(".json")

Pictures = tuple[Tensor, Tensor]


def network(depth: int, shortcut: str) -> resnet.ResNet:
    """A narrow network whose convolutions and norms are torch's own: the same results in half the time."""
    model = resnet.cifar_resnet(
        depth, in_channels=1, width=8, stem="large", shortcut=shortcut, norm_layer=nn.BatchNorm2d
    )
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, convolution.Conv2d):
                sizes = child.in_channels, child.out_channels, child.kernel_size, child.stride, child.padding
                native = nn.Conv2d(*sizes, bias=False)
                native.weight = child.weight
                setattr(parent, name, native)
    return model.to(memory_format=torch.channels_last)


def gradients(model: resnet.ResNet, batch: Pictures) -> list[float]:
    """Length of the loss's gradient by each convolution's weights, first to last, in training mode.

    The batch's statistics serve, and the running ones stay as they are.
    """
    saved = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()
    weights = [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]
    grads = torch.autograd.grad(cross_entropy(model(batch[0]), batch[1]), weights)
    model.eval()
    model.load_state_dict(saved, strict=False)
    return [float(f"{grad.norm():.4g}") for grad in grads]


def lesions(model: resnet.ResNet, test: Pictures) -> dict[str, float]:
    """Test accuracy with one block after the other taken out; those that change the shape stay."""
    found = {"none": training.evaluate(model, test, cross_entropy)["accuracy"]}
    for number in range(1, model.stages + 1):
        stage = getattr(model, f"layer{number}")
        for place, block in enumerate(stage):
            if number > 1 and place == 0:
                continue
            stage[place] = nn.Identity()
            found[f"{number}.{place}"] = training.evaluate(model, test, cross_entropy)["accuracy"]
            stage[place] = block
    return {name: round(accuracy, 4) for name, accuracy in found.items()}


def run(depth: int, kind: str, seed: int, train: Pictures, test: Pictures) -> dict:
    """Train one network; its losses, gradients and lesions."""
    training.seed_everything(seed)
    model = network(depth, KINDS[kind])
    batch = train[0][:GRADIENT_BATCH], train[1][:GRADIENT_BATCH]
    start, seconds = gradients(model, batch), time.process_time()
    optimizer = optimizers.SGD(model.parameters(), lr=LR, momentum=0.9, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * len(train[1]) // BATCH_SIZE
    rate = schedules.warmup(schedules.cosine(T_max=steps - WARM_UP), WARM_UP)
    history = training.fit(
        model, train, cross_entropy, optimizer, epochs=EPOCHS, batch_size=BATCH_SIZE,
        validation=test, scheduler=schedules.as_scheduler(optimizer, rate),
    )  # fmt: skip
    trained = training.evaluate(model, train, cross_entropy)
    per_epoch = {name: [round(v, 4) for v in values] for name, values in history.items() if "_" in name}
    return {
        "depth": depth,
        "kind": kind,
        "seed": seed,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "per_epoch": {name.replace("validation", "test"): values for name, values in per_epoch.items()},
        "train": {name: round(v, 4) for name, v in trained.items()},
        "test": {name: round(history[f"validation_{name}"][-1], 4) for name in trained},
        "gradients_at_start": start,
        "gradients_at_end": gradients(model, batch),
        "lesions": lesions(model, (test[0][:LESION_TEST], test[1][:LESION_TEST])),
        "seconds": round(time.process_time() - seconds),
    }


def main() -> None:
    """Train every network that the record lacks, and write the record after each."""
    torch.set_num_threads(1)
    splits = datasets.fashion_mnist()
    mean, spread = splits.train.inputs.mean(), splits.train.inputs.std()
    train, test = (((part.inputs - mean) / spread, part.targets) for part in splits)
    runs = json.loads(RECORD.read_text())["runs"] if RECORD.exists() else []
    done = {(r["depth"], r["kind"], r["seed"]) for r in runs}
    for key in [(depth, kind, seed) for seed in SEEDS for depth in DEPTHS for kind in KINDS]:
        if key in done:
            continue
        runs.append(run(*key, train, test))
        print(*key, runs[-1]["train"], runs[-1]["test"], runs[-1]["seconds"], "s", flush=True)
        about = {
            "script": "results/resnet_fashion.py",
            "data": "fashion_mnist, 60,000 training and 10,000 test pictures, standardised, not augmented",
            "network": "cifar_resnet, 8-16-32 channels, stem='large', shortcuts padded with zeros",
            "seeds": SEEDS, "epochs": EPOCHS, "batch_size": BATCH_SIZE,
            "optimizer": f"SGD, momentum 0.9, weight decay {WEIGHT_DECAY}",
            "schedule": f"linear warm-up over {WARM_UP} steps to {LR}, then cosine to 0",
            "per_epoch": "train: mean over the epoch while the weights move; test: after the epoch",
            "gradients": f"norm by each convolution's weights, first {GRADIENT_BATCH} training pictures",
            "lesions": f"accuracy on the first {LESION_TEST} test pictures without the block 'stage.place'",
            "device": "cpu, one thread", "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "date": date.today().isoformat(),
        }  # fmt: skip
        RECORD.write_text(json.dumps(about | {"runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
