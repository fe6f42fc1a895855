"""Which arithmetic a model computes in."""

import contextlib
import warnings
from collections.abc import Iterator

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..machine import processor_name

PRECISIONS = ("auto", "fp32", "bf16")


def check_precision(precision: str, name: str = "precision") -> str:
    """RAISES (ValueError): If there is no such precision."""
    if precision not in PRECISIONS:
        raise ValueError(f"{name} must be one of {PRECISIONS}, got {precision!r}")
    return precision


def supports_bf16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 natively. Emulated bfloat16 is many times
    slower than float32, and PyTorch's recurrent layers refuse it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "cpu":
        # Without public names in PyTorch; absent ones mean no.
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, name, bool)() for name in names)
    return False


def prefers_bf16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 natively, and no slower than in float32: Intel's
    processors without AMX, or with AMX hidden by a virtual machine, multiply at half the speed."""
    if device.type != "cpu" or not supports_bf16(device):
        return supports_bf16(device)
    has_amx: bool = getattr(torch.cpu, "_is_amx_tile_supported", bool)()
    return has_amx or "intel" not in processor_name().lower()


def resolve_precision(precision: str, device: torch.device) -> str:
    """What a setting comes down to on a device: "fp32" or "bf16".

    precision (str): "bf16", "fp32", or "auto": bf16 where the device is faster with it.
    device (torch.device): Where the model is.
    """
    if precision == "auto":
        return "bf16" if prefers_bf16(device) else "fp32"
    if precision == "bf16":
        if supports_bf16(device):
            return "bf16"
        warnings.warn(
            f'precision = "bf16" is computed in fp32: this {device.type} has no bfloat16 '
            'arithmetic. Set precision to "auto" or "fp32" to silence this.',
            stacklevel=2,
        )
    return "fp32"


@contextlib.contextmanager
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """A context in which a model's forward pass computes in a precision that was
    resolved. Weights, and the optimizer, stay in fp32; the state before is restored."""
    if precision == "fp32":
        yield
    else:
        with torch.autocast(device.type, dtype=torch.bfloat16), _attention_for_any_length(device):
            yield


def _attention_for_any_length(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Without cuDNN's attention, which PyTorch prefers on newer GPUs: it prepares itself anew for
    each length and size of a batch, and text has hundreds of them."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    kinds = SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH
    return sdpa_kernel(list(kinds))


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """A context for exact results: no autocast, and no TF32 inside cuDNN."""
    with torch.autocast(device.type, enabled=False):
        if device.type == "cuda":
            with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False):
                yield
        else:
            yield
