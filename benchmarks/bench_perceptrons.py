"""The perceptron rule beside scikit-learn's, on points that a plane parts with few mistakes."""

import torch
from timing import Case

from dlbook.perceptrons import Perceptron


def cases(device: torch.device) -> list[Case]:
    from sklearn.linear_model import Perceptron as Theirs

    points = torch.randn(10_000, 20, dtype=torch.float64, device=device)
    side = points[:, 0] + points[:, 1]
    points, side = points[side.abs() > 0.5], side[side.abs() > 0.5]
    target = side.sign().long()
    arrays = points.cpu().numpy(), target.cpu().numpy()
    ours = lambda: Perceptron(epochs=5).fit(points, target)  # noqa: E731
    theirs = lambda: Theirs(max_iter=5, tol=None, shuffle=False).fit(*arrays)  # noqa: E731
    return [Case("Perceptron.fit", f"{len(points)}×20, 5 epochs", ours, theirs, peer_name="sklearn")]
