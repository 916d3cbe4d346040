"""Networks of one architecture as one network, whose every weight has a leading dimension: one entry per network."""

from collections.abc import Callable, Sequence
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from dlbook._checks import check_range
from dlbook.training.loop import check_loss, share_correct

Weights = dict[str, Tensor]


class Stack:
    """Several networks, run in one go on a batch for each; the first one's code is what runs."""

    def __init__(self, models: Sequence[nn.Module], loss: Callable[..., Tensor], penalty: Callable | None) -> None:
        _check_alike(models)
        self.models, self.loss, self.penalty = models, loss, penalty
        for model in models:
            model.train()
        weights, self.buffers = stack_module_state(models)  # type: ignore[arg-type]
        self.trained = {name: w for name, w in weights.items() if w.requires_grad}
        self.frozen = {name: w for name, w in weights.items() if not w.requires_grad}
        if not self.trained:
            raise ValueError("models: expected parameters to train; got none that requires a gradient")
        # Random layers draw anew for each network, and so they want to see that there are several: every input of
        # the mapped function has the leading dimension, if only as a view.
        self._mapped = vmap(self._one, randomness="different")

    def __len__(self) -> int:
        return len(self.models)

    def points(self) -> list[Tensor]:
        """The weights as an optimizer's points: a row for each network, sharing memory with the stack."""
        return [w.detach().flatten(1) if w.ndim > 1 else w.detach()[:, None] for w in self.trained.values()]

    def run(self, data: Sequence[Tensor], hyper: Weights) -> Weights:
        """Loss, accuracy where there is one, and in training the penalty, of each network on its batch.

        Args:
            data: Inputs and targets, ``(networks, batch, ...)``.
            hyper: Further arguments of the loss, a number for each network.
        """
        try:
            results, self.buffers = self._mapped(self.trained, self.frozen, self.buffers, tuple(data), hyper)
        except RuntimeError as error:
            if "vmap" in str(error) or "atching rule" in str(error):
                error.add_note("fit_many runs model and loss once for all networks, under torch.func.vmap")
            raise
        return results

    def _one(
        self, trained: Weights, frozen: Weights, buffers: Weights, data: tuple[Tensor, ...], hyper: Weights
    ) -> tuple[Weights, Weights]:
        """What one network makes of its batch, and its buffers afterwards."""
        *inputs, targets = data
        state = trained | frozen | buffers
        outputs = functional_call(self.models[0], state, tuple(inputs))
        results = {"loss": self.loss(outputs, targets, **hyper)}
        check_loss(results["loss"])
        accuracy = share_correct(outputs, targets)
        if accuracy is not None:
            results["accuracy"] = accuracy
        if self.penalty is not None and self.models[0].training:
            results["penalty"] = self.penalty(trained)
        return results, {name: state[name] for name in buffers}

    def numbers(self, name: str, value: Any) -> Tensor:
        """A hyperparameter as a tensor of one number for each network, of the weights' kind."""
        like = next(iter(self.trained.values()))
        value = per_network(name, value, len(self))
        return torch.as_tensor(value, dtype=like.dtype, device=like.device).expand(len(self))

    def train(self, mode: bool) -> None:
        """Set the mode of the code that runs."""
        self.models[0].train(mode)

    @torch.no_grad()
    def write(self) -> None:
        """Give each network the weights and buffers that it has here."""
        for name, stacked in (self.trained | self.frozen | self.buffers).items():
            for model, value in zip(self.models, stacked, strict=True):
                _entry(model, name).copy_(value)


def per_network(name: str, value: Any, count: int) -> Any:
    """A hyperparameter as a number for all, or as a tensor of one number for each network.

    Raises:
        ValueError: If a sequence has another length.
        TypeError: If it does not hold numbers.
    """
    if isinstance(value, (bool, int, float)):
        return value
    try:
        # In full precision until it meets the weights, so that a list means what its numbers mean one by one.
        numbers = value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name}: expected a number, or {count}, one for each network; got {value!r}") from error
    if numbers.ndim == 0:
        return numbers.item()
    if numbers.shape != (count,):
        raise ValueError(
            f"{name}: expected a number, or {count}, one for each network; got shape {tuple(numbers.shape)}"
        )
    return numbers


def _entry(model: nn.Module, name: str) -> Tensor:
    owner, _, last = name.rpartition(".")
    return getattr(model.get_submodule(owner), last)


def _check_alike(models: Sequence[nn.Module]) -> None:
    """Raise unless the models differ in nothing but numbers in weights and buffers."""
    check_range("len(models)", len(models), 1)
    for model in models:
        if not isinstance(model, nn.Module):
            raise TypeError(f"models: expected torch.nn.Modules; got {type(model).__name__}")
    if len({id(model) for model in models}) < len(models):
        raise ValueError("models: expected as many networks; got one of them twice")
    expected = _parts(models[0])
    for i, model in enumerate(models):
        found = _parts(model)
        if differ := [name for name in expected | found if expected.get(name) != found.get(name)]:
            here, first = (parts.get(differ[0], "not there") for parts in (found, expected))
            raise ValueError(
                f"models: expected networks that differ in nothing but the values of their weights; {differ[0]} is "
                f"{here} in models[{i}], {first} in models[0]: train those in a call of their own"
            )


def _parts(model: nn.Module) -> dict[str, object]:
    """By name: what each module is and how it is set, and the shapes of parameters and buffers."""
    parts: dict[str, object] = {}
    for path, module in model.named_modules():
        parts[path or "the model"] = type(module)
        settings = {key: _setting(value) for key, value in vars(module).items() if key != "training"}
        parts |= {f"{path}.{key}".strip("."): value for key, value in settings.items() if value is not None}
    for path, tensor in [*model.named_parameters(), *model.named_buffers()]:
        parts[path] = (tuple(tensor.shape), tensor.dtype, tensor.device, tensor.requires_grad)
    return parts


def _setting(value: object) -> object:
    """What can be compared of an attribute: plain numbers and texts, and which function a function is."""
    if isinstance(value, FunctionType):
        return value.__code__
    if isinstance(value, tuple):
        return tuple(map(_setting, value))
    return value if isinstance(value, (bool, int, float, str, type, BuiltinFunctionType)) else None
