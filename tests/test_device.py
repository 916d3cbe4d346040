import pytest
import torch

from dlbook import device as devices


def test_the_choice_follows_what_is_there(monkeypatch):
    monkeypatch.delenv("DLBOOK_DEVICE", raising=False)
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert devices.device().type == expected
    assert devices.describe().startswith(expected)


def test_the_variable_overrides(monkeypatch):
    monkeypatch.setenv("DLBOOK_DEVICE", "cpu")
    assert devices.device() == torch.device("cpu")


@pytest.mark.bad_input
def test_an_unknown_device_is_named(monkeypatch):
    monkeypatch.setenv("DLBOOK_DEVICE", "toaster")
    with pytest.raises(ValueError, match="toaster"):
        devices.device()
    monkeypatch.setenv("DLBOOK_DEVICE", "meta")
    with pytest.raises(ValueError, match="expected a cpu, cuda or mps device"):
        devices.device()


@pytest.mark.bad_input
@pytest.mark.skipif(torch.cuda.device_count() > 64, reason="a machine with more GPUs than the test asks for")
def test_an_absent_device_is_an_error_not_a_fallback(monkeypatch):
    monkeypatch.setenv("DLBOOK_DEVICE", "cuda:64")
    with pytest.raises(RuntimeError, match=r"cuda:64.*torch sees"):
        devices.device()
