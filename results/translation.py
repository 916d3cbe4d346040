"""Three translators, plain encoder-decoder, attention and Transformer, on number words and on sentences of Tatoeba.

Run ``python results/translation.py [FOLDER]``; it writes ``translation.json`` beside itself after each run, and goes on
from there when it is started again. About half an hour on one core. ``dlbook.datasets`` fetches the
sentences. The weights go to ``FOLDER`` (``translation-weights`` in the user's cache when left out); ``load`` reads them
again, so that the same models can translate other sentences, or by another search.

The number words are those of the chapters, trained by ``fit_translator`` as there. Of Tatoeba come the pairs of at most
12 tokens whose words are all among the 1,496 most frequent of their language. Batches hold sentences of about equal
length. Each model takes the learning rate that did best on validation pairs after one epoch on a quarter of the pairs.
"""

import json
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pooch
import torch
from torch import Tensor, nn

from dlbook import beam_search, datasets, losses, metrics, optimizers, schedules, seq2seq, training
from dlbook.seq2seq import BOS, EOS, PAD

MODELS, SEEDS = ("plain", "attention", "transformer"), (0, 1, 2)
# Number words: as in the chapters; and from fewer pairs in as many steps.
PAIRS, HIGH, NUMBER_TEST, NUMBER_SIZE, NUMBER_EPOCHS = (4000, 2000, 1000, 500), 999_999, 400, 64, 6
# Tatoeba: the pairs of at most so many tokens, all among so many entries of the vocabulary.
MAX_LENGTH, MAX_SIZE, SIZE, EPOCHS, BATCH_SIZE, DROPOUT, MAX_NORM = 12, 1500, 128, 3, 64, 0.1, 1.0
RATES, LONGEST = (0.002, 0.005, 0.012, 0.03), 25
# Beams: of the first so many test sentences; every penalty up to width 16, none beyond.
BEAM_TEST, WIDTHS, PENALTIES, WIDE = 400, (1, 2, 4, 8, 16), (0.0, 0.5, 1.0, 2.0), (32,)
FILE = Path(__file__).with_suffix(".json")


def make(name: str, task: seq2seq.TranslationTask, size: int, dropout: float = 0.0) -> nn.Module:
    """A translator of one of the three kinds."""
    sizes = [len(vocabulary) for vocabulary in task[2:]]
    if name == "transformer":
        return seq2seq.TransformerTranslator(*sizes, size, 4, 1, dropout=dropout)
    attention = {"plain": None, "attention": "dot_product"}[name]
    return seq2seq.Seq2Seq(*sizes, hidden_size=size, attention=attention, dropout=dropout)


@cache
def number_words(pairs: int = PAIRS[0]) -> seq2seq.TranslationTask:
    """The chapters' task, or the same with fewer pairs to learn from."""
    return seq2seq.translation_task(
        datasets.number_words("train", pairs=pairs, high=HIGH, even_lengths=True),
        datasets.number_words("test", pairs=NUMBER_TEST, high=HIGH, even_lengths=True),
    )


@cache
def tatoeba(split: str = "test") -> seq2seq.TranslationTask:
    """Sentences without unknown words, of which ``split`` is held out."""
    train = datasets.tatoeba("train", max_length=MAX_LENGTH)
    vocabularies = seq2seq.translation_task(train, [], max_size=MAX_SIZE)[2:]

    def known(pairs: Iterable) -> list:
        return [
            pair
            for pair in pairs
            if all(word in words for side, words in zip(pair, vocabularies, strict=True) for word in side)
        ]

    return seq2seq.TranslationTask(known(train), known(datasets.tatoeba(split, max_length=MAX_LENGTH)), *vocabularies)


def references(task: seq2seq.TranslationTask) -> dict[tuple[str, ...], list[list[str]]]:
    """All translations of each test sentence."""
    found: dict[tuple[str, ...], list[list[str]]] = {}
    for source, target in task.test:
        found.setdefault(tuple(source), []).append(list(target))
    return found


def by_length(task: seq2seq.TranslationTask, marks: seq2seq.Marks) -> dict[str, dict[str, float]]:
    """Sentences, exact share and BLEU for each length of the source, each different source once."""
    known = references(task)
    found = dict(zip((tuple(source) for source, _ in task.test), marks.translations, strict=True))
    right = dict(zip((tuple(source) for source, _ in task.test), marks.right, strict=True))
    table = {}
    for length in sorted({len(source) for source in known}):
        some = [source for source in known if len(source) == length]
        score = metrics.bleu([found[source] for source in some], [known[source] for source in some]).item()
        exact = sum(right[source] for source in some) / len(some)
        table[str(length)] = {"sentences": len(some), "exact": round(exact, 4), "bleu": round(score, 2)}
    return table


def word_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Nats a word."""
    return losses.cross_entropy(outputs.mT.flatten(0, 1), targets.flatten(), ignore_index=PAD)


@torch.no_grad()
def held_out_loss(model: nn.Module, task: seq2seq.TranslationTask) -> float:
    """Nats a word of the test pairs, each word told the right ones before it."""
    model.eval()
    total = words = 0.0
    for batch in seq2seq.batches(task.test, *task[2:], 256):
        count = (batch.target_out != PAD).sum().item()
        total += word_loss(model(*batch[:2]), batch.target_out).item() * count
        words += count
    return total / words


def train(
    model: nn.Module, task: seq2seq.TranslationTask, epochs: int, lr: float, seed: int, label: str
) -> list[float]:
    """Mean loss of each epoch, in nats a word, while the weights move."""
    optimizer = optimizers.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    steps = epochs * -(-len(task.train) // BATCH_SIZE)
    scheduler = schedules.as_scheduler(optimizer, schedules.one_cycle(max_lr=lr, total_steps=steps))
    means = []
    for epoch in range(epochs):
        model.train()
        found, began = [], time.process_time()
        for batch in seq2seq.batches(task.train, *task[2:], BATCH_SIZE, seed=100 * seed + epoch):
            optimizer.zero_grad()
            loss = word_loss(model(*batch[:2]), batch.target_out)
            loss.backward()
            optimizers.clip_grad_norm_(model.parameters(), MAX_NORM)
            optimizer.step()
            scheduler.step()
            found.append(loss.item())
        means.append(round(sum(found) / len(found), 4))
        print(f"{label} epoch {epoch + 1}: {means[-1]}, {time.process_time() - began:.0f} s", flush=True)
    model.eval()
    return means


def pilot(name: str) -> dict[str, float]:
    """Validation loss of each learning rate after one epoch on a quarter of the pairs."""
    task, found = tatoeba("validation"), {}
    task = task._replace(train=task.train[: len(task.train) // 4], test=task.test[:2000])
    for rate in RATES:
        training.seed_everything(100)
        model = make(name, task, SIZE, DROPOUT)
        train(model, task, 1, rate, 100, f"pilot {name} {rate}")
        found[str(rate)] = round(held_out_loss(model, task), 4)
    return found


def judge(model: nn.Module, task: seq2seq.TranslationTask, samples: Sequence[int]) -> dict[str, Any]:
    """Marks of greedy translations, and some of them with attention's weights."""
    marks = seq2seq.mark_translator(model, task, max_length=LONGEST)
    return {
        "exact": round(marks.exact, 4),
        "bleu": round(marks.bleu, 2),
        "test_loss": round(held_out_loss(model, task), 4),
        "by_length": by_length(task, marks),
        "samples": [sample(model, task, *task.test[i], marks.translations[i]) for i in samples],
    }


@torch.no_grad()
def sample(model: nn.Module, task: seq2seq.TranslationTask, source: list, target: list, written: list) -> dict:
    """A translation, and with attention where each of its words, and its end, looked: rows of weights that sum to 1.

    The Transformer has such a matrix for each head (its one layer has four).
    """
    found: dict[str, Any] = {"source": source, "reference": target, "translation": written}
    if getattr(model, "decoder", None) is not None and model.decoder.attention is None:
        return found
    batch = seq2seq.encode_pairs([(source, written)], *task[2:])
    weights = model(*batch[:2], need_weights=True)[1][0].double()
    weights = weights[0] if weights.ndim == 4 else weights  # of the Transformer's one layer
    return found | {"weights": weights.round(decimals=3).tolist()}


def beams(model: nn.Module, task: seq2seq.TranslationTask) -> list[dict[str, float]]:
    """Marks, mean log-probability and mean length, the end included, of each width and length penalty."""
    some = list(references(task))[:BEAM_TEST]
    task = task._replace(test=[pair for pair in task.test if tuple(pair[0]) in set(some)])
    settings = [(width, penalty) for width in WIDTHS for penalty in PENALTIES] + [(width, 0.0) for width in WIDE]
    found = []
    for width, penalty in settings:
        log_probs, lengths = [], []

        def search(step, state, first, width=width, penalty=penalty, log_probs=log_probs, lengths=lengths):
            best = beam_search.beam_search(
                step, first, state, width=width, max_length=LONGEST, end=EOS, forbidden=(PAD, BOS),
                length_penalty=penalty,
            )  # fmt: skip
            log_probs.extend(best.log_probs[:, 0].tolist())
            lengths.extend(best.lengths[:, 0].tolist())
            return best.tokens[:, 0]

        began = time.process_time()
        marks = seq2seq.mark_translator(model, task, search=search)
        found.append({
            "width": width, "length_penalty": penalty, "exact": round(marks.exact, 4), "bleu": round(marks.bleu, 2),
            "log_prob": round(sum(log_probs) / len(log_probs), 4), "length": round(sum(lengths) / len(lengths), 3),
            "reference_length": round(sum(len(y) + 1 for _, y in task.test) / len(task.test), 3),
            "seconds": round(time.process_time() - began, 1),
        })  # fmt: skip
        print(found[-1], flush=True)
    return found


def chosen(task: seq2seq.TranslationTask) -> list[int]:
    """Test pairs to show: the first two of each source length."""
    places: dict[int, list[int]] = {}
    seen: set[tuple[str, ...]] = set()
    for i, (source, _) in enumerate(task.test):
        if tuple(source) not in seen:
            places.setdefault(len(source), []).append(i)
            seen.add(tuple(source))
    return [i for length in sorted(places) for i in places[length][:2]]


def weights_file(folder: Path, data: str, name: str, seed: int) -> Path:
    """Where a model's weights are."""
    return folder / f"{data}-{name}-{seed}.pt"


def load(name: str, seed: int, folder: Path, data: str = "tatoeba") -> tuple[nn.Module, seq2seq.TranslationTask]:
    """A model that was trained here, and its task."""
    task, size = (tatoeba(), SIZE) if data == "tatoeba" else (number_words(), NUMBER_SIZE)
    model = make(name, task, size, DROPOUT if data == "tatoeba" else 0.0)
    model.load_state_dict(torch.load(weights_file(folder, data, name, seed), weights_only=True))
    return model.eval(), task


def run_number_words(name: str, seed: int, pairs: int, folder: Path) -> dict[str, Any]:
    """One of the chapters' models, trained and judged as there."""
    task = number_words(pairs)
    training.seed_everything(seed)
    model, began = make(name, task, NUMBER_SIZE), time.process_time()
    history = seq2seq.fit_translator(model, task, epochs=NUMBER_EPOCHS * PAIRS[0] // pairs)
    seconds = time.process_time() - began
    if pairs == PAIRS[0]:
        torch.save(model.state_dict(), weights_file(folder, "number_words", name, seed))
    found = {
        "model": name, "seed": seed, "pairs": pairs, "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": round(seconds, 1), "train_loss": [round(v, 4) for v in history["train_loss"]],
    } | judge(model, task, range(12) if seed == 0 and pairs == PAIRS[0] else ())  # fmt: skip
    print("number words", name, seed, pairs, found["exact"], found["bleu"], round(seconds), "s", flush=True)
    return found


def run_tatoeba(name: str, seed: int, lr: float, folder: Path) -> dict[str, Any]:
    """One model on sentences, trained and judged."""
    task = tatoeba()
    training.seed_everything(seed)
    model, began = make(name, task, SIZE, DROPOUT), time.process_time()
    means = train(model, task, EPOCHS, lr, seed, f"tatoeba {name} {seed}")
    seconds = time.process_time() - began
    torch.save(model.state_dict(), weights_file(folder, "tatoeba", name, seed))
    found = {
        "model": name, "seed": seed, "lr": lr, "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": round(seconds, 1), "train_loss": means,
    } | judge(model, task, chosen(task) if seed == 0 else ())  # fmt: skip
    print("tatoeba", name, seed, found["exact"], found["bleu"], round(seconds), "s", flush=True)
    return found


def about() -> dict[str, Any]:
    """What a reader of the file should know."""
    return {
        "script": "results/translation.py", "models": MODELS, "seeds": SEEDS,
        "device": "cpu, one thread; seconds are the processor's",
        "versions": {"python": platform.python_version(), "torch": torch.__version__}, "date": date.today().isoformat(),
        "units": "loss: nats a word, with teacher forcing; bleu: 0 to 100; exact: share of different sources",
        "by_length": "key: words of the source, its end not counted",
        "samples": "weights: a row for each word written and the end, a column for each source word and the end",
        "beams": "log_prob and length: mean of the sentence's sum, and of its words with the end",
    }  # fmt: skip


def main(folder: Path) -> None:
    """Whatever is not yet in the file."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    content = (json.loads(FILE.read_text()) if FILE.exists() else {}) | about()
    content.setdefault("number_words", {
        "data": f"datasets.number_words, high={HIGH}, even_lengths: {PAIRS[0]} training pairs, {NUMBER_TEST} of test",
        "hidden_size": NUMBER_SIZE, "pairs": PAIRS, "runs": [],
        "training": f"fit_translator: {NUMBER_EPOCHS} epochs; with fewer pairs more epochs, as many steps",
    })  # fmt: skip
    content.setdefault("tatoeba", {"pilot": {}, "runs": [], "beams": {}})
    numbers, sentences = content["number_words"], content["tatoeba"]

    def save() -> None:
        FILE.with_suffix(".part").write_text(json.dumps(content, ensure_ascii=False) + "\n")
        FILE.with_suffix(".part").replace(FILE)

    def add_numbers(pairs: int) -> None:
        done = {(found["model"], found["seed"], found["pairs"]) for found in numbers["runs"]}
        for seed in SEEDS:
            for name in MODELS:
                if (name, seed, pairs) not in done:
                    numbers["runs"].append(run_number_words(name, seed, pairs, folder))
                    save()

    def add_sentences(seed: int) -> None:
        done = {(found["model"], found["seed"]) for found in sentences["runs"]}
        for name in MODELS:
            if (name, seed) not in done:
                if name not in sentences["pilot"]:
                    sentences["pilot"][name] = pilot(name)
                    save()
                rates = sentences["pilot"][name]
                best = float(min(rates, key=rates.__getitem__))
                sentences["runs"].append(run_tatoeba(name, seed, best, folder))
                save()

    add_numbers(PAIRS[0])
    task = tatoeba()
    sentences |= {
        "data": f"datasets.tatoeba, at most {MAX_LENGTH} tokens, all among the {MAX_SIZE} entries of each vocabulary",
        "train_pairs": len(task.train), "test_pairs": len(task.test), "test_sentences": len(references(task)),
        "hidden_size": SIZE, "dropout": DROPOUT, "epochs": EPOCHS, "batch_size": BATCH_SIZE, "max_norm": MAX_NORM,
        "optimizer": "AdamW without weight decay, one cycle up to lr",
        "beam_sentences": BEAM_TEST,
    }  # fmt: skip
    add_sentences(SEEDS[0])
    for name in MODELS:
        if name not in sentences["beams"]:
            sentences["beams"][name] = beams(*load(name, SEEDS[0], folder))
            save()
    for seed in SEEDS[1:]:
        add_sentences(seed)
    for pairs in PAIRS[1:]:
        add_numbers(pairs)
    save()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else pooch.os_cache("dlbook") / "translation-weights"))
