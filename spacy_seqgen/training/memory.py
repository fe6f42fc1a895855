"""Memory that is freed after each update and needed again in the next."""

import ctypes
import os
import platform

# Of mallopt, from malloc.h: how much free memory at the top is kept, and how large an
# allocation must be to be asked of the system by itself.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 2**30
# oneDNN's own cache of machine code, and that of what PyTorch makes around it (ideep).
_CAPACITIES = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"
_KEPT_CODES = 128  # of 1 MB each, more or less


def keep_freed_memory() -> bool:
    """Have the C library keep up to a GB of freed memory for the next update.

    By default it gives large blocks back to the system at once, which clears every page
    when they are asked for again. For an LSTM of some size, whose blocks are tens of MB,
    that is a seventh of the training time (docs/experiments.md). A setting for the whole
    process: for a command, not for a library.

    RETURNS (bool): Whether it was done: with glibc only, and not where the environment
        says how memory is to be managed (MALLOC_..., GLIBC_TUNABLES).
    """
    own = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    if own or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(option, _KEPT) for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD))


def limit_kept_code() -> None:
    """Have oneDNN, and PyTorch around it, keep no more than 128 of the pieces of machine code
    that it makes for products in bfloat16, one for each shape, and of what belongs to them. By
    default there are 1,024, about a MB each, and batches of sentences fill them. Before the
    first product, and not where the environment says something else."""
    for name in _CAPACITIES:
        os.environ.setdefault(name, str(_KEPT_CODES))
