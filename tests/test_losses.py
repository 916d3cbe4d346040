"""The losses against torch's with every option, in value and gradient; against hand values where torch has none."""

import itertools
import math
import warnings

import numpy as np
import pytest
import sklearn.metrics
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from dlbook import losses as L

REDUCTIONS = ["none", "mean", "sum"]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 3e-2}
SHAPE = (3, 5, 7)


def normal(*shape):
    return torch.randn(shape or SHAPE, dtype=torch.float64)


def uniform(*shape):
    return torch.rand(shape or SHAPE, dtype=torch.float64)


def bits(*shape):
    return (uniform(*shape) > 0.5).double()


def signs(*shape):
    return 2 * bits(*shape) - 1


# name -> (makers of the float tensors, the rest as keyword options). Every option of every pointwise loss.
POINTWISE = [
    ("mse_loss", (normal, normal), {}),
    ("mse_loss", (normal, normal), {"weight": uniform}),
    ("l1_loss", (normal, normal), {}),
    ("l1_loss", (normal, normal), {"weight": uniform}),
    ("smooth_l1_loss", (normal, normal), {}),
    ("smooth_l1_loss", (normal, normal), {"beta": 0.3}),
    ("smooth_l1_loss", (normal, normal), {"beta": 0}),
    ("huber_loss", (normal, normal), {}),
    ("huber_loss", (normal, normal), {"delta": 0.3, "weight": uniform}),
    ("binary_cross_entropy", (uniform, uniform), {}),
    ("binary_cross_entropy", (uniform, bits), {"weight": lambda: uniform(7)}),
    ("binary_cross_entropy_with_logits", (normal, uniform), {}),
    ("binary_cross_entropy_with_logits", (normal, bits), {"weight": lambda: uniform(5, 1), "pos_weight": uniform}),
    ("binary_cross_entropy_with_logits", (normal, uniform), {"pos_weight": lambda: uniform(7)}),
    ("kl_div", (normal, uniform), {}),
    ("kl_div", (normal, normal), {"log_target": True}),
    ("poisson_nll_loss", (normal, lambda: 5 * uniform()), {}),
    ("poisson_nll_loss", (normal, lambda: (5 * uniform()).floor()), {"full": True}),
    ("poisson_nll_loss", (uniform, lambda: 5 * uniform()), {"log_input": False, "full": True, "eps": 1e-3}),
    ("gaussian_nll_loss", (normal, normal, uniform), {}),
    ("gaussian_nll_loss", (normal, normal, uniform), {"full": True, "eps": 0.2}),
    ("gaussian_nll_loss", (normal, normal, lambda: uniform(3, 5)), {}),
    ("gaussian_nll_loss", (normal, normal, lambda: uniform(3, 1, 7)), {}),
    ("hinge_embedding_loss", (normal, signs), {}),
    ("hinge_embedding_loss", (normal, signs), {"margin": 0.3}),
    ("hinge_embedding_loss", (normal, bits), {}),
    ("margin_ranking_loss", (normal, normal, signs), {}),
    ("margin_ranking_loss", (normal, normal, signs), {"margin": 0.5}),
    ("soft_margin_loss", (normal, signs), {}),
    ("multilabel_soft_margin_loss", (normal, bits), {}),
    ("multilabel_soft_margin_loss", (normal, bits), {"weight": lambda: uniform(7)}),
    ("cosine_embedding_loss", (lambda: normal(5, 7), lambda: normal(5, 7), lambda: signs(5)), {}),
    ("cosine_embedding_loss", (lambda: normal(5, 7), lambda: normal(5, 7), lambda: signs(5)), {"margin": 0.2}),
    ("cosine_embedding_loss", (lambda: normal(7), lambda: normal(7), lambda: torch.tensor(-1.0)), {"margin": -0.9}),
    ("triplet_margin_loss", (normal, normal, normal), {}),
    ("triplet_margin_loss", (normal, normal, normal), {"p": 1, "swap": True}),
    ("triplet_margin_loss", (normal, normal, normal), {"p": 3.5, "margin": 2, "eps": 0.1, "swap": True}),
    ("triplet_margin_loss", (normal, normal, normal), {"p": math.inf}),
    ("triplet_margin_with_distance_loss", (normal, normal, normal), {"swap": True}),
    (
        "triplet_margin_with_distance_loss",
        (normal, normal, normal),
        {"margin": 3.0, "distance_function": lambda: lambda x, y: (x - y).abs().sum(-1)},
    ),
]
IDS = [f"{i}-{case[0]}" for i, case in enumerate(POINTWISE)]


def value_and_grads(function, tensors, wanted=None, **kwargs):
    """The value, and the gradients of a fixed mixture of its elements for the tensors that have one."""
    leaves = [t.detach().clone() for t in tensors]
    for leaf in leaves[:wanted]:
        leaf.requires_grad_(leaf.is_floating_point())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="reduction: 'mean' divides the total loss")
        out = function(*leaves, **kwargs)
    upstream = torch.linspace(0.3, 2.3, out.numel(), dtype=torch.float64).reshape(out.shape).to(out)
    floats = [leaf for leaf in leaves if leaf.requires_grad]
    return out.detach(), torch.autograd.grad(out, floats, upstream, allow_unused=True)


def assert_like_torch(name, tensors, dtype=torch.float64, grads=None, **kwargs):
    """Same value, and same gradients with respect to the first ``grads`` tensors (all of them when None)."""
    tolerance = TOLERANCE[dtype]
    ours, our_grads = value_and_grads(getattr(L, name), tensors, grads, **kwargs)
    theirs, their_grads = value_and_grads(getattr(F, name), tensors, grads, **kwargs)
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)
    for mine, expected in zip(our_grads, their_grads, strict=True):
        if expected is not None and mine is not None:
            torch.testing.assert_close(mine, expected, rtol=tolerance, atol=tolerance, equal_nan=True)


def made(case, dtype, device):
    name, makers, options = case
    tensors = [make().to(device, dtype) for make in makers]
    kwargs = {key: value() if callable(value) else value for key, value in options.items()}
    return name, tensors, {k: v.to(device, dtype) if isinstance(v, torch.Tensor) else v for k, v in kwargs.items()}


@pytest.mark.parametrize("case", POINTWISE, ids=IDS)
class TestLikeTorch:
    @pytest.mark.parametrize("reduction", REDUCTIONS)
    def test_random(self, case, reduction, device):
        for dtype in (torch.float64, torch.float32):
            name, tensors, kwargs = made(case, dtype, device)
            # torch has no gradient for this target, and NaN for counts of 0.
            grads = 1 if name in ("soft_margin_loss", "poisson_nll_loss") else None
            assert_like_torch(name, tensors, dtype, grads, reduction=reduction, **kwargs)

    def test_half_precision(self, case, device):
        name, tensors, kwargs = made(case, torch.bfloat16, device)
        wide = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in kwargs.items()}
        got = getattr(L, name)(*tensors, reduction="sum", **kwargs)
        exact = getattr(L, name)(*[t.double() for t in tensors], reduction="sum", **wide)
        assert got.dtype == torch.bfloat16
        torch.testing.assert_close(got.double(), exact, rtol=2e-2, atol=2e-2)

    def test_gradcheck(self, case):
        name, tensors, kwargs = made(case, torch.float64, "cpu")
        leaves = [t.requires_grad_() for t in tensors[: 1 if name == "poisson_nll_loss" else 2]]
        assert gradcheck(lambda *a: getattr(L, name)(*a, *tensors[len(a) :], **kwargs), leaves)

    @pytest.mark.compile
    def test_compiles_whole(self, case):
        name, tensors, kwargs = made(case, torch.float32, "cpu")
        torch.compiler.reset()
        compiled = torch.compile(lambda *a: getattr(L, name)(*a, **kwargs), fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(*tensors), getattr(L, name)(*tensors, **kwargs))

    @pytest.mark.bad_input
    def test_bad_input(self, case):
        name, tensors, kwargs = made(case, torch.float32, "cpu")
        function = getattr(L, name)
        with pytest.raises(ValueError, match=r"reduction: expected one of 'none', 'mean', 'sum'.*got 'average'"):
            function(*tensors, reduction="average", **kwargs)
        with pytest.raises(TypeError, match=r"expected a floating-point tensor; got dtype torch\.int32"):
            function(tensors[0].int(), *tensors[1:], **kwargs)
        with pytest.raises(TypeError, match=r"expected a torch\.Tensor; got list"):
            function(tensors[0], [1.0], *tensors[2:], **kwargs)
        with pytest.raises(ValueError, match=r"expected .*got"):
            function(tensors[0], torch.ones(11, 13), *tensors[2:], **kwargs)


class TestReductions:
    @pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "kl_div", "soft_margin_loss", "huber_loss"])
    @pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3)])
    def test_empty_and_single(self, name, shape, device):
        for reduction in REDUCTIONS:
            x = torch.rand(shape, dtype=torch.float64, device=device)
            assert_like_torch(name, [x, x / 2], grads=1, reduction=reduction)

    def test_batchmean(self, device):
        x, y = normal().to(device), uniform().to(device)
        torch.testing.assert_close(L.kl_div(x, y, reduction="batchmean"), F.kl_div(x, y, reduction="batchmean"))
        x, y = x[0, 0, 0], y[0, 0, 0]
        torch.testing.assert_close(L.kl_div(x, y, reduction="batchmean"), F.kl_div(x, y, reduction="batchmean"))

    @pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
    def test_different_shapes_broadcast_with_a_warning(self, name, device):
        x, y = normal(5, 1).to(device), normal(5).to(device)
        with pytest.warns(UserWarning, match=r"target has shape \(5,\) and input \(5, 1\).*\(5, 5\)"):
            ours = getattr(L, name)(x, y)
        with pytest.warns(UserWarning, match="Using a target size"):
            theirs = getattr(F, name)(x, y)
        torch.testing.assert_close(ours, theirs)

    def test_dtypes_promote(self, device):
        x, y = normal(7).float().to(device), normal(7).to(device)
        assert L.mse_loss(x, y).dtype == F.mse_loss(x, y).dtype == torch.float64
        assert L.l1_loss(x.bfloat16(), x).dtype == torch.float32
        torch.testing.assert_close(
            L.mse_loss(x, torch.arange(7, device=device)), F.mse_loss(x, torch.arange(7.0).to(x))
        )


class TestRegression:
    @pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
    def test_extremes(self, name, device):
        x = torch.tensor([0.0, 1.0, -1.0, 1e4, -1e4, math.inf, -math.inf, math.nan], device=device)
        assert_like_torch(name, [x, torch.zeros_like(x)], torch.float32, grads=1, reduction="none")

    def test_smooth_l1_is_huber_over_its_threshold(self):
        x, y = normal(), normal()
        torch.testing.assert_close(L.huber_loss(x, y, delta=0.7), 0.7 * L.smooth_l1_loss(x, y, beta=0.7))

    def test_balanced_l1_slope_is_the_papers(self, device):
        alpha, gamma = 0.5, 1.5
        x = torch.linspace(-3, 3, 101, dtype=torch.float64, device=device, requires_grad=True)
        loss = L.balanced_l1_loss(x, torch.zeros_like(x), reduction="sum")
        (slope,) = torch.autograd.grad(loss, x)
        b = math.exp(gamma / alpha) - 1
        expected = torch.where(x.abs() < 1, alpha * torch.log(b * x.abs() + 1), gamma) * x.sign()
        torch.testing.assert_close(slope, expected)

    def test_balanced_l1_scales_with_its_threshold(self):
        x, y = normal(), normal()
        wide = L.balanced_l1_loss(3 * x, 3 * y, reduction="none", alpha=0.3, gamma=2.0, beta=3.0)
        torch.testing.assert_close(wide, 3 * L.balanced_l1_loss(x, y, reduction="none", alpha=0.3, gamma=2.0))
        assert gradcheck(L.balanced_l1_loss, (x.requires_grad_(), y))

    def test_quadratic_cost(self, device):
        x, y = normal().to(device).requires_grad_(), normal().to(device)
        torch.testing.assert_close(L.quadratic_cost(x, y), F.mse_loss(x, y) * 7 / 2)
        (grad,) = torch.autograd.grad(L.quadratic_cost(x, y, reduction="sum"), x)
        torch.testing.assert_close(grad, x - y)
        assert L.quadratic_cost(x, y, "none").shape == (3, 5)

    def test_variance_as_a_number_and_below_its_bound(self, device):
        x, y = normal().to(device), normal().to(device)
        torch.testing.assert_close(L.gaussian_nll_loss(x, y, 0.7), F.gaussian_nll_loss(x, y, 0.7))
        assert_like_torch("gaussian_nll_loss", [x, y, torch.zeros_like(x)])

    def test_poisson_counts_of_zero_have_finite_gradients(self):
        x, y = normal(5).requires_grad_(), torch.zeros(5, dtype=torch.float64, requires_grad=True)
        grads = torch.autograd.grad(L.poisson_nll_loss(x, y, full=True), [x, y])
        assert all(grad.isfinite().all() for grad in grads)

    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("call", "match"),
        [
            (lambda x: L.huber_loss(x, x, delta=0), r"delta: expected a number in \(0"),
            (lambda x: L.smooth_l1_loss(x, x, beta=-1), "beta: expected a number in"),
            (lambda x: L.balanced_l1_loss(x, x, alpha=0), "alpha: expected a number in"),
            (lambda x: L.mse_loss(x, x, weight=x[0]), r"weight: expected shape \(2, 3\), as input has; got \(3,\)"),
            (lambda x: L.gaussian_nll_loss(x, x, -x), "var: expected variances of 0 or more; got 6"),
            (lambda x: L.gaussian_nll_loss(x, x, -1.0), "var: expected a number in"),
            (lambda x: L.gaussian_nll_loss(x, x, torch.ones(1, 1)), r"var: expected shape \(2, 3\)"),
            (lambda x: L.gaussian_nll_loss(x, x, x, eps=0), "eps: expected a number in"),
            (lambda x: L.quadratic_cost(x[0, 0], x[0, 0]), r"input: expected shape \(..., outputs\)"),
            (lambda x: L.mse_loss(x, x.to("meta")), "target: expected device cpu"),
        ],
    )
    def test_errors(self, call, match):
        with pytest.raises(ValueError, match=match):
            call(torch.ones(2, 3))


CLASS_SHAPES = [(5,), (3, 5), (3, 5, 7), (3, 5, 2, 7), (0, 5), (3, 1)]


def class_case(shape, device, dtype=torch.float64):
    x = normal(*shape).to(device, dtype)
    dim = min(len(shape) - 1, 1)
    y = torch.randint(shape[dim], shape[:dim] + shape[dim + 1 :], device=device)
    return x, y, uniform(shape[dim]).to(device, dtype), dim


class TestClasses:
    @pytest.mark.parametrize("shape", CLASS_SHAPES)
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
    def test_indices(self, shape, weighted, smoothing, device):
        for dtype, reduction, ignore in itertools.product((torch.float64, torch.float32), REDUCTIONS, (-100, 0)):
            x, y, w, _ = class_case(shape, device, dtype)
            if y.ndim and y.numel():
                y[0] = ignore
            kwargs = {"weight": w if weighted else None, "reduction": reduction, "ignore_index": ignore}
            assert_like_torch("cross_entropy", [x, y], dtype, label_smoothing=smoothing, **kwargs)
            if not smoothing:
                assert_like_torch("nll_loss", [x, y], dtype, **kwargs)

    @pytest.mark.parametrize("shape", CLASS_SHAPES)
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("smoothing", [0.0, 0.3])
    def test_probabilities(self, shape, weighted, smoothing, device):
        for reduction in REDUCTIONS:
            x, _, w, dim = class_case(shape, device)
            y = normal(*shape).to(device).softmax(dim)
            kwargs = {"weight": w if weighted else None, "reduction": reduction}
            assert_like_torch("cross_entropy", [x, y], label_smoothing=smoothing, **kwargs)

    def test_half_precision(self, device):
        x, y, w, _ = class_case((3, 5, 7), device, torch.bfloat16)
        for weight in (None, w):
            assert_like_torch("cross_entropy", [x, y], torch.bfloat16, weight=weight, label_smoothing=0.1)

    def test_everything_ignored(self, device):
        x, y = normal(3, 5).to(device), torch.full((3,), -100, device=device)
        assert L.cross_entropy(x, y).isnan()
        for reduction in REDUCTIONS:
            assert_like_torch("cross_entropy", [x, y], reduction=reduction)

    @pytest.mark.parametrize("shift", [0, 100, -1000, 1e4])
    def test_shift_changes_nothing(self, shift, device):
        x, y, _, _ = class_case((3, 5), device)
        torch.testing.assert_close(L.cross_entropy(x + shift, y), L.cross_entropy(x, y))

    def test_extremes(self, device):
        x = torch.tensor([[1e4, -1e4, 0.0], [-math.inf, 0.0, 1.0], [0.0, math.nan, 0.0], [1e30, 1e30, 1.0]])
        for y in ([0, 1, 0, 0], [1, 0, 2, 2]):
            y = torch.tensor(y, device=device)
            assert_like_torch("cross_entropy", [x.to(device), y], torch.float32, reduction="none")

    def test_gradient_is_the_difference_of_probabilities(self, device):
        x, y, _, _ = class_case((3, 5), device)
        x.requires_grad_()
        (grad,) = torch.autograd.grad(L.cross_entropy(x, y, reduction="sum"), x)
        torch.testing.assert_close(grad, x.softmax(1) - F.one_hot(y, 5))
        assert gradcheck(lambda x: L.cross_entropy(x, y, label_smoothing=0.2), x)

    def test_uint8_and_int32_indices(self, device):
        x, y, w, _ = class_case((3, 5), device)
        for dtype in (torch.uint8, torch.int32):
            torch.testing.assert_close(L.cross_entropy(x, y.to(dtype), w), F.cross_entropy(x, y, w))

    def test_vmaps(self):
        x, y = normal(2, 3, 5), torch.randint(5, (2, 3))
        ours = torch.func.vmap(torch.func.grad(L.cross_entropy))(x, y)
        torch.testing.assert_close(ours, torch.func.vmap(torch.func.grad(F.cross_entropy))(x, y))
        assert torch.func.vmap(L.one_hot, in_dims=(0, None))(y, 5).shape == (2, 3, 5)

    @pytest.mark.compile
    def test_compiles_whole(self):
        x, y, w, _ = class_case((3, 5), "cpu")
        torch.compiler.reset()
        compiled = torch.compile(L.cross_entropy, fullgraph=True, backend="eager")
        torch.testing.assert_close(
            compiled(x, y, w, label_smoothing=0.1), F.cross_entropy(x, y, w, label_smoothing=0.1)
        )

    def test_kl_of_a_one_hot_target_has_finite_gradients(self, device):
        x = normal(3, 5).to(device).log_softmax(1).requires_grad_()
        y = torch.eye(5, dtype=torch.float64, device=device)[:3].requires_grad_()
        loss = L.kl_div(x, y, reduction="sum")
        torch.testing.assert_close(loss, F.nll_loss(x, torch.arange(3, device=device), reduction="sum"))
        assert all(grad.isfinite().all() for grad in torch.autograd.grad(loss, [x, y]))

    def test_one_hot(self, device):
        y = torch.randint(7, (3, 5), device=device)
        for classes in (-1, 7, 11):
            assert torch.equal(L.one_hot(y, classes), F.one_hot(y, classes))
        assert L.one_hot(torch.zeros(0, 2, dtype=torch.long, device=device), 3).shape == (0, 2, 3)

    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("call", "error", "match"),
        [
            (lambda x, y: L.cross_entropy(x, y + 3), ValueError, r"target: expected class indices in \[0, 3\); got 2"),
            (lambda x, y: L.nll_loss(x, y - 1), ValueError, "target: expected class indices"),
            (lambda x, y: L.cross_entropy(x, y[:1]), ValueError, r"class indices of shape \(2,\); got \(1,\)"),
            (lambda x, y: L.cross_entropy(x, y.float()), TypeError, "target: expected class indices of an integer"),
            (lambda x, y: L.cross_entropy(x, x.long()), TypeError, "target: expected floating-point class prob"),
            (lambda x, y: L.cross_entropy(x, y, x[0, :2]), ValueError, r"weight: expected shape \(3,\)"),
            (lambda x, y: L.cross_entropy(x, x, x[0, :2]), ValueError, r"weight: expected shape \(3,\)"),
            (lambda x, y: L.cross_entropy(x, y, label_smoothing=1.1), ValueError, "label_smoothing: expected"),
            (lambda x, y: L.cross_entropy(x, y, reduction="avg"), ValueError, "reduction: expected one of"),
            (lambda x, y: L.nll_loss(x[0, 0], y), ValueError, r"input: expected shape \(classes,\)"),
            (lambda x, y: L.nll_loss(y, y), TypeError, "input: expected a floating-point"),
            (lambda x, y: L.cross_entropy(x, [0, 1]), TypeError, "target: expected a torch.Tensor"),
            (lambda x, y: L.kl_div(x, x, reduction="avg"), ValueError, "'batchmean'; got 'avg'"),
            (lambda x, y: L.one_hot(y - 1), ValueError, "tensor: expected class indices"),
            (lambda x, y: L.one_hot(y, 1), ValueError, r"tensor: expected class indices in \[0, 1\)"),
            (lambda x, y: L.one_hot(y[:0]), ValueError, "num_classes: expected the number of classes"),
            (lambda x, y: L.one_hot(x, 3), TypeError, "tensor: expected class indices of an integer"),
        ],
    )
    def test_errors(self, call, error, match):
        with pytest.raises(error, match=match):
            call(torch.ones(2, 3), torch.tensor([0, 1]))


class TestBinary:
    def test_certainty(self, device):
        p = torch.tensor([0.0, 0.0, 1.0, 1.0, 1e-45, 0.5], device=device)
        y = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0, 0.5], device=device)
        assert_like_torch("binary_cross_entropy", [p, y], torch.float32, grads=1, reduction="none")
        assert L.binary_cross_entropy(p[1:2], y[1:2]).item() == 100

    def test_extreme_logits(self, device):
        x = torch.tensor([0.0, 100.0, -100.0, 1e4, -1e4, 1e30], device=device)
        for y in (torch.zeros_like(x), torch.ones_like(x)):
            assert_like_torch("binary_cross_entropy_with_logits", [x, y], torch.float32, reduction="none")

    @given(st.floats(-50, 50), st.floats(0, 1))
    @settings(max_examples=100, deadline=None)
    def test_logits_and_probabilities_agree(self, x, y):
        x, y = torch.tensor([x], dtype=torch.float64), torch.tensor([y], dtype=torch.float64)
        p = torch.sigmoid(x)
        torch.testing.assert_close(
            L.binary_cross_entropy_with_logits(x, y), -(y * p.log() + (1 - y) * torch.sigmoid(-x).log()).mean()
        )

    def test_soft_margin_does_not_overflow(self, device):
        x = torch.tensor([-1e4, -100.0, 0.0, 100.0], device=device)
        expected = torch.tensor([1e4, 100.0, math.log(2), 0.0], device=device)
        torch.testing.assert_close(L.soft_margin_loss(x, torch.ones_like(x), "none"), expected)

    def test_focal_is_weighted_cross_entropy(self, device):
        x, y = normal().to(device), bits().to(device)
        plain = L.focal_loss(x, y, alpha=None, gamma=0, reduction="none")
        torch.testing.assert_close(plain, F.binary_cross_entropy_with_logits(x, y, reduction="none"))
        p = torch.where(y == 1, x.sigmoid(), 1 - x.sigmoid())
        expected = torch.where(y == 1, 0.3, 0.7) * (1 - p) ** 1.5 * -p.log()
        for reduction, reduced in (("none", expected), ("mean", expected.mean()), ("sum", expected.sum())):
            torch.testing.assert_close(L.focal_loss(x, y, 0.3, 1.5, reduction), reduced)
        assert gradcheck(lambda x: L.focal_loss(x, y, gamma=0.5), x.requires_grad_())

    @pytest.mark.parametrize("gamma", [0, 0.5, 2])
    def test_focal_extremes(self, gamma, device):
        x = torch.tensor([-1e4, -200.0, 0.0, 200.0, 1e4], device=device, requires_grad=True)
        for y in (torch.zeros_like(x), torch.ones_like(x)):
            loss = L.focal_loss(x, y, gamma=gamma, reduction="none")
            (grad,) = torch.autograd.grad(loss.sum(), x)
            assert loss.isfinite().all()
            assert grad.isfinite().all()

    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("call", "match"),
        [
            (lambda x: L.binary_cross_entropy(x + 1, x), r"input: expected probabilities in \[0, 1\]; got 6"),
            (lambda x: L.binary_cross_entropy(x * math.nan, x), "input: expected probabilities"),
            (lambda x: L.binary_cross_entropy(x, x[0]), r"target: expected shape \(2, 3\), as input has"),
            (lambda x: L.binary_cross_entropy_with_logits(x, x[0]), r"target: expected shape \(2, 3\)"),
            (lambda x: L.focal_loss(x, x[0]), r"target: expected shape \(2, 3\)"),
            (lambda x: L.focal_loss(x, x, alpha=2), "alpha: expected a number in"),
            (lambda x: L.focal_loss(x, x, gamma=-1), "gamma: expected a number in"),
            (lambda x: L.multilabel_soft_margin_loss(x[0, 0], x[0, 0]), "input: expected shape"),
        ],
    )
    def test_errors(self, call, match):
        with pytest.raises(ValueError, match=match):
            call(torch.full((2, 3), 0.5))


class TestMargins:
    def test_hinge_is_scikit_learns(self):
        x, y = normal(101), signs(101)
        assert L.hinge_loss(x, y).item() == pytest.approx(sklearn.metrics.hinge_loss(y.numpy(), x.numpy()))
        assert L.hinge_loss(torch.tensor([1.0]), torch.tensor([1.0])).item() == 0
        np.testing.assert_allclose(L.hinge_loss(x, y, "sum"), np.maximum(0, 1 - (x * y).numpy()).sum())

    @pytest.mark.parametrize("shape", [(3, 7), (7,), (0, 7), (3, 1)])
    def test_multi_margin(self, shape, device):
        for p, margin, weighted, reduction in itertools.product((1, 2), (1.0, 0.3), (False, True), REDUCTIONS):
            x, y = normal(*shape).to(device), torch.randint(shape[-1], shape[:-1], device=device)
            weight = uniform(shape[-1]).to(device) if weighted else None
            kwargs = {"p": p, "margin": margin, "weight": weight, "reduction": reduction}
            if x.numel() or reduction != "mean":
                assert_like_torch("multi_margin_loss", [x, y], **kwargs)
            else:  # torch's answer is whatever the memory held
                assert L.multi_margin_loss(x, y, **kwargs).isnan()

    def test_ties_have_torchs_slope(self, device):
        x = torch.tensor([[2.0, 1.0, 3.0]], dtype=torch.float64, device=device)
        assert_like_torch("multi_margin_loss", [x, torch.tensor([0], device=device)])
        assert_like_torch("multilabel_margin_loss", [x, torch.tensor([[0, -1, 1]], device=device)])

    @pytest.mark.parametrize("shape", [(5, 7), (7,), (0, 7), (2, 1)])
    def test_multilabel_margin(self, shape, device):
        for _, reduction in itertools.product(range(5), REDUCTIONS):
            x = normal(*shape).to(device)
            y = torch.randint(-1, shape[-1], shape, device=device)
            if x.numel() or reduction != "mean":
                assert_like_torch("multilabel_margin_loss", [x, y], reduction=reduction)

    @pytest.mark.compile
    @pytest.mark.parametrize("name", ["multi_margin_loss", "multilabel_margin_loss"])
    def test_compiles_whole(self, name):
        x = torch.randn(3, 5)
        y = torch.tensor([0, 3, 4]) if name == "multi_margin_loss" else torch.randint(-1, 5, (3, 5))
        torch.compiler.reset()
        compiled = torch.compile(getattr(L, name), fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(x, y), getattr(F, name)(x, y))

    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("call", "error", "match"),
        [
            (lambda x, y: L.multi_margin_loss(x, y, p=3), ValueError, "p: expected one of 1, 2; got 3"),
            (lambda x, y: L.multi_margin_loss(x, y + 5), ValueError, r"target: expected class indices in \[0, 3\)"),
            (lambda x, y: L.multi_margin_loss(x, y[:1]), ValueError, r"target: expected shape \(2,\); got \(1,\)"),
            (lambda x, y: L.multi_margin_loss(x, y, weight=x), ValueError, r"weight: expected shape \(3,\)"),
            (lambda x, y: L.multi_margin_loss(x[None], y), ValueError, r"input: expected shape \(batch, classes\)"),
            (lambda x, y: L.multi_margin_loss(x, y.float()), TypeError, "target: expected class indices"),
            (lambda x, y: L.multilabel_margin_loss(x, y), ValueError, r"target: expected shape \(2, 3\)"),
            (
                lambda x, y: L.multilabel_margin_loss(x, x.long() + 4),
                ValueError,
                r"target: expected labels in \[0, 3\)",
            ),
            (lambda x, y: L.multilabel_margin_loss(x, x), TypeError, "target: expected class indices"),
            (lambda x, y: L.hinge_loss(x, x.to("meta")), ValueError, "target: expected device"),
            (lambda x, y: L.hinge_loss(y, x), TypeError, "input: expected a floating-point"),
        ],
    )
    def test_errors(self, call, error, match):
        with pytest.raises(error, match=match):
            call(torch.ones(2, 3), torch.tensor([0, 1]))


class TestEmbeddings:
    def test_zero_vectors(self, device):
        x = torch.zeros(2, 5, dtype=torch.float64, device=device)
        y = torch.tensor([1.0, -1.0], dtype=torch.float64, device=device)
        assert_like_torch("cosine_embedding_loss", [x, normal(2, 5).to(device), y], torch.float32, grads=2)
        assert_like_torch("triplet_margin_loss", [x, x, x])

    @pytest.mark.parametrize("others", [0, 11])
    def test_info_nce_is_a_row_of_a_softmax(self, others, device):
        q, k, n = normal(5, 7).to(device), normal(5, 7).to(device), normal(others, 7).to(device)
        cosine = F.cosine_similarity(q[:, None], torch.cat([k, n])[None], dim=-1)
        expected = -(cosine / 0.2).log_softmax(1).diagonal()
        negatives = n if others else None
        torch.testing.assert_close(L.info_nce(q, k, negatives, temperature=0.2, reduction="none"), expected)
        torch.testing.assert_close(L.info_nce(q, k, negatives, 0.2), expected.mean())

    def test_info_nce_by_chance_and_at_best(self, device):
        same = torch.ones(7, 3, device=device)
        assert L.info_nce(same, same).item() == pytest.approx(math.log(7), rel=1e-5)
        apart = torch.eye(7, device=device)
        assert L.info_nce(apart, 5 * apart, temperature=0.01).item() < 1e-6
        assert gradcheck(L.info_nce, (normal(5, 3).requires_grad_(), normal(5, 3).requires_grad_()))

    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("call", "error", "match"),
        [
            (lambda x: L.info_nce(x, x[:1]), ValueError, r"key: expected shape \(2, 3\), as query has"),
            (lambda x: L.info_nce(x, x, x[:, :2]), ValueError, "negatives: expected 3 features.*got 2"),
            (lambda x: L.info_nce(x, x, temperature=0), ValueError, "temperature: expected a number"),
            (lambda x: L.info_nce(x[0], x[0]), ValueError, r"query: expected shape \(batch, features\)"),
            (lambda x: L.info_nce(x.int(), x), TypeError, "query: expected a floating-point"),
            (lambda x: L.triplet_margin_loss(x, x, x, margin=0), ValueError, "margin: expected a number"),
            (lambda x: L.triplet_margin_loss(x, x, x[0]), ValueError, "negative: expected shape as anchor's"),
            (lambda x: L.triplet_margin_loss(x, x, torch.ones(5, 3)), ValueError, "expected one shape; got"),
            (lambda x: L.cosine_embedding_loss(x, x, x), ValueError, r"target: expected shape \(batch,\) or \(\)"),
            (lambda x: L.cosine_embedding_loss(x, x[0], x[0]), ValueError, r"input2: expected shape \(batch, feat"),
            (lambda x: L.cosine_embedding_loss(x, x, torch.ones(5)), ValueError, "expected one batch"),
        ],
    )
    def test_errors(self, call, error, match):
        with pytest.raises(error, match=match):
            call(torch.ones(2, 3))


def ctc_case(device, time=13, batch=5, classes=7, longest=4, dtype=torch.float64):
    logits = normal(time, batch, classes).to(device, dtype).requires_grad_()
    targets = torch.randint(1, classes, (batch, longest), device=device)
    frames = torch.randint(min(2 * longest, time), time + 1, (batch,))
    lengths = torch.randint(0, longest + 1, (batch,))
    return logits, targets, frames, lengths


def ctc_and_grad(function, logits, *rest, **kwargs):
    loss = function(logits.log_softmax(-1), *rest, **kwargs)
    weights = torch.linspace(0.5, 2, loss.numel(), dtype=loss.dtype, device=loss.device).reshape(loss.shape)
    return loss.detach(), torch.autograd.grad((loss * weights).sum(), logits)[0]


class TestCTC:
    @pytest.mark.parametrize("reduction", REDUCTIONS)
    @pytest.mark.parametrize("joined", [False, True])
    def test_like_torch(self, reduction, joined, device):
        for _ in range(5):
            logits, targets, frames, lengths = ctc_case(device)
            if joined:
                targets = torch.cat([row[:n] for row, n in zip(targets, lengths, strict=True)])
            for zero_infinity in (False, True):
                ours, theirs = (
                    ctc_and_grad(m.ctc_loss, logits, targets, frames, lengths, 0, reduction, zero_infinity)
                    for m in (L, F)
                )
                torch.testing.assert_close(ours, theirs)

    @pytest.mark.parametrize("blank", [0, 3, 6])
    def test_any_blank(self, blank, device):
        logits, targets, frames, lengths = ctc_case(device)
        targets = torch.where(targets == blank, (blank + 1) % 7, targets)
        ours, theirs = (ctc_and_grad(m.ctc_loss, logits, targets, frames, lengths, blank=blank) for m in (L, F))
        torch.testing.assert_close(ours, theirs)

    def test_unbatched(self, device):
        logits, targets, _, _ = ctc_case(device)
        ours, theirs = (
            ctc_and_grad(m.ctc_loss, logits[:, 0], targets[0], torch.tensor(13), torch.tensor(4), reduction="none")
            for m in (L, F)
        )
        torch.testing.assert_close(ours, theirs)
        assert ours[0].shape == ()

    def test_too_short(self, device):
        logits, targets, _, _ = ctc_case(device, time=3)
        targets[0] = targets[0, 0]
        frames, lengths = (3, 2, 1, 3, 0), (3, 3, 1, 0, 0)
        for zero_infinity in (False, True):
            args = (logits, targets, frames, lengths, 0, "none", zero_infinity)
            (ours, grad), (theirs, expected) = (ctc_and_grad(m.ctc_loss, *args) for m in (L, F))
            torch.testing.assert_close(ours, theirs)
            torch.testing.assert_close(grad[:, 2:], expected[:, 2:])
        assert ours.isfinite().all()
        torch.testing.assert_close(grad, expected)

    def test_all_ways_counted(self, device):
        """The sum over every path, listed."""
        log_probs = normal(4, 1, 3).to(device).log_softmax(-1)
        total = 0.0
        for path in itertools.product(range(3), repeat=4):
            spelled = [label for label, _ in itertools.groupby(path) if label]
            if spelled == [1, 1]:
                total += math.exp(sum(log_probs[t, 0, c].item() for t, c in enumerate(path)))
        loss = L.ctc_loss(log_probs, torch.tensor([[1, 1]], device=device), (4,), (2,), reduction="sum")
        assert loss.item() == pytest.approx(-math.log(total))

    def test_impossible_frames(self, device):
        log_probs = torch.tensor([[[0.0, -math.inf]], [[-math.inf, 0.0]]], device=device, requires_grad=True)
        target = torch.tensor([[1]], device=device)
        loss = L.ctc_loss(log_probs, target, (2,), (1,))
        assert loss.item() == 0
        assert torch.autograd.grad(loss, log_probs)[0].isfinite().all()
        assert L.ctc_loss(log_probs[:1], target, (1,), (1,)).item() == math.inf

    def test_gradcheck(self):
        logits, targets, frames, lengths = ctc_case("cpu", time=9, batch=2, classes=3)
        assert gradcheck(lambda x: L.ctc_loss(x, targets, frames, lengths), logits)

    def test_half_precision_and_no_batch(self, device):
        logits, targets, frames, lengths = ctc_case(device, dtype=torch.bfloat16)
        got = L.ctc_loss(logits, targets, frames, lengths)
        assert got.dtype == torch.bfloat16
        torch.testing.assert_close(
            got.double(), L.ctc_loss(logits.double(), targets, frames, lengths), rtol=1e-2, atol=0
        )
        assert L.ctc_loss(logits[:, :0], targets[:0], (), (), reduction="sum").item() == 0

    @pytest.mark.compile
    def test_compiles_whole(self):
        logits, targets, frames, lengths = ctc_case("cpu", time=9)
        torch.compiler.reset()
        compiled = torch.compile(L.ctc_loss, fullgraph=True, backend="eager")
        torch.testing.assert_close(
            compiled(logits, targets, frames, lengths), L.ctc_loss(logits, targets, frames, lengths)
        )

    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("change", "error", "match"),
        [
            ({"blank": 7}, ValueError, r"blank: expected a number in \[0, 6\]; got 7"),
            ({"reduction": "avg"}, ValueError, "reduction: expected one of"),
            ({"input_lengths": (14,) * 5}, ValueError, "input_lengths: expected lengths of 0 or more, at most the 13"),
            ({"input_lengths": (13,) * 4}, ValueError, "input_lengths: expected 5 lengths.*got 4"),
            ({"target_lengths": (5,) * 5}, ValueError, "target_lengths: expected lengths of at most 4"),
            ({"target_lengths": (-1,) * 5}, ValueError, "target_lengths: expected lengths of 0 or more"),
            ({"targets": torch.ones(3, 4).long()}, ValueError, r"targets: expected shape \(5, length\)"),
            ({"targets": torch.ones(3).long()}, ValueError, "targets: expected 20 labels.*got 3"),
            ({"targets": torch.full((5, 4), 7)}, ValueError, r"targets: expected class indices in \[0, 7\)"),
            ({"targets": torch.ones(5, 4)}, TypeError, "targets: expected class indices"),
            ({"log_probs": torch.ones(7)}, ValueError, r"log_probs: expected shape \(time, batch, classes\)"),
            ({"log_probs": torch.ones(13, 5, 7).int()}, TypeError, "log_probs: expected a floating"),
        ],
    )
    def test_errors(self, change, error, match):
        good = {
            "log_probs": torch.zeros(13, 5, 7),
            "targets": torch.ones(5, 4).long(),
            "input_lengths": (13,) * 5,
            "target_lengths": (4,) * 5,
        }
        with pytest.raises(error, match=match):
            L.ctc_loss(**{**good, **change})
