"""Penalties against scikit-learn, dropout against torch's masks and statistics, augmentation against SciPy."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.nn.functional as F
from sklearn.linear_model import ElasticNet
from torch import nn
from torch.autograd import gradcheck

from dlbook import regularization as R


class TestPenalties:
    def test_values_and_gradients(self, device):
        w = torch.randn(3, 5, dtype=torch.float64, device=device, requires_grad=True)
        b = torch.randn(7, dtype=torch.float64, device=device, requires_grad=True)
        l1, l2 = R.l1_penalty([w, b], 0.3), R.l2_penalty(iter([w, b]), 0.3)
        torch.testing.assert_close(l1, 0.3 * (w.abs().sum() + b.abs().sum()))
        torch.testing.assert_close(l2, 0.15 * ((w**2).sum() + (b**2).sum()))
        torch.testing.assert_close(torch.autograd.grad(l1, w)[0], 0.3 * w.sign())
        torch.testing.assert_close(torch.autograd.grad(l2, w)[0], 0.3 * w)
        mixed = R.elastic_net([w, b], 0.3, l1_ratio=0.2)
        torch.testing.assert_close(mixed, 0.2 * l1 + 0.8 * l2)

    def test_l2_is_sgds_weight_decay(self):
        start = torch.randn(5)
        ends = []
        for decay, penalty in ((0.1, 0.0), (0.0, 0.1)):
            w = start.clone().requires_grad_()
            optimizer = torch.optim.SGD([w], lr=0.5, weight_decay=decay)
            (w.sin().sum() + R.l2_penalty(w, penalty)).backward()
            optimizer.step()
            ends.append(w.detach())
        torch.testing.assert_close(*ends)

    def test_elastic_net_has_scikit_learns_minimum(self):
        x, w_true = torch.randn(50, 5, dtype=torch.float64), torch.tensor([1.0, 0, -2, 0, 0.5], dtype=torch.float64)
        y = x @ w_true + 0.1 * torch.randn(50, dtype=torch.float64)
        fitted = ElasticNet(alpha=0.3, l1_ratio=0.6, fit_intercept=False, tol=1e-12).fit(x.numpy(), y.numpy())
        best = torch.from_numpy(fitted.coef_)

        def objective(w):
            return (y - x @ w).square().mean() / 2 + R.elastic_net(w, 0.3, 0.6)

        for _ in range(20):
            assert objective(best) <= objective(best + 1e-3 * torch.randn(5, dtype=torch.float64)) + 1e-9

    @pytest.mark.parametrize(("p", "dim"), [(2.0, 0), (2.0, -1), (1.0, 1), (3.0, 2), (math.inf, 0)])
    def test_max_norm_is_renorm(self, p, dim, device):
        w = torch.randn(3, 5, 7, dtype=torch.float64, device=device)
        ours = R.max_norm(w, 1.3, p, dim)
        torch.testing.assert_close(ours, torch.renorm(w, p, dim % 3, 1.3))
        torch.testing.assert_close(R.max_norm(w, 1e9), w)
        torch.testing.assert_close(R.max_norm(0 * w, 1.0), 0 * w)
        assert gradcheck(lambda w: R.max_norm(w, 1.3, p, dim), w.cpu().requires_grad_())

    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("call", "error", "match"),
        [
            (lambda w: R.l1_penalty([]), ValueError, "parameters: expected one tensor or more; got none"),
            (lambda w: R.l2_penalty(w, -1), ValueError, "strength: expected a number in"),
            (lambda w: R.elastic_net(w, 1, 2), ValueError, "l1_ratio: expected a number in"),
            (lambda w: R.l1_penalty([w.int()]), TypeError, "parameters: expected a floating-point tensor"),
            (lambda w: R.max_norm(w, -1), ValueError, "limit: expected a number in"),
            (lambda w: R.max_norm(w, 1, dim=2), ValueError, "dim: expected an axis of a weight with two axes"),
            (lambda w: R.max_norm(w[0], 1), ValueError, r"dim: expected an axis of a weight.*\(3,\)"),
            (lambda w: R.max_norm(w.int(), 1), TypeError, "weight: expected a floating-point tensor"),
        ],
    )
    def test_errors(self, call, error, match):
        with pytest.raises(error, match=match):
            call(torch.ones(2, 3))


DROPPING = [
    ("dropout", (101, 31), R.Dropout),
    ("dropout1d", (23, 31, 7), R.Dropout1d),
    ("dropout1d", (401, 7), R.Dropout1d),
    ("dropout2d", (23, 31, 5, 7), R.Dropout2d),
    ("alpha_dropout", (101, 31), R.AlphaDropout),
    ("feature_alpha_dropout", (23, 31, 7), R.FeatureAlphaDropout),
    ("feature_alpha_dropout", (37, 31), R.FeatureAlphaDropout),
]


@pytest.mark.parametrize(("name", "shape", "module"), DROPPING, ids=[f"{n}-{len(s)}" for n, s, _ in DROPPING])
class TestDropout:
    @pytest.mark.parametrize("p", [0.0, 0.3, 0.9, 1.0])
    def test_torchs_masks_from_torchs_seed(self, name, shape, module, p):
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            out = []
            for function in (getattr(R, name), getattr(F, name)):
                torch.manual_seed(7)
                x = torch.linspace(-2, 3, math.prod(shape), dtype=dtype).reshape(shape).requires_grad_()
                y = function(x, p, True)
                out.append((y.detach(), torch.autograd.grad(y.sum(), x)[0]))
            # In half precision torch rounds after each of alpha dropout's steps, and so do we, in another order.
            rounding = {"rtol": 2e-2, "atol": 3e-2} if dtype is torch.bfloat16 else {}
            torch.testing.assert_close(*out, **rounding)

    def test_statistics(self, name, shape, module, device):
        p = 0.3
        x = torch.randn(4, *shape, device=device).flatten(0, 1) if len(shape) < 4 else torch.randn(shape, device=device)
        # Wide enough for a mean over channels: the draws are one a channel.
        x = torch.ones_like(x) if "alpha" not in name else x
        runs = torch.stack([getattr(R, name)(x, p, True) for _ in range(200)])
        if "alpha" in name:
            assert runs.mean().item() == pytest.approx(0, abs=0.03)
            assert runs.var().item() == pytest.approx(1, rel=0.04)
        else:
            assert (runs == 0).float().mean().item() == pytest.approx(p, abs=0.01)
            assert runs.mean().item() == pytest.approx(1, rel=0.02)
            assert runs.unique().tolist() == pytest.approx([0, 1 / 0.7])

    def test_whole_channels_go_together(self, name, shape, module, device):
        x = torch.ones(shape, device=device)
        y = getattr(R, name)(x, 0.5, True)
        if name in ("dropout1d", "dropout2d", "feature_alpha_dropout"):
            axes = tuple(range(1 if name == "dropout1d" and len(shape) == 2 else 2, len(shape)))
            same = y.amax(axes) == y.amin(axes) if axes else torch.tensor(True)
            assert same.all()
        assert 0.4 < (y == y.min()).float().mean().item() < 0.6

    def test_inference_changes_nothing(self, name, shape, module, device):
        x = torch.randn(shape, device=device)
        assert getattr(R, name)(x, 0.9, False) is x
        layer = module(0.9)
        assert layer.eval()(x) is x
        torch.manual_seed(1)
        ours = layer.train()(x)
        torch.manual_seed(1)
        torch.testing.assert_close(ours, getattr(R, name)(x, 0.9, True))
        assert "p=0.9" in repr(layer)
        assert not layer.state_dict()

    @pytest.mark.compile
    def test_compiles_whole(self, name, shape, module):
        torch.compiler.reset()
        compiled = torch.compile(getattr(R, name), fullgraph=True, backend="eager")
        y = compiled(torch.ones(shape), 0.5, True)
        assert 0.4 < (y == y.min()).float().mean().item() < 0.6

    @pytest.mark.bad_input
    def test_errors(self, name, shape, module):
        function, x = getattr(R, name), torch.ones(shape)
        for p in (-0.1, 1.1, math.nan):
            with pytest.raises(ValueError, match=r"p: expected a number in \[0, 1\]"):
                function(x, p, True)
            with pytest.raises(ValueError, match=r"p: expected a number in \[0, 1\]"):
                module(p)
        with pytest.raises(TypeError, match="input: expected a floating-point tensor"):
            function(x.int())
        with pytest.raises(TypeError, match=r"input: expected a torch\.Tensor; got list"):
            function([1.0])
        if name not in ("dropout", "alpha_dropout"):
            with pytest.raises(ValueError, match="input: expected shape"):
                function(torch.ones(3))


def test_defaults_and_empty_inputs(device):
    x = torch.ones(1000, device=device)
    assert (R.dropout(x) == 0).any()
    assert R.alpha_dropout(x) is x
    for name in ("dropout", "alpha_dropout"):
        assert getattr(R, name)(x[:0], 0.5, True).shape == (0,)


def test_dropout2d_warns_as_torch_of_three_axes(device):
    with pytest.warns(UserWarning, match="3 axes are read as"):
        y = R.dropout2d(torch.ones(3, 100, 7, device=device))
    assert (y.amax(2) == y.amin(2)).all()


class TestEarlyStopping:
    def test_stops_after_patience_and_restores_the_best(self):
        model, stopping = nn.Linear(2, 1), R.EarlyStopping(patience=3)
        scores = [5.0, 4.0, 4.5, torch.tensor(3.0), 3.5, 3.0, math.nan, 1.0]
        for step, score in enumerate(scores):
            nn.init.constant_(model.weight, step)
            if stopping.update(score, model):
                break
        assert (step, stopping.best, stopping.best_step, stopping.stopped) == (6, 3.0, 3, True)
        stopping.restore(model)
        assert model.weight.tolist() == [[3, 3]]

    def test_mode_and_min_delta(self):
        stopping = R.EarlyStopping(patience=1, min_delta=0.1, mode="max")
        assert [stopping.update(score) for score in (0.5, 0.65, 0.7)] == [False, False, True]
        assert stopping.best == 0.65

    def test_nan_from_the_start_counts_against_patience(self):
        stopping = R.EarlyStopping(patience=2)
        assert [stopping.update(math.nan) for _ in range(3)] == [False, True, True]
        assert stopping.best_step == -1

    @pytest.mark.bad_input
    def test_errors(self):
        with pytest.raises(ValueError, match="patience: expected a number in"):
            R.EarlyStopping(patience=0)
        with pytest.raises(ValueError, match="min_delta: expected a number in"):
            R.EarlyStopping(min_delta=-1)
        with pytest.raises(ValueError, match="mode: expected one of 'min', 'max'; got 'low'"):
            R.EarlyStopping(mode="low")
        with pytest.raises(ValueError, match="model: expected it in an update"):
            R.EarlyStopping().restore(nn.Linear(1, 1))


class TestAugmentation:
    @pytest.mark.parametrize("offset", [(0, 0), (2, -1), (0.25, 1.5), (-3.7, 100), (1e9, 0)])
    @pytest.mark.parametrize("fill", [0.0, 2.5])
    def test_shift_is_scipys(self, offset, fill, device):
        x = torch.rand(2, 3, 11, 7, dtype=torch.float64, device=device)
        ours = R.shift(x, offset, fill)
        expected = scipy.ndimage.shift(x.cpu().numpy(), (0, 0, *offset), order=1, mode="grid-constant", cval=fill)
        np.testing.assert_allclose(ours.cpu(), expected, atol=1e-12)

    @pytest.mark.parametrize("degrees", [0.0, 30.0, -77.0, 90.0, 360.0])
    def test_rotate_is_scipys(self, degrees, device):
        x = torch.rand(2, 3, 11, 7, dtype=torch.float64, device=device)
        expected = scipy.ndimage.rotate(
            x.cpu().numpy(), degrees, axes=(2, 3), reshape=False, order=1, mode="grid-constant", cval=0.5
        )
        np.testing.assert_allclose(R.rotate(x, degrees, fill=0.5).cpu(), expected, atol=1e-10)

    def test_quarter_turn(self, device):
        x = torch.rand(2, 7, 7, device=device)
        torch.testing.assert_close(R.rotate(x, 90), torch.rot90(x, dims=(1, 2)), atol=1e-5, rtol=0)

    def test_each_picture_its_own(self, device):
        x = torch.rand(3, 2, 5, 7, device=device)
        offsets, degrees = torch.randn(3, 2, device=device), 90 * torch.randn(3, device=device)
        for many, one, amounts in (
            (R.shift(x, offsets), R.shift, offsets.tolist()),
            (R.rotate(x, degrees), R.rotate, degrees.tolist()),
        ):
            for i, amount in enumerate(amounts):
                amount = tuple(amount) if isinstance(amount, list) else amount
                torch.testing.assert_close(many[i : i + 1], one(x[i : i + 1], amount))
                torch.testing.assert_close(many[i : i + 1, 1], one(x[i : i + 1, 1], amount))

    def test_gradients_reach_pictures_and_amounts(self):
        x = torch.rand(2, 5, 5, dtype=torch.float64, requires_grad=True)
        degrees = torch.tensor([13.0, -28.0], dtype=torch.float64, requires_grad=True)
        assert gradcheck(R.rotate, (x, degrees))
        assert gradcheck(R.shift, (x, torch.tensor([[0.3, 1.6], [-0.2, 0.7]], dtype=torch.float64, requires_grad=True)))

    def test_elastic(self, device):
        x = torch.rand(3, 2, 13, 11, device=device)
        make = torch.Generator(device=device).manual_seed
        torch.testing.assert_close(R.elastic(x, alpha=0.0), x)
        bent = R.elastic(x, generator=make(1))
        assert torch.equal(bent, R.elastic(x, generator=make(1)))
        assert not torch.equal(bent, R.elastic(x, generator=make(2)))
        assert bent.min() >= 0
        assert bent.max() <= 1
        even = torch.ones(2, 50, 50, device=device)
        assert (R.elastic(even, fill=1.0) - 1).abs().max().item() < 1e-5

    def test_elastic_moves_neighbours_alike(self, device):
        ramp = torch.arange(60.0, device=device).expand(5, 60, 60)
        moved = (R.elastic(ramp, alpha=34.0, sigma=4.0) - ramp)[:, 10:-10, 10:-10]
        assert 0.3 < moved.std().item() < 4
        assert (moved[..., 1:] - moved[..., :-1]).std() < 0.5 * moved.std()

    @pytest.mark.parametrize("size", [0, 1, 4, 5, 99])
    def test_cutout(self, size, device):
        x = torch.rand(200, 3, 11, 7, device=device) + 1
        y = R.cutout(x, size, fill=-1.0, generator=torch.Generator(device=device).manual_seed(0))
        gone = y == -1
        assert torch.equal(gone.all(1), gone.any(1))
        assert torch.equal(y[~gone], x[~gone])
        area = gone[:, 0].sum((1, 2))
        assert area.max() == min(size, 11) * min(size, 7)
        if size in (4, 5):
            assert area.min() < size**2  # some lie partly outside
            rows, columns = gone[:, 0].any(2).sum(1), gone[:, 0].any(1).sum(1)
            assert torch.equal(rows * columns, area)
        assert R.cutout(x[:, 0], 3).shape == (200, 11, 7)

    def test_half_precision_and_empty_batches(self, device):
        x = torch.rand(2, 1, 5, 5, device=device).bfloat16()
        for change in (lambda x: R.shift(x, (1, 0.5)), lambda x: R.rotate(x, 20), R.elastic, lambda x: R.cutout(x, 2)):
            assert change(x).dtype == torch.bfloat16
            assert change(x[:0]).shape == (0, 1, 5, 5)
        torch.testing.assert_close(R.shift(x, (1.0, 0.0))[:, :, 1:], x[:, :, :-1])

    def test_mixup(self, device):
        x, y = torch.arange(8.0, device=device).unsqueeze(1), torch.eye(8, device=device)
        shares = []
        for _ in range(200):
            mixed, target = R.mixup(x, y, alpha=0.4)
            torch.testing.assert_close(target @ x, mixed)
            torch.testing.assert_close(target.sum(1), torch.ones(8, device=device))
            shares.append(target.diagonal().min().item())
        # Beta(0.4, 0.4) has mean 1/2 and standard deviation 1/√7.2.
        assert np.mean(shares) == pytest.approx(0.5, abs=0.12)
        assert np.std(shares) == pytest.approx(7.2**-0.5, abs=0.08)
        assert R.mixup(x, y, alpha=0)[0] is x

    @pytest.mark.compile
    def test_compiles_whole(self):
        x = torch.rand(2, 3, 5, 7)
        torch.compiler.reset()
        compiled = torch.compile(lambda x, a: R.rotate(R.shift(x, (1.0, 2.0)), a), fullgraph=True, backend="eager")
        angles = torch.tensor([10.0, 20.0])
        torch.testing.assert_close(compiled(x, angles), R.rotate(R.shift(x, (1.0, 2.0)), angles))

    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("call", "error", "match"),
        [
            (lambda x: R.shift(x, (1, 2, 3)), ValueError, r"offsets: expected shape \(2,\) or \(2, 2\); got \(3,\)"),
            (
                lambda x: R.rotate(x, torch.ones(3)),
                ValueError,
                r"degrees: expected a number or shape \(2,\); got \(3,\)",
            ),
            (lambda x: R.rotate(x[0, 0], 1), ValueError, "images: expected shape"),
            (lambda x: R.cutout(x.int(), 1), TypeError, "images: expected a floating-point tensor"),
            (lambda x: R.cutout(x, -1), ValueError, "size: expected a number in"),
            (lambda x: R.elastic(x, sigma=0), ValueError, "sigma: expected a number in"),
            (lambda x: R.elastic(x, alpha=-1), ValueError, "alpha: expected a number in"),
            (lambda x: R.mixup(x, x[:1]), ValueError, "target: expected one for each example"),
            (lambda x: R.mixup(x, torch.tensor([0, 1])), TypeError, "target: expected a floating-point tensor"),
            (lambda x: R.mixup(x, x, alpha=-1), ValueError, "alpha: expected a number in"),
        ],
    )
    def test_errors(self, call, error, match):
        with pytest.raises(error, match=match):
            call(torch.ones(2, 1, 5, 5))
