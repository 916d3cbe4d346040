"""Distances and similarities between vectors and between distributions.

"Close" has many meanings: few steps along a grid, a short straight line, a small angle, few differing letters, little
earth to move. Each function here compares vectors along their last axis, and leading axes broadcast. With
``pairwise=True`` it compares every vector of one set with every vector of the other.

``vectors`` holds those between vectors, ``distributions`` those between distributions, and ``like_torch`` the functions
and modules that PyTorch has, under its names.
"""

from .distributions import js_divergence, kl_divergence, wasserstein_1d
from .like_torch import CosineSimilarity, PairwiseDistance, cosine_similarity, pairwise_distance, pdist
from .vectors import (
    chebyshev,
    euclidean,
    hamming,
    jaccard,
    mahalanobis,
    manhattan,
    minkowski,
    pearson_correlation,
)

__all__ = [
    "CosineSimilarity",
    "PairwiseDistance",
    "chebyshev",
    "cosine_similarity",
    "euclidean",
    "hamming",
    "jaccard",
    "js_divergence",
    "kl_divergence",
    "mahalanobis",
    "manhattan",
    "minkowski",
    "pairwise_distance",
    "pdist",
    "pearson_correlation",
    "wasserstein_1d",
]
