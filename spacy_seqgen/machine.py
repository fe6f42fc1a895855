"""What this process runs on."""

import platform
from functools import cache
from pathlib import Path


@cache
def processor_name() -> str:
    """The name of the processor. Linux has it in a file; Python tells its kind only."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def gpu_name() -> str | None:
    """The name of the GPU that spaCy uses, or None if it uses none."""
    from thinc.api import get_current_ops

    if get_current_ops().device_type != "gpu":
        return None
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "of this processor (MPS)"
