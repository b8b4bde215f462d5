"""Tensors as they are at one moment: the bytes of a safetensors file, made in a few milliseconds.

Written here and not by safetensors.torch.save, which takes five times as long and keeps the interpreter from
running anything else meanwhile. The format: https://github.com/huggingface/safetensors#format
"""

import json
from collections.abc import Mapping

import torch
from torch import Tensor

DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


def file_image(tensors: Mapping[str, Tensor]) -> bytearray:
    """The safetensors file of `tensors`, of any device and memory layout, in an order of its own."""
    # The largest numbers first: so each tensor begins where its kind of number may begin.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header, end = {}, 0
    for name in names:
        tensor, begin = tensors[name], end
        end += tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    frozen = bytearray(8 + len(text) + end)
    frozen[:8], frozen[8 : 8 + len(text)] = len(text).to_bytes(8, "little"), text
    room = torch.frombuffer(frozen, dtype=torch.uint8)[8 + len(text) :]
    for name in names:
        tensor = tensors[name].detach()
        begin, end = header[name]["data_offsets"]
        if end > begin:
            room[begin:end].view(tensor.dtype).view(tensor.shape).copy_(tensor)
    return frozen
