"""The training loop, written once: epochs of shuffled mini-batches, a history, early stopping, checkpoints.

``fit`` works for any model, loss and optimizer, this book's or torch's, on whatever device the model and its data
share. Data are tensors: the batches are cut from them where they lie, so that small models do not wait for a loader.
What every run needs is an argument here. The rest is a hook that torch has already: clip gradients with
``optimizer.register_step_pre_hook``, augment a batch with ``model.register_forward_pre_hook``.
"""

from dlbook.training.checkpoint import seed_everything
from dlbook.training.loop import Diverged, evaluate, fit
from dlbook.training.many import fit_many

__all__ = ["Diverged", "evaluate", "fit", "fit_many", "seed_everything"]
