"""The states of the random number generators that a training draws from."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor


def random_state() -> tuple[dict[str, Any], dict[str, Tensor]]:
    """RETURNS (tuple): What JSON can hold of the states, and the rest as tensors."""
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    tensors = {
        "random/numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "random/torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        for number, state in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"random/cuda/{number}"] = state
    numpy = [name, position, has_gauss, cached]
    return {"python": random.getstate(), "numpy": numpy}, tensors


def restore_random(states: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Put the generators back to where they were.

    states (dict), tensors (dict): As from `random_state`. CUDA generators that are not
        here, or were not there, are left as they are.
    """
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    name, position, has_gauss, cached = states["numpy"]
    keys = tensors["random/numpy"].numpy().astype(np.uint32)
    np.random.set_state((name, keys, position, has_gauss, cached))
    torch.set_rng_state(tensors["random/torch"])
    for number in range(torch.cuda.device_count()):
        if f"random/cuda/{number}" in tensors:
            torch.cuda.set_rng_state(tensors[f"random/cuda/{number}"], number)
