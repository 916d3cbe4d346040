"""Optimizers: how a gradient becomes a step.

Each optimizer is a pure update rule (``sgd``, ``adam``, ...), a few lines that read like its formula, and a thin class
over it that takes the place of ``torch.optim``'s: the same arguments, defaults, results and state, so that torch's
schedulers, hooks and checkpoints work on it. Three of torch's arguments are left out, ``foreach``, ``fused`` and
``capturable``: they choose between implementations of one rule, and there is one here, which handles all the tensors
of a network at once. Sparse gradients are refused.
"""

from dlbook.optimizers._base import TensorList
from dlbook.optimizers.adaptive import Adadelta, Adagrad, RMSprop, adadelta, adagrad, rmsprop
from dlbook.optimizers.clipping import clip_grad_norm_, clip_grad_value_
from dlbook.optimizers.descent import SGD, Lion, lion, sgd
from dlbook.optimizers.matrices import Muon, Newton, muon, newton, orthogonalize
from dlbook.optimizers.moments import Adam, AdamW, NAdam, adam, nadam, nadam_momentum
from dlbook.optimizers.paths import SURFACES, trajectory

__all__ = [
    "SGD",
    "SURFACES",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Muon",
    "NAdam",
    "Newton",
    "RMSprop",
    "TensorList",
    "adadelta",
    "adagrad",
    "adam",
    "clip_grad_norm_",
    "clip_grad_value_",
    "lion",
    "muon",
    "nadam",
    "nadam_momentum",
    "newton",
    "orthogonalize",
    "rmsprop",
    "sgd",
    "trajectory",
]
