"""Scalers against scikit-learn's; normalizations against torch's, in value, gradient and running statistics."""

import copy
import math

import numpy as np
import pytest
import sklearn.preprocessing as sk
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from dlbook import normalization as N

TOLERANCE = {torch.float64: 1e-9, torch.float32: 5e-5, torch.bfloat16: 3e-2}

SCALERS = [
    (N.MinMaxScaler, {}, sk.MinMaxScaler),
    (N.MinMaxScaler, {"feature_range": (-2.0, 3.0)}, sk.MinMaxScaler),
    (N.MinMaxScaler, {"clip": True}, sk.MinMaxScaler),
    (N.StandardScaler, {}, sk.StandardScaler),
    (N.StandardScaler, {"with_mean": False}, sk.StandardScaler),
    (N.StandardScaler, {"with_std": False}, sk.StandardScaler),
    (N.RobustScaler, {}, sk.RobustScaler),
    (N.RobustScaler, {"quantile_range": (10.0, 99.0), "with_centering": False}, sk.RobustScaler),
    (N.RobustScaler, {"with_scaling": False}, sk.RobustScaler),
    (N.QuantileScaler, {}, sk.QuantileTransformer),
    (N.QuantileScaler, {"n_quantiles": 11}, sk.QuantileTransformer),
    (N.QuantileScaler, {"n_quantiles": 17, "output_distribution": "normal"}, sk.QuantileTransformer),
]
IDS = [f"{i}-{ours.__name__}" for i, (ours, _, _) in enumerate(SCALERS)]


def data(kind: str, rows: int = 101) -> torch.Tensor:
    x = torch.randn(rows, 5, dtype=torch.float64) * torch.tensor([1, 10, 1e-3, 100, 1]) + 3
    if kind == "constant":
        x[:, 1], x[:, 2] = 0.1, 0.0
    if kind == "ties":
        x = x.round()
    if kind == "missing":
        x[::7, 0], x[3, 3] = math.nan, math.nan
    return x


class TestScalers:
    @pytest.mark.filterwarnings("ignore:n_quantiles")
    @pytest.mark.parametrize("kind", ["plain", "constant", "ties", "missing"])
    @pytest.mark.parametrize(("ours", "kwargs", "theirs"), SCALERS, ids=IDS)
    def test_like_scikit_learn(self, ours, kwargs, theirs, kind, device):
        train, test = data(kind), data(kind, 37) * 1.5
        test[:7] = train[:7]
        mine, expected = ours(**kwargs).fit(train.to(device)), theirs(**kwargs).fit(train.numpy())
        for x in (train, test):
            scaled = mine.transform(x.to(device))
            np.testing.assert_allclose(scaled.cpu(), expected.transform(x.numpy()), rtol=1e-9, atol=1e-9)
            back = expected.inverse_transform(scaled.cpu().numpy().copy())
            np.testing.assert_allclose(mine.inverse_transform(scaled).cpu(), back, rtol=1e-7, atol=1e-7)

    @pytest.mark.parametrize("rows", [1, 2, 3])
    @pytest.mark.filterwarnings("ignore:n_quantiles")
    @pytest.mark.parametrize(("ours", "kwargs", "theirs"), SCALERS, ids=IDS)
    def test_few_samples(self, ours, kwargs, theirs, rows):
        x = data("plain", rows)
        if ours is N.QuantileScaler and rows == 1:
            assert ours(**kwargs).fit_transform(x).isfinite().all()
        else:
            np.testing.assert_allclose(ours(**kwargs).fit_transform(x), theirs(**kwargs).fit_transform(x.numpy()))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("scaler", [*dict.fromkeys(s for s, _, _ in SCALERS), N.MeanScaler, N.LogScaler])
    def test_there_and_back(self, scaler, dtype, device):
        x = torch.rand(13, 2, 3, 5, dtype=dtype, device=device)
        fitted = scaler().fit(x)
        scaled = fitted.transform(x)
        assert scaled.shape == x.shape
        assert scaled.dtype == dtype
        torch.testing.assert_close(fitted.inverse_transform(scaled), x)
        one = scaler().fit(x[:, 1, 2, 3])
        torch.testing.assert_close(one.transform(x[:, 1, 2, 3]), scaled[:, 1, 2, 3])

    def test_mean_scaler(self, device):
        x = data("missing").to(device)
        scaled = N.MeanScaler().fit_transform(x)
        torch.testing.assert_close(scaled.nanmean(0), torch.zeros_like(x[0]), atol=1e-12, rtol=0)
        full = scaled[:, 1]
        assert (full.max() - full.min()).item() == pytest.approx(1)

    def test_log_scaler(self, device):
        x = torch.logspace(-12, 6, 19, dtype=torch.float64, device=device)
        torch.testing.assert_close(N.LogScaler().fit_transform(x), x.log1p(), rtol=1e-14, atol=0)
        torch.testing.assert_close(N.LogScaler(offset=0.0).fit_transform(x), x.log())

    def test_the_test_split_does_not_leak(self):
        scaler = N.StandardScaler().fit(torch.zeros(3, 1) + torch.tensor([[1.0], [2.0], [3.0]]))
        before = scaler.center_.clone()
        scaler.transform(torch.full((5, 1), 1e6))
        assert torch.equal(scaler.center_, before)

    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("call", "error", "match"),
        [
            (lambda x: N.StandardScaler().transform(x), ValueError, "StandardScaler: expected a call of fit before"),
            (
                lambda x: N.MinMaxScaler().fit(x).transform(x[:, :2]),
                ValueError,
                r"features of shape \(3,\).*got \(2,\)",
            ),
            (lambda x: N.RobustScaler().fit(x[:0]), ValueError, "x: expected shape .* with one sample or more"),
            (lambda x: N.MeanScaler().fit(x.int()), TypeError, "x: expected a floating-point tensor"),
            (lambda x: N.MeanScaler().fit([1.0]), TypeError, r"x: expected a torch\.Tensor; got list"),
            (lambda x: N.LogScaler().fit(-2 * x), ValueError, "x: expected numbers above -1, minus the offset; got -2"),
            (lambda x: N.MinMaxScaler(feature_range=(1, 1)), ValueError, "feature_range: expected a number in"),
            (lambda x: N.RobustScaler(quantile_range=(50, 20)), ValueError, "quantile_range: expected a number in"),
            (lambda x: N.QuantileScaler(n_quantiles=1), ValueError, "n_quantiles: expected a number in"),
            (lambda x: N.QuantileScaler(output_distribution="t"), ValueError, "output_distribution: expected one of"),
        ],
    )
    def test_errors(self, call, error, match):
        with pytest.raises(error, match=match):
            call(torch.ones(2, 3))


def outcome(function, tensors, *rest, **kwargs):
    """Value, and gradients of a fixed mixture of its elements."""
    leaves = [t if t is None else t.detach().clone().requires_grad_() for t in tensors]
    out = function(*leaves, *rest, **kwargs)
    upstream = torch.linspace(-1.7, 2.3, out.numel(), dtype=torch.float64).reshape(out.shape).to(out)
    learn = [leaf for leaf in leaves if leaf is not None]
    return out.detach(), *torch.autograd.grad(out, learn, upstream)


def same(ours, theirs, dtype):
    for mine, expected in zip(ours, theirs, strict=True):
        scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
        atol = TOLERANCE[dtype] * (scale if scale < math.inf else 1)
        torch.testing.assert_close(mine, expected, rtol=TOLERANCE[dtype], atol=atol, equal_nan=True)


# name, shape, how the function is called with (module, x, weight, bias), shape of the parameters
CALLS = [
    ("layer_norm", (2, 3, 5, 7), lambda m, x, w, b: m.layer_norm(x, (5, 7), w, b), (5, 7)),
    ("layer_norm", (11,), lambda m, x, w, b: m.layer_norm(x, [11], w, b, 1e-3), (11,)),
    ("layer_norm", (0, 3), lambda m, x, w, b: m.layer_norm(x, (3,), w, b), (3,)),
    ("layer_norm", (3, 1), lambda m, x, w, b: m.layer_norm(x, (1,), w, b), (1,)),
    ("rms_norm", (2, 3, 5, 7), lambda m, x, w, b: m.rms_norm(x, (5, 7), w), (5, 7)),
    ("rms_norm", (3, 5), lambda m, x, w, b: m.rms_norm(x, (5,), w, 0.1), (5,)),
    ("group_norm", (2, 6, 5, 7), lambda m, x, w, b: m.group_norm(x, 3, w, b), (6,)),
    ("group_norm", (3, 6), lambda m, x, w, b: m.group_norm(x, 1, w, b, 0.1), (6,)),
    ("group_norm", (0, 6, 5), lambda m, x, w, b: m.group_norm(x, 2, w, b), (6,)),
    ("instance_norm", (2, 3, 5), lambda m, x, w, b: m.instance_norm(x, weight=w, bias=b), (3,)),
    ("instance_norm", (2, 3, 5, 7), lambda m, x, w, b: m.instance_norm(x, weight=w, bias=b, eps=0.1), (3,)),
    ("batch_norm", (11, 3), lambda m, x, w, b: m.batch_norm(x, None, None, w, b, True), (3,)),
    ("batch_norm", (2, 3, 5, 7), lambda m, x, w, b: m.batch_norm(x, None, None, w, b, True, eps=0.1), (3,)),
    ("batch_norm", (0, 3, 5), lambda m, x, w, b: m.batch_norm(x, None, None, w, b, True), (3,)),
    ("local_response_norm", (2, 7, 5), lambda m, x, w, b: m.local_response_norm(x, 3, 0.2, 0.5, 2.0), None),
    ("local_response_norm", (2, 7, 5, 3), lambda m, x, w, b: m.local_response_norm(x, 4), None),
    ("local_response_norm", (2, 3, 5, 2, 7), lambda m, x, w, b: m.local_response_norm(x, 9, alpha=1.0), None),
    ("normalize", (3, 5, 7), lambda m, x, w, b: m.normalize(x), None),
    ("normalize", (3, 5, 7), lambda m, x, w, b: m.normalize(x, p=1.0, dim=-1, eps=2.0), None),
    ("normalize", (3, 5, 7), lambda m, x, w, b: m.normalize(x, p=3, dim=(0, 2)), None),
    ("normalize", (3, 5), lambda m, x, w, b: m.normalize(x, p=math.inf), None),
]
CALL_IDS = [f"{i}-{name}" for i, (name, *_) in enumerate(CALLS)]


def made(shape, parameters, dtype, device, affine=True):
    x = (2 * torch.randn(shape, dtype=torch.float64) + 1).to(device, dtype)
    if parameters is None or not affine:
        return [x]
    return [x, *(torch.randn(parameters, dtype=torch.float64).to(device, dtype) for _ in range(2))]


@pytest.mark.parametrize(("name", "shape", "call", "parameters"), CALLS, ids=CALL_IDS)
class TestLikeTorch:
    @pytest.mark.parametrize("affine", [False, True])
    @pytest.mark.parametrize("dtype", list(TOLERANCE))
    def test_random(self, name, shape, call, parameters, dtype, affine, device):
        tensors = made(shape, parameters, dtype, device, affine)
        if name == "rms_norm":
            tensors = tensors[:2]

        def run(module):
            return outcome(lambda x, w=None, b=None: call(module, x, w, b), tensors)

        ours = run(N)
        if dtype is torch.bfloat16:  # rounded once: torch's own gradients round more often
            exact = outcome(lambda x, w=None, b=None: call(F, x, w, b), [t.double() for t in tensors])
            assert all(t.dtype == dtype for t in ours)
            same([t.double() for t in ours], exact, dtype)
        else:
            # The variance of one number is 0, and its gradient nothing but rounding.
            same(*(out[: 1 if shape == (3, 1) else None] for out in (ours, run(F))), dtype)

    @pytest.mark.parametrize("change", [lambda x: x + 1000, lambda x: 1000 * x, lambda x: 0 * x, lambda x: 1e-4 * x])
    def test_extremes(self, name, shape, call, parameters, change, device):
        (x,) = made(shape, None, torch.float64, device)
        torch.testing.assert_close(call(N, change(x), None, None), call(F, change(x), None, None))

    def test_infinity_and_nan(self, name, shape, call, parameters, device):
        (x,) = made(shape, None, torch.float32, device)
        for bad in (math.inf, math.nan):
            if x.numel():
                x.view(-1)[0] = bad
                ours, theirs = call(N, x, None, None), call(F, x, None, None)
                assert ours.isnan().sum() > 0
                if name in ("layer_norm", "group_norm", "normalize"):
                    torch.testing.assert_close(ours, theirs, equal_nan=True)

    def test_gradcheck(self, name, shape, call, parameters):
        tensors = [t.requires_grad_() for t in made(shape, parameters, torch.float64, "cpu")]
        assert gradcheck(lambda x, w=None, b=None: call(N, x, w, b), tensors)
        if name in ("layer_norm", "batch_norm") and len(shape) < 3:
            assert gradgradcheck(lambda x, w=None, b=None: call(N, x, w, b), tensors)

    def test_vmaps(self, name, shape, call, parameters):
        if 0 in shape or name == "local_response_norm":  # torch warns that its unfold is slow there
            return
        x = torch.randn(3, *shape)
        slope = torch.func.grad(lambda x: call(N, x, None, None).pow(3).sum())
        torch.testing.assert_close(torch.func.vmap(slope)(x), torch.stack([slope(row) for row in x]))

    @pytest.mark.compile
    def test_compiles_whole(self, name, shape, call, parameters):
        tensors = made(shape, parameters, torch.float32, "cpu")
        torch.compiler.reset()
        compiled = torch.compile(lambda x, w=None, b=None: call(N, x, w, b), fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(*tensors), call(N, *tensors, *[None] * (3 - len(tensors))))

    @pytest.mark.bad_input
    def test_wants_a_floating_tensor(self, name, shape, call, parameters):
        with pytest.raises(TypeError, match="input: expected a floating-point tensor"):
            call(N, torch.ones(shape, dtype=torch.int), None, None)
        with pytest.raises(TypeError, match=r"input: expected a torch\.Tensor; got list"):
            call(N, [1.0], None, None)


class TestRunningStatistics:
    @pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
    @pytest.mark.parametrize("momentum", [0.1, 0.0, 1.0])
    def test_moved_as_torchs(self, name, momentum, device):
        state = [torch.randn(3, device=device), torch.rand(3, device=device)]
        ours, theirs = [t.clone() for t in state], [t.clone() for t in state]
        for _ in range(3):
            x = torch.randn(2, 3, 5, 7, device=device) * 3 + 1
            outs = [
                getattr(m, name)(x, *running, None, None, True, momentum) for m, running in ((N, ours), (F, theirs))
            ]
            torch.testing.assert_close(*outs)
            torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(
            getattr(N, name)(x, *ours, None, None, False), getattr(F, name)(x, *theirs, None, None, False)
        )
        assert torch.equal(ours[0], state[0]) == (momentum == 0)

    def test_variance_is_unbiased_and_the_output_is_not(self, device):
        x = torch.randn(11, 3, device=device)
        mean, var = torch.zeros(3, device=device), torch.ones(3, device=device)
        y = N.batch_norm(x, mean, var, training=True, momentum=1.0)
        torch.testing.assert_close(mean, x.mean(0))
        torch.testing.assert_close(var, x.var(0, correction=1))
        torch.testing.assert_close(y.var(0, correction=0), torch.ones(3, device=device), rtol=1e-3, atol=0)

    def test_one_may_be_missing_and_an_empty_batch_moves_nothing(self, device):
        mean, var = torch.zeros(3, device=device), torch.ones(3, device=device)
        N.batch_norm(torch.empty(0, 3, 5, device=device), mean, var, training=True)
        assert mean.tolist() == [0, 0, 0]
        assert var.tolist() == [1, 1, 1]
        N.batch_norm(torch.ones(5, 3, device=device), mean, None, training=True, momentum=1.0)
        assert mean.tolist() == [1, 1, 1]

    def test_half_precision_input_with_single_precision_state(self, device):
        x = torch.randn(11, 3, device=device).bfloat16()
        state = [torch.zeros(3, device=device), torch.ones(3, device=device)]
        theirs = [t.clone() for t in state]
        ours = N.batch_norm(x, *state, training=True)
        torch.testing.assert_close(ours, F.batch_norm(x, *theirs, training=True), rtol=2e-2, atol=2e-2)
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(state, theirs, rtol=1e-2, atol=1e-2)

    @pytest.mark.compile
    def test_compiles_with_state(self):
        x, state = torch.randn(5, 3), [torch.zeros(3), torch.ones(3)]
        torch.compiler.reset()
        torch.compile(N.batch_norm, fullgraph=True, backend="eager")(x, *state, training=True)
        torch.testing.assert_close(state[0], 0.1 * x.mean(0))


class TestInvariants:
    def test_groups_between_layer_and_instance(self, device):
        x = torch.randn(2, 6, 5, 7, device=device)
        torch.testing.assert_close(N.group_norm(x, 6), N.instance_norm(x))
        torch.testing.assert_close(N.group_norm(x, 1), N.layer_norm(x, x.shape[1:]))

    def test_shift_and_scale_change_nothing(self, device):
        x = torch.randn(3, 5, dtype=torch.float64, device=device)
        torch.testing.assert_close(N.layer_norm(1e3 * x + 7, (5,), eps=0.0), N.layer_norm(x, (5,), eps=0.0))
        torch.testing.assert_close(N.rms_norm(1e3 * x, (5,), eps=0.0), N.rms_norm(x, (5,), eps=0.0))

    def test_normalize_writes_to_out(self, device):
        x = torch.randn(3, 5, device=device)
        out = torch.empty_like(x)
        assert N.normalize(x, out=out) is out
        torch.testing.assert_close(out, F.normalize(x))


LAYERS = [
    ("BatchNorm1d", (3,), {}, [(11, 3), (5, 3, 7)]),
    ("BatchNorm1d", (3,), {"momentum": None, "eps": 0.1}, [(11, 3), (5, 3, 7)]),
    ("BatchNorm1d", (3,), {"track_running_stats": False, "affine": False}, [(11, 3)]),
    ("BatchNorm2d", (3,), {"momentum": 0.3}, [(2, 3, 5, 7)]),
    ("InstanceNorm1d", (3,), {}, [(2, 3, 5), (3, 5)]),
    ("InstanceNorm1d", (3,), {"affine": True, "track_running_stats": True}, [(2, 3, 5), (3, 5)]),
    ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True, "momentum": None}, [(2, 3, 5, 7)]),
    ("InstanceNorm2d", (3,), {}, [(2, 3, 5, 7), (3, 5, 7)]),
    ("GroupNorm", (2, 6), {"eps": 0.1}, [(5, 6, 7), (3, 6)]),
    ("GroupNorm", (2, 6), {"affine": False}, [(5, 6, 7)]),
    ("LayerNorm", (7,), {}, [(3, 5, 7)]),
    ("LayerNorm", ((5, 7),), {"bias": False, "eps": 0.1}, [(3, 5, 7)]),
    ("LayerNorm", ([7],), {"elementwise_affine": False}, [(7,)]),
    ("RMSNorm", (7,), {}, [(3, 5, 7)]),
    ("RMSNorm", ((5, 7),), {"eps": 0.1, "elementwise_affine": False}, [(3, 5, 7)]),
    ("LocalResponseNorm", (3,), {"alpha": 0.1, "beta": 0.5, "k": 2.0}, [(2, 5, 7)]),
]


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "shapes"), LAYERS, ids=[f"{i}-{c[0]}" for i, c in enumerate(LAYERS)]
)
class TestLayers:
    def test_trades_states_with_torch(self, name, args, kwargs, shapes, device):
        ours, theirs = (getattr(m, name)(*args, **kwargs).to(device) for m in (N, nn))
        assert {k: v.shape for k, v in ours.state_dict().items()} == {
            k: v.shape for k, v in theirs.state_dict().items()
        }
        for parameter in theirs.parameters():
            nn.init.normal_(parameter)
        ours.load_state_dict(theirs.state_dict())
        for shape in shapes * 2:
            x = torch.randn(shape, device=device) * 2 + 1
            torch.testing.assert_close(ours(x), theirs(x))
        torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))
        ours.eval(), theirs.eval()
        torch.testing.assert_close(ours(x), theirs(x))
        fresh = getattr(nn, name)(*args, **kwargs).to(device)
        fresh.load_state_dict(ours.state_dict())
        torch.testing.assert_close(fresh.eval()(x), ours(x))

    def test_starts_and_resets_as_torchs(self, name, args, kwargs, shapes, device):
        ours, theirs = (getattr(m, name)(*args, **kwargs).to(device) for m in (N, nn))
        start = copy.deepcopy(dict(theirs.state_dict()))
        torch.testing.assert_close(dict(ours.state_dict()), start)
        for tensor in ours.state_dict().values():
            tensor.fill_(7)
        if hasattr(ours, "reset_parameters"):
            ours.reset_parameters()
            torch.testing.assert_close(dict(ours.state_dict()), start)
        assert str(args[0] if not isinstance(args[0], list) else args[0][0]) in repr(ours)
        if ours.state_dict():
            assert getattr(N, name)(*args, **kwargs, dtype=torch.float64).state_dict().popitem()[1].dtype in (
                torch.float64,
                torch.int64,
            )

    @pytest.mark.compile
    def test_compiles_whole(self, name, args, kwargs, shapes):
        ours, theirs = (getattr(m, name)(*args, **kwargs) for m in (N, nn))
        x = torch.randn(shapes[0])
        torch.compiler.reset()
        torch.testing.assert_close(torch.compile(ours, fullgraph=True, backend="eager")(x), theirs(x))


class TestErrors:
    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("call", "match"),
        [
            (lambda x: N.batch_norm(x[:1], None, None, training=True), "more than 1 value per channel in training"),
            (lambda x: N.batch_norm(x, None, None), "running_mean, running_var: expected both"),
            (lambda x: N.batch_norm(x, None, None, training=True, eps=0), "eps: expected a number in"),
            (
                lambda x: N.batch_norm(x, x[0, :2], None, training=True),
                r"running_mean: expected shape \(3,\); got \(2,\)",
            ),
            (lambda x: N.batch_norm(x, None, None, x, training=True), r"weight: expected shape \(3,\); got \(2, 3\)"),
            (
                lambda x: N.batch_norm(x[0], None, None, training=True),
                r"input: expected shape \(batch, channels, \.\.\.\)",
            ),
            (lambda x: N.instance_norm(x), "more than 1 value per channel and example"),
            (lambda x: N.instance_norm(x, use_input_stats=False), "running_mean, running_var: expected both"),
            (lambda x: N.group_norm(x, 2), "num_groups: expected a divisor of the 3 channels; got 2"),
            (lambda x: N.group_norm(x[:1], 3), "more than 1 value per group"),
            (
                lambda x: N.layer_norm(x, (2,)),
                r"normalized_shape: expected the last sizes of input's \(2, 3\); got \(2,\)",
            ),
            (lambda x: N.layer_norm(x, ()), "normalized_shape: expected the last sizes"),
            (lambda x: N.layer_norm(x, (3,), bias=x), r"bias: expected shape \(3,\)"),
            (lambda x: N.rms_norm(x, (3, 2)), "normalized_shape: expected the last sizes"),
            (lambda x: N.local_response_norm(x, 3), r"input: expected shape \(batch, channels, length"),
            (lambda x: N.local_response_norm(x[..., None], 0), "size: expected a number in"),
            (lambda x: N.normalize(x, dim=2), "dim: expected an axis of input, which has 2; got 2"),
            (lambda x: N.BatchNorm1d(5)(x), "input: expected 5 channels; got 3"),
            (
                lambda x: N.BatchNorm2d(3)(x),
                r"input: expected shape \(batch, channels, \.\.\.\) with 4 axes; got \(2, 3\)",
            ),
            (lambda x: N.InstanceNorm1d(2)(x[0]), r"input: expected shape .* with 3 axes; got \(3,\)"),
            (lambda x: N.GroupNorm(2, 3), "num_groups: expected a divisor of num_channels=3; got 2"),
        ],
    )
    def test_values(self, call, match):
        with pytest.raises(ValueError, match=match):
            call(torch.ones(2, 3))
