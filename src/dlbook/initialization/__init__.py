r"""Starting weights: how large they must be for signal and gradient to pass through many layers.

A layer adds up :math:`n` terms, so that its output's variance is :math:`n` times a weight's variance times the input's.
Unless that factor is 1, the signal grows or shrinks exponentially with depth, and the gradient does so on its way back.
Every rule here sets a variance of the order :math:`1/n`; they differ in whether they count inputs, outputs or both, and
in what they allow for the activation. ``signal_report`` shows what comes of it.

Each rule fills a tensor in place and returns it, as the functions of ``torch.nn.init`` do: ``zeros`` is its ``zeros_``,
``glorot`` its ``xavier_*_``, ``he`` its ``kaiming_*_``. With the same seed they draw the same numbers.
"""

from .report import LayerSignal, signal_report
from .rules import calculate_gain, constant, fan_in, fans, glorot, he, lecun, normal, orthogonal, uniform, zeros

__all__ = [
    "LayerSignal",
    "calculate_gain",
    "constant",
    "fan_in",
    "fans",
    "glorot",
    "he",
    "lecun",
    "normal",
    "orthogonal",
    "signal_report",
    "uniform",
    "zeros",
]
