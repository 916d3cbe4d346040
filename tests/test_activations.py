"""The activations against torch's, at random inputs, at kinks and at extremes, in value and in gradient."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from dlbook import activations as A

# (name, arguments): every option of every pointwise function, torch's defaults first.
POINTWISE = [
    ("celu", {}),
    ("celu", {"alpha": 0.3}),
    ("celu", {"alpha": -2}),
    ("elu", {}),
    ("elu", {"alpha": 2.5}),
    ("elu", {"alpha": -1}),
    ("gelu", {}),
    ("gelu", {"approximate": "none"}),
    ("gelu", {"approximate": "tanh"}),
    ("hardshrink", {}),
    ("hardshrink", {"lambd": 2}),
    ("hardshrink", {"lambd": -1.0}),
    ("hardsigmoid", {}),
    ("hardswish", {}),
    ("hardtanh", {}),
    ("hardtanh", {"min_val": -3, "max_val": 0.5}),
    ("hardtanh", {"min_val": 1.0, "max_val": 1.0}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": -1}),
    ("logsigmoid", {}),
    ("mish", {}),
    ("relu", {}),
    ("relu6", {}),
    ("selu", {}),
    ("sigmoid", {}),
    ("silu", {}),
    ("softplus", {}),
    ("softplus", {"beta": 3}),
    ("softplus", {"beta": 0.5, "threshold": 1.5}),
    ("softplus", {"beta": -1.0}),
    ("softshrink", {}),
    ("softshrink", {"lambd": 0}),
    ("softshrink", {"lambd": 1.25}),
    ("softsign", {}),
    ("tanh", {}),
    ("tanhshrink", {}),
    ("threshold", {"threshold": 0.5, "value": 7.0}),
    ("threshold", {"threshold": -1, "value": -2}),
]
IDS = [f"{name}-{'-'.join(map(str, kwargs.values()))}" for name, kwargs in POINTWISE]
OVER_A_DIM = ["softmax", "softmin", "log_softmax"]
# Where some function bends or jumps, and a step to either side; then magnitudes that overflow a careless exponential.
KINKS = [
    k + e for k in (-6.0, -3.0, -2.0, -1.25, -1.0, -0.5, 0.0, 0.5, 1.0, 1.25, 2.0, 3.0, 6.0) for e in (-1e-3, 0, 1e-3)
]
EXTREMES = [s * m for s in (-1, 1) for m in (1e-30, 1e-8, 20.0, 40.0, 80.0, 87.0, 89.0, 100.0, 710.0, 1e3, 1e4)]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 1.6e-2, torch.float16: 2e-3}


def value_and_grad(function, x, *rest, **kwargs):
    """The function's value, and the gradient of a fixed random mixture of its elements."""
    leaves = [t.detach().clone().requires_grad_() for t in (x, *rest)]
    out = function(*leaves, **kwargs)
    upstream = torch.linspace(-1.7, 2.3, out.numel(), dtype=torch.float64).reshape(out.shape).to(out)
    return out.detach(), *torch.autograd.grad(out, leaves, upstream)


def assert_like_torch(name, x, *rest, **kwargs):
    # torch computes these two with a float32 constant, 1 / alpha and 1 / 6, in double precision too.
    coarse = name in ("celu", "hardsigmoid") and x.dtype == torch.float64
    tolerance = 3e-7 if coarse else TOLERANCE[x.dtype]
    ours = value_and_grad(getattr(A, name), x, *rest, **kwargs)
    theirs = value_and_grad(getattr(F, name), x, *rest, **kwargs)
    for mine, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, expected, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.fixture(autouse=True)
def _fresh_compiler(request):
    if request.node.get_closest_marker("compile"):
        torch.compiler.reset()


@pytest.mark.parametrize(("name", "kwargs"), POINTWISE, ids=IDS)
class TestPointwise:
    def test_random(self, name, kwargs, device):
        for dtype in TOLERANCE:
            for shape in [(), (1,), (0, 3), (7,), (2, 3, 5, 7)]:
                x = 3 * torch.randn(shape, device=device, dtype=torch.float64)
                if name == "gelu":
                    # One formula: erf's last bit differs between torch's vectorized and plain loops.
                    x = x.clamp(-5, 5)
                assert_like_torch(name, x.to(dtype), **kwargs)

    def test_kinks(self, name, kwargs, device):
        for dtype in (torch.float64, torch.float32):
            assert_like_torch(name, torch.tensor(KINKS, device=device, dtype=dtype), **kwargs)

    def test_extremes(self, name, kwargs, device):
        for dtype in (torch.float64, torch.float32):
            x = torch.tensor(EXTREMES, device=device, dtype=dtype)
            assert_like_torch(name, x, **kwargs)

    def test_infinity_and_nan(self, name, kwargs, device):
        x = torch.tensor([math.inf, -math.inf, math.nan], device=device)
        ours, theirs = (value_and_grad(getattr(m, name), x, **kwargs) for m in (A, F))
        assert ours[0][2].isnan()
        for mine, expected in zip(ours, theirs, strict=True):
            # Where torch's kernel ends in inf * 0 it says NaN; ours may, or may give the limit. A gradient at NaN
            # means nothing: torch's own kernels answer 0, 1 or NaN.
            known = ~expected.isnan()
            known[2] = False
            torch.testing.assert_close(mine[known], expected[known])

    def test_gradcheck(self, name, kwargs):
        x = torch.tensor([-4.1, -1.7, -0.3, 0.2, 1.1, 2.6, 7.3], dtype=torch.float64, requires_grad=True)
        function = getattr(A, name)
        assert gradcheck(lambda x: function(x, **kwargs), x)
        assert gradgradcheck(lambda x: function(x, **kwargs), x)

    @pytest.mark.compile
    def test_compiles_whole(self, name, kwargs):
        compiled = torch.compile(lambda x: getattr(A, name)(x, **kwargs), fullgraph=True, backend="eager")
        x = torch.randn(3, 5)
        torch.testing.assert_close(compiled(x), getattr(A, name)(x, **kwargs))

    def test_vmaps(self, name, kwargs):
        x = torch.randn(3, 5)
        slopes = torch.func.vmap(torch.func.grad(lambda row: getattr(A, name)(row, **kwargs).sum()))(x)
        leaf = x.clone().requires_grad_()
        (expected,) = torch.autograd.grad(getattr(F, name)(leaf, **kwargs).sum(), leaf)
        torch.testing.assert_close(slopes, expected)

    @pytest.mark.bad_input
    @pytest.mark.parametrize("bad", [torch.tensor([1, 2]), torch.tensor([True]), torch.ones(2) * 1j, [1.0], 1.0, None])
    def test_wants_a_floating_tensor(self, name, kwargs, bad):
        with pytest.raises(TypeError, match="input: expected a "):
            getattr(A, name)(bad, **kwargs)


@given(st.floats(-1e4, 1e4), st.sampled_from(range(len(POINTWISE))))
@settings(max_examples=300, deadline=None)
def test_any_number(number, index):
    name, kwargs = POINTWISE[index]
    assert_like_torch(name, torch.tensor([number, -number], dtype=torch.float64), **kwargs)


class TestTails:
    """Digits that rounding could lose, against double precision."""

    def test_sigmoid_keeps_its_digits(self, device):
        x = torch.linspace(-87, 87, 3001, device=device)
        exact = x.double()
        exact = 1 / (1 + torch.exp(-exact))
        torch.testing.assert_close(A.sigmoid(x).double(), exact, rtol=3e-7, atol=0)
        leaf = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(A.sigmoid(leaf).sum(), leaf)
        wide = torch.exp(-x.double().abs())
        torch.testing.assert_close(slope.double(), wide / (1 + wide) ** 2, rtol=1e-6, atol=0)

    def test_tanh_keeps_its_digits(self, device):
        small = torch.logspace(-37, 1, 2001, device=device)
        x = torch.cat([-small, small])
        torch.testing.assert_close(A.tanh(x).double(), x.double().tanh(), rtol=4e-7, atol=0)

    def test_logsigmoid_and_softplus_keep_their_digits(self, device):
        x = torch.linspace(-80, 80, 3001, device=device)
        exact = torch.log1p(torch.exp(-x.double().abs())) + x.double().clamp(min=0)
        torch.testing.assert_close(A.softplus(x, threshold=15).double(), exact, rtol=1e-6, atol=0)
        torch.testing.assert_close(-A.logsigmoid(-x).double(), exact, rtol=1e-6, atol=0)

    def test_zero_keeps_its_sign(self, device):
        x = torch.tensor([0.0, -0.0], device=device)
        for name in ("tanh", "softsign", "gelu", "silu", "mish", "elu", "selu", "celu", "leaky_relu"):
            assert getattr(A, name)(x).signbit().tolist() == [False, True], name

    def test_half_precision_rounds_once(self, device):
        for dtype in (torch.bfloat16, torch.float16):
            x = torch.linspace(-3, 9, 1001, device=device).to(dtype)
            for name in ("gelu", "mish", "tanhshrink", "silu", "selu", "logsigmoid"):
                exact = getattr(A, name)(x.double()).to(dtype)
                got = getattr(A, name)(x)
                assert got.dtype == dtype
                assert (got == exact).double().mean() > 0.99, name


class TestStraightLines:
    """Piecewise linear functions state their slope."""

    @pytest.mark.parametrize("name", ["relu", "relu6", "hardtanh", "hardsigmoid", "hardshrink", "softshrink"])
    @pytest.mark.parametrize("upstream", [math.inf, -math.inf, math.nan])
    def test_cut_gradients_are_zero(self, name, upstream, device):
        x = torch.tensor([-7.0, 0.0, 0.25, 0.75, 7.0], device=device, requires_grad=True)
        grads = [torch.autograd.grad(getattr(m, name)(x), x, torch.full_like(x, upstream))[0] for m in (A, F)]
        torch.testing.assert_close(*grads, equal_nan=True)

    def test_square_root_of_relu(self, device):
        x = torch.tensor([-1.0, 0.0, 4.0], device=device, requires_grad=True)
        (grad,) = torch.autograd.grad(A.relu(x).sqrt().sum(), x)
        assert grad.tolist() == [0, 0, 0.25]


class TestStep:
    def test_values(self, device):
        x = torch.tensor([-math.inf, -1.0, -0.0, 0.0, 1e-40, 2.0, math.inf], device=device)
        assert A.step(x).tolist() == [0, 0, 0, 0, 1, 1, 1]

    def test_is_heaviside(self, device):
        x = torch.randn(7, 3, device=device)
        assert torch.equal(A.step(x), torch.heaviside(x, torch.zeros_like(x)))

    def test_gradient_is_zero(self, device):
        x = torch.randn(5, device=device, requires_grad=True)
        (grad,) = torch.autograd.grad(A.step(x).sum(), x)
        assert torch.equal(grad, torch.zeros_like(x))

    def test_is_the_slope_of_relu(self, device):
        x = torch.tensor([-2.0, 0.0, 3.0], device=device, requires_grad=True)
        (grad,) = torch.autograd.grad(A.relu(x).sum(), x)
        assert torch.equal(grad, A.step(x.detach()))


class TestSwish:
    def test_is_silu(self, device):
        x = torch.randn(11, device=device)
        assert torch.equal(A.swish(x), A.silu(x))

    def test_limits(self, device):
        x = torch.linspace(-5, 5, 41, device=device)
        torch.testing.assert_close(A.swish(x, beta=0), x / 2)
        torch.testing.assert_close(A.swish(x, beta=1e4), A.relu(x))

    def test_beta_can_be_learned(self):
        x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
        beta = torch.rand(3, dtype=torch.float64, requires_grad=True)
        assert gradcheck(A.swish, (x, beta))


class TestPReLU:
    @pytest.mark.parametrize(
        ("shape", "slopes"),
        [
            ((), ()),
            ((), (1,)),
            ((5,), ()),
            ((5,), (1,)),
            ((2, 3), (3,)),
            ((2, 3), (1,)),
            ((2, 3, 5, 7), (3,)),
            ((0, 3), (3,)),
        ],
    )
    def test_like_torch(self, shape, slopes, device):
        for dtype in TOLERANCE:
            x = torch.randn(shape, device=device).to(dtype)
            assert_like_torch("prelu", x, torch.rand(slopes, device=device).to(dtype))

    def test_extremes(self, device):
        x = torch.tensor([[math.inf, 0.0, -0.0, 1e30, -1e30, 5.0]], device=device)
        assert_like_torch("prelu", x.T.contiguous(), torch.tensor([0.25], device=device))

    def test_gradcheck(self):
        x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
        assert gradcheck(A.prelu, (x, torch.rand(3, dtype=torch.float64, requires_grad=True)))

    def test_module_trades_states_with_torch(self, device):
        ours, theirs = A.PReLU(3, init=0.1, device=device), nn.PReLU(3, init=0.4, device=device)
        assert torch.equal(ours.weight, torch.full((3,), 0.1, device=device))
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(2, 3, 5, device=device)
        torch.testing.assert_close(ours(x), theirs(x))
        ours.reset_parameters()
        theirs.load_state_dict(ours.state_dict())
        torch.testing.assert_close(ours(x), theirs(x))
        assert repr(ours) == repr(theirs)
        assert A.PReLU(dtype=torch.float64).weight.dtype == torch.float64

    @pytest.mark.compile
    def test_compiles_whole(self):
        x, weight = torch.randn(2, 3, 5), torch.rand(3)
        compiled = torch.compile(A.prelu, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(x, weight), F.prelu(x, weight))

    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("x", "weight", "error", "match"),
        [
            (torch.ones(2, 3), torch.ones(2), ValueError, "weight: expected 1 element or 3.*got 2"),
            (torch.ones(3), torch.ones(3), ValueError, "weight: expected 1 element or 1.*got 3"),
            (torch.ones(2, 3), torch.ones(1, 3), ValueError, r"weight: expected shape \(\) or \(channels,\)"),
            (torch.ones(2, 3), torch.ones(3).double(), TypeError, "weight: expected dtype torch.float32"),
            (torch.ones(2, 3), 0.25, TypeError, "weight: expected a torch.Tensor; got float"),
            (torch.ones(2, 3).int(), torch.ones(3), TypeError, "input: expected a floating"),
            (torch.ones(2, 3), torch.ones(3, device="meta"), ValueError, "weight: expected device cpu"),
        ],
    )
    def test_bad_input(self, x, weight, error, match):
        with pytest.raises(error, match=match):
            A.prelu(x, weight)


class TestGLU:
    @pytest.mark.parametrize(
        ("shape", "dim"),
        [((6,), -1), ((6,), 0), ((2, 3, 10), 2), ((2, 3, 10), -3), ((3, 14, 5), 1), ((0, 4), 1), ((3, 0), 1)],
    )
    def test_like_torch(self, shape, dim, device):
        for dtype in TOLERANCE:
            assert_like_torch("glu", torch.randn(shape, device=device).to(dtype), dim=dim)

    def test_default_dim(self, device):
        x = torch.randn(4, 6, device=device)
        torch.testing.assert_close(A.glu(x), F.glu(x))

    def test_swiglu_gate_comes_first(self, device):
        x = torch.randn(3, 10, 7, device=device)
        gate, features = x.chunk(2, dim=1)
        torch.testing.assert_close(A.swiglu(x, dim=1), F.silu(gate) * features)
        torch.testing.assert_close(A.swiglu(x[:, :, :6]), F.silu(x[:, :, :3]) * x[:, :, 3:6])

    @pytest.mark.parametrize("name", ["glu", "swiglu"])
    def test_gradcheck(self, name):
        x = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
        assert gradcheck(lambda x: getattr(A, name)(x, dim=1), x)

    @pytest.mark.compile
    @pytest.mark.parametrize("name", ["glu", "swiglu"])
    def test_compiles_whole(self, name):
        x = torch.randn(3, 8)
        compiled = torch.compile(getattr(A, name), fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(x), getattr(A, name)(x))

    @pytest.mark.bad_input
    @pytest.mark.parametrize("name", ["glu", "swiglu"])
    def test_bad_input(self, name):
        function = getattr(A, name)
        with pytest.raises(ValueError, match=r"input: expected an even size along dim -1; got shape \(2, 3\)"):
            function(torch.ones(2, 3))
        with pytest.raises(ValueError, match="dim: expected an axis"):
            function(torch.ones(2, 4), dim=2)
        with pytest.raises(ValueError, match="dim: expected an axis"):
            function(torch.tensor(1.0))
        with pytest.raises(TypeError, match="input: expected a floating"):
            function(torch.ones(2, 4).int())


@pytest.mark.parametrize("name", OVER_A_DIM)
class TestSoftmax:
    @pytest.mark.parametrize(
        ("shape", "dim"),
        [
            ((), 0),
            ((), -1),
            ((1,), 0),
            ((7,), -1),
            ((2, 3, 5), 0),
            ((2, 3, 5), 1),
            ((2, 3, 5), -1),
            ((0, 3), 0),
            ((0, 3), 1),
            ((3, 0), 1),
        ],
    )
    def test_like_torch(self, name, shape, dim, device):
        for dtype in TOLERANCE:
            x = 4 * torch.randn(shape, device=device)
            assert_like_torch(name, x.to(dtype), dim=dim)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
    @pytest.mark.parametrize("came", [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool])
    def test_dtype(self, name, came, dtype, device):
        if came == torch.bool and name == "softmin":
            pytest.skip("torch cannot negate bool either")
        x = (3 * torch.randn(5, 3, device=device)).to(came)
        ours, theirs = (getattr(m, name)(x, dim=0, dtype=dtype) for m in (A, F))
        torch.testing.assert_close(ours, theirs)

    def test_shift_and_scale(self, name, device):
        x = torch.randn(5, 7, device=device, dtype=torch.float64)
        function = getattr(A, name)
        torch.testing.assert_close(function(x + 100, dim=1), function(x, dim=1))
        assert_like_torch(name, 1000 * x, dim=1)
        assert_like_torch(name, 1e300 * x, dim=1)

    def test_sums_to_one(self, name, device):
        out = getattr(A, name)(torch.randn(5, 7, device=device, dtype=torch.float64), dim=0)
        total = (out.exp() if name == "log_softmax" else out).sum(0)
        torch.testing.assert_close(total, torch.ones_like(total))

    def test_infinite_scores(self, name, device):
        inf, sign = math.inf, -1 if name == "softmin" else 1
        rows = [[0.0, 1.0, -inf], [-inf, -inf, 2.0], [-inf, -inf, -inf], [inf, 0.0, 1.0], [math.nan, 0.0, 1.0]]
        assert_like_torch(name, sign * torch.tensor(rows, device=device), dim=1)

    def test_gradcheck(self, name):
        x = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
        assert gradcheck(lambda x: getattr(A, name)(x, dim=1), x)
        assert gradgradcheck(lambda x: getattr(A, name)(x, dim=1), x)

    @pytest.mark.compile
    def test_compiles_whole(self, name):
        x = torch.randn(3, 5)
        compiled = torch.compile(getattr(A, name), fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(x, dim=1), getattr(F, name)(x, dim=1))

    @pytest.mark.bad_input
    def test_bad_input(self, name):
        function = getattr(A, name)
        with pytest.raises(TypeError, match="dim"):
            function(torch.ones(2))
        with pytest.raises(ValueError, match="dim: expected an axis of input, an integer from -1 to 0; got 3"):
            function(torch.ones(2), dim=3)
        with pytest.raises(ValueError, match=r"dim: expected an axis .* got None"):
            function(torch.ones(2), dim=None)
        with pytest.raises(TypeError, match="input: expected a floating-point tensor"):
            function(torch.tensor([1, 2]), dim=0)
        with pytest.raises(TypeError, match=r"dtype: expected a floating-point dtype; got torch.int32"):
            function(torch.ones(2), dim=0, dtype=torch.int32)
        with pytest.raises(TypeError, match=r"input: expected a torch.Tensor; got list"):
            function([1.0], dim=0)


def test_softmax_by_hand(device):
    odds = torch.tensor([1.0, 2.0, 5.0], device=device)
    torch.testing.assert_close(A.softmax(odds.log(), dim=0), odds / 8)


class TestOptions:
    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("call", "match"),
        [
            (lambda x: A.gelu(x, approximate="erf"), "approximate: expected one of 'none', 'tanh'; got 'erf'"),
            (lambda x: A.hardtanh(x, 2, 1), "min_val: expected at most max_val, 1; got 2"),
            (lambda x: A.softshrink(x, -0.1), "lambd: expected a number in .*got -0.1"),
            (lambda x: A.celu(x, 0), "alpha: expected a number other than 0; got 0"),
        ],
    )
    def test_bad_option(self, call, match):
        with pytest.raises(ValueError, match=match):
            call(torch.ones(3))


class TestNames:
    def test_every_torch_activation_is_here(self):
        torchs = {name for name in dir(nn.modules.activation) if name[0].isupper()}
        functions = {name.lower().replace("_", "") for name in A.__all__}
        random_or_elsewhere = {
            "F",
            "RReLU",
            "MultiheadAttention",
            "Module",
            "Parameter",
            "Tensor",
            "NonDynamicallyQuantizableLinear",
        }
        same_as = {"Softmax2d": "softmax"}
        missing = [n for n in torchs - random_or_elsewhere if same_as.get(n, n.lower()) not in functions]
        assert missing == []

    def test_all_is_sorted_and_true(self):
        assert sorted(A.__all__) == A.__all__
        assert all(hasattr(A, name) for name in A.__all__)

    def test_activations_take_only_x(self, device):
        x = torch.randn(5, 3, device=device, requires_grad=True)
        for name, function in A.ACTIVATIONS.items():
            assert function is getattr(A, name)
            out = function(x)
            assert out.shape == x.shape, name
            assert torch.autograd.grad(out.sum(), x)[0].isfinite().all(), name

    def test_leaves_its_input_alone(self, device):
        x = torch.randn(5, device=device)
        before = x.clone()
        for function in A.ACTIVATIONS.values():
            function(x).add_(1)
        assert torch.equal(x, before)
