"""The normalizations beside torch's, forward and backward: a Transformer's tokens, a convolutional net's pictures."""

import torch
import torch.nn.functional as F
from timing import Case

from dlbook import normalization


def cases(device: torch.device) -> list[Case]:
    tokens = torch.randn(32, 128, 512, device=device, requires_grad=True)
    pictures = torch.randn(32, 64, 32, 32, device=device, requires_grad=True)

    def vectors(size):
        return tuple(torch.ones(size, device=device, requires_grad=True) for _ in range(2))

    def statistics():
        return torch.zeros(64, device=device), torch.ones(64, device=device)

    out = []

    def add(kernel, size, call, inputs, limit=None):
        ours, peer = ((lambda *a, m=m: call(m, *a)) for m in (normalization, F))
        out.append(Case(kernel, size, ours, peer, inputs=inputs, compiled=True, limit=limit))

    running = statistics()
    add("layer_norm", "32×128×512", lambda m, x, *p: m.layer_norm(x, (512,), *p), (tokens, *vectors(512)), 1.5)
    add(
        "batch_norm",
        "32×64×32×32",
        lambda m, x, *p: m.batch_norm(x, *running, *p, training=True),
        (pictures, *vectors(64)),
        1.5,
    )
    add(
        "batch_norm, inference", "32×64×32×32", lambda m, x, *p: m.batch_norm(x, *running, *p), (pictures, *vectors(64))
    )
    add("rms_norm", "32×128×512", lambda m, x, w: m.rms_norm(x, (512,), w), (tokens, vectors(512)[0]))
    add("group_norm", "32×64×32×32", lambda m, x, *p: m.group_norm(x, 8, *p), (pictures, *vectors(64)))
    add("instance_norm", "32×64×32×32", lambda m, x: m.instance_norm(x), (pictures,))
    add("local_response_norm", "32×64×32×32", lambda m, x: m.local_response_norm(x, 5), (pictures,))
    add("normalize", "32×128×512", lambda m, x: m.normalize(x, dim=-1), (tokens,))
    return out
