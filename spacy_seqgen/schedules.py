"""Learning rate schedules (`@schedules`)."""

import math
from collections.abc import Iterator


def warmup_cosine(
    initial_rate: float, warmup_steps: int, total_steps: int | str, final_rate: float = 0.0
) -> Iterator[float]:
    """Rises in a straight line, then falls along a half cosine (Loshchilov and Hutter
    2017, https://arxiv.org/abs/1608.03983, without restarts). Registered as
    `spacy-seqgen.warmup_cosine.v1` (`@schedules`).

    initial_rate (float): The highest value, reached after the warm-up.
    warmup_steps (int): Updates until then.
    total_steps (int | str): Updates until `final_rate`, the warm-up included. spaCy does
        not look up `${training.max_steps}` when it makes an optimizer outside of a training
        (`nlp.resume_training()`, `nlp.initialize()`): there the rate rises and stays.
    final_rate (float): Where it ends, and stays.
    """
    if isinstance(total_steps, str):
        if not total_steps.startswith("${"):
            raise ValueError(f"total_steps must be a number, got {total_steps!r}")
        return _warmup_cosine(initial_rate, warmup_steps, 0, initial_rate)
    if warmup_steps < 0 or total_steps < 1:
        raise ValueError(
            f"warmup_steps ({warmup_steps}) must be 0 or more and total_steps ({total_steps}) 1 or "
            "more. Where max_steps is 0, total_steps needs a number of its own."
        )
    return _warmup_cosine(initial_rate, warmup_steps, total_steps, final_rate)


def _warmup_cosine(initial: float, warmup: int, total: int, final: float) -> Iterator[float]:
    step = 0
    while True:
        step += 1
        if step <= warmup:
            yield initial * step / warmup
        else:
            share = min(1.0, (step - warmup) / max(1, total - warmup))
            yield final + (initial - final) * 0.5 * (1 + math.cos(math.pi * share))
