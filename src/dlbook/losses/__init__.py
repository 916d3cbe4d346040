"""Loss functions, with torch's names, arguments, results and gradients: one number that training makes small.

A loss says what counts as wrong, and its derivative how hard each example pulls. Most are the negative logarithm of a
likelihood: choose the noise you believe in, and the loss follows. ``regression`` is for numbers, ``classification`` for
one of several classes, ``binary`` for yes and no, ``margins`` for answers that only have to lead, ``embeddings`` for
vectors that should lie together or apart, ``alignment`` for sequences without a clock.
"""

from .alignment import ctc_loss
from .binary import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    focal_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
)
from .classification import cross_entropy, kl_div, nll_loss, one_hot
from .embeddings import cosine_embedding_loss, info_nce, triplet_margin_loss, triplet_margin_with_distance_loss
from .margins import hinge_embedding_loss, hinge_loss, margin_ranking_loss, multi_margin_loss, multilabel_margin_loss
from .regression import (
    balanced_l1_loss,
    gaussian_nll_loss,
    huber_loss,
    l1_loss,
    mse_loss,
    poisson_nll_loss,
    quadratic_cost,
    smooth_l1_loss,
)

__all__ = [
    "balanced_l1_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "ctc_loss",
    "focal_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "hinge_loss",
    "huber_loss",
    "info_nce",
    "kl_div",
    "l1_loss",
    "margin_ranking_loss",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "one_hot",
    "poisson_nll_loss",
    "quadratic_cost",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
