"""What helps a plain encoder-decoder: a larger state, more steps, a source turned round, its own words in training.

Run ``python results/seq2seq_bottleneck.py``; it writes ``seq2seq_bottleneck.json`` beside itself after each run, and
goes on from there when it is started again. Ten minutes on one core. The task and the training are the chapters':
number words, ``fit_translator``; each run differs from the plain model in one thing. ``words`` says how many words of
Tatoeba vocabularies of several sizes know (``dlbook.datasets`` fetches the sentences).
"""

import json
import platform
import time
from collections import Counter
from datetime import date
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from translation import MAX_LENGTH, NUMBER_EPOCHS, NUMBER_SIZE, SEEDS, by_length, held_out_loss, number_words

from dlbook import datasets, seq2seq, training

FILE = Path(__file__).with_suffix(".json")
VOCABULARIES = (250, 500, 1000, 1500, 2000, 4000, 8000, 16000)
# Each setting: what it changes, and to what.
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "own words, annealed": {"forcing": "annealed"},
    "24 epochs": {"epochs": 24},
    "reversed": {"reverse": True},
    "hidden 16": {"size": 16},
    "hidden 32": {"size": 32},
    "hidden 128": {"size": 128},
    "hidden 256": {"size": 256},
    "12 epochs": {"epochs": 12},
    "bidirectional": {"bidirectional": True},
    "own words, half": {"forcing": 0.5},
    "own words, quarter": {"forcing": 0.75},
}


class OwnWords(nn.Module):
    """A translator that reads its own words in training, with a fixed chance or more and more often."""

    def __init__(self, model: nn.Module, forcing: float | str, steps: int) -> None:
        super().__init__()
        self.model, self.forcing, self.steps, self.done = model, forcing, steps, 0

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        """Log-probabilities of the words of a batch."""
        share = 1 - self.done / self.steps if self.forcing == "annealed" else self.forcing
        self.done += 1
        return seq2seq.scheduled_sampling(self.model, source, target_in, share)


def run(name: str, seed: int) -> dict[str, Any]:
    """One encoder-decoder, trained and judged."""
    setting, task = SETTINGS[name], number_words()
    if setting.get("reverse"):
        turned = ([(source[::-1], target) for source, target in pairs] for pairs in task[:2])
        task = seq2seq.TranslationTask(*turned, *task[2:])
    sizes = [len(vocabulary) for vocabulary in task[2:]]
    epochs, began = setting.get("epochs", NUMBER_EPOCHS), time.process_time()
    training.seed_everything(seed)
    model = seq2seq.Seq2Seq(
        *sizes, hidden_size=setting.get("size", NUMBER_SIZE), bidirectional=setting.get("bidirectional", False)
    )
    learner: nn.Module = model
    if "forcing" in setting:
        learner = OwnWords(model, setting["forcing"], epochs * -(-len(task.train) // 64))
    history = seq2seq.fit_translator(learner, task, epochs=epochs)
    seconds = time.process_time() - began
    marks = seq2seq.mark_translator(model.eval(), task, max_length=25)
    found = {
        "setting": name, "seed": seed, "parameters": sum(p.numel() for p in model.parameters()),
        "exact": round(marks.exact, 4), "bleu": round(marks.bleu, 2), "test_loss": round(held_out_loss(model, task), 4),
        "train_loss": [round(v, 4) for v in history["train_loss"]], "by_length": by_length(task, marks),
        "seconds": round(seconds, 1),
    }  # fmt: skip
    if name == "plain":
        found["irregular"] = irregular(task, marks)
    print(name, seed, found["exact"], found["bleu"], found["test_loss"], round(seconds), "s", flush=True)
    return found


def irregular(task: seq2seq.TranslationTask, marks: seq2seq.Marks) -> dict[str, list[float]]:
    """Sentences of seven and eight words, with *seventy* or *ninety* and without: how many, and the share exact."""
    found = {}
    for name, wanted in (("with", True), ("without", False)):
        right = [
            marks.right[i]
            for i, (source, _) in enumerate(task.test)
            if len(source) in (7, 8) and bool({"seventy", "ninety"} & set(source)) == wanted
        ]
        found[name] = [len(right), round(sum(right) / len(right), 4)]
    return found


def words() -> dict[str, Any]:
    """What share of words, and of pairs wholly, each vocabulary size knows; counted on training pairs."""
    pairs = datasets.tatoeba("train", max_length=MAX_LENGTH)
    ranks = []
    found: dict[str, Any] = {"pairs": len(pairs), "max_length": MAX_LENGTH, "sizes": VOCABULARIES}
    for side, name in enumerate(("english", "french")):
        counts = Counter(word for pair in pairs for word in pair[side])
        order = sorted(counts, key=lambda word: (-counts[word], word))
        ranks.append({word: rank for rank, word in enumerate(order)})
        sums = list(accumulate(counts[word] for word in order))
        known = [sums[min(size, len(sums)) - 1] / sums[-1] for size in VOCABULARIES]
        found[name] = {"different": len(order), "words_known": [round(share, 4) for share in known]}
    rarest = [max(rank[word] for rank, side in zip(ranks, pair, strict=True) for word in side) for pair in pairs]
    found["pairs_known"] = [round(sum(r < size for r in rarest) / len(pairs), 4) for size in VOCABULARIES]
    return found


def main() -> None:
    """Whatever is not yet in the file."""
    torch.set_num_threads(1)
    content = (json.loads(FILE.read_text()) if FILE.exists() else {}) | {
        "script": "results/seq2seq_bottleneck.py", "seeds": SEEDS, "settings": SETTINGS,
        "plain": {"size": NUMBER_SIZE, "epochs": NUMBER_EPOCHS},
        "task": "number words, as in results/translation.py: 4,000 training pairs, 400 of test",
        "units": "loss: nats a word, with teacher forcing; bleu: 0 to 100; exact: share",
        "device": "cpu, one thread; seconds are the processor's",
        "versions": {"python": platform.python_version(), "torch": torch.__version__}, "date": date.today().isoformat(),
    }  # fmt: skip

    def save() -> None:
        FILE.with_suffix(".part").write_text(json.dumps(content) + "\n")
        FILE.with_suffix(".part").replace(FILE)

    runs = content.setdefault("runs", [])
    done = {(found["setting"], found["seed"]) for found in runs}
    for seed in SEEDS:
        for name in SETTINGS:
            if (name, seed) not in done:
                runs.append(run(name, seed))
                save()
    if "words" not in content:
        content["words"] = words()
    save()


if __name__ == "__main__":
    main()
