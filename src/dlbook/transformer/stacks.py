"""Blocks piled up: the encoder, the decoder, and the two together, as ``torch.nn``'s."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlbook._checks import check_whole
from dlbook.activations import relu
from dlbook.normalization import LayerNorm
from dlbook.transformer.cache import KeyValueCache
from dlbook.transformer.layers import (
    Activation,
    Device,
    Mask,
    Sequences,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)


def _copies(layer: nn.Module, count: int) -> nn.ModuleList:
    check_whole("num_layers", count, 1)
    return nn.ModuleList([copy.deepcopy(layer) for _ in range(count)])


class TransformerEncoder(nn.Module):
    """A stack of encoder layers, as ``torch.nn.TransformerEncoder``.

    All layers start as copies of the one given, with the same weights.

    Args:
        encoder_layer: The layer to copy.
        num_layers: Number of copies.
        norm: A last norm, which ``norm_first`` needs.
        enable_nested_tensor: Without effect. In torch it lets inference skip padded positions, whose outputs then
            are 0.
        mask_check: Without effect, as the former.

    Raises:
        ValueError: If ``num_layers`` is less than 1.

    Example:
        >>> TransformerEncoder(TransformerEncoderLayer(8, nhead=2), num_layers=2)(torch.zeros(5, 3, 8)).shape
        torch.Size([5, 3, 8])

    Source: Vaswani et al. (2017), "Attention is all you need", section 3.1. Chapter: transformer.
    """

    def __init__(
        self,
        encoder_layer: nn.Module,
        num_layers: int,
        norm: nn.Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers, self.num_layers, self.norm = _copies(encoder_layer, num_layers), num_layers, norm

    def forward(
        self,
        src: Sequences,
        mask: Mask | None = None,
        src_key_padding_mask: Mask | None = None,
        is_causal: bool | None = None,
        *,
        cache: KeyValueCache | None = None,
    ) -> Sequences:
        """The input through all layers; ``cache`` as in :class:`TransformerEncoderLayer`."""
        cached = {} if cache is None else {"cache": cache}
        for layer in self.layers:
            src = layer(
                src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal), **cached
            )
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(nn.Module):
    """A stack of decoder layers, as ``torch.nn.TransformerDecoder``.

    All layers start as copies of the one given, with the same weights.

    Args:
        decoder_layer: The layer to copy.
        num_layers: Number of copies.
        norm: A last norm, which ``norm_first`` needs.

    Raises:
        ValueError: If ``num_layers`` is less than 1.

    Example:
        >>> decoder = TransformerDecoder(TransformerDecoderLayer(8, nhead=2), num_layers=2)
        >>> decoder(torch.zeros(5, 3, 8), memory=torch.zeros(7, 3, 8)).shape
        torch.Size([5, 3, 8])

    Source: Vaswani et al. (2017), "Attention is all you need", section 3.1. Chapter: transformer.
    """

    def __init__(self, decoder_layer: nn.Module, num_layers: int, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.layers, self.num_layers, self.norm = _copies(decoder_layer, num_layers), num_layers, norm

    def forward(
        self,
        tgt: Sequences,
        memory: Sequences,
        tgt_mask: Mask | None = None,
        memory_mask: Mask | None = None,
        tgt_key_padding_mask: Mask | None = None,
        memory_key_padding_mask: Mask | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> Sequences:
        """The target through all layers; ``cache`` as in :class:`TransformerDecoderLayer`."""
        cached = {} if cache is None else {"cache": cache}
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
                **cached,
            )
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(nn.Module):
    """Encoder and decoder, as ``torch.nn.Transformer``: embeddings and the output layer are the caller's.

    Args:
        d_model: Features of source, target and output.
        nhead: Number of heads; it divides ``d_model``.
        num_encoder_layers: Layers of the encoder.
        num_decoder_layers: Layers of the decoder.
        dim_feedforward: Features between the feed-forward networks' two matrices.
        dropout: Chance with which a number is set to 0 in training.
        activation: ``"relu"``, ``"gelu"``, or a function.
        custom_encoder: An encoder to use instead.
        custom_decoder: A decoder to use instead.
        layer_norm_eps: Added to the variance in the norms.
        batch_first: Whether a batch is (batch, time, features) instead of (time, batch, features).
        norm_first: Whether each norm stands before its part instead of after the sum.
        bias: Whether the matrices and norms have biases.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        ValueError: If an argument is out of range or ``nhead`` does not divide ``d_model``.

    Example:
        >>> model = Transformer(8, nhead=2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=16)
        >>> model(torch.zeros(7, 3, 8), torch.zeros(5, 3, 8)).shape
        torch.Size([5, 3, 8])

    Source: Vaswani et al. (2017), "Attention is all you need". Chapter: transformer.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        custom_encoder: nn.Module | None = None,
        custom_decoder: nn.Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        where = {"device": device, "dtype": dtype}

        def norm() -> LayerNorm:
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **where)

        if custom_encoder is None:
            custom_encoder = TransformerEncoder(TransformerEncoderLayer(*sizes, **where), num_encoder_layers, norm())
        if custom_decoder is None:
            custom_decoder = TransformerDecoder(TransformerDecoderLayer(*sizes, **where), num_decoder_layers, norm())
        self.encoder, self.decoder = custom_encoder, custom_decoder
        self._reset_parameters()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def _reset_parameters(self) -> None:
        """Glorot's uniform start for every matrix, so that the copied layers differ."""
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Sequences,
        tgt: Sequences,
        src_mask: Mask | None = None,
        tgt_mask: Mask | None = None,
        memory_mask: Mask | None = None,
        src_key_padding_mask: Mask | None = None,
        tgt_key_padding_mask: Mask | None = None,
        memory_key_padding_mask: Mask | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Sequences:
        """The decoder's output for each position of ``tgt``; arguments as torch's."""
        for name, x in (("src", src), ("tgt", tgt)):
            if x.ndim not in (2, 3) or x.shape[-1] != self.d_model:
                expected = f"two or three dimensions, the last of them d_model={self.d_model}"
                raise ValueError(f"{name}: expected {expected}; got {tuple(x.shape)}")
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise ValueError(f"tgt: expected a batch of {src.shape[batch]}, as src; got {tgt.shape[batch]}")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(
        sz: int, device: Device = None, dtype: torch.dtype | None = None
    ) -> Float[Tensor, "query key"]:
        """The causal mask as numbers to add: 0 where a position may be seen, minus infinity where it may not."""
        return torch.full((sz, sz), -torch.inf, device=device, dtype=dtype).triu(diagonal=1)
