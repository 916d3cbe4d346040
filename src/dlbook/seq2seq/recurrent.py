r"""The recurrent encoder and decoder: one network reads the sentence, another writes its translation.

Without attention all that passes between them is the encoder's last state, of a fixed size however long the sentence
is: the bottleneck. With attention the decoder also looks back, at each word that it writes, at all the states that the
encoder went through.

A decoder's state is a dictionary of tensors, each with one row a sentence along its first dimension, so that a search
can pick, repeat and drop sentences by indexing.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dlbook._checks import check_ndim, check_option, check_tensor, check_whole
from dlbook.activations import log_softmax
from dlbook.attention import additive_attention, scaled_dot_product_attention
from dlbook.neurons import Embedding, Linear
from dlbook.recurrent import GRU, LSTM
from dlbook.regularization import Dropout
from dlbook.seq2seq.vocabulary import PAD, SPECIAL_TOKENS

State = dict[str, Tensor]
Logits = Float[Tensor, "batch vocabulary target"]
Weights = Float[Tensor, "batch target source"]
CELLS = {"GRU": GRU, "LSTM": LSTM}
ATTENTIONS = (None, "dot_product", "additive")


class Encoder(nn.Module):
    """A recurrent network that reads a sentence.

    Args:
        vocabulary_size: Number of the source language's tokens.
        hidden_size: Features of embeddings and states.
        num_layers: Recurrent layers.
        cell: ``"GRU"`` or ``"LSTM"``.
        bidirectional: Whether a half of the state's features reads the sentence backwards.
        dropout: Chance with which an embedding's number, or one between two layers, is set to 0 in training.

    Raises:
        ValueError: If an argument is out of range, or ``hidden_size`` is odd and ``bidirectional`` set.

    Example:
        >>> state = Encoder(vocabulary_size=9, hidden_size=4)(torch.tensor([[5, 6, 3], [7, 3, 0]]))
        >>> {name: tuple(tensor.shape) for name, tensor in state.items()}
        {'outputs': (2, 3, 4), 'mask': (2, 3), 'hidden': (2, 1, 4)}

    Source: Sutskever et al. (2014); Cho et al. (2014). Chapter: seq2seq.
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden_size: int,
        num_layers: int = 1,
        cell: str = "GRU",
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = make_embedding("vocabulary_size", vocabulary_size, hidden_size)
        self.recurrent = _layers(cell, hidden_size, num_layers, dropout, bidirectional)
        self.dropout = Dropout(dropout)

    def forward(self, source: Int[Tensor, "batch source"]) -> State:
        """Read sentences, each filled up with ``PAD`` at its end.

        Returns:
            ``outputs`` (batch, source, hidden), the last layer's state at each word; ``mask`` (batch, source), ``True``
            where there is a word; ``hidden`` (batch, layers, hidden), each layer's last state; with LSTM ``cell`` too.
        """
        check_tokens("source", source)
        mask = source != PAD
        # Packed, the padding is not read at all, backwards either. The lengths must be on the CPU, where the loop over
        # time is planned; a sentence without words is read as one PAD.
        lengths = mask.sum(1).clamp(min=1).cpu()
        words = self.dropout(self.embedding(source))
        packed = pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
        outputs, states = self.recurrent(packed)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=source.shape[1])
        return {"outputs": outputs, "mask": mask} | _by_row(states, 1 + self.recurrent.bidirectional)


class Decoder(nn.Module):
    r"""A recurrent network that writes a sentence, one word after the other, with or without attention.

    Attention comes after the recurrent layers, so that with teacher forcing all words of the target can pass through
    them in one call: the state :math:`h_t` asks, the context :math:`c_t` answers, and both together choose the word:

    .. math:: c_t = \sum_s a_{ts} \bar h_s, \qquad
        \operatorname{logits}_t = W \tanh(W_c\,[c_t; h_t] + b_c) + b

    Args:
        vocabulary_size: Number of the target language's tokens.
        hidden_size: Features of embeddings and states.
        num_layers: Recurrent layers.
        cell: ``"GRU"`` or ``"LSTM"``.
        attention: ``None``, ``"dot_product"`` (scores :math:`h_t^\top U \bar h_s / \sqrt d`) or ``"additive"`` (scores
            :math:`v^\top \tanh(W h_t + U \bar h_s)`).
        dropout: Chance with which a number is set to 0 in training: of an embedding, between layers, and before the
            output layer.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> encoder, decoder = Encoder(9, 4), Decoder(11, 4, attention="additive")
        >>> state = decoder.start(encoder(torch.tensor([[5, 6, 3]])))
        >>> logits, state, weights = decoder(torch.tensor([[2, 8]]), state)
        >>> logits.shape, weights.shape
        (torch.Size([1, 2, 11]), torch.Size([1, 2, 3]))

    Source: Luong et al. (2015), "Effective approaches to attention-based neural machine translation"; the additive
    scores: Bahdanau et al. (2015). Chapter: seq2seq.
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden_size: int,
        num_layers: int = 1,
        cell: str = "GRU",
        attention: str | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = make_embedding("vocabulary_size", vocabulary_size, hidden_size)
        check_option("attention", attention, ATTENTIONS)
        self.attention = attention
        self.recurrent = _layers(cell, hidden_size, num_layers, dropout)
        if attention is not None:
            self.key = Linear(hidden_size, hidden_size, bias=False)
            self.combine = Linear(2 * hidden_size, hidden_size)
        if attention == "additive":
            self.query = Linear(hidden_size, hidden_size, bias=False)
            self.score = nn.Parameter(torch.empty(hidden_size).uniform_(-1, 1) * hidden_size**-0.5)
        self.dropout = Dropout(dropout)
        self.output = Linear(hidden_size, vocabulary_size)

    def start(self, encoded: State) -> State:
        """The state before the first word, from what the encoder returned."""
        state = {name: encoded[name] for name in ("hidden", "cell") if name in encoded}
        if self.attention is None:
            return state
        outputs = encoded["outputs"]
        # The keys of the source are the same at every step: projected once.
        return state | {"key": self.key(outputs), "value": outputs, "mask": encoded["mask"]}

    def forward(
        self, tokens: Int[Tensor, "batch target"], state: State
    ) -> tuple[Float[Tensor, "batch target vocabulary"], State, Weights | None]:
        """Read words, and say what might come after each.

        Returns:
            The logits; the state after the last word; and with attention its weights, which sum to 1 over the source.
        """
        check_tokens("tokens", tokens)
        states = tuple(state[name].transpose(0, 1) for name in ("hidden", "cell") if name in state)
        words = self.dropout(self.embedding(tokens))
        outputs, states = self.recurrent(words, states if "cell" in state else states[0])
        state, weights = state | _by_row(states), None
        if self.attention is not None:
            context, weights = self._look_back(outputs, state)
            outputs = torch.tanh(self.combine(torch.cat([context, outputs], dim=-1)))
        return self.output(self.dropout(outputs)), state, weights

    def _look_back(self, query: Tensor, state: State) -> Any:
        """Context and weights for each of the states."""
        key, value, mask = state["key"], state["value"], state["mask"].unsqueeze(1)
        if self.attention == "additive":
            return additive_attention(self.query(query), key, value, self.score, mask, need_weights=True)
        return scaled_dot_product_attention(query, key, value, mask, need_weights=True)


class Seq2Seq(nn.Module):
    """A recurrent encoder and decoder, trained together to translate.

    Args:
        source_size: Number of the source language's tokens.
        target_size: Number of the target language's tokens.
        hidden_size: Features of embeddings and states.
        num_layers: Recurrent layers of the encoder, and of the decoder.
        attention: ``None``: only the encoder's last state passes. ``"dot_product"`` or ``"additive"``: the decoder
            looks back at all of them.
        cell: ``"GRU"`` or ``"LSTM"``.
        bidirectional: Whether the encoder reads in both directions, with half of its features each.
        dropout: Chance with which a number is set to 0 in training.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> model = Seq2Seq(source_size=9, target_size=11, hidden_size=4, attention="dot_product")
        >>> source, target_in = torch.tensor([[5, 6, 3]]), torch.tensor([[2, 8]])
        >>> model(source, target_in).shape
        torch.Size([1, 11, 2])
        >>> log_probs, state = model.step(torch.tensor([2]), model.encode(source))
        >>> log_probs.shape
        torch.Size([1, 11])

    Source: Sutskever et al. (2014), "Sequence to sequence learning with neural networks"; attention: Luong et al.
    (2015). Chapter: seq2seq.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        hidden_size: int = 128,
        num_layers: int = 1,
        attention: str | None = None,
        cell: str = "GRU",
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(source_size, hidden_size, num_layers, cell, bidirectional, dropout)
        self.decoder = Decoder(target_size, hidden_size, num_layers, cell, attention, dropout)

    def forward(
        self, source: Int[Tensor, "batch source"], target_in: Int[Tensor, "batch target"], need_weights: bool = False
    ) -> Logits | tuple[Logits, Weights]:
        """Logits for the word after each word of ``target_in``: teacher forcing, the whole target at once.

        They are laid out as losses want them, the classes along dim 1. With ``need_weights`` attention's weights come
        too: how much of each source word went into each prediction.
        """
        if need_weights and self.decoder.attention is None:
            raise ValueError("need_weights: expected a model with attention; this one has none")
        logits, _, weights = self.decoder(target_in, self.encode(source))
        return (logits.mT, weights) if need_weights else logits.mT

    def encode(self, source: Int[Tensor, "batch source"]) -> State:
        """Read sentences; the decoder's state before the first word."""
        return self.decoder.start(self.encoder(source))

    def step(self, tokens: Int[Tensor, " rows"], state: State) -> tuple[Float[Tensor, "rows vocabulary"], State]:
        """Log-probabilities of the word after ``tokens``, one token a row, and the state with which to go on."""
        logits, state, _ = self.decoder(tokens.unsqueeze(1), state)
        return log_softmax(logits.squeeze(1), dim=-1), state


def make_embedding(name: str, vocabulary_size: int, features: int) -> Embedding:
    """A table of vectors for a vocabulary's tokens, in which that of ``PAD`` is zero."""
    check_whole(name, vocabulary_size, len(SPECIAL_TOKENS))
    return Embedding(vocabulary_size, features, padding_idx=PAD)


def _layers(cell: str, features: int, num_layers: int, dropout: float, bidirectional: bool = False) -> Any:
    """Recurrent layers whose outputs have as many features as their inputs, in whichever directions."""
    check_option("cell", cell, CELLS)
    check_whole("hidden_size", features, 1)
    if bidirectional and features % 2:
        raise ValueError(f"hidden_size: expected an even number, a half for each direction; got {features}")
    between = dropout if num_layers > 1 else 0.0
    each = features // 2 if bidirectional else features
    return CELLS[cell](features, each, num_layers, True, True, between, bidirectional)


def _by_row(states: Any, directions: int = 1) -> State:
    """A recurrent layer's last states, (layers × directions, batch, features), with the batch first."""
    states = states if isinstance(states, tuple) else (states,)
    rows = [state.transpose(0, 1).unflatten(1, (-1, directions)).flatten(2) for state in states]
    return dict(zip(("hidden", "cell"), rows, strict=False))


def check_tokens(name: str, tokens: Tensor) -> None:
    """Raise unless ``tokens`` holds rows of token numbers, and any at all."""
    check_tensor(name, tokens)
    check_ndim(name, tokens, (2,), "(batch, time)")
    if tokens.numel() == 0:
        raise ValueError(f"{name}: expected at least one row and one token; got shape {tuple(tokens.shape)}")
