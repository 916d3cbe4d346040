"""Beam search beside transformers' ``generate(num_beams=5)`` on the same net: batch 8, 40 tokens, 8,000 words.

The net is the decoder of transformers' MarianMT, a Transformer as in the paper, with random weights: 4 layers of width
256, 8 heads, 1,024 hidden features, and a memory of 40 positions, as long as what is said. transformers runs its own
forward, cache and search. Ours runs the same weights in a plain decoder of torch's own operations, whose keys and
values stay where they are while the hypotheses change (``Ancestry``); in the second case, in the book's Transformer.
There is no end token, so that both say 40 tokens. That they say the same, with the same scores, is checked first.
"""

import torch
from timing import Case
from torch import Tensor, nn

from dlbook.beam_search import Ancestry, beam_search
from dlbook.transformer import KeyValueCache, TransformerDecoder, TransformerDecoderLayer

BATCH, WIDTH, LENGTH, SOURCE, WORDS, MODEL, HEADS, HIDDEN, LAYERS = 8, 5, 40, 40, 8000, 256, 8, 1024, 4
SCALE = (MODEL / HEADS) ** -0.5


def cases(device: torch.device) -> list[Case]:
    try:
        import transformers
    except ImportError:
        print("beam_search: left out, as transformers is not installed")
        return []
    transformers.logging.set_verbosity_error()
    model, memory = marian(device), torch.randn(BATCH, SOURCE, MODEL, device=device)
    start = torch.zeros(BATCH, dtype=torch.long, device=device)
    rows, peer = [], lambda: generate(model, memory)
    expected = peer()
    for name, net, limit in (("beam_search", Plain(model), 0.5), ("beam_search, dlbook's net", Own(model), None)):

        @torch.inference_mode()
        def ours(net=net):
            state = Ancestry(BATCH, device)
            return beam_search(net.step(memory), start, state, width=WIDTH, max_length=LENGTH, length_penalty=1.0)

        found = ours()
        torch.testing.assert_close(found.scores[:, 0], expected.sequences_scores)
        if not torch.equal(found.tokens[:, 0], expected.sequences[:, 1:]):
            raise RuntimeError(f"{name}: expected what transformers says")
        size = f"{BATCH}×{WIDTH}×{LENGTH}, {LAYERS} layers of {MODEL}"
        rows.append(Case(name, size, ours, peer, peer_name="transformers", limit=limit))
    return rows


def marian(device: torch.device):
    """The net, with weights large enough that its words differ."""
    from transformers import MarianConfig, MarianMTModel

    sizes = {"vocab_size": WORDS, "d_model": MODEL, "max_position_embeddings": LENGTH + 1, "encoder_layers": 1}
    heads = {f"{part}_attention_heads": HEADS for part in ("encoder", "decoder")}
    tokens = {"pad_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": None, "forced_eos_token_id": None}
    config = MarianConfig(
        **sizes,
        **heads,
        **tokens,
        decoder_layers=LAYERS,
        decoder_ffn_dim=HIDDEN,
        activation_function="relu",
        init_std=0.1,
    )
    return MarianMTModel(config).to(device).eval()


def generate(model: nn.Module, memory: Tensor):
    from transformers.modeling_outputs import BaseModelOutput

    return model.generate(
        encoder_outputs=BaseModelOutput(memory),
        attention_mask=torch.ones(BATCH, SOURCE, dtype=torch.long, device=memory.device),
        num_beams=WIDTH,
        max_new_tokens=LENGTH,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
    )


class Net:
    """What both decoders share: the embedding, which is the output matrix too, and the positions."""

    def __init__(self, model: nn.Module) -> None:
        decoder = model.model.decoder
        self.words, self.positions = decoder.embed_tokens.weight.detach(), decoder.embed_positions.weight.detach()
        self.scale, self.layers, self.bias = decoder.embed_scale, decoder.layers, model.final_logits_bias
        # Matrices in the order in which the product reads them.
        self.output = self.words.t().contiguous()

    def embed(self, tokens: Tensor, position: int) -> Tensor:
        """The decoder's input."""
        return self.words[tokens] * self.scale + self.positions[position]

    def log_probs(self, x: Tensor) -> Tensor:
        """The decoder's answer."""
        return torch.log_softmax(torch.addmm(self.bias[0], x, self.output), -1)


def affine(*layers: nn.Linear, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Several layers on the same input as one product: bias and matrix, for ``addmm``; the first of them scaled."""
    scales = [scale] + [1.0] * (len(layers) - 1)
    weight = torch.cat([layer.weight.detach() * by for layer, by in zip(layers, scales, strict=True)])
    return torch.cat(
        [layer.bias.detach() * by for layer, by in zip(layers, scales, strict=True)]
    ), weight.t().contiguous()


class Plain(Net):
    """The decoder in torch's own operations, and few of them: at this size each costs as much to call as to do."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.parts = [
            (
                affine(x.self_attn.q_proj, x.self_attn.k_proj, x.self_attn.v_proj, scale=SCALE),
                (affine(x.self_attn.out_proj), x.self_attn_layer_norm),
                affine(x.encoder_attn.q_proj, scale=SCALE),
                (affine(x.encoder_attn.out_proj), x.encoder_attn_layer_norm),
                affine(x.fc1),
                (affine(x.fc2), x.final_layer_norm),
            )
            for x in self.layers
        ]
        self.memory_keys = [affine(x.encoder_attn.k_proj, x.encoder_attn.v_proj) for x in self.layers]

    def step(self, memory: Tensor):
        """A fresh step for one search; the keys and values live in it."""
        places = WIDTH * LENGTH
        pools = memory.new_empty(LAYERS, 2, BATCH * HEADS, places, MODEL // HEADS)
        sources = [heads(torch.addmm(bias, memory.flatten(0, 1), weight), 2) for bias, weight in self.memory_keys]
        sources = [source.flatten(1, 2).unbind() for source in sources]

        def step(tokens: Tensor, state: Ancestry) -> tuple[Tensor, Ancestry]:
            x, before = self.embed(tokens, state.places.shape[1]), state.size
            state, visible = state.extend()
            mask = torch.zeros_like(visible, dtype=x.dtype).masked_fill_(~visible, -torch.inf)
            mask = mask.repeat_interleave(HEADS, 0)
            for pool, source, (own, own_out, other, other_out, wide, narrow) in zip(
                pools, sources, self.parts, strict=True
            ):
                new = heads(torch.addmm(own[0], x, own[1]), 3).flatten(1, 2)
                pool[:, :, before : state.size] = new[1:]
                key, value = pool[:, :, : state.size].unbind()
                scores = torch.baddbmm(mask, new[0], key.transpose(1, 2))
                x = shortcut(x, merge(scores, value), *own_out)
                query = heads(torch.addmm(other[0], x, other[1]), 1).view(BATCH * HEADS, -1, MODEL // HEADS)
                scores = torch.bmm(query, source[0].transpose(1, 2))
                x = shortcut(x, merge(scores, source[1]), *other_out)
                x = shortcut(x, torch.addmm(wide[0], x, wide[1]).relu_(), *narrow)
            return self.log_probs(x), state

        return step


def heads(x: Tensor, parts: int) -> Tensor:
    """(batch × time, parts × features) as (parts, batch, heads, time, head_dim)."""
    return x.view(BATCH, -1, parts, HEADS, MODEL // HEADS).permute(2, 0, 3, 1, 4).contiguous()


def merge(scores: Tensor, value: Tensor) -> Tensor:
    """The heads' means of values, side by side as (batch × time, features)."""
    mean = torch.bmm(torch.softmax(scores, -1), value).view(BATCH, HEADS, -1, MODEL // HEADS)
    return mean.transpose(1, 2).reshape(-1, MODEL)


def shortcut(x: Tensor, part: Tensor, projection: tuple[Tensor, Tensor], norm: nn.LayerNorm) -> Tensor:
    """The norm of the sum."""
    return torch.layer_norm(torch.addmm(projection[0], part, projection[1]).add_(x), (MODEL,), norm.weight, norm.bias)


class Own(Net):
    """The book's own Transformer with the same weights."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        layer = TransformerDecoderLayer(MODEL, HEADS, HIDDEN, batch_first=True, device=self.words.device)
        self.decoder = TransformerDecoder(layer, LAYERS).eval()
        for mine, theirs in zip(self.decoder.layers, self.layers, strict=True):
            for attention, other in ((mine.self_attn, theirs.self_attn), (mine.multihead_attn, theirs.encoder_attn)):
                bias, weight = affine(other.q_proj, other.k_proj, other.v_proj)
                attention.in_proj_weight.data, attention.in_proj_bias.data = weight.t(), bias
                attention.out_proj.load_state_dict(other.out_proj.state_dict())
            for name, other in (
                ("linear1", theirs.fc1),
                ("linear2", theirs.fc2),
                ("norm1", theirs.self_attn_layer_norm),
                ("norm2", theirs.encoder_attn_layer_norm),
                ("norm3", theirs.final_layer_norm),
            ):
                getattr(mine, name).load_state_dict(other.state_dict())

    def step(self, memory: Tensor):
        """A fresh step for one search; the keys and values live in it."""
        cache = KeyValueCache()

        def step(tokens: Tensor, state: Ancestry) -> tuple[Tensor, Ancestry]:
            x = self.embed(tokens, state.places.shape[1]).unflatten(0, (BATCH, -1))
            state, visible = state.extend()
            hidden = ~visible.repeat_interleave(HEADS, 0)
            return self.log_probs(self.decoder(x, memory, tgt_mask=hidden, cache=cache).flatten(0, 1)), state

        return step
