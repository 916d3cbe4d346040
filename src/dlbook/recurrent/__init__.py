"""Recurrent networks: one small network, applied again at each step of a sequence, that hands itself its own state.

The state :math:`h_t` is all that the network remembers of what it has read; a gradient that is to reach step 1 from
step 100 passes through 100 copies of the same weights. ``scans`` has the three loops, plain, LSTM and GRU, and the
hand-derived backpropagation through time of each; ``layers`` stacks them and runs them in both directions; ``cells``
has single steps for loops of your own. Names, arguments, parameters and results are those of ``torch.nn``. ``ngrams``
has the baseline that they must beat: counting.
"""

from dlbook.recurrent.cells import GRUCell, LSTMCell, RNNCell
from dlbook.recurrent.layers import GRU, LSTM, RNN
from dlbook.recurrent.ngrams import NGram

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "NGram", "RNNCell"]
