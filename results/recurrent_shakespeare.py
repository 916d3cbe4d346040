"""Character models of Shakespeare: RNN, GRU and LSTM of about equal parameter counts against n-grams.

Run ``python results/recurrent_shakespeare.py``; it writes ``recurrent_shakespeare.json`` beside itself after each run,
and goes on from there when it is started again. A quarter of an hour on one core. ``dlbook.datasets`` fetches the text.

The networks read 32 streams at once, 64 characters at a time: the state goes on to the next 64, the gradient does not
(truncated backpropagation through time). Now and then a stream starts from nothing, so that the networks also learn to
do without a past. Each kind of network takes the learning rate that did best in a short pilot on training text alone.
"""

import json
import platform
import time
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn

from dlbook import datasets, losses, neurons, optimizers, recurrent, schedules
from dlbook.recurrent.scans import lstm_step

SEEDS, EPOCHS, STREAMS, STEPS, FRESH = (0, 1, 2), 4, 32, 64, 0.05
# Widths that give each about 93,000 parameters, embedding and output layer included.
WIDTHS = {"RNN": 256, "GRU": 150, "LSTM": 128}
EMBEDDING, RATES, MAX_NORM = 32, (0.001, 0.002, 0.004, 0.008, 0.016), 1.0
ORDERS, SMOOTHING = range(1, 11), ("witten_bell", "kneser_ney", "add_one")
LAGS, CONTEXT, TEMPERATURES = 100, 120, (0.2, 0.5, 0.8, 1.0, 1.3)
FILE = Path(__file__).with_suffix(".json")

TEXT = datasets.shakespeare()
ALPHABET = sorted(set(TEXT))
NUMBERS = {character: number for number, character in enumerate(ALPHABET)}
TRAIN, VALIDATION = (
    torch.tensor([NUMBERS[character] for character in datasets.shakespeare(split)]) for split in ("train", "validation")
)


class CharacterModel(nn.Module):
    """Characters in, logits of the next character out, at every step."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.embedding = neurons.Embedding(len(ALPHABET), EMBEDDING)
        self.body = getattr(recurrent, kind)(EMBEDDING, WIDTHS[kind])
        self.head = neurons.Linear(WIDTHS[kind], len(ALPHABET))
        if kind == "LSTM":  # start with the forget gates open
            with torch.no_grad():
                self.body.bias_ih_l0[WIDTHS[kind] : 2 * WIDTHS[kind]] += 1.0

    def forward(self, tokens: Tensor, state=None):
        """Logits (time, streams, characters) and the last state."""
        output, state = self.body(self.embedding(tokens), state)
        return self.head(output), state


def streams(tokens: Tensor, count: int) -> Tensor:
    """A text cut into so many streams that are read side by side: (time, streams)."""
    length = len(tokens) // count
    return tokens[: length * count].view(count, length).t()


def through(state, change):
    """A state, which may be a pair, with a change made to each of its tensors."""
    return tuple(change(part) for part in state) if isinstance(state, tuple) else change(state)


def cross_entropy(logits: Tensor, targets: Tensor, **options) -> Tensor:
    """Nats a character."""
    return losses.cross_entropy(logits.flatten(0, 1), targets.flatten(), **options)


def train_epoch(model, tokens: Tensor, optimizer, scheduler) -> float:
    """Once through the text; the mean loss on the way."""
    text, state, found = streams(tokens, STREAMS), None, []
    for start in range(0, len(text) - STEPS, STEPS):
        inputs, targets = text[start : start + STEPS], text[start + 1 : start + STEPS + 1]
        if state is not None:
            keep = (torch.rand(STREAMS, 1) > FRESH).float()
            state = through(state, lambda part, keep=keep: part.detach() * keep)
        logits, state = model(inputs, state)
        loss = cross_entropy(logits, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizers.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()
        scheduler.step()
        found.append(loss.item())
    return sum(found) / len(found)


@torch.no_grad()
def judge(model, tokens: Tensor) -> float:
    """Mean loss over a text, the state carried on."""
    text = streams(tokens, STREAMS)
    logits, _ = model(text[:-1])
    return cross_entropy(logits, text[1:]).item()


@torch.no_grad()
def by_context(model) -> list[float]:
    """Mean loss after 1, 2, ... characters, from an empty state."""
    text = VALIDATION[: len(VALIDATION) // (CONTEXT + 1) * (CONTEXT + 1)].view(-1, CONTEXT + 1).t()
    logits, _ = model(text[:-1])
    return cross_entropy(logits, text[1:], reduction="none").view(CONTEXT, -1).mean(1).tolist()


def gradient_through_time(model) -> dict[str, list[float]]:
    """Norms of the gradient of one step's loss by the states before it, as shares of lag 0: medians over 60 places.

    For the LSTM the gradient by the cell; and what would be left if it came back through the forget gates alone.
    """
    text = VALIDATION[: 60 * 400].view(60, 400)[:, : LAGS + 22].t()
    inputs = model.embedding(text[:-1]).detach()
    with torch.no_grad():
        _, state = model.body(inputs[:20])
    states, forgets = [], []
    state = through(state, lambda part: part[0].detach().requires_grad_())
    into, own, *biases = model.body.all_weights[0]
    for now in inputs[20:]:
        if isinstance(state, tuple):
            hidden, cell, _, forget, *_ = lstm_step(now @ into.t() + sum(biases), *state, own)
            state = hidden, cell
            forgets.append(forget.detach())
        else:
            state = model.body(now[None], state[None])[1][0]
        states.append(state[1] if isinstance(state, tuple) else state)
    logits = model.head(state[0] if isinstance(state, tuple) else state)
    loss = losses.cross_entropy(logits, text[-1], reduction="sum")
    gradients = torch.autograd.grad(loss, states)
    norms = torch.stack([gradient.norm(dim=-1) for gradient in gradients]).flip(0)
    measured = {"gradient": (norms / norms[0]).median(1).values.tolist()}
    if forgets:
        direct = [gradients[-1]]
        for forget in forgets[:0:-1]:
            direct.append(direct[-1] * forget)
        measured["forget gates alone"] = (torch.stack(direct).norm(dim=-1) / norms[0]).median(1).values.tolist()
    return {name: [float(f"{value:.4g}") for value in values] for name, values in measured.items()}


@torch.no_grad()
def sample(model, start: str, length: int, temperature: float) -> str:
    """A passage, drawn a character at a time."""
    generator = torch.Generator().manual_seed(0)
    logits, state = model(torch.tensor([NUMBERS[c] for c in start])[:, None])
    said = []
    for _ in range(length):
        token = torch.multinomial((logits[-1, 0] / temperature).softmax(-1), 1, generator=generator)
        said.append(ALPHABET[token])
        logits, state = model(token[None], state)
    return "".join(said)


@torch.no_grad()
def gates_along(model, tokens: Tensor) -> Tensor:
    """i, f, g, o and tanh c of an LSTM along a text: (5, time, units)."""
    into, own, *biases = model.body.all_weights[0]
    hidden = cell = torch.zeros(1, len(own) // 4)
    kept = []
    for x in model.embedding(tokens) @ into.t() + sum(biases):
        hidden, cell, *gates = lstm_step(x[None], hidden, cell, own)
        kept.append(torch.cat([*gates, cell.tanh()]))
    return torch.stack(kept, 1)


def features(text: str) -> dict[str, Tensor]:
    """What a unit might keep track of, one number a character, the character itself included."""
    found: dict[str, list[float]] = {
        "column in the line": [], "letters since the last blank": [], "in a speaker's name": [],
        "lines in the speech": [],
    }  # fmt: skip
    column = letters = lines = 0
    name = True
    for number, character in enumerate(text):
        column = 0 if character == "\n" else column + 1
        letters = letters + 1 if character.isalpha() else 0
        if character == "\n":
            name = number > 0 and text[number - 1] == "\n"
            lines = 0 if name else lines + 1
        elif character == ":":
            name = False
        for values, value in zip(found.values(), (column, letters, float(name), lines), strict=True):
            values.append(value)
    return {key: torch.tensor(values).float() for key, values in found.items()}


def units(model, with_passage: bool) -> dict:
    """Which cell follows which feature best, over 20,000 characters; and the gates of those along a passage."""
    text = datasets.shakespeare("validation")[:20_000]
    values = gates_along(model, VALIDATION[:20_000])
    forget, cells = values[1].mean(0), values[4]
    tracked = {}
    for name, feature in features(text).items():
        correlation = torch.corrcoef(torch.cat([feature[None], cells.t()]))[0, 1:]
        unit = int(correlation.abs().argmax())
        tracked[name] = {"unit": unit, "correlation": round(correlation[unit].item(), 3)}
    measured: dict = {"forget_gate_means": [round(v, 3) for v in forget.sort().values.tolist()], "tracked": tracked}
    if not with_passage:
        return measured
    start = text.index("\n\n", 5000) + 2
    order = forget.argsort().tolist()
    chosen = {name: found["unit"] for name, found in tracked.items()}
    chosen |= {"fastest to forget": order[0], "middling": order[len(order) // 2], "slowest to forget": order[-1]}
    rows = slice(start, start + 240)
    measured["passage"] = {"text": text[rows], "units": chosen}
    for name, index in (("input", 0), ("forget", 1), ("output", 3), ("cell", 4)):
        percent = (100 * values[index, rows][:, list(chosen.values())]).round().int()
        measured["passage"][name] = percent.t().tolist()
    with torch.no_grad():
        logits, _ = model(VALIDATION[: start + 240, None])
    surprise = cross_entropy(logits[:-1], VALIDATION[1 : start + 240, None], reduction="none")[-240:]
    measured["passage"]["surprise"] = [round(v, 2) for v in surprise.tolist()]
    counted = recurrent.NGram(5, len(ALPHABET), "kneser_ney").fit(TRAIN).log_probs(VALIDATION[: start + 240])
    measured["passage"]["surprise_5gram"] = [round(-v, 2) for v in counted[-240:].tolist()]
    return measured


def ngrams() -> dict:
    """Validation loss of every order and smoothing, and the share of grams that were never seen."""
    found: dict = {"loss": {}, "unseen": []}
    for smoothing in SMOOTHING:
        models = [recurrent.NGram(order, len(ALPHABET), smoothing).fit(TRAIN) for order in ORDERS]
        found["loss"][smoothing] = [round(-model.log_probs(VALIDATION).mean().item(), 4) for model in models]
    for order in ORDERS:
        grams, held_out = (text.unfold(0, order, 1) for text in (TRAIN, VALIDATION))
        powers = len(ALPHABET) ** torch.arange(order)
        found["unseen"].append(
            round(1 - torch.isin(held_out @ powers, (grams @ powers).unique()).float().mean().item(), 4)
        )
    return found


def pilot(kind: str, rate: float) -> float:
    """The loss after one epoch on a fifth of the training text, held against its tenth tenth."""
    part, held_out = TRAIN[: len(TRAIN) // 5], TRAIN[len(TRAIN) * 9 // 10 :]
    torch.manual_seed(100)
    model = CharacterModel(kind)
    optimizer = optimizers.Adam(model.parameters(), lr=rate)
    train_epoch(model, part, optimizer, schedules.as_scheduler(optimizer, schedules.constant()))
    return round(judge(model, held_out), 4)


def run(kind: str, seed: int, rate: float) -> dict:
    """One network trained and measured."""
    began = time.process_time()
    torch.manual_seed(seed)
    model = CharacterModel(kind)
    optimizer = optimizers.Adam(model.parameters(), lr=rate)
    total = EPOCHS * len(range(0, len(TRAIN) // STREAMS - STEPS, STEPS))
    scheduler = schedules.as_scheduler(optimizer, schedules.cosine(total))
    start, seen, held_out = gradient_through_time(model), [], []
    for epoch in range(EPOCHS):
        seen.append(round(train_epoch(model, TRAIN, optimizer, scheduler), 4))
        held_out.append(round(judge(model, VALIDATION), 4))
        print(
            f"{kind} seed {seed} epoch {epoch + 1}: {seen[-1]} {held_out[-1]}, {time.process_time() - began:.0f} s",
            flush=True,
        )
    measured = {
        "kind": kind, "seed": seed, "lr": rate, "train_loss": seen, "validation_loss": held_out,
        "loss_by_context": [round(value, 4) for value in by_context(model)],
        "gradient_at_start": start, "gradient_after": gradient_through_time(model),
    }  # fmt: skip
    if kind == "LSTM":
        measured["units"] = units(model, with_passage=seed == 0)
    if seed == 0:
        measured["samples"] = {str(t): sample(model, "\n\n", 400, t) for t in TEMPERATURES}
    return measured | {"seconds": round(time.process_time() - began)}


def main() -> None:
    """Whatever is not yet in the file."""
    torch.set_num_threads(1)
    content = json.loads(FILE.read_text()) if FILE.exists() else {}
    content |= {
        "script": "results/recurrent_shakespeare.py",
        "data": "datasets.shakespeare: 1,003,854 characters of training text, 111,540 of validation text",
        "characters": len(ALPHABET), "epochs": EPOCHS, "seeds": SEEDS, "widths": WIDTHS, "embedding": EMBEDDING,
        "parameters": {kind: sum(p.numel() for p in CharacterModel(kind).parameters()) for kind in WIDTHS},
        "streams": STREAMS, "steps": STEPS, "max_norm": MAX_NORM, "fresh_share": FRESH, "lags": LAGS,
        "optimizer": "Adam, cosine from the rate to 0; losses in nats a character",
        "device": "cpu, one thread", "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "date": date.today().isoformat(),
    }  # fmt: skip
    content.setdefault("runs", [])
    content.setdefault("pilot", {})

    def save() -> None:
        FILE.with_suffix(".part").write_text(json.dumps(content) + "\n")
        FILE.with_suffix(".part").replace(FILE)

    if "ngrams" not in content:
        content["ngrams"] = {"orders": list(ORDERS)} | ngrams()
        save()
    for kind in WIDTHS:
        losses_of = content["pilot"].setdefault(kind, {})
        for rate in RATES:
            if str(rate) not in losses_of:
                losses_of[str(rate)] = pilot(kind, rate)
                print(kind, losses_of, flush=True)
                save()
    best = {kind: float(min(found, key=found.__getitem__)) for kind, found in content["pilot"].items()}
    # runs at another rate are of an earlier pilot
    content["runs"] = [found for found in content["runs"] if found["lr"] == best[found["kind"]]]
    done = {(found["kind"], found["seed"]) for found in content["runs"]}
    for seed in SEEDS:
        for kind in WIDTHS:
            if (kind, seed) not in done:
                content["runs"].append(run(kind, seed, best[kind]))
                save()


if __name__ == "__main__":
    main()
