"""Activation functions, from the step to the softmax, with torch's names, arguments, results and gradients.

Without an activation between them, two linear layers are one. What a good one needs can be read off two curves: its
value, which should neither explode nor collapse the signal, and its derivative, by which each layer multiplies the
gradient on its way back. Every function here is a plain formula; autograd takes the derivative.

The formulas are ordered by idea: ``saturating`` (the step and its kin), ``rectifiers`` (ReLU and its kin), ``gated``
(GELU, SiLU, GLU ...), ``shrinkage``, and ``probabilities`` (softmax). ``ACTIVATIONS`` maps a name to each function that
works element by element and needs no argument but its input.
"""

from .gated import gelu, glu, hardswish, mish, silu, swiglu, swish
from .probabilities import log_softmax, softmax, softmin
from .rectifiers import PReLU, celu, elu, leaky_relu, prelu, relu, selu, softplus, threshold
from .saturating import hardsigmoid, hardtanh, logsigmoid, relu6, sigmoid, softsign, step, tanh
from .shrinkage import hardshrink, softshrink, tanhshrink

__all__ = [
    "ACTIVATIONS",
    "PReLU",
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "step",
    "swiglu",
    "swish",
    "tanh",
    "tanhshrink",
    "threshold",
]

ACTIVATIONS = {
    "step": step,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softsign": softsign,
    "logsigmoid": logsigmoid,
    "hardtanh": hardtanh,
    "hardsigmoid": hardsigmoid,
    "relu": relu,
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": selu,
    "celu": celu,
    "softplus": softplus,
    "gelu": gelu,
    "silu": silu,
    "swish": swish,
    "mish": mish,
    "hardswish": hardswish,
    "hardshrink": hardshrink,
    "softshrink": softshrink,
    "tanhshrink": tanhshrink,
}
