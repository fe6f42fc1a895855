"""`spacy seqgen train`"""

import logging
import sys
from pathlib import Path

import typer
from spacy.cli._util import (
    Arg,
    Opt,
    import_code,
    parse_config_overrides,
    setup_gpu,
    show_validation_error,
)
from spacy.util import load_config, logger
from wasabi import msg

from .app import app


@app.command("train", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train_cli(
    ctx: typer.Context,  # only for the overrides
    config_path: Path = Arg(..., help="Path to config file", exists=True, dir_okay=False),
    output_path: Path = Opt(
        ..., "--output", "-o", help="Directory for the pipeline and the checkpoint"
    ),
    resume: bool = Opt(
        False,
        "--resume",
        help="Go on from the checkpoint in the output directory; begin if there is none",
    ),
    overwrite: bool = Opt(
        False,
        "--overwrite",
        help="Begin again, although there is a checkpoint; with --resume, only if it is of a finished training or another config",
    ),
    every: int = Opt(
        500, "--checkpoint-every", "-n", min=1, help="Updates between two checkpoints"
    ),
    code_path: Path | None = Opt(
        None,
        "--code",
        "-c",
        help="Path to Python file with additional code (registered functions) to be imported",
    ),
    use_gpu: int = Opt(-1, "--gpu-id", "-g", help="GPU ID or -1 for CPU"),
) -> None:
    """
    Train a pipeline as `spacy train` does, in a way that can be interrupted.

    Every few updates a checkpoint is written to the output directory. A run that was
    killed, at any moment, goes on from there with --resume and reaches the same weights.
    Ctrl-C stops after the present update and saves everything. Settings of the config
    can be overridden, as in --training.max_steps 2000 --paths.train corpus.txt.

    Example:

    python -m spacy seqgen train configs/char_lm.cfg --output training/char_lm
    --paths.train train.txt --paths.dev dev.txt --resume
    """
    from ..training.memory import keep_freed_memory, limit_kept_code
    from ..training.run import TrainingError, run_training

    keep_freed_memory()
    limit_kept_code()
    overrides = parse_config_overrides(ctx.args)
    import_code(code_path)
    setup_gpu(use_gpu)
    with show_validation_error(config_path):
        config = load_config(config_path, overrides=overrides, interpolate=False)
    level = logger.level
    logger.setLevel(logging.INFO)  # as in `spacy train`; readers say what they found
    try:
        run_training(
            config, output_path, resume=resume, overwrite=overwrite, every=every, use_gpu=use_gpu
        )
    except TrainingError as error:
        msg.fail(error.title, str(error), exits=1)
    except KeyboardInterrupt as error:
        msg.warn("Interrupted", str(error))
        sys.exit(130)
    finally:
        logger.setLevel(level)
