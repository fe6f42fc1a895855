"""Learning rate schedules (`@schedules`)."""

import math
from collections.abc import Callable, Iterator

from spacy.util import logger


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
    return _warmup(_half_cosine, initial_rate, warmup_steps, total_steps, final_rate)


def warmup_linear(
    initial_rate: float, warmup_steps: int, total_steps: int | str, final_rate: float = 0.0
) -> Iterator[float]:
    """Rises in a straight line, then falls in another, as BERT was fine-tuned (Devlin et
    al. 2019, https://arxiv.org/abs/1810.04805). Registered as
    `spacy-seqgen.warmup_linear.v1` (`@schedules`).

    initial_rate (float), warmup_steps (int), total_steps (int | str), final_rate (float): As of
        `warmup_cosine.v1`.
    """
    return _warmup(_line, initial_rate, warmup_steps, total_steps, final_rate)


def _half_cosine(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))


def _line(share: float) -> float:
    return 1 - share


def _warmup(
    fall: Callable[[float], float],
    initial_rate: float,
    warmup_steps: int,
    total_steps: int | str,
    final_rate: float,
) -> Iterator[float]:
    if isinstance(total_steps, str):
        if not total_steps.startswith("${"):
            raise ValueError(f"total_steps must be a number, got {total_steps!r}")
        return _rise_and_fall(fall, initial_rate, warmup_steps, 0, initial_rate)
    if warmup_steps < 0 or total_steps < 1:
        raise ValueError(
            f"warmup_steps ({warmup_steps}) must be 0 or more and total_steps ({total_steps}) 1 or "
            "more. Where max_steps is 0, total_steps needs a number of its own."
        )
    if total_steps <= warmup_steps:
        logger.warning(
            "The learning rate is still rising when the training ends: warmup_steps is %d, "
            "total_steps %d. Lower the first.",
            warmup_steps, total_steps,
        )  # fmt: skip
    return _rise_and_fall(fall, initial_rate, warmup_steps, total_steps, final_rate)


def _rise_and_fall(
    fall: Callable[[float], float], initial: float, warmup: int, total: int, final: float
) -> Iterator[float]:
    step = 0
    while True:
        step += 1
        if step <= warmup:
            yield initial * step / warmup
        else:
            share = min(1.0, (step - warmup) / max(1, total - warmup))
            yield final + (initial - final) * fall(share)


def gradual_unfreezing(every: int, first: int = 0, last: int = 1000) -> Iterator[float]:
    """One layer more after so many updates (Howard and Ruder 2018,
    https://arxiv.org/abs/1801.06146, section 3.3). Registered as
    `spacy-seqgen.gradual_unfreezing.v1` (`@schedules`), for `train_layers`.

    every (int): Updates until the next layer.
    first (int): Layers to begin with, from the top; 0 trains only what is above them.
    last (int): Most layers. One more than there are trains the embeddings too.
    """
    if every < 1 or not 0 <= first <= last:
        raise ValueError(
            f"every ({every}) must be 1 or more, and first ({first}) from 0 to last ({last})"
        )
    return _gradual_unfreezing(every, first, last)


def _gradual_unfreezing(every: int, first: int, last: int) -> Iterator[float]:
    layers = first
    while True:
        for _ in range(every):
            yield float(layers)
        layers = min(last, layers + 1)
