import pytest
import safetensors.torch
import torch

from mdlib.training.file_image import DTYPES, file_image


def every_kind() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"of {name}": (torch.rand(3, 5, generator=generator) * 9).to(kind) for kind, name in DTYPES.items()
    }
    tensors["nan"] = torch.tensor([float("nan"), float("-inf"), -0.0])
    tensors["number"] = torch.tensor(7)
    tensors["none"] = torch.zeros(0, 4)
    tensors["channels last"] = torch.rand(2, 3, 4, 5, generator=generator).to(
        memory_format=torch.channels_last
    )
    tensors["part"] = tensors["channels last"][:, 1:]
    tensors["weight"] = torch.nn.Parameter(torch.rand(3, generator=generator))
    return tensors


def test_safetensors_reads_the_same_bits():
    tensors = every_kind()
    read = safetensors.torch.load(bytes(file_image(tensors)))
    assert set(read) == set(tensors)
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert read[name].shape == tensor.shape
        expected = safetensors.torch.save({"x": tensor.detach().contiguous()})
        assert safetensors.torch.save({"x": read[name]}) == expected  # bits, also of nan


def test_the_same_tensors_give_the_same_bytes_in_any_order():
    tensors = every_kind()
    assert file_image(tensors) == file_image(dict(reversed(tensors.items())))


def test_later_changes_do_not_reach_it():
    weight = torch.zeros(4)
    frozen = file_image({"weight": weight})
    weight += 1
    assert torch.equal(safetensors.torch.load(bytes(frozen))["weight"], torch.zeros(4))


def test_no_tensors_are_a_file_too():
    assert safetensors.torch.load(bytes(file_image({}))) == {}


def test_a_kind_of_number_that_no_state_has():
    with pytest.raises(KeyError):
        file_image({"x": torch.zeros(2, dtype=torch.complex64)})
