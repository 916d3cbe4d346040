"""Translators beside the same ones on torch's layers: training on 64 sentences of about ten words, and decoding them.

The peer is a copy whose embeddings, recurrent layers and matrices, or whole Transformer, are ``torch.nn``'s. The
attention of the recurrent ones is the same on both sides: torch has none with weights, and none that is additive.
"""

import copy

import torch
from timing import Case
from torch import nn
from torch.nn import functional

from dlbook.seq2seq import BOS, PAD, Seq2Seq, TransformerTranslator

SOURCE, TARGET, FEATURES = 34, 30, 128
PEERS = {
    "Embedding": lambda x: nn.Embedding(x.num_embeddings, x.embedding_dim, x.padding_idx),
    "GRU": lambda x: nn.GRU(x.input_size, x.hidden_size, batch_first=True),
    "Linear": lambda x: nn.Linear(x.in_features, x.out_features, x.bias is not None),
    "Transformer": lambda x: nn.Transformer(x.d_model, x.nhead, 2, 2, 4 * x.d_model, dropout=0.0, batch_first=True),
}


def cases(device: torch.device) -> list[Case]:
    source, target = (torch.randint(4, n, (64, time), device=device) for n, time in ((SOURCE, 12), (TARGET, 14)))
    for row, length in enumerate(torch.randint(6, 13, (64,)).tolist()):
        source[row, length:], target[row, length + 2 :] = PAD, PAD
    target[:, 0] = BOS
    rows = []
    for attention in (None, "dot_product", "additive"):
        model = Seq2Seq(SOURCE, TARGET, FEATURES, attention=attention).to(device)
        rows.append(_training("Seq2Seq", attention or "bottleneck", model, source, target))
        rows.append(_decoding("Seq2Seq", attention or "bottleneck", model, source))
    model = TransformerTranslator(SOURCE, TARGET, FEATURES, dropout=0.0, norm_first=False).to(device)
    return [*rows, _training("TransformerTranslator", "2+2 layers", model, source, target)]


def _training(name: str, kind: str, ours: nn.Module, source: torch.Tensor, target: torch.Tensor) -> Case:
    """The loss, and the gradients of all parameters, which both sides share."""
    names = [name for name, _ in ours.named_parameters()]

    def loss(model: nn.Module):
        def run(*parameters: torch.Tensor) -> torch.Tensor:
            given = dict(zip(names, parameters, strict=True))
            logits = torch.func.functional_call(model, given, (source, target[:, :-1]))
            return functional.cross_entropy(logits, target[:, 1:], ignore_index=PAD)

        return run

    return Case(name, f"train, {kind}", loss(ours), loss(_on_torch(ours)), tuple(ours.parameters()))


def _decoding(name: str, kind: str, ours: nn.Module, source: torch.Tensor) -> Case:
    """Thirteen words, one at a time."""

    def greedy(model: nn.Module):
        @torch.no_grad()
        def run(source: torch.Tensor) -> torch.Tensor:
            state, tokens = model.encode(source), source.new_full((len(source),), BOS)
            for _ in range(13):
                log_probs, state = model.step(tokens, state)
                tokens = log_probs.argmax(-1)
            return tokens

        return run

    return Case(name, f"decode, {kind}", greedy(ours), greedy(_on_torch(ours)), (source,))


def _on_torch(model: nn.Module) -> nn.Module:
    """A copy with the same parameters in torch's layers."""
    peer = copy.deepcopy(model)
    for module in list(peer.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__ in PEERS:
                setattr(module, name, PEERS[type(child).__name__](child).to(next(child.parameters())))
    peer.load_state_dict(model.state_dict())
    return peer
