"""What attention's weights say and what they do not, over several seeds; and readers with and without positions.

Run ``python results/attention_probes.py``; it writes ``attention_probes.json`` beside itself. Translators of number
words are trained with each kind of scores, with weights held uniform, and to disagree with another translator's
weights; then their weights are tampered with. Twelve readers turn numbers in words into digits, as one program. Five
minutes on one core. The attention chapter trains one translator and two readers by the same functions.
"""

import argparse
import json
import platform
import time
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dlbook import attention, datasets, losses, optimizers, schedules, seq2seq, training
from dlbook.datasets.numerals import LIMIT, spell_number
from dlbook.seq2seq import PAD

SEEDS = (0, 1, 2)
PAIRS = (1000, 4000)
KINDS = ("dot_product", "additive", "unscaled", "uniform", "contrary")
DIGITS, LONGEST = 4, 8
READERS = ("none", "sinusoidal", "rotary", "causal")
HEADS = (1, 2, 4, 8)
# Test sentences whose weights are kept: 97,289, 280,868, 57,531 and 79,196.
SHOWN = (45, 11, 4, 69)
# Words that may stand for each other: each is replaced by the next of its row.
ROWS = (
    "one two three four five six seven eight nine".split(),
    "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(),
    "twenty thirty forty fifty sixty seventy eighty ninety".split(),
)


# ---- translators -----------------------------------------------------------------------------------------------


def number_task(pairs: int = 4000) -> seq2seq.TranslationTask:
    """Numbers in words, English to French, as in all chapters on translation."""
    splits = (("train", pairs), ("test", 400))
    parts = (datasets.number_words(split, pairs=n, high=LIMIT - 1, even_lengths=True) for split, n in splits)
    return seq2seq.translation_task(*parts)


def translator(task: seq2seq.TranslationTask, kind: str, seed: int) -> seq2seq.Seq2Seq:
    """An untrained translator; ``uniform``'s scores are 0 and stay so, ``unscaled``'s are not divided by the root."""
    training.seed_everything(seed)
    sizes = (len(vocabulary) for vocabulary in task[2:])
    scores = "additive" if kind == "additive" else "dot_product"
    model = seq2seq.Seq2Seq(*sizes, hidden_size=64, attention=scores)
    if kind == "uniform":
        model.decoder.key.weight.requires_grad_(False).zero_()
    if kind == "unscaled":
        model.decoder._look_back = _look_unscaled  # type: ignore[method-assign]
    return model


def _look_unscaled(query: Tensor, state: dict[str, Tensor]) -> Any:
    """Context and weights as the decoder's own, from plain dot products."""
    key, value, mask = state["key"], state["value"], state["mask"].unsqueeze(1)
    return attention.scaled_dot_product_attention(query, key, value, mask, scale=1.0, need_weights=True)


def fit_contrary(model: seq2seq.Seq2Seq, other: seq2seq.Seq2Seq, task: seq2seq.TranslationTask) -> None:
    """Train as ``fit_translator`` does, with a penalty on the share of weight that falls where ``other``'s does."""
    data = seq2seq.encode_pairs(task.train, *task[2:])
    epochs, batch_size, lr = 6, 64, 1e-2
    optimizer = optimizers.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    steps = epochs * -(-len(task.train) // batch_size)
    schedule = schedules.one_cycle(max_lr=lr, total_steps=steps)
    rates = schedules.as_scheduler(optimizer, schedule)
    for _ in range(epochs):
        for rows in torch.randperm(len(task.train)).split(batch_size):
            source, target_in, target_out = (tensor[rows] for tensor in data)
            logits, weights = model(source, target_in, need_weights=True)
            with torch.no_grad():
                _, others = other(source, target_in, need_weights=True)
            shared = torch.minimum(weights, others).sum(-1)[target_out != PAD].mean()
            loss = losses.cross_entropy(logits, target_out, ignore_index=PAD) + shared
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()


class Look:
    """A translator caught at work: all that goes into each of its words.

    Attributes:
        weights: Attention's, (sentences, target, source).
        mask: Where there is a source word, of the same shape.
        hidden: The decoder's state before each word.
        value: The encoder's states.
        said: The word that the translator finds most likely at each place of the reference, and ``probs`` all of them.
        many: Places that count: a word or the end, of a source of more than two tokens.
    """

    @torch.no_grad()
    def __init__(self, model: seq2seq.Seq2Seq, batch: seq2seq.Batch) -> None:
        source, target_in, target_out = batch
        self.decoder, self.tokens = model.decoder, source
        state = model.encode(source)
        self.hidden, _ = self.decoder.recurrent(self.decoder.embedding(target_in), state["hidden"].transpose(0, 1))
        _, self.weights = self.decoder._look_back(self.hidden, state)
        self.value = state["value"]
        self.mask = state["mask"].unsqueeze(1).expand_as(self.weights)
        self.many = (target_out != PAD) & (self.mask.sum(-1) > 2)
        self.probs = self.read_out(self.weights)
        self.said = self.probs.argmax(-1)

    @torch.no_grad()
    def read_out(self, weights: Tensor) -> Tensor:
        """Probabilities of each next word, had the weights been these."""
        both = torch.cat([weights @ self.value, self.hidden], dim=-1)
        return self.decoder.output(torch.tanh(self.decoder.combine(both))).softmax(-1)

    def changed(self, weights: Tensor) -> float:
        """Share of the words that change under other weights."""
        return (self.read_out(weights).argmax(-1) != self.said)[self.many].double().mean().item()


def without(weights: Tensor, place: Tensor) -> Tensor:
    """Weights with one place of each row set to 0, and the rest scaled up to sum to 1."""
    left = weights.scatter(-1, place.unsqueeze(-1), 0.0)
    return left / left.sum(-1, keepdim=True).clamp(min=1e-9)


def random_place(look: Look, generator: torch.Generator, avoid: Tensor) -> Tensor:
    """A source place for each row, drawn from all but one."""
    draw = torch.rand(look.weights.shape, generator=generator).masked_fill(~look.mask, -1.0)
    return draw.scatter(-1, avoid.unsqueeze(-1), -2.0).argmax(-1)


def shuffled(look: Look, generator: torch.Generator) -> Tensor:
    """Each row's weights in random order."""
    draw = torch.rand(look.weights.shape, generator=generator).masked_fill(~look.mask, 2.0)
    return look.weights.gather(-1, draw.argsort(-1))


def tamper(look: Look, seed: int = 0) -> dict[str, float]:
    """Share of words that change when the weights are tampered with in each of four ways."""
    generator = torch.Generator().manual_seed(seed)
    top = look.weights.argmax(-1)
    return {
        "drop_top": look.changed(without(look.weights, top)),
        "drop_random": look.changed(without(look.weights, random_place(look, generator, top))),
        "shuffle": look.changed(shuffled(look, generator)),
        "uniform": look.changed(look.mask / look.mask.sum(-1, keepdim=True)),
    }


def elsewhere(look: Look) -> dict[str, float]:
    """Share of words that could as well have been read from one other place, which had less than 5 % of the weight."""
    same = torch.zeros_like(look.many)
    close = torch.zeros_like(look.many)
    for place in range(look.weights.shape[-1]):
        alone = torch.zeros_like(look.weights)
        alone[..., place] = 1.0
        probs = look.read_out(alone)
        other = look.mask[..., place] & (look.weights[..., place] < 0.05)
        same |= other & (probs.argmax(-1) == look.said)
        close |= other & (0.5 * (probs - look.probs).abs().sum(-1) < 0.1)
    return {"same_word": same[look.many].double().mean().item(), "same_probs": close[look.many].double().mean().item()}


def influence(model: seq2seq.Seq2Seq, task: seq2seq.TranslationTask, batch: seq2seq.Batch) -> Tensor:
    """How far the probabilities of each word move when a source word is replaced by the next of its row.

    Half the sum of absolute differences, (sentences, target, source); NaN for a word that has no substitute.
    """
    vocabulary = task.source_vocabulary
    swap = torch.arange(len(vocabulary))
    for row in ROWS:
        for word, other in zip(row, row[1:] + row[:1], strict=True):
            swap[vocabulary.encode([word])] = vocabulary.encode([other])[0]
    before, moved = Look(model, batch), []
    for place in range(batch.source.shape[1]):
        source = batch.source.clone()
        source[:, place] = swap[source[:, place]]
        after = Look(model, batch._replace(source=source))
        shift = 0.5 * (after.probs - before.probs).abs().sum(-1)
        same = source[:, place] == batch.source[:, place]
        moved.append(shift.masked_fill(same.unsqueeze(1), torch.nan))
    return torch.stack(moved, dim=-1)


def pointing(look: Look, moved: Tensor) -> dict[str, float]:
    """Where one source word decides a word: how often the largest weight is on it, or on the place after it."""
    strongest = moved.nan_to_num(-1.0).max(-1)
    decided = look.many & (strongest.values > 0.5)
    offset = (look.weights.argmax(-1) - strongest.indices)[decided]
    share = {f"offset_{k}": (offset == k).double().mean().item() for k in (-1, 0, 1, 2)}
    at = look.weights.gather(-1, strongest.indices.unsqueeze(-1)).squeeze(-1)[decided]
    return share | {
        "decided": decided.sum().item() / look.many.sum().item(),
        "weight": at.mean().item(),
        "ignored": (at < 0.05).double().mean().item(),
    }


def sharpness(look: Look) -> dict[str, float]:
    """Mean largest weight, and mean entropy as a share of the largest possible."""
    weights = look.weights[look.many]
    entropy = -(weights * weights.clamp(min=1e-12).log()).sum(-1) / look.mask.sum(-1)[look.many].log()
    return {"largest": weights.amax(-1).mean().item(), "entropy": entropy.mean().item()}


def agreement(a: Look, b: Look) -> dict[str, float]:
    """Two translators: shares of equal words and of equal largest weights, and how far their weights are apart."""
    rows = a.many
    return {
        "words": (a.said == b.said)[rows].double().mean().item(),
        "largest": (a.weights.argmax(-1) == b.weights.argmax(-1))[rows].double().mean().item(),
        "apart": 0.5 * (a.weights - b.weights).abs().sum(-1)[rows].mean().item(),
    }


# ---- readers ---------------------------------------------------------------------------------------------------


class Reader(nn.Module):
    """Reads a number in words and says its digits: the words look at each other, then each digit looks at the words."""

    def __init__(self, vocabulary_size: int, kind: str, features: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.words = nn.Parameter(0.5 * torch.randn(vocabulary_size, features))
        self.digits = nn.Parameter(0.5 * torch.randn(DIGITS, features))
        self.among = attention.MultiheadAttention(features, heads, batch_first=True)
        self.pick = attention.MultiheadAttention(features, heads, batch_first=True)
        self.up, self.down = nn.Linear(features, 2 * features), nn.Linear(2 * features, features)
        self.output = nn.Linear(features, 10)
        table = attention.sinusoidal_positions(LONGEST, features)
        later = ~attention.causal_mask(LONGEST)
        self.register_buffer("added", table * (kind == "sinusoidal"))
        self.register_buffer("turned", torch.arange(LONGEST) * (kind == "rotary"))
        self.register_buffer("mask", torch.zeros(later.shape).masked_fill(later & (kind == "causal"), -torch.inf))

    def forward(self, tokens: Tensor, need_weights: bool = False) -> Any:
        """Ten logits for each digit; on request the weights among the words, and of the digits on the words."""
        time, padding = tokens.shape[1], tokens == PAD
        x = self.words[tokens] + self.added[:time]
        query, key, value = (self.among.project(x, role) for role in range(3))
        query, key = (attention.rotary_embedding(y, self.turned[:time]) for y in (query, key))
        seen, among = self.among.attend(query, key, value, padding, self.mask[:time, :time], need_weights)
        x = x + seen
        x = x + self.down(torch.relu(self.up(x)))
        ask = self.digits.expand(len(tokens), -1, -1)
        found, picked = self.pick(ask, x, x, padding, need_weights, average_attn_weights=False)
        logits = self.output(found).mT
        return (logits, among, picked) if need_weights else logits


def digit_task(training_numbers: int = 4000, test_numbers: int = 800):
    """Numbers below 10,000 in words, and their digits: the vocabulary, the training and the test part."""
    value = {tuple(spell_number(n).replace("-", " ").split()): n for n in range(10**DIGITS)}
    high = 10**DIGITS - 1
    parts = (datasets.number_words("train", pairs=training_numbers, high=high),
             datasets.number_words("test", pairs=test_numbers, high=high))  # fmt: skip
    vocabulary = seq2seq.Vocabulary(words for words, _ in parts[0])
    encoded = []
    for part in parts:
        tokens = vocabulary.encode_batch([words for words, _ in part])
        numbers = torch.tensor([value[tuple(words)] for words, _ in part])
        places = 10 ** torch.arange(DIGITS - 1, -1, -1)
        encoded.append((tokens, numbers[:, None] // places % 10))
    return vocabulary, *encoded


def fit_readers(models: list[nn.Module], train: tuple[Tensor, Tensor], epochs: int = 8, lr: float = 1e-2) -> dict:
    """Train readers side by side, with one cycle of the learning rate."""
    steps = epochs * -(-len(train[1]) // 64)
    cycle = schedules.one_cycle(max_lr=lr, total_steps=steps)
    options = {"epochs": epochs, "batch_size": 64, "lr": lr, "schedule": cycle, "seeds": 0, "weight_decay": 0.0}
    return training.fit_many(models, train, losses.cross_entropy, "adamw", **options)


@torch.no_grad()
def read_right(model: nn.Module, test: tuple[Tensor, Tensor]) -> float:
    """Share of the numbers of which every digit is right."""
    return (model(test[0]).argmax(1) == test[1]).all(-1).double().mean().item()


# ---- all of it -------------------------------------------------------------------------------------------------


def translators(keep: Path | None) -> tuple[dict[str, dict], dict[str, Any]]:
    """Train every kind with every seed on few and on many pairs; probe those with many."""
    results: dict[str, dict] = {}
    looks: dict[tuple[str, int], Look] = {}
    models: dict[tuple[str, int], seq2seq.Seq2Seq] = {}
    drawn: dict[str, dict[str, list]] = {}
    for pairs, kind, seed in product(PAIRS, KINDS, SEEDS):
        if kind == "contrary" and pairs < max(PAIRS):
            continue
        task, start = number_task(pairs), time.process_time()
        model = translator(task, kind, seed)
        stored = keep and keep / f"{kind}-{pairs}-{seed}.pt"
        if stored and stored.exists():
            model.load_state_dict(torch.load(stored, weights_only=True))
        elif kind == "contrary":
            fit_contrary(model, models["dot_product", seed], task)
        else:
            seq2seq.fit_translator(model, task)
        if stored:
            torch.save(model.state_dict(), stored)
        marks = seq2seq.mark_translator(model, task)
        record: dict[str, Any] = {"exact": marks.exact, "bleu": marks.bleu}
        if pairs == max(PAIRS):
            batch = seq2seq.encode_pairs(task.test, *task[2:])
            look = looks[kind, seed] = Look(model, batch)
            models[kind, seed] = model
            record |= sharpness(look) | {"words": look.said.eq(batch.target_out)[look.many].double().mean().item()}
            record |= {"tamper": tamper(look), "elsewhere": elsewhere(look)}
            moved = influence(model, task, batch)
            record |= {"pointing": pointing(look, moved)}
            if seed < 2 and kind in ("dot_product", "additive", "contrary"):
                sides = {"weights": look.weights, "influence": moved}
                drawn[f"{kind} {seed}"] = {name: [rounded(side[i]) for i in SHOWN] for name, side in sides.items()}
        results.setdefault(str(pairs), {}).setdefault(kind, []).append(record)
        print(pairs, kind, seed, f"{time.process_time() - start:.0f} s", record, flush=True)
    pairs_of = {
        "dot_product, two seeds": [(("dot_product", a), ("dot_product", b)) for a, b in ((0, 1), (0, 2), (1, 2))],
        "additive, two seeds": [(("additive", a), ("additive", b)) for a, b in ((0, 1), (0, 2), (1, 2))],
        "dot_product and contrary": [(("dot_product", s), ("contrary", s)) for s in SEEDS],
    }
    agree = {name: [agreement(looks[a], looks[b]) for a, b in pairs] for name, pairs in pairs_of.items()}
    return results, {"agreement": agree, "sentences": SHOWN, "drawn": drawn}


def rounded(rows: Tensor) -> list:
    """Numbers with two digits; None for NaN, which JSON lacks."""
    return [[None if x != x else round(x, 2) for x in row] for row in rows.tolist()]


def readers(keep: Path | None) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """The share of numbers read right, for each kind and seed; and for each number of heads with sinusoids."""
    vocabulary, train, test = digit_task()

    def right(kind: str, heads: int) -> list[float]:
        stored = keep and keep / f"reader-{kind}-{heads}.json"
        if stored and stored.exists():
            return json.loads(stored.read_text())
        models: list[nn.Module] = []
        for seed in SEEDS:
            training.seed_everything(seed)
            models.append(Reader(len(vocabulary), kind, heads=heads))
        fit_readers(models, train)
        shares = [read_right(model, test) for model in models]
        if stored:
            stored.write_text(json.dumps(shares))
        return shares

    return {kind: right(kind, 4) for kind in READERS}, {str(heads): right("sinusoidal", heads) for heads in HEADS}


def main() -> None:
    """Train, probe, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--keep", type=Path, help="folder in which trained translators and readers' marks are kept and looked for"
    )
    keep = parser.parse_args().keep
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    start = time.process_time()
    read, read_heads = readers(keep)
    print(read, read_heads, flush=True)
    translated, probes = translators(keep)
    about = {
        "script": "results/attention_probes.py",
        "data": "number words below 1,000,000 (translators, 400 to test) and below 10,000 (readers, 800 to test)",
        "translators": "GRU, 64 features, 6 epochs; axes: training pairs, kind, seed",
        "readers": "32 features, 4 heads, 4,000 numbers, 8 epochs; axes: kind or number of heads, seed",
        "seeds": SEEDS, "device": "cpu",
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "date": date.today().isoformat(),
    }  # fmt: skip
    if not keep:
        about |= {"seconds": round(time.process_time() - start)}
    text = json.dumps(about | {"read": read, "heads": read_heads, "translated": translated} | probes)
    Path(__file__).with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()
