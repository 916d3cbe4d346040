"""Regularization: whatever makes a model do better on new data, even if it does worse on the data it learned from.

``penalties`` keep weights small, ``dropping`` keeps units from relying on each other, ``stopping`` ends training before
the noise is learned, ``augmentation`` makes more data out of what there is.
"""

from .augmentation import cutout, elastic, mixup, rotate, shift
from .dropping import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    FeatureAlphaDropout,
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    feature_alpha_dropout,
)
from .penalties import elastic_net, l1_penalty, l2_penalty, max_norm
from .stopping import EarlyStopping

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "EarlyStopping",
    "FeatureAlphaDropout",
    "alpha_dropout",
    "cutout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "elastic",
    "elastic_net",
    "feature_alpha_dropout",
    "l1_penalty",
    "l2_penalty",
    "max_norm",
    "mixup",
    "rotate",
    "shift",
]
