"""The perceptron against its rule run example by example, its bound, and what it cannot learn."""

import pytest
import torch
from sklearn.linear_model import Perceptron as Theirs

from dlbook.perceptrons import Perceptron, convergence_bound

CORNERS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def cloud(n, features=2, gap=0.1, device="cpu"):
    """Points on both sides of a random line, none nearer than ``gap``."""
    weight, bias = torch.randn(features, dtype=torch.float64), 0.3
    weight /= weight.norm()
    points = torch.randn(20 * n, features, dtype=torch.float64)
    distance = points @ weight + bias
    points, distance = (t[distance.abs() > gap][:n] for t in (points, distance))
    return points.to(device), distance.sign().long().to(device), weight.to(device), bias


def one_after_another(points, target, lr, epochs):
    weight, bias, counts, path = torch.zeros(points.shape[1], dtype=points.dtype), 0.0, [], []
    path.append([*weight.tolist(), bias])
    for _ in range(epochs):
        count = 0
        for x, y in zip(points, target.tolist(), strict=True):
            if y * (float(weight @ x) + bias) <= 0:
                weight, bias, count = weight + lr * y * x, bias + lr * y, count + 1
                path.append([*weight.tolist(), bias])
        counts.append(count)
        if not count:
            break
    return path, counts


@pytest.mark.parametrize("lr", [1.0, 0.3])
@pytest.mark.parametrize("gap", [0.1, -1.0])
def test_is_the_rule_example_by_example(lr, gap, device):
    points, target, _, _ = cloud(41, 3, gap, device)
    if gap < 0:
        target[::7] *= -1
    model = Perceptron(lr=lr, epochs=6).fit(points, target)
    path, counts = one_after_another(points.cpu(), target.cpu(), lr, 6)
    assert model.mistakes_.tolist() == counts
    torch.testing.assert_close(model.path_.cpu(), torch.tensor(path, dtype=torch.float64))
    torch.testing.assert_close(torch.cat([model.weight, model.bias[None]]), model.path_[-1])
    assert model.path_.device.type == device.type


def test_like_sklearn():
    points, target, _, _ = cloud(53)
    mine = Perceptron(epochs=50).fit(points, target)
    # Theirs counts an example on the line as right when its class is -1, so it starts one step apart from ours.
    theirs = Theirs(shuffle=False, max_iter=500, tol=None).fit(points, target)
    assert (mine.predict(points) == target).all()
    assert (theirs.predict(points) == target.numpy()).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_learns_gates_and_not_xor(dtype, device):
    corners = CORNERS.to(device, dtype)
    for table in ([-1, -1, -1, 1], [-1, 1, 1, 1], [1, 1, 1, -1]):
        target = torch.tensor(table, device=device)
        model = Perceptron().fit(corners, target)
        assert torch.equal(model.predict(corners), target)
        assert model.mistakes_[-1] == 0
        assert model.weight.dtype == dtype
    xor = torch.tensor([-1, 1, 1, -1], device=device)
    model = Perceptron(epochs=300).fit(corners, xor)
    assert len(model.mistakes_) == 300
    assert (model.mistakes_ > 0).all()
    # It cycles: the weights stay few.
    assert len(model.path_.unique(dim=0)) < 20


def test_makes_no_more_mistakes_than_the_bound():
    for seed in range(10):
        torch.manual_seed(seed)
        points, target, weight, bias = cloud(97, 3, gap=0.2)
        model = Perceptron(epochs=1000, generator=torch.Generator().manual_seed(seed)).fit(points, target)
        assert model.mistakes_[-1] == 0
        own = convergence_bound(points, target, model.weight, model.bias)
        known = convergence_bound(points, target, weight, bias)
        assert model.mistakes_.sum() <= min(own, known)


def test_bound_by_hand():
    points = torch.tensor([[3.0, 4.0], [-3.0, 0.0]])
    target = torch.tensor([1.0, -1.0])
    # With the constant: R² = 26; the margin of (1, 0, 0) is 3.
    torch.testing.assert_close(convergence_bound(points, target, torch.tensor([2.0, 0.0])), torch.tensor(26 / 9))
    assert convergence_bound(points, -target, torch.tensor([1.0, 0.0])) == torch.inf
    # Scaling the line changes nothing; a bias counts as one more weight.
    line = torch.tensor([1.0, 0.5])
    torch.testing.assert_close(
        convergence_bound(points, target, line, 0.25), convergence_bound(points, target, 4 * line, torch.tensor(1.0))
    )


def test_the_pocket_keeps_the_best():
    points, target, _, _ = cloud(61)
    target[::9] *= -1
    plain, pocket = (Perceptron(epochs=30, pocket=p).fit(points, target) for p in (False, True))
    torch.testing.assert_close(plain.path_, pocket.path_)
    right = [int((torch.where(points @ step[:-1] + step[-1] > 0, 1, -1) == target).sum()) for step in pocket.path_[1:]]
    assert (pocket.predict(points) == target).sum() == max(right)
    assert (plain.predict(points) == target).sum() < max(right)
    shuffled = torch.Generator().manual_seed(0)
    xor = Perceptron(epochs=50, pocket=True, generator=shuffled).fit(CORNERS, torch.tensor([-1, 1, 1, -1]))
    assert (xor.predict(CORNERS) == torch.tensor([-1, 1, 1, -1])).sum() == 3


def test_shuffles_by_the_generator():
    points, target, _, _ = cloud(61, gap=0.02)
    paths = [Perceptron(generator=torch.Generator().manual_seed(s)).fit(points, target).path_ for s in (1, 1, 2)]
    assert torch.equal(paths[0], paths[1])
    assert not torch.equal(paths[0][:20], paths[2][:20])


def test_decision_function_of_any_batch():
    points, target, _, _ = cloud(61)
    model = Perceptron().fit(points, target)
    grid = torch.randn(2, 5, 2, dtype=torch.float64)
    torch.testing.assert_close(model.decision_function(grid), grid @ model.weight + model.bias)
    assert model.predict(grid).shape == (2, 5)
    assert model.predict(grid).dtype == torch.int64


@pytest.mark.bad_input
def test_bad_input():
    target = torch.tensor([-1, -1, -1, 1])
    with pytest.raises(ValueError, match=r"target: expected only -1 and \+1; got \[0, 1\]"):
        Perceptron().fit(CORNERS, (target + 1) // 2)
    with pytest.raises(ValueError, match="target: expected one for each"):
        Perceptron().fit(CORNERS, target[:2])
    with pytest.raises(TypeError, match="input: expected a floating-point tensor"):
        Perceptron().fit(CORNERS.long(), target)
    with pytest.raises(ValueError, match=r"input: expected shape \(n, features\)"):
        Perceptron().fit(CORNERS[:, 0], target)
    with pytest.raises(ValueError, match=r"lr: expected a number in \(0, inf\]"):
        Perceptron(lr=0)
    with pytest.raises(ValueError, match=r"epochs: expected a number in \[1, inf\]"):
        Perceptron(epochs=0)
    with pytest.raises(RuntimeError, match="call fit first"):
        Perceptron().predict(CORNERS)
    with pytest.raises(ValueError, match=r"weight: expected shape \(2,\); got \(3,\)"):
        convergence_bound(CORNERS, target, torch.ones(3))
