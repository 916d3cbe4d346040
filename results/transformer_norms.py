"""Post-norm against pre-norm: depth, learning rate, warm-up and seed; the networks of a depth train as one.

Run ``python results/transformer_norms.py [DEPTH ...]``; it writes ``transformer_norms.json`` beside itself, depth by
depth, and goes on where it was interrupted. The task is to count: after "forty one ," comes "forty two". Five minutes
on one core.
"""

import json
import os
import platform
import sys
import time
from datetime import date
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from dlbook import losses, schedules, training
from dlbook.datasets import spell_number
from dlbook.seq2seq import PAD, Vocabulary
from dlbook.transformer import LanguageModel

SEEDS, DEPTHS = (0, 1, 2), (2, 6, 12)
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
STEPS, WARMUPS = 152, (0, 50)
SIZES = {"d_model": 32, "nhead": 4, "dim_feedforward": 64, "dropout": 0.0}
FILE = Path(__file__).with_suffix(".json")


def counting() -> tuple[Vocabulary, tuple[Tensor, Tensor]]:
    """The numbers below 100, each with the one after it, as inputs and next tokens."""

    def words(number: int) -> list[str]:
        return spell_number(number).replace("-", " ").split()

    texts = [[*words(number), ",", *words(number + 1)] for number in range(100)]
    vocabulary = Vocabulary(texts)
    rows = vocabulary.encode_batch(texts, bos=True, eos=True)
    return vocabulary, (rows[:, :-1].contiguous(), rows[:, 1:].contiguous())


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the next token; padding is no target."""
    return losses.cross_entropy(outputs, targets, ignore_index=PAD)


def losses_so_far() -> dict[str, list]:
    """What the file holds already; another process may have added to it."""
    return json.loads(FILE.read_text())["loss"] if FILE.exists() else {}


def main(depths: tuple[int, ...]) -> None:
    """Train what is not there yet, and write after each program."""
    vocabulary, data = counting()
    settings = list(product(WARMUPS, RATES, SEEDS))
    for depth, norm in product(depths, ("post", "pre")):
        if f"{norm} {depth}" in losses_so_far():
            continue
        networks = []
        for _, _, seed in settings:
            torch.manual_seed(seed)
            networks.append(LanguageModel(len(vocabulary), num_layers=depth, norm_first=norm == "pre", **SIZES))
        ramps = [
            schedules.warmup(schedules.constant(), steps) if steps else schedules.constant() for steps, _, _ in settings
        ]
        start = time.process_time()
        history = training.fit_many(
            networks, data, loss, "adam", epochs=STEPS // 4, batch_size=25,
            seeds=[seed for _, _, seed in settings], lr=[rate for _, rate, _ in settings], schedule=ramps,
        )  # fmt: skip
        curves = history["train_loss"].T.reshape(len(WARMUPS), len(RATES), len(SEEDS), -1)
        rounded = [[[[round(x, 3) for x in c] for c in b] for b in a] for a in curves.tolist()]
        print(norm, depth, round(time.process_time() - start), curves[..., -1].mean(-1).tolist(), flush=True)
        about = {
            "script": "results/transformer_norms.py",
            "data": "counting in English below 100: pairs of neighbours, every pair in training",
            "axes": "norm and depth; warm-up, learning rate, seed, epoch of four steps",
            "warmups": WARMUPS, "rates": RATES, "seeds": SEEDS, "depths": DEPTHS, "steps": STEPS, "model": SIZES,
            "optimizer": "adam, constant rate after the warm-up, batches of 25",
            "device": "cpu, one thread",
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "date": date.today().isoformat(),
        }  # fmt: skip
        _write(json.dumps(about | {"loss": losses_so_far() | {f"{norm} {depth}": rounded}}) + "\n")


def _write(text: str) -> None:
    """All of the file at once: another process may be reading it."""
    part = FILE.with_suffix(f".{os.getpid()}")
    part.write_text(text)
    part.replace(FILE)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(tuple(map(int, sys.argv[1:])) or DEPTHS)
