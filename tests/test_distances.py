"""Distances against SciPy and torch, pair by pair and all pairs, and the axioms that make a metric."""

import math

import numpy as np
import pytest
import scipy.spatial.distance as ss
import scipy.special
import scipy.stats
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck

from dlbook import distances as D

INF = math.inf
PRECISION = torch.tensor([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.7]], dtype=torch.float64)


def simplex(*shape, zeros=False):
    p = torch.rand(*shape, dtype=torch.float64)
    if zeros:
        p[..., ::2] *= torch.rand(*shape)[..., ::2] > 0.5
        p[..., -1] += 0.1
    return p / p.sum(-1, keepdim=True)


def real(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def bits(*shape):
    return torch.rand(*shape) > 0.6


# name -> (ours, SciPy's for one pair, how to draw inputs of a shape)
VECTORS = {
    "minkowski 3": (lambda a, b, **k: D.minkowski(a, b, 3, **k), lambda a, b: ss.minkowski(a, b, 3), real),
    "minkowski 1.5": (lambda a, b, **k: D.minkowski(a, b, p=1.5, **k), lambda a, b: ss.minkowski(a, b, 1.5), real),
    "minkowski 0.5": (lambda a, b, **k: D.minkowski(a, b, p=0.5, **k), lambda a, b: ss.minkowski(a, b, 0.5), real),
    "manhattan": (D.manhattan, ss.cityblock, real),
    "euclidean": (D.euclidean, ss.euclidean, real),
    "chebyshev": (D.chebyshev, ss.chebyshev, real),
    "hamming": (D.hamming, ss.hamming, bits),
    "jaccard": (D.jaccard, ss.jaccard, bits),
    "cosine": (lambda a, b, **k: D.cosine_similarity(a, b, -1, **k), lambda a, b: 1 - ss.cosine(a, b), real),
    "pearson": (D.pearson_correlation, lambda a, b: 1 - ss.correlation(a, b), real),
    "mahalanobis": (
        lambda a, b, **k: D.mahalanobis(a, b, PRECISION.to(b.device), **k),
        lambda a, b: ss.mahalanobis(a, b, PRECISION.numpy()),
        real,
    ),
    "kl": (D.kl_divergence, lambda a, b: scipy.special.rel_entr(a, b).sum(), simplex),
    "kl with zeros": (
        D.kl_divergence,
        lambda a, b: scipy.special.rel_entr(a, b).sum(),
        lambda *s: simplex(*s, zeros=True),
    ),
    "js": (D.js_divergence, lambda a, b: ss.jensenshannon(a, b) ** 2, simplex),
    "js with zeros": (D.js_divergence, lambda a, b: ss.jensenshannon(a, b) ** 2, lambda *s: simplex(*s, zeros=True)),
    "wasserstein": (D.wasserstein_1d, scipy.stats.wasserstein_distance, real),
}


def close(mine, expected):
    expected = torch.as_tensor(np.array(expected, order="C"), dtype=mine.dtype)
    tolerance = 1e-12 if mine.dtype == torch.float64 else 2e-6
    torch.testing.assert_close(mine.cpu(), expected, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("name", VECTORS)
class TestLikeScipy:
    def test_row_by_row_and_pairwise(self, name, device):
        ours, theirs, draw = VECTORS[name]
        first, second = draw(2, 5, 3), draw(2, 7, 3)
        rows = [[[theirs(a.numpy(), b.numpy()) for b in second[i]] for a in first[i]] for i in range(2)]
        here, there = first.to(device), second.to(device)
        close(ours(here, there, pairwise=True), rows)
        # Leading dimensions broadcast.
        close(ours(here[0, :, None], there[0, None]), rows[0])
        close(ours(here[:, :5], there[:, :5]), np.diagonal(np.array(rows)[:, :, :5], axis1=1, axis2=2))
        close(ours(here[0], there[:, :5], pairwise=True)[0], np.array(rows)[0, :, :5])
        close(ours(here[0, 0], there[0, 0]), rows[0][0][0])

    def test_dtype(self, name, device):
        ours, _, draw = VECTORS[name]
        first, second = draw(5, 3).to(device), draw(5, 3).to(device)
        if first.dtype == torch.bool:
            assert ours(first, second).dtype == torch.float32
            return
        expected = ours(first, second)
        for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 5e-2)):
            mine = ours(first.to(dtype), second.to(dtype))
            assert mine.dtype == dtype
            torch.testing.assert_close(mine.double(), expected, rtol=tolerance, atol=2 * tolerance)

    def test_no_rows(self, name):
        ours, _, draw = VECTORS[name]
        assert ours(draw(0, 3), draw(0, 3)).shape == (0,)
        assert ours(draw(0, 3), draw(7, 3), pairwise=True).shape == (0, 7)

    def test_gradcheck(self, name):
        ours, _, draw = VECTORS[name]
        first, second = draw(3, 3), draw(3, 3)
        if not first.is_floating_point() or "zeros" in name:
            return
        first.requires_grad_(), second.requires_grad_()
        assert gradcheck(ours, (first, second))
        assert gradcheck(lambda a, b: ours(a, b, pairwise=True), (first, second))

    @pytest.mark.compile
    def test_compiles(self, name):
        ours, _, draw = VECTORS[name]
        first, second = draw(5, 3), draw(5, 3)
        torch.compiler.reset()
        for pairwise in (False, True):
            compiled = torch.compile(lambda a, b, k=pairwise: ours(a, b, pairwise=k), fullgraph=True, backend="eager")
            torch.testing.assert_close(compiled(first, second), ours(first, second, pairwise=pairwise))


class TestMeaning:
    @pytest.mark.parametrize(
        ("name", "square_root"),
        [
            *[(n, False) for n in ("minkowski 3", "minkowski 1.5", "manhattan", "euclidean", "chebyshev", "hamming")],
            *[("jaccard", False), ("mahalanobis", False), ("wasserstein", False), ("js", True)],
        ],
    )
    def test_metrics_obey_the_axioms(self, name, square_root):
        ours, _, draw = VECTORS[name]
        points = draw(23, 3)
        d = ours(points, points, pairwise=True).double()
        d = d.clamp(min=0).sqrt() if square_root else d
        assert (d >= 0).all()
        torch.testing.assert_close(d.diagonal(), torch.zeros(23, dtype=torch.float64), atol=1e-7, rtol=0)
        torch.testing.assert_close(d, d.T)
        assert (d[:, :, None] + d[None] >= d[:, None] - 1e-9).all()

    def test_some_are_no_metrics(self):
        p, q, r = (torch.tensor([a, 1 - a]) for a in (0.1, 0.5, 0.9))
        assert not torch.isclose(
            D.kl_divergence(p, torch.tensor([0.4, 0.6])), D.kl_divergence(torch.tensor([0.4, 0.6]), p)
        )
        assert D.kl_divergence(p, r) > D.kl_divergence(p, q) + D.kl_divergence(q, r)
        corner = torch.eye(2)
        half = D.minkowski(corner, torch.zeros(2), p=0.5)
        assert D.minkowski(corner[0], corner[1], p=0.5) > half.sum()

    def test_hand_values(self):
        x, y = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 2.0, -1.0])
        assert D.manhattan(x, y) == 7
        assert D.euclidean(x, y) == 5
        assert D.chebyshev(x, y) == 4
        assert D.hamming(x, y) == 2 / 3
        assert D.minkowski(x, y, INF) == 4
        assert D.euclidean(torch.tensor([0, 3]), torch.tensor([4, 0])) == 5
        assert D.jaccard(torch.zeros(3), torch.zeros(3)) == 0

    def test_kl_counts_what_is_ruled_out(self):
        p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([1.0, 0.0, 0.0])
        assert D.kl_divergence(p, q) == INF
        close(D.kl_divergence(q, p), math.log(2))
        close(D.js_divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])), math.log(2))
        p.requires_grad_()
        (slope,) = torch.autograd.grad(D.js_divergence(p, q), p)
        assert slope.isfinite().all()

    def test_mahalanobis_is_euclid_after_whitening(self):
        factor = torch.linalg.cholesky(PRECISION)
        x, y = real(5, 3), real(5, 3)
        torch.testing.assert_close(D.mahalanobis(x, y, PRECISION), D.euclidean(x @ factor, y @ factor))
        torch.testing.assert_close(D.mahalanobis(x, y, torch.eye(3, dtype=torch.float64)), D.euclidean(x, y))

    def test_pearson_of_a_constant_is_undefined(self):
        assert D.pearson_correlation(torch.ones(4), torch.rand(4)).isnan()
        close(D.pearson_correlation(torch.tensor([1, 2, 3, 9]), torch.tensor([2, 4, 6, 18])), 1.0)

    def test_wasserstein_with_weights_and_lengths(self):
        u, v, wu, wv = torch.rand(5), torch.rand(7), torch.rand(5), torch.rand(7)
        expected = scipy.stats.wasserstein_distance(u, v, wu, wv)
        close(D.wasserstein_1d(u, v, wu, wv), expected)
        close(D.wasserstein_1d(u, v), scipy.stats.wasserstein_distance(u, v))
        close(D.wasserstein_1d(u, v, weight2=wv), scipy.stats.wasserstein_distance(u, v, None, wv))
        pairs = D.wasserstein_1d(torch.stack([u, 2 * u]), v[None], torch.stack([wu, wu]), wv[None], pairwise=True)
        assert pairs.shape == (2, 1)
        close(pairs[0, 0], expected)
        # A shift moves all the mass that far; a grid position is a position like any other.
        close(D.wasserstein_1d(u, u + 2.5), 2.5)
        grid = torch.arange(4)
        close(D.wasserstein_1d(grid, grid, torch.tensor([1, 0, 0, 0]), torch.tensor([0, 0, 0, 1])), 3.0)

    @pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0, INF])
    def test_no_gradient_between_equal_vectors(self, p):
        x = torch.tensor([[1.0, 2.0], [1.0, 2.0]], requires_grad=True)
        (slope,) = torch.autograd.grad(D.minkowski(x[0], x[1].detach(), p), x)
        assert torch.equal(slope, torch.zeros(2, 2))


P = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, INF]


def assert_like_torch(mine, theirs, *inputs, tolerance=1e-12):
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    value, expected = mine(*inputs), theirs(*inputs)
    assert value.dtype == expected.dtype
    torch.testing.assert_close(value, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    # torch's own pdist breaks down when asked for a gradient of nothing.
    if expected.requires_grad and value.requires_grad and expected.numel() and inputs[0].numel():
        upstream = torch.randn_like(expected)
        for a, b in zip(
            torch.autograd.grad(value, inputs, upstream),
            torch.autograd.grad(expected, inputs, upstream),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=1e3 * tolerance, atol=tolerance, equal_nan=True)


class TestLikeTorch:
    @pytest.mark.parametrize("p", [*P, -1.0, -INF])
    @pytest.mark.parametrize("eps", [1e-6, 0.0, 0.3])
    def test_pairwise_distance(self, p, eps, device):
        for shapes in (
            ((5, 3), (5, 3)),
            ((3,), (3,)),
            ((2, 5, 3), (3,)),
            ((2, 1, 3), (7, 3)),
            ((0, 3), (0, 3)),
            ((5, 3), (5, 1)),
        ):
            if not math.prod(shapes[0]) and math.isinf(p):
                continue
            for keepdim in (False, True):
                mine, theirs = (
                    lambda a, b, f=f, k=keepdim: f(a, b, p, eps, k) for f in (D.pairwise_distance, F.pairwise_distance)
                )
                assert_like_torch(mine, theirs, *[real(*s).to(device) for s in shapes], tolerance=1e-11)

    @pytest.mark.parametrize("p", P)
    def test_pdist(self, p, device):
        for shape in ((7, 5), (2, 3), (1, 3), (0, 3), (4, 0)):
            x = real(*shape).to(device)
            assert_like_torch(lambda x: D.pdist(x, p), lambda x: F.pdist(x, p), x)
        if p < INF:
            same = torch.ones(3, 2, dtype=torch.float64, device=device)
            assert_like_torch(lambda x: D.pdist(x, p), lambda x: F.pdist(x, p), same)

    @pytest.mark.parametrize("eps", [1e-8, 0.5])
    def test_cosine_similarity(self, eps, device):
        for dim, shapes in (
            (1, ((5, 3), (5, 3))),
            (0, ((2, 3, 5), (3, 1))),
            (-1, ((2, 1, 3), (7, 3))),
            (1, ((0, 3), (0, 3))),
        ):
            mine, theirs = (
                lambda a, b, f=f, d=dim: f(a, b, d, eps) for f in (D.cosine_similarity, F.cosine_similarity)
            )
            assert_like_torch(mine, theirs, *[real(*s).to(device) for s in shapes])

    def test_cosine_similarity_at_the_edges(self):
        for rows in ([[0.0, 0.0]], [[1e20, 1e20]], [[1e-10, 1e-10]], [[INF, 1.0]], [[math.nan, 1.0]]):
            x = torch.tensor(rows)
            for y in (x, torch.ones(1, 2)):
                mine, theirs = D.cosine_similarity(x, y), F.cosine_similarity(x, y)
                torch.testing.assert_close(mine, theirs, equal_nan=True)
        x, y = torch.zeros(1, 3), torch.tensor([[1.0, 2.0, 4.0]])
        assert_like_torch(D.cosine_similarity, F.cosine_similarity, x, y, tolerance=1e-6)
        assert D.cosine_similarity(x.double(), y).dtype == torch.float64

    def test_pairwise_distance_at_the_edges(self):
        for rows in ([[1e20, 0.0]], [[INF, 1.0]], [[math.nan, 1.0]]):
            x = torch.tensor(rows)
            torch.testing.assert_close(D.pairwise_distance(x, x * 2), F.pairwise_distance(x, x * 2), equal_nan=True)
        whole = torch.tensor([[1, 5]])
        torch.testing.assert_close(D.pairwise_distance(whole, whole * 2), F.pairwise_distance(whole, whole * 2))

    def test_cosine_similarity_pairwise_along_another_axis(self):
        x, y = real(3, 5), real(3, 7)
        mine = D.cosine_similarity(x, y, dim=0, pairwise=True)
        torch.testing.assert_close(mine, F.cosine_similarity(x[:, :, None], y[:, None], dim=0))

    def test_modules(self):
        x, y = real(5, 3, 7), real(5, 3, 7)
        for mine, theirs in (
            (D.CosineSimilarity(), nn.CosineSimilarity()),
            (D.CosineSimilarity(dim=-1, eps=0.5), nn.CosineSimilarity(dim=-1, eps=0.5)),
            (D.PairwiseDistance(), nn.PairwiseDistance()),
            (D.PairwiseDistance(p=1.0, eps=0.1, keepdim=True), nn.PairwiseDistance(p=1.0, eps=0.1, keepdim=True)),
        ):
            torch.testing.assert_close(mine(x, y), theirs(x, y))

    @pytest.mark.compile
    def test_compiles(self):
        x, y = real(5, 3), real(5, 3)
        for function in (D.cosine_similarity, D.pairwise_distance, lambda a, b: D.pdist(a)):
            torch.compiler.reset()
            compiled = torch.compile(function, fullgraph=True, backend="eager")
            torch.testing.assert_close(compiled(x, y), function(x, y))


@pytest.mark.bad_input
class TestBadInput:
    @pytest.mark.parametrize("name", VECTORS)
    def test_shapes_and_types(self, name):
        ours, _, draw = VECTORS[name]
        other = "q" if name.startswith(("kl", "js")) else "x2"
        with pytest.raises(TypeError, match=r"expected a torch\.Tensor; got list"):
            ours([1.0, 2.0, 3.0], draw(3))
        if name not in ("wasserstein", "cosine"):
            with pytest.raises(ValueError, match=f"{other}: expected 3 features"):
                ours(draw(5, 3), draw(5, 1))
        with pytest.raises(ValueError, match=f"{other}: expected .*broadcast"):
            ours(draw(5, 3), draw(4, 3))
        with pytest.raises(ValueError, match=r"expected (shape \(\.\.\., vectors, features\)|two axes)"):
            ours(draw(3), draw(5, 3), pairwise=True)

    def test_the_rest(self):
        x = torch.rand(5, 3)
        with pytest.raises(ValueError, match=r"p: expected a number in \(0, inf\]; got 0"):
            D.minkowski(x, x, 0)
        with pytest.raises(ValueError, match=r"inverse_covariance: expected shape \(3, 3\); got \(2, 2\)"):
            D.mahalanobis(x, x, torch.eye(2))
        with pytest.raises(ValueError, match="x1: expected at least one sample"):
            D.wasserstein_1d(x[:, :0], x)
        with pytest.raises(ValueError, match="weight1: expected the shape of x1"):
            D.wasserstein_1d(x, x, x[0])
        with pytest.raises(ValueError, match="x2: expected 3 features, as x1 has; got 2"):
            D.cosine_similarity(x, x[:, :2], pairwise=True)
        with pytest.raises(ValueError, match="dim: expected an axis of the common shape, from -2 to 1; got 2"):
            D.cosine_similarity(x, x, dim=2)
        with pytest.raises(TypeError, match="x1: expected a floating-point tensor"):
            D.cosine_similarity(x.long(), x)
        with pytest.raises(TypeError, match="x2: expected numbers; got dtype torch.bool"):  # noqa: RUF043
            D.pairwise_distance(x, x > 0.5)
        with pytest.raises(ValueError, match="x2: expected a shape that broadcasts"):
            D.pairwise_distance(x, torch.rand(4, 3))
        with pytest.raises(ValueError, match=r"p: expected a number in \[0, inf\]; got -1"):
            D.pdist(x, -1)
        with pytest.raises(ValueError, match=r"input: expected shape \(n, features\)"):
            D.pdist(x[0])
