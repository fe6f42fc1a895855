"""A logger that writes checkpoints (`@loggers`)."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from spacy.language import Language
from spacy.training.loggers import console_logger_v3
from spacy.util import logger as spacy_log
from thinc.api import Optimizer

# Where a training loop writes the checkpoints itself: two writers, of which this one
# counts steps from 0, would get into each other's way.
_is_off: ContextVar[bool] = ContextVar("checkpoint_logger_is_off", default=False)

LogStep = Callable[[dict[str, Any] | None], None]
SetupLogger = Callable[..., tuple[LogStep, Callable[[], None]]]


def create_checkpoint_logger(
    path: str | Path | None = None, every: int = 500, logger: SetupLogger | None = None
) -> SetupLogger:
    """Let plain `spacy train` write checkpoints, from which `spacy seqgen train --resume`
    goes on. Registered as `spacy-seqgen.checkpoint_logger.v1` (`@loggers`).

    path (str | Path | None): The file, "checkpoint.safetensors" in the output directory.
        None writes none.
    every (int): Updates between two checkpoints. Each evaluation writes one as well.
    logger (Callable | None): The logger that shows the training; spaCy's by default.
    """
    if every < 1:
        raise ValueError(f"every must be 1 or more, got {every}")
    setup_inner = logger or console_logger_v3()

    def setup(
        nlp: Language, stdout: IO = sys.stdout, stderr: IO = sys.stderr
    ) -> tuple[LogStep, Callable[[], None]]:
        log_inner, finalize = setup_inner(nlp, stdout, stderr)
        if path is None or _is_off.get():
            return log_inner, finalize
        # Here, because a config that writes none should not wait for PyTorch.
        from .checkpoint import Progress, save_checkpoint

        progress = Progress()
        config = nlp.config.to_str()

        def log_step(info: dict[str, Any] | None) -> None:
            progress.step += 1
            if info is not None:
                progress.results = list(info["checkpoints"])
                progress.words, progress.seconds = info["words"], info["seconds"]
            if info is not None or (progress.step + 1) % every == 0:
                try:
                    save_checkpoint(Path(path), nlp, _find_optimizer(nlp), progress, config)
                except OSError as error:
                    spacy_log.warning("No checkpoint at step %d: %s", progress.step, error)
            log_inner(info)

        return log_step, finalize

    return setup


@contextmanager
def checkpoints_written_elsewhere() -> Iterator[None]:
    """A context in which loggers are set up that write no checkpoints."""
    token = _is_off.set(True)
    try:
        yield
    finally:
        _is_off.reset(token)


def _find_optimizer(nlp: Language) -> Optimizer:
    """The optimizer of the training. spaCy hands it to the models alone."""
    from .places import trained_shims

    for shim in trained_shims(nlp):
        if shim.native.source is not None:
            return shim.native.source
    raise ValueError(
        "The checkpoint logger needs a component of spacy-seqgen that is being trained. Leave it "
        "out, or use `spacy seqgen train`, which writes checkpoints of any pipeline."
    )
