"""Where attention and the Transformer part: fewer pairs, fewer steps, and numbers longer than any in training.

Run ``python results/transformer_translation.py [SEED ...]``; it writes ``transformer_translation.json`` beside itself,
run by run, and goes on where it was interrupted. On the full task (``translation.json``) the two cannot be told apart;
here each condition takes something away. Two minutes on one core.
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
from torch import nn

from dlbook import datasets, seq2seq, training

SEEDS = (0, 1, 2)
MODELS = ("attention", "transformer")
# condition -> (training pairs, their largest number, epochs); a batch is 64 pairs
CONDITIONS = {
    "63 steps": (4000, 999_999, 1),
    "126 steps": (4000, 999_999, 2),
    "250 pairs": (250, 999_999, 47),
    "short numbers": (3000, 9_999, 4),
}
FILE = Path(__file__).with_suffix(".json")


def build(kind: str, source: int, target: int) -> nn.Module:
    """One of the two models, as in the chapters."""
    if kind == "transformer":
        return seq2seq.TransformerTranslator(source, target, 64, 4, 1, dropout=0.0)
    return seq2seq.Seq2Seq(source, target, 64, attention="dot_product")


def run(condition: str, kind: str, seed: int) -> dict:
    """Train one model under one condition; its marks on all numbers, and on short and long ones."""
    pairs, high, epochs = CONDITIONS[condition]
    train = datasets.number_words("train", pairs=pairs, high=high, even_lengths=True)
    test = datasets.number_words("test", pairs=400, high=999_999, even_lengths=True)
    task = seq2seq.translation_task(train, test)
    training.seed_everything(seed)
    model = build(kind, *(len(vocabulary) for vocabulary in task[2:]))
    start = time.process_time()
    history = seq2seq.fit_translator(model, task, epochs=epochs)
    seconds = time.process_time() - start
    short = set(map(tuple, (source for source, _ in datasets.number_words("test", high=9_999))))
    marks = seq2seq.mark_translator(model, task)
    by_length: dict[bool, list[bool]] = {True: [], False: []}
    for (source, _), right in zip(test, marks.right, strict=True):
        by_length[tuple(source) in short].append(right)
    return {
        "condition": condition, "model": kind, "seed": seed,
        "exact": round(marks.exact, 4), "bleu": round(marks.bleu, 2),
        "exact_short": round(sum(by_length[True]) / len(by_length[True]), 4),
        "exact_long": round(sum(by_length[False]) / len(by_length[False]), 4),
        "train_loss": round(history["train_loss"][-1], 5), "seconds": round(seconds, 2),
    }  # fmt: skip


def main(seeds: tuple[int, ...]) -> None:
    """Train what is not there yet, and write after each run."""
    about = {
        "script": "results/transformer_translation.py",
        "data": "number words up to 999,999, lengths in turns; 400 held-out pairs",
        "models": "hidden size or d_model 64, one layer; transformer: 4 heads, no dropout",
        "training": "AdamW, one cycle up to 0.01, batches of 64",
        "conditions": CONDITIONS, "seeds": SEEDS, "device": "cpu, one thread; seconds of processor time",
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "date": date.today().isoformat(),
    }  # fmt: skip
    for seed, condition, kind in product(seeds, CONDITIONS, MODELS):
        if any((r["condition"], r["model"], r["seed"]) == (condition, kind, seed) for r in runs_so_far()):
            continue
        found = run(condition, kind, seed)
        print(found, flush=True)
        _write(json.dumps(about | {"runs": [*runs_so_far(), found]}, indent=1) + "\n")


def runs_so_far() -> list[dict]:
    """What the file holds already; another process may have added to it."""
    return json.loads(FILE.read_text())["runs"] if FILE.exists() else []


def _write(text: str) -> None:
    """All of the file at once: another process may be reading it."""
    part = FILE.with_suffix(f".{os.getpid()}")
    part.write_text(text)
    part.replace(FILE)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(tuple(map(int, sys.argv[1:])) or SEEDS)
