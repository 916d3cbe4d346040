"""Normalization: two different things with one name.

Before training, ``scalers`` put the *data's* features on one scale, fitted on the training split. Inside the network,
``functions`` and their modules, ``batch_layers`` and ``layers``, put *activations* on one scale at each step, and
gradients flow through the statistics.
"""

from .batch_layers import BatchNorm1d, BatchNorm2d, InstanceNorm1d, InstanceNorm2d
from .functions import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    normalize,
    rms_norm,
)
from .layers import GroupNorm, LayerNorm, LocalResponseNorm, RMSNorm
from .scalers import LogScaler, MeanScaler, MinMaxScaler, QuantileScaler, RobustScaler, StandardScaler

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "LayerNorm",
    "LocalResponseNorm",
    "LogScaler",
    "MeanScaler",
    "MinMaxScaler",
    "QuantileScaler",
    "RMSNorm",
    "RobustScaler",
    "StandardScaler",
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "normalize",
    "rms_norm",
]
