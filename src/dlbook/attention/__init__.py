"""Attention: each query looks back at all keys and takes the mean of their values, weighted by how well they match.

``weighted`` has the two ways to score a match, by dot product and by a small network, and the causal mask;
``multihead`` runs several dot-product attentions side by side, as ``torch.nn.MultiheadAttention``; ``positions`` tells
attention, which by itself does not see the order of its keys, where each of them stands.
"""

from dlbook.attention.multihead import MultiheadAttention
from dlbook.attention.positions import rotary_embedding, sinusoidal_positions
from dlbook.attention.weighted import additive_attention, causal_mask, scaled_dot_product_attention

__all__ = [
    "MultiheadAttention",
    "additive_attention",
    "causal_mask",
    "rotary_embedding",
    "scaled_dot_product_attention",
    "sinusoidal_positions",
]
