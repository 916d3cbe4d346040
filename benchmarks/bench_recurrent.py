"""Recurrent layers beside torch's, forward and backward: batch 32, 64 steps, hidden size 256."""

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
    return rows


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
