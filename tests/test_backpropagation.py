"""The four equations against autograd and finite differences, by hand, and at work."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from dlbook.backpropagation import ACTIVATIONS, COSTS, Activation, Cost, Network, Terms, gradient_check

SOFTPLUS = Activation(F.softplus, lambda z, a: torch.sigmoid(z))
QUARTIC = Cost(lambda z, a, y: (a - y).pow(4).sum(-1), gradient=lambda a, y: 4 * (a - y).pow(3))
SETTINGS = [
    *[(name, "quadratic") for name in ("identity", "sigmoid", "tanh", "relu")],
    ("sigmoid", "cross_entropy"),
    (("tanh", "relu", "sigmoid"), "cross_entropy"),
    (("relu", "tanh", "softmax"), "log_likelihood"),
    (("sigmoid", SOFTPLUS, "identity"), QUARTIC),
    (SOFTPLUS, QUARTIC),
]
SIZES = [3, 7, 5, 2]


def examples(sizes, n=11, dtype=torch.float64, device="cpu"):
    x = torch.randn(n, sizes[0], dtype=dtype, device=device)
    y = torch.eye(sizes[-1], dtype=dtype, device=device)[torch.randint(sizes[-1], (n,), device=device)]
    return x, y


@pytest.mark.parametrize(("activations", "cost"), SETTINGS)
@pytest.mark.parametrize("bias", [True, False])
class TestFourEquations:
    def test_like_autograd(self, activations, cost, bias, device):
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
            network = Network(SIZES, activations, cost, bias=bias, dtype=dtype, device=device)
            x, y = examples(SIZES, dtype=dtype, device=device)
            terms = network.backward(x, y)
            assert isinstance(terms, Terms)
            value = network.cost(x, y)
            torch.testing.assert_close(terms.cost, value.detach())
            torch.testing.assert_close(terms.a[-1], network(x).detach())
            expected = torch.autograd.grad(value, [*network.weights, *network.biases])
            for mine, theirs in zip([*terms.grad_weights, *terms.grad_biases], expected, strict=True):
                torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)

    def test_errors_are_derivatives_by_z(self, activations, cost, bias):
        network = Network(SIZES, activations, cost, bias=bias, dtype=torch.float64)
        x, y = examples(SIZES)
        terms = network.backward(x, y)
        # Add a leaf of zeros to each weighted sum: its gradient is the error.
        nudges = [torch.zeros_like(z, requires_grad=True) for z in terms.z]
        a = x
        for i, nudge in enumerate(nudges):
            z = a @ network.weights[i].T + (network.biases[i] if bias else 0) + nudge
            a = network.activations[i].value(z)
        expected = torch.autograd.grad(network.cost_function.value(z, a, y).sum(), nudges)
        for mine, theirs in zip(terms.errors, expected, strict=True):
            torch.testing.assert_close(mine, theirs)

    def test_gradient_check(self, activations, cost, bias):
        network = Network(SIZES, activations, cost, bias=bias, dtype=torch.float64)
        assert gradient_check(network, *examples(SIZES)) < 1e-7

    def test_step(self, activations, cost, bias, device):
        network = Network(SIZES, activations, cost, bias=bias, dtype=torch.float64, device=device)
        x, y = examples(SIZES, device=device)
        before = [p.detach().clone() for p in (*network.weights, *network.biases)]
        terms = network.backward(x, y)
        network.step(x, y, lr=0.3)
        gradients = [*terms.grad_weights, *terms.grad_biases]
        for old, gradient, new in zip(before, gradients, [*network.weights, *network.biases], strict=True):
            torch.testing.assert_close(new.detach(), old - 0.3 * gradient)

    def test_a_step_with_weight_decay_goes_down_the_penalised_cost(self, activations, cost, bias, device):
        network = Network(SIZES, activations, cost, bias=bias, dtype=torch.float64, device=device)
        x, y = examples(SIZES, device=device)
        parameters = [*network.weights, *network.biases]
        before = [p.detach().clone() for p in parameters]
        terms = network.backward(x, y)
        network.step(x, y, lr=0.3, weight_decay=0.2)
        shrink = [0.2] * len(network.weights) + [0.0] * len(network.biases)
        for old, gradient, by, new in zip(
            before, [*terms.grad_weights, *terms.grad_biases], shrink, parameters, strict=True
        ):
            torch.testing.assert_close(new.detach(), old - 0.3 * (gradient + by * old))


def test_by_hand():
    # One unit after another, all numbers small: z = 2·1 + 1 = 3, z' = 0.5·3 - 1 = 0.5; the cost is ½(0.5 - 1)².
    network = Network([1, 1, 1], ["identity", "relu"])
    values = {"weight0": [[2.0]], "bias0": [1.0], "weight1": [[0.5]], "bias1": [-1.0]}
    network.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    terms = network.backward(torch.tensor([[1.0]]), torch.tensor([[1.0]]))
    assert [z.item() for z in terms.z] == [3, 0.5]
    assert [a.item() for a in terms.a] == [1, 3, 0.5]
    assert [e.item() for e in terms.errors] == [-0.25, -0.5]
    assert [g.item() for g in terms.grad_weights] == [-0.25, -1.5]
    assert [g.item() for g in terms.grad_biases] == [-0.25, -0.5]
    assert terms.cost == 0.125


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n != "softmax"])
def test_slopes(name):
    z = torch.randn(53, dtype=torch.float64, requires_grad=True)
    activation = ACTIVATIONS[name]
    a = activation.value(z)
    (expected,) = torch.autograd.grad(a.sum(), z)
    torch.testing.assert_close(activation.slope(z, a).detach(), expected)


def test_costs_are_torchs():
    z, y = 3 * torch.randn(11, 5, dtype=torch.float64), torch.rand(11, 5, dtype=torch.float64)
    sigmoid, one_hot = torch.sigmoid(z), torch.eye(5, dtype=torch.float64)[torch.arange(11) % 5]
    expected = F.binary_cross_entropy(sigmoid, y, reduction="none").sum(-1)
    torch.testing.assert_close(COSTS["cross_entropy"].value(z, sigmoid, y), expected)
    expected = F.cross_entropy(z, one_hot, reduction="none")
    torch.testing.assert_close(COSTS["log_likelihood"].value(z, z.softmax(-1), one_hot), expected)
    torch.testing.assert_close(
        COSTS["quadratic"].value(z, sigmoid, y), F.mse_loss(sigmoid, y, reduction="none").sum(-1) / 2
    )


@pytest.mark.parametrize(("last", "cost"), [("sigmoid", "cross_entropy"), ("softmax", "log_likelihood")])
def test_saturated_outputs_stay_finite(last, cost):
    network = Network([2, 2], last, cost)
    x, y = torch.tensor([[1e4, -1e4], [-1e4, 1e4]]), torch.eye(2)
    terms = network.backward(x, y)
    assert all(t.isfinite().all() for part in terms for t in (part if isinstance(part, list) else [part]))


def test_a_saturated_sigmoid_learns_slowly_with_the_quadratic_cost_only():
    x, y = torch.ones(1, 1), torch.zeros(1, 1)
    sizes = []
    for cost in ("quadratic", "cross_entropy"):
        network = Network([1, 1], cost=cost)
        network.load_state_dict({"weight0": torch.tensor([[6.0]]), "bias0": torch.tensor([2.0])})
        sizes.append(network.backward(x, y).grad_weights[0].item())
    assert sizes[0] < 1e-3
    assert sizes[1] > 0.99


def test_a_wrong_gradient_is_found():
    wrong = Activation(torch.sigmoid, lambda z, a: a)
    network = Network([2, 3, 1], wrong, dtype=torch.float64)
    assert gradient_check(network, *examples([2, 3, 1])) > 0.01
    # Where nothing changes the cost, both gradients are 0.
    flat = Network([2, 1], Activation(torch.zeros_like, lambda z, a: torch.zeros_like(a)), dtype=torch.float64)
    assert gradient_check(flat, *examples([2, 1])) == 0


def test_starts_by_the_generator():
    first, second = (Network([400, 100, 10], generator=torch.Generator().manual_seed(5)) for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert abs(first.weights[0].std() * 20 - 1) < 0.05
    assert [w.shape for w in first.weights] == [(100, 400), (10, 100)]
    assert Network([3, 5], bias=False).biases == []


def learns_xor(hidden, bias, seed):
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=2)))
    y = (x.sum(1, keepdim=True) == 1).float()
    generator = torch.Generator().manual_seed(seed)
    network = Network([2, hidden, 1], ["tanh", "sigmoid"], "cross_entropy", bias=bias, generator=generator)
    for _ in range(1500):
        network.step(x, y, 1.0)
    return bool(((network(x) > 0.5) == (y > 0.5)).all())


def test_xor_needs_two_hidden_units_and_biases():
    assert any(learns_xor(2, True, seed) for seed in range(3))
    assert not any(learns_xor(1, True, seed) for seed in range(2))
    assert not any(learns_xor(2, False, seed) for seed in range(2))


def test_learns_digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    x = torch.tensor(data.data / 16, dtype=torch.float32)
    y = torch.eye(10)[torch.tensor(data.target)]
    network = Network([64, 30, 10], cost="cross_entropy", generator=torch.Generator().manual_seed(0))
    for _ in range(5):
        for batch in torch.randperm(1500).split(10):
            network.step(x[batch], y[batch], 0.5)
    held_out = network(x[1500:]).argmax(1) == torch.tensor(data.target[1500:])
    assert held_out.float().mean() > 0.85


@pytest.mark.bad_input
class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([3],), r"sizes: expected two or more numbers of units; got \[3\]"),
            (([3, 0],), r"sizes: expected at least 1; got 0"),
            (([3, 5, 2], "sine"), "activations: expected one of 'identity'"),
            (([3, 5, 2], ["tanh"]), "activations: expected one for each of the 2 layers; got 1"),
            (([3, 2], "sigmoid", "huber"), "cost: expected one of 'quadratic'"),
            (([3, 2], "tanh", "cross_entropy"), "cost: expected 'sigmoid' as the last activation; got 'tanh'"),
            (([3, 2], SOFTPLUS, "log_likelihood"), "cost: expected 'softmax' as the last activation; got None"),
            (([3, 2], "softmax", "quadratic"), "cost: expected 'log_likelihood' after a softmax; got 'quadratic'"),
        ],
    )
    def test_settings(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            Network(*arguments)

    def test_inputs(self):
        network = Network([3, 2])
        x, y = torch.ones(5, 3), torch.ones(5, 2)
        for call in (network.backward, network.cost, lambda x, y: network.step(x, y, 0.1)):
            with pytest.raises(ValueError, match=r"input: expected shape \(n, 3\); got \(5, 2\)"):
                call(y, y)
            with pytest.raises(ValueError, match=r"target: expected shape \(n, 2\); got \(5, 3\)"):
                call(x, x)
            with pytest.raises(ValueError, match="target: expected one row for each of the 5 examples; got 4"):
                call(x, y[:4])
            with pytest.raises(ValueError, match="target: expected one row for each of the 0 examples"):
                call(x[:0], y[:0])
            with pytest.raises(TypeError, match=r"input: expected dtype torch\.float32, as weights has"):
                call(x.double(), y)
        with pytest.raises(TypeError, match="input: expected a floating-point tensor"):
            network(x.long())
        with pytest.raises(ValueError, match=r"lr: expected a number in \(0, inf\]; got 0"):
            network.step(x, y, 0)
        with pytest.raises(ValueError, match="weight_decay"):
            network.step(x, y, 0.1, weight_decay=-1)
        with pytest.raises(ValueError, match=r"eps: expected a number in \(0, inf\]"):
            gradient_check(network, x, y, eps=0)

    def test_a_softmax_in_the_middle(self):
        network = Network([3, 5, 2], ["softmax", "softmax"], "log_likelihood")
        with pytest.raises(ValueError, match="'softmax' mixes all outputs"):
            network.backward(torch.ones(1, 3), torch.ones(1, 2))


@pytest.mark.compile
def test_compiles_whole():
    torch.compiler.reset()
    network = Network([3, 5, 2], ["tanh", "sigmoid"], "cross_entropy")
    x, y = examples([3, 5, 2], dtype=torch.float32)
    compiled = torch.compile(network.backward, fullgraph=True, backend="eager")
    for mine, plain in zip(compiled(x, y).grad_weights, network.backward(x, y).grad_weights, strict=True):
        torch.testing.assert_close(mine, plain)
