"""Weights as bytes, in the safetensors format: tensors and nothing else, so that a model
from a stranger cannot run code when it is loaded."""

from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

_PICKLES = (b"\x80", b"PK\x03\x04")  # bare, and in the zip file of torch.save


def weights_to_bytes(net: nn.Module) -> bytes:
    """The weights of a module. Those that are tied are stored once."""
    unique: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in net.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            unique[name] = tensor.detach().cpu().contiguous()
    return save(unique)


def weights_from_bytes(net: nn.Module, data: Any) -> None:
    """Load weights into a module, in place.

    net (nn.Module): A module of the same shape, on any device.
    data (bytes): What `weights_to_bytes` made.
    RAISES (ValueError): If the bytes are not safetensors or do not fit the module. The
        module keeps its weights then.
    """
    put_weights(net, read_weights(data))


def read_weights(data: Any) -> dict[str, torch.Tensor]:
    """
    RAISES (ValueError): If the bytes are not safetensors.
    """
    if not isinstance(data, bytes):
        raise ValueError(f"The weights must be bytes, got {type(data).__name__}.")
    # A safetensors file begins with the length of its header, which is JSON: the length
    # may well begin with the same byte as a pickle.
    if data.startswith(_PICKLES) and data[8:9] != b"{":
        raise ValueError(
            "These weights were saved by torch.save (a pickle), which spacy-seqgen does not "
            "load because a pickle can run any code. Load them where you trust them, and save "
            "the pipeline again with spacy-seqgen."
        )
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, OverflowError, MemoryError) as error:
        raise ValueError(
            f"The weights are not a complete safetensors file ({error}). The file is cut off, "
            "damaged or of another kind: copy or train the pipeline again."
        ) from error


def put_weights(net: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Copy weights into a module.

    RAISES (ValueError): If they do not fit. The module keeps its weights then.
    """
    expected = check_fit(net, tensors)
    with torch.no_grad():
        for name, tensor in expected.items():
            tensor.copy_(tensors[name])


def check_fit(net: nn.Module, found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """
    net (nn.Module): A module, which may be on the device "meta".
    RETURNS (dict[str, Tensor]): Its own weights, those that are tied once.
    RAISES (ValueError): If those that were found have others, or other names.
    """
    own = net.state_dict(keep_vars=True)
    first_name = {id(tensor): name for name, tensor in reversed(own.items())}
    expected = {name: own[name] for name in first_name.values()}
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [f"{name} is unknown" for name in found if name not in expected]
    for name in expected.keys() & found.keys():
        wanted, got = expected[name], found[name]
        if wanted.shape != got.shape:
            problems.append(f"{name} has shape {tuple(got.shape)}, not {tuple(wanted.shape)}")
        elif wanted.dtype != got.dtype:
            problems.append(f"{name} is {got.dtype}, not {wanted.dtype}")
        elif not got.isfinite().all():
            problems.append(f"{name} holds values that are not finite")
    if problems:
        shown = "; ".join(sorted(problems)[:5])
        raise ValueError(
            f"The weights do not fit the model that the config describes: {shown}. They belong "
            "to another config or vocabulary."
        )
    return expected
