"""Recurrent layers beside torch's, forward and backward: batch 32, 64 steps, hidden size 256.

Torch has no n-gram model. The peer of ``NGram`` counts in plain Python dictionaries, as one would write it first.
"""

from collections import Counter
from math import log

import torch
from timing import Case

from dlbook import recurrent


def cases(device: torch.device) -> list[Case]:
    rows = []
    for name in ("RNN", "LSTM", "GRU"):
        ours = getattr(recurrent, name)(256, 256, device=device)
        peer = getattr(torch.nn, name)(256, 256, device=device)
        inputs = torch.randn(64, 32, 256, device=device, requires_grad=True)
        limit = None if name == "RNN" else 2.0
        rows.append(_case(name, "64×32×256, hidden 256", ours, peer, inputs, limit))
    for name in ("RNNCell", "LSTMCell", "GRUCell"):
        ours = getattr(recurrent, name)(256, 256, device=device)
        peer = getattr(torch.nn, name)(256, 256, device=device)
        rows.append(_case(name, "32×256, hidden 256", ours, peer, torch.randn(32, 256, device=device), None))
    return [*rows, _ngram(device)]


def _ngram(device: torch.device) -> Case:
    """Count a text's 4-grams, then the log-probability of each token of another, with Witten and Bell's smoothing."""
    order, classes = 4, 65
    # A skewed distribution, so that contexts come again as they do in a text.
    text, held_out = (torch.rand(4_000).pow(4).mul(classes).long().to(device) for _ in range(2))

    def ours(text: torch.Tensor, held_out: torch.Tensor) -> torch.Tensor:
        return recurrent.NGram(order, classes).fit(text).log_probs(held_out)

    def plain(text: torch.Tensor, held_out: torch.Tensor) -> torch.Tensor:
        read, asked = text.tolist(), held_out.tolist()
        grams = Counter(tuple(read[i : i + n]) for n in range(1, order + 1) for i in range(len(read) - n + 1))
        totals, kinds = Counter(), Counter()
        for gram, count in grams.items():
            totals[gram[:-1]] += count
            kinds[gram[:-1]] += 1
        found = []
        for end in range(1, len(asked) + 1):
            prob = 1 / classes
            for n in range(1, min(order, end) + 1):
                gram = tuple(asked[end - n : end])
                if total := totals[gram[:-1]]:
                    new = kinds[gram[:-1]]
                    prob = (grams[gram] + new * prob) / (total + new)
            found.append(log(prob))
        return torch.tensor(found, device=text.device)

    torch.testing.assert_close(ours(text, held_out), plain(text, held_out), rtol=1e-4, atol=1e-4)
    return Case("NGram", "4,000 + 4,000 tokens, order 4", ours, plain, (text, held_out), peer_name="dicts")


def _case(name: str, size: str, ours: torch.nn.Module, peer: torch.nn.Module, x: torch.Tensor, limit) -> Case:
    peer.load_state_dict(ours.state_dict())
    return Case(name, size, _outputs(ours), _outputs(peer), (x, *ours.parameters()), limit=limit)


def _outputs(module: torch.nn.Module):
    """The layer's outputs as a function of the input and the parameters, so that all of them get a gradient."""
    names = [name for name, _ in module.named_parameters()]

    def run(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        result = torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x,))
        return result[0] if isinstance(result, tuple) else result

    return run
