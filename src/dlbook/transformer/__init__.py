"""The Transformer: attention and a small network in turn, each on a shortcut, with nothing that must wait its turn.

``layers`` has one block of the encoder and one of the decoder; ``stacks`` piles them up; ``cache`` keeps the keys and
values of the steps already decoded, so that each new word costs one step and not all of them again; ``language`` has
the decoder-only Transformer, a language model. Elsewhere names, arguments, parameters and results are those of
``torch.nn``; in boolean masks ``True`` means *left out*, as there.
"""

from dlbook.transformer.cache import KeyValueCache
from dlbook.transformer.language import LanguageModel
from dlbook.transformer.layers import TransformerDecoderLayer, TransformerEncoderLayer
from dlbook.transformer.stacks import Transformer, TransformerDecoder, TransformerEncoder

__all__ = [
    "KeyValueCache",
    "LanguageModel",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
