"""Beam width, length penalty and coverage on number words, three seeds: what a chapter can show with one seed only.

Run ``python results/beam_width.py``; it writes ``beam_width.json`` beside itself after each model, and goes on from
there if it is stopped. The plain encoder-decoder is trained once on clean pairs and once on pairs of which a tenth
have lost the end of their translation; one with additive attention on the latter for a single epoch. Two minutes and a
half on one core.
"""

import json
import platform
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlbook import beam_search, datasets, metrics, seq2seq, training
from dlbook.activations import log_softmax

SEEDS, WIDTHS, MAX_LENGTH = (0, 1, 2), (1, 2, 4, 8, 16, 32), 16
ALPHAS, BETAS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0), (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
PATH = Path(__file__).with_suffix(".json")


def cut_short(pairs: list, share: float) -> list:
    """The pairs, some of them with a translation that ends too early."""
    chance = torch.rand(2, len(pairs), generator=torch.Generator().manual_seed(0))
    cut, left = (chance[0] < share).tolist(), chance[1].tolist()
    return [(s, t[: int(left[i] * len(t))] if cut[i] else t) for i, (s, t) in enumerate(pairs)]


class Judge:
    """One model's translations of one part, judged."""

    def __init__(self, model: seq2seq.Seq2Seq, task: seq2seq.TranslationTask, pairs: list) -> None:
        self.model, self.task, self.pairs = model.eval(), task, pairs
        data = seq2seq.encode_pairs(pairs, *task[2:])
        self.start = torch.full((len(pairs),), seq2seq.BOS)
        self.state = model.encode(data.source)
        self.state["attended"] = (data.source == seq2seq.PAD).float()  # padding needs no attention
        said = log_softmax(model(data.source, data.target_in), dim=1).gather(1, data.target_out[:, None])[:, 0]
        self.reference = said.masked_fill(data.target_out == seq2seq.PAD, 0).sum(1)

    def step(self, tokens: Tensor, state: dict) -> tuple[Tensor, dict]:
        """The model's own, which also adds up its attention."""
        attended = state.pop("attended")
        logits, new, weights = self.model.decoder(tokens[:, None], state)
        state["attended"] = attended
        more = 0 if weights is None else weights.squeeze(1)
        return log_softmax(logits.squeeze(1), dim=-1), new | {"attended": attended + more}

    def __call__(self, search: Callable, best: Tensor | None = None, **options: Any) -> dict:
        """One search's marks, its model score and length, and its errors."""
        found = search(self.step, self.start, self.state, max_length=MAX_LENGTH, end=seq2seq.EOS, **options)
        said = self.task.target_vocabulary.decode_batch(found.tokens[:, 0])
        log_probs, right = found.log_probs[:, 0], [a == b for a, (_, b) in zip(said, self.pairs, strict=True)]
        marks = {
            "exact": sum(right) / len(right),
            "bleu": metrics.bleu(said, [[b] for _, b in self.pairs]).item(),
            "log_prob": log_probs.mean().item(),
            "words": sum(map(len, said)) / len(said),
            "reference_likelier": (self.reference > log_probs + 1e-4).double().mean().item(),
        }
        if best is not None:
            marks["missed"] = (log_probs < best - 1e-4).double().mean().item()
        return {k: v for k, v in options.items() if k != "coverage"} | {k: round(v, 4) for k, v in marks.items()}


def penalties(judge: Judge, widths: tuple[int, ...], rules: tuple[str, ...] = ("gnmt",)) -> list[dict]:
    """The length penalty over its exponent."""
    return [
        judge(beam_search.beam_search, width=width, length_penalty=alpha, length_rule=rule)
        for width in widths
        for rule in rules
        for alpha in ALPHAS
    ]


def coverages(judge: Judge, width: int) -> list[dict]:
    """The coverage penalty over its weight."""

    def covering(beta: float) -> Callable:
        return lambda state: beam_search.coverage_penalty(state["attended"], beta)

    return [{"beta": b} | judge(beam_search.beam_search, width=width, coverage=covering(b)) for b in BETAS]


@torch.no_grad()
def judged(model: seq2seq.Seq2Seq, task: seq2seq.TranslationTask, validation: list, attention: bool) -> dict:
    """All that is kept of one model."""
    test = Judge(model, task, list(task.test))
    if attention:  # too unsure after one epoch for a search that is exact
        return {"penalties": penalties(test, (8,)), "coverages": coverages(test, 8)}
    exact = beam_search.exact_search(
        test.step, test.start, test.state, max_length=MAX_LENGTH, end=seq2seq.EOS, max_width=2**15
    )
    best = exact.log_probs[:, 0]
    return {
        "widths": [test(beam_search.beam_search, best, width=width) for width in WIDTHS],
        "sure": test(lambda *args, **options: exact, best),
        "penalties": penalties(test, WIDTHS) + penalties(test, (4,), ("power",)),
        "penalties_validation": penalties(Judge(model, task, validation), (4,), ("gnmt", "power")),
    }


def main() -> None:
    """Train and judge what is not in the file yet."""
    torch.set_num_threads(1)
    parts = {
        name: datasets.number_words(name, pairs=pairs, high=999_999, even_lengths=True)
        for name, pairs in (("train", 4000), ("validation", 400), ("test", 400))
    }
    runs = json.loads(PATH.read_text())["runs"] if PATH.exists() else {}
    for case, share, epochs, attention in (
        ("clean", 0.0, 6, None), ("cut", 0.1, 6, None), ("attention", 0.1, 1, "additive"),
    ):  # fmt: skip
        task = seq2seq.translation_task(cut_short(parts["train"], share), parts["test"])
        sizes = [len(vocabulary) for vocabulary in task[2:]]
        for seed in SEEDS:
            if str(seed) in runs.setdefault(case, {}):
                continue
            clock = time.process_time()
            training.seed_everything(seed)
            model = seq2seq.Seq2Seq(*sizes, hidden_size=64, attention=attention)
            loss = seq2seq.fit_translator(model, task, epochs=epochs)["train_loss"][-1]
            runs[case][str(seed)] = judged(model, task, parts["validation"], attention is not None)
            runs[case][str(seed)] |= {"loss": round(loss, 4), "seconds": round(time.process_time() - clock, 1)}
            print(case, seed, runs[case][str(seed)]["seconds"], "s", flush=True)
            about = {
                "script": "results/beam_width.py",
                "data": "number words up to 999,999, lengths even: 4,000 training, 400 validation, 400 test pairs",
                "models": "GRU encoder-decoder, 64 units; clean, cut: without attention, 6 epochs, a tenth of cut's "
                "translations end early in training; attention: additive, 1 epoch, the same pairs as cut",
                "words": "mean length of the translations; the references' is reference_words",
                "reference_words": sum(len(t) for _, t in parts["test"]) / len(parts["test"]),
                "device": "cpu", "versions": {"python": platform.python_version(), "torch": torch.__version__},
                "date": date.today().isoformat(),
            }  # fmt: skip
            PATH.write_text(json.dumps(about | {"runs": runs}) + "\n")


if __name__ == "__main__":
    main()
