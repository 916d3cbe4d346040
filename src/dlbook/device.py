"""Where tensors live: the GPU when there is one, the CPU otherwise.

``device()`` picks CUDA, then Apple's MPS, then the CPU. The environment variable ``DLBOOK_DEVICE`` overrides the
choice (``DLBOOK_DEVICE=cpu make lab``); asking for a device that this machine lacks is an error that says so,
never a silent fall back to a slower one.
"""

import os
import platform

import torch

__all__ = ["describe", "device"]


def device() -> torch.device:
    """The device that the book computes on: CUDA, then MPS, then CPU, or what ``DLBOOK_DEVICE`` names.

    Returns:
        The device; nothing is moved to it.

    Raises:
        ValueError: If ``DLBOOK_DEVICE`` names no kind of device known to torch.
        RuntimeError: If it names one that this machine, or this build of torch, does not have.

    Example:
        >>> device().type in {"cuda", "mps", "cpu"}
        True

    Source: torch's device semantics, https://pytorch.org/docs/stable/tensor_attributes.html#torch.device.
    Chapter: every one.
    """
    wanted = os.environ.get("DLBOOK_DEVICE", "").strip()
    if not wanted:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(wanted)
    except RuntimeError:
        raise ValueError(
            f"DLBOOK_DEVICE: expected a device such as 'cpu', 'cuda', 'cuda:1' or 'mps'; got {wanted!r}"
        ) from None
    _check_present(chosen)
    return chosen


def _check_present(chosen: torch.device) -> None:
    if chosen.type == "cuda":
        count = torch.cuda.device_count()
        if (chosen.index or 0) >= count:
            raise RuntimeError(f"DLBOOK_DEVICE asks for {chosen}, but torch sees {count} CUDA devices here")
    elif chosen.type == "mps":
        if not torch.backends.mps.is_available():
            raise RuntimeError("DLBOOK_DEVICE asks for mps, but torch sees no Apple GPU here")
    elif chosen.type != "cpu":
        raise ValueError(f"DLBOOK_DEVICE: expected a cpu, cuda or mps device; got {str(chosen)!r}")


def describe() -> str:
    """One line on what the numbers of this run were measured on.

    Returns:
        Device, its name, torch's version and the number of CPU threads.

    Raises:
        ValueError: If ``DLBOOK_DEVICE`` names no kind of device known to torch.
        RuntimeError: If it names a device that is absent.

    Example:
        >>> describe().startswith(device().type)
        True

    Source: torch's own queries. Chapter: every one.
    """
    here = device()
    name = torch.cuda.get_device_name(here) if here.type == "cuda" else platform.machine()
    return f"{here.type} ({name}), torch {torch.__version__}, {torch.get_num_threads()} threads"
