"""Deep Learning You Can Drag: the book's tested kernels and its explorers.

Every topic is a module of the same name as its chapter: ``from dlbook import activations, optimizers``.
"""

__version__ = "0.1.0"
