"""Distances beside torch's, forward and backward, and beside SciPy's where torch has none."""

import torch
import torch.nn.functional as F
from timing import Case

from dlbook import distances as D


def cases(device: torch.device) -> list[Case]:
    x1, x2 = (torch.randn(4096, 256, device=device, requires_grad=True) for _ in range(2))
    few1, few2 = (torch.randn(256, 64, device=device, requires_grad=True) for _ in range(2))
    rows = [
        Case("cosine_similarity", "4096×256", D.cosine_similarity, F.cosine_similarity, (x1, x2), compiled=True),
        Case("pairwise_distance", "4096×256", D.pairwise_distance, F.pairwise_distance, (x1, x2), compiled=True),
        Case("pdist", "256×64", D.pdist, F.pdist, (few1,), compiled=True),
        Case(
            "euclidean, pairwise",
            "256×64 by 256×64",
            lambda a, b: D.euclidean(a, b, pairwise=True),
            torch.cdist,
            (few1, few2),
            compiled=True,
        ),
    ]
    return rows + _scipy(device)


def _scipy(device: torch.device) -> list[Case]:
    from scipy.spatial.distance import cdist
    from scipy.stats import wasserstein_distance

    a, b = torch.rand(2, 256, 64, device=device)
    bits = [(t > 0.5) for t in (a, b)]
    arrays, binary = [t.cpu().numpy() for t in (a, b)], [t.cpu().numpy() for t in bits]
    names = [
        ("manhattan", "cityblock", (a, b), arrays),
        ("chebyshev", "chebyshev", (a, b), arrays),
        ("pearson_correlation", "correlation", (a, b), arrays),
        ("hamming", "hamming", bits, binary),
        ("jaccard", "jaccard", bits, binary),
        ("js_divergence", "jensenshannon", (a, b), arrays),
    ]
    rows = [
        Case(
            f"{name}, pairwise",
            "256×64 by 256×64",
            lambda name=name, x=x: getattr(D, name)(*x, pairwise=True),
            lambda peer=peer, y=y: cdist(*y, metric=peer),
            peer_name="scipy",
        )
        for name, peer, x, y in names
    ]
    u, v = torch.rand(2, 100_000, device=device)
    un, vn = u.cpu().numpy(), v.cpu().numpy()
    peer = lambda: wasserstein_distance(un, vn)  # noqa: E731
    return [*rows, Case("wasserstein_1d", "100,000", lambda: D.wasserstein_1d(u, v), peer, peer_name="scipy")]
