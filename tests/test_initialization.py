"""Starting weights: torch's numbers from torch's seed, the promised variances, and signals that keep their scale."""

import math

import pytest
import torch
from torch import nn

from dlbook import initialization as I

SHAPES = [(7, 11), (11, 7), (5, 7, 3), (11, 2, 3, 5), (5, 5)]
LARGE = [(307, 211), (61, 31, 5, 7)]

# ours, torch's
PAIRS = {
    "zeros": (I.zeros, nn.init.zeros_),
    "constant": (lambda w: I.constant(w, 0.3), lambda w: nn.init.constant_(w, 0.3)),
    "normal": (lambda w: I.normal(w, 1.5, 0.2), lambda w: nn.init.normal_(w, 1.5, 0.2)),
    "uniform": (lambda w: I.uniform(w, -0.5, 2), lambda w: nn.init.uniform_(w, -0.5, 2)),
    "glorot_uniform": (lambda w: I.glorot(w, 1.3), lambda w: nn.init.xavier_uniform_(w, 1.3)),
    "glorot_normal": (lambda w: I.glorot(w, distribution="normal"), nn.init.xavier_normal_),
    "he_normal": (lambda w: I.he(w, 0.2), lambda w: nn.init.kaiming_normal_(w, 0.2)),
    "he_uniform": (
        lambda w: I.he(w, mode="fan_out", nonlinearity="tanh", distribution="uniform"),
        lambda w: nn.init.kaiming_uniform_(w, mode="fan_out", nonlinearity="tanh"),
    ),
    "fan_in_uniform": (lambda w: I.fan_in(w, "uniform"), lambda w: nn.init.kaiming_uniform_(w, math.sqrt(5))),
    "lecun_normal": (I.lecun, lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear")),
    "lecun_uniform": (
        lambda w: I.lecun(w, "uniform"),
        lambda w: nn.init.kaiming_uniform_(w, nonlinearity="linear"),
    ),
    "orthogonal": (lambda w: I.orthogonal(w, 1.7), lambda w: nn.init.orthogonal_(w, 1.7)),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("shape", SHAPES)
def test_torchs_numbers_from_torchs_seed(name, shape, device):
    for dtype in (torch.float32, torch.float64):
        drawn = []
        for fill in PAIRS[name]:
            torch.manual_seed(3)
            w = torch.empty(shape, device=device, dtype=dtype, requires_grad=True)
            assert fill(w) is w
            assert w.is_leaf
            drawn.append(w.detach())
        torch.testing.assert_close(*drawn)


@pytest.mark.parametrize("shape", LARGE)
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_variances(shape, distribution, device):
    w = torch.empty(shape, device=device)
    n, m = I.fans(w)
    third = 1 if distribution == "normal" else 1 / 3
    expected = {
        "fan_in": (lambda: I.fan_in(w, distribution), third / n),
        "lecun": (lambda: I.lecun(w, distribution), 1 / n),
        "glorot": (lambda: I.glorot(w, distribution=distribution), 2 / (n + m)),
        "he": (lambda: I.he(w, distribution=distribution), 2 / n),
        "he, back": (lambda: I.he(w, mode="fan_out", distribution=distribution), 2 / m),
    }
    for name, (draw, variance) in expected.items():
        draw()
        assert w.var().item() == pytest.approx(variance, rel=0.03), name
        assert abs(w.mean().item()) < 0.02 * math.sqrt(variance), name
        kurtosis = (w**4).mean() / w.var() ** 2
        assert kurtosis.item() == pytest.approx(3 if distribution == "normal" else 1.8, rel=0.05), name


@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonal_keeps_lengths(shape, device):
    w = I.orthogonal(torch.empty(shape, device=device, dtype=torch.float64), gain=2.0).flatten(1)
    gram = w @ w.T if len(w) <= w.shape[1] else w.T @ w
    torch.testing.assert_close(gram, 4 * torch.eye(len(gram), dtype=torch.float64, device=device))


def test_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    for fill in (I.normal, I.uniform, I.fan_in, I.lecun, I.glorot, I.he, I.orthogonal):
        first, second = (fill(torch.empty(5, 7), generator=torch.Generator().manual_seed(1)) for _ in range(2))
        assert torch.equal(first, second)
        assert not torch.equal(first, fill(torch.empty(5, 7), generator=torch.Generator().manual_seed(2)))
    assert torch.equal(before, torch.get_rng_state())


def test_empty_tensors(device):
    for fill in (I.zeros, I.normal, I.fan_in, I.lecun, I.glorot, I.he, I.orthogonal):
        assert fill(torch.empty(0, 3, device=device)).shape == (0, 3)


@pytest.mark.parametrize(
    "name", ["linear", "conv1d", "conv2d", "conv3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
)
def test_gains(name):
    assert I.calculate_gain(name) == nn.init.calculate_gain(name)
    assert I.calculate_gain("leaky_relu", 0.3) == nn.init.calculate_gain("leaky_relu", 0.3)
    assert I.calculate_gain("leaky_relu", 0) == pytest.approx(math.sqrt(2))


def deep(rule, activation, depth=30, width=128):
    torch.manual_seed(0)
    layers = []
    for _ in range(depth):
        layer = nn.Linear(width, width)
        rule(layer.weight)
        I.zeros(layer.bias)
        layers += [layer, activation()]
    return nn.Sequential(*layers)


class TestSignalReport:
    def test_he_keeps_a_relus_signal_and_others_lose_it(self, device):
        x = torch.randn(256, 128, device=device)
        ratio = {}
        for name, rule in {"he": I.he, "lecun": I.lecun, "large": lambda w: I.normal(w, std=0.3)}.items():
            report = I.signal_report(deep(rule, nn.ReLU).to(device), x)
            ratio[name] = report[-1].std / report[1].std
            back = report[0].gradient_std / report[-2].gradient_std
            assert math.log10(back) == pytest.approx(math.log10(ratio[name]), abs=2)
        assert 0.2 < ratio["he"] < 5
        assert ratio["lecun"] < 1e-3
        assert ratio["large"] > 1e6

    def test_rows(self, device):
        model = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Sequential(nn.Tanh(), nn.Linear(5, 2))).to(device)
        x = torch.randn(7, 2, 3, device=device)
        report = I.signal_report(model, x, loss=lambda out: out.sum())
        assert all(isinstance(row, I.LayerSignal) for row in report)
        assert [row.name for row in report] == ["0", "1", "2.0", "2.1"]
        assert [row.kind for row in report] == ["Flatten", "Linear", "Tanh", "Linear"]
        out = model(x)
        assert report[-1].mean == pytest.approx(out.mean().item(), rel=1e-4)
        assert report[-1].std == pytest.approx(out.std(correction=0).item(), rel=1e-4)
        assert report[-1].gradient_std == 0  # every output's gradient is 1
        out.sum().backward()
        grad = model[1].weight.grad
        assert report[1].weight_gradient_std == pytest.approx(grad.std(correction=0).item(), rel=1e-4)
        assert math.isnan(report[2].weight_gradient_std)

    def test_leaves_no_trace(self):
        model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        I.signal_report(model, torch.randn(5, 3))
        assert model[0].weight.grad is None
        assert not model[0]._forward_hooks
        with pytest.raises(RuntimeError, match="shape"):
            I.signal_report(model, torch.randn(5, 4))
        assert not model[0]._forward_hooks

    def test_works_without_gradients_and_on_indices(self):
        model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
        with torch.no_grad():
            report = I.signal_report(model, torch.tensor([[0, 4]]))
        assert [row.kind for row in report] == ["Embedding", "Linear"]
        assert report[0].weight_gradient_std > 0


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda w: I.he(w[0]), ValueError, r"tensor: expected shape \(out, in, \.\.\.\).*got \(3,\)"),
        (lambda w: I.orthogonal(w[0]), ValueError, r"tensor: expected shape \(out, in, \.\.\.\)"),
        (lambda w: I.he(w, mode="fan"), ValueError, "mode: expected one of 'fan_in', 'fan_out'; got 'fan'"),
        (lambda w: I.he(w, nonlinearity="gelu"), ValueError, "nonlinearity: expected one of"),
        (lambda w: I.glorot(w, distribution="cauchy"), ValueError, "distribution: expected one of 'normal', 'uniform'"),
        (lambda w: I.lecun(w, "cauchy"), ValueError, "distribution: expected one of"),
        (lambda w: I.fan_in(w, "cauchy"), ValueError, "distribution: expected one of"),
        (lambda w: I.normal(w, std=-1), ValueError, "std: expected a number in"),
        (lambda w: I.uniform(w, 1, 0), ValueError, "b: expected a number in"),
        (lambda w: I.calculate_gain("swish"), ValueError, "nonlinearity: expected one of"),
        (lambda w: I.zeros(w.int()), TypeError, "tensor: expected a floating-point tensor"),
        (lambda w: I.glorot(w.int()), TypeError, "tensor: expected a floating-point tensor"),
        (lambda w: I.fans([1]), TypeError, r"tensor: expected a torch\.Tensor; got list"),
        (lambda w: I.signal_report(nn.Identity(), [1.0]), TypeError, r"input: expected a torch\.Tensor"),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call(torch.ones(2, 3))
