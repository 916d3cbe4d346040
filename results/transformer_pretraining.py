"""Pretraining in miniature: a model reads counting in two languages, then learns to translate from few pairs.

Run ``python results/transformer_pretraining.py [SEED ...]``; it writes ``transformer_pretraining.json`` beside itself,
seed by seed, and leaves out what is there. The counting holds no pair, and no number that is translated in the test.
Each model is then trained on 30, 100 or 300 pairs with as many steps, from the pretrained weights or from fresh ones.
Two minutes on one core.
"""

import json
import os
import platform
import sys
import time
from datetime import date
from pathlib import Path

import torch
from torch import Tensor

from dlbook import datasets, losses, optimizers, schedules, training
from dlbook.datasets import spell_number
from dlbook.seq2seq import PAD, Vocabulary
from dlbook.transformer import KeyValueCache, LanguageModel

SEEDS, PAIRS = (0, 1, 2), (30, 100, 300)
SIZES = {"d_model": 64, "nhead": 4, "num_layers": 2, "dropout": 0.0}
PRETRAINING, FINE_TUNING = 12, 8  # epochs: 540 and 152 steps
HIGH, EXAMPLES, LR = 999, 300, 3e-3
FILE = Path(__file__).with_suffix(".json")


def words(number: int, language: str) -> list[str]:
    """A number as tokens."""
    return spell_number(number, language).replace("-", " ").split()


def counting(language: str, held_out: set[int]) -> list[list[str]]:
    """Three numbers in a row, for all that touch no held-out number."""
    rows = []
    for first in range(HIGH - 1):
        run = range(first, first + 3)
        if not held_out.intersection(run):
            rows.append([token for number in run for token in [*words(number, language), ","]][:-1])
    return rows


def examples(vocabulary: Vocabulary, texts: list[list[str]], given: list[int] | None = None) -> tuple[Tensor, Tensor]:
    """Inputs, and the next tokens as targets; the first ``given`` of each text are no targets."""
    rows = vocabulary.encode_batch(texts, bos=True, eos=True)
    inputs, targets = rows[:, :-1].contiguous(), rows[:, 1:].clone()
    for row, count in zip(targets, given or [], strict=False):
        row[:count] = PAD
    return inputs, targets


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the next token; padding is no target."""
    return losses.cross_entropy(outputs, targets, ignore_index=PAD)


@torch.no_grad()
def write(model: LanguageModel, vocabulary: Vocabulary, prompts: list[list[str]], length: int = 9) -> list[list[str]]:
    """What a model writes after each prompt, the most likely token at each step."""
    written: dict[int, list[str]] = {}
    by_length: dict[int, list[int]] = {}
    for i, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(i)
    for rows in by_length.values():
        tokens, cache = vocabulary.encode_batch([prompts[i] for i in rows], bos=True), KeyValueCache()
        found = []
        for _ in range(length):
            log_probs, cache = model.step(tokens, cache)
            tokens = log_probs.argmax(-1, keepdim=True)
            found.append(tokens)
        written |= zip(rows, vocabulary.decode_batch(torch.cat(found, 1)), strict=True)
    return [written[i] for i in range(len(prompts))]


def fit(model: LanguageModel, data: tuple[Tensor, Tensor], epochs: int) -> list[float]:
    """One cycle of AdamW; the mean loss of each epoch."""
    optimizer = optimizers.AdamW(model.parameters(), lr=LR, weight_decay=0.0)
    cycle = schedules.one_cycle(LR, epochs * -(-len(data[0]) // 32))
    scheduler = schedules.as_scheduler(optimizer, cycle)
    return training.fit(model, data, loss, optimizer, epochs=epochs, batch_size=32, scheduler=scheduler)["train_loss"]


def main(seeds: tuple[int, ...]) -> None:
    """Train what is not there yet, and write after each seed."""
    pairs = datasets.number_words("train", high=HIGH)
    test = datasets.number_words("test", high=HIGH)
    number_of = {tuple(words(number, "english")): number for number in range(HIGH + 1)}
    held_out = {number_of[tuple(source)] for source, _ in test}
    text = counting("english", held_out) + counting("french", held_out)
    vocabulary = Vocabulary([*text, ["="]])
    taught = examples(vocabulary, [[*s, "=", *t] for s, t in pairs], [len(s) + 1 for s, _ in pairs])
    prompts, answers = [[*s, "="] for s, _ in test], [list(t) for _, t in test]
    for seed in seeds:
        if any(run["seed"] == seed for run in so_far("runs")):
            continue
        runs, pretraining = [], []
        training.seed_everything(seed)
        base = LanguageModel(len(vocabulary), **SIZES)
        start = time.process_time()
        curve = fit(base, examples(vocabulary, text), PRETRAINING)
        pretraining.append({"seed": seed, "loss": curve, "seconds": round(time.process_time() - start, 1)})
        nets, rows, kinds = [], [], []
        for count in PAIRS:
            chosen = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))[:count]
            for start_from in ("fresh", "pretrained", "frozen"):
                torch.manual_seed(100 + seed)
                net = LanguageModel(len(vocabulary), **SIZES)
                if start_from != "fresh":
                    net.load_state_dict(base.state_dict())
                nets.append(net)
                rows.append(chosen.repeat(-(-EXAMPLES // count))[:EXAMPLES])
                kinds.append((count, start_from))
        for frozen in (False, True):
            group = [i for i, (_, kind) in enumerate(kinds) if (kind == "frozen") == frozen]
            if frozen:  # all but the output layer, as a fixed set of features
                for i in group:
                    nets[i].requires_grad_(False)
                    nets[i].output.requires_grad_(True)
            training.fit_many(
                [nets[i] for i in group], taught, loss, "adamw", epochs=FINE_TUNING, batch_size=16,
                rows=torch.stack([rows[i] for i in group]), seeds=seed, lr=LR, weight_decay=0.0,
                schedule=schedules.one_cycle(LR, FINE_TUNING * -(-EXAMPLES // 16)),
            )  # fmt: skip
        for net, (count, kind) in zip(nets, kinds, strict=True):
            found = write(net, vocabulary, prompts)
            exact = sum(a == b for a, b in zip(found, answers, strict=True)) / len(answers)
            runs.append({"pairs": count, "start": kind, "seed": seed, "exact": round(exact, 4)})
            print(runs[-1], flush=True)
        about = {
            "script": "results/transformer_pretraining.py",
            "data": f"counting below {HIGH + 1} in English and French: {len(text)} texts; {len(test)} held-out pairs",
            "tokens": sum(map(len, text)), "test": len(test),
            "model": SIZES, "seeds": SEEDS, "device": "cpu, one thread; seconds of processor time",
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "date": date.today().isoformat(),
        }  # fmt: skip
        found = {"pretraining": so_far("pretraining") + pretraining, "runs": so_far("runs") + runs}
        _write(json.dumps(about | found, indent=1) + "\n")


def so_far(part: str) -> list[dict]:
    """What the file holds already; another process may have added to it."""
    return json.loads(FILE.read_text())[part] if FILE.exists() else []


def _write(text: str) -> None:
    """All of the file at once: another process may be reading it."""
    part = FILE.with_suffix(f".{os.getpid()}")
    part.write_text(text)
    part.replace(FILE)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(tuple(map(int, sys.argv[1:])) or SEEDS)
