"""From a config to a trained pipeline on disk."""

import re
import traceback
from pathlib import Path

from spacy.cli._util import show_validation_error
from spacy.language import Language
from spacy.training.initialize import init_nlp
from thinc.api import Config
from wasabi import msg

from ..textfiles import TextFileError
from .checkpoint import FILE_NAME, Checkpoint, CheckpointMismatch
from .data import describe_data
from .log import FILE_NAME as LOG_NAME
from .log import LogError, check_log
from .loop import Interrupted, Trainer

_SPACYS = re.compile(r"\[E\d+\]")  # how its own errors begin, which say what to do
_MAY_DIFFER = ("paths", "training.max_steps", "training.max_epochs", "training.patience",
               "training.eval_frequency", "training.logger")  # fmt: skip
_LOGGER = "spacy-seqgen.progress_logger."


class TrainingError(Exception):
    """A training can't begin. `title` says it in a few words."""

    def __init__(self, title: str, text: str):
        self.title = title
        super().__init__(text)


def run_training(
    config: Config,
    output: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    every: int = 500,
    use_gpu: int = -1,
) -> Path:
    """Initialize and train a pipeline.

    config (Config): The config, not interpolated.
    output (Path): Where to save the pipeline and the checkpoint.
    resume (bool): Go on from the checkpoint there, if there is one.
    overwrite (bool): Begin again, although there is a checkpoint. With `resume`: only if
        it is of a finished training, of another config or of other data.
    every (int): Updates between two checkpoints.
    use_gpu (int): The id of a GPU, or -1.
    RETURNS (Path): The directory of the final pipeline.
    RAISES (TrainingError): If there is an unfinished training, or one that does not fit; if
        the text can't be read.
    RAISES (KeyboardInterrupt): If the process was asked to stop.
    """
    path = output / FILE_NAME
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"Can't write to {output}", str(error)) from error
    checkpoint = None
    if resume and path.exists():
        checkpoint = _read_checkpoint(path, overwrite)
    if path.exists() and not resume and not overwrite:
        raise TrainingError(
            f"There is a checkpoint in {output}",
            "Add --resume to go on from it, or --overwrite to begin again, which deletes it and "
            "the pipelines beside it.",
        )
    if resume and not path.exists():
        msg.info(f"No checkpoint in {output}: beginning")
    _check_log(config, output)
    msg.info(f"Saving to output directory: {output}")
    msg.divider("Initializing pipeline")
    with show_validation_error(hint_fill=False):
        nlp = _initialize(config, use_gpu)
    msg.good("Initialized pipeline")
    if checkpoint is not None:
        changed = _changed_settings(checkpoint.config, nlp.config)
        if overwrite and (changed or checkpoint.progress.finished):
            msg.info("The training there is finished or has another config: beginning again")
            checkpoint = None
        elif changed:
            shown = ", ".join(changed[:8])
            msg.warn(f"The config differs from that of the run that is resumed: {shown}")
    if checkpoint is not None and checkpoint.progress.finished:
        msg.info("The training there is finished: only updates beyond its last are left")
    msg.divider("Training pipeline")
    if checkpoint is not None and checkpoint.data != describe_data(nlp.config):
        if overwrite:
            msg.info("The training there had other data: beginning again")
            checkpoint = None
        else:
            msg.warn("The data differ from those of the run that is resumed")
    if checkpoint is not None and overwrite and not checkpoint.fits(nlp):
        msg.info("The training there had other symbols or labels: beginning again")
        checkpoint = None
    trainer = Trainer(nlp, output, every=every, use_gpu=use_gpu)
    try:
        return trainer.train(checkpoint)
    except TextFileError as error:  # of the development data
        raise TrainingError("Can't read the data", str(error)) from error
    except CheckpointMismatch as error:
        raise TrainingError("Can't resume", str(error)) from error
    except OSError as error:
        raise TrainingError(
            f"Can't save to {output}",
            f"{error}. Make room, or give another --output; the same command with --resume goes on "
            "from the last checkpoint, if there is one.",
        ) from error
    except Interrupted as stop:
        raise KeyboardInterrupt(
            f"Stopped after {stop.step + 1} updates. The same command with --resume goes on."
        ) from stop


def _check_log(config: Config, output: Path) -> None:
    """Before the work begins: the logger itself only warns."""
    block = config.get("training", {}).get("logger")
    own = isinstance(block, dict) and str(block.get("@loggers")).startswith(_LOGGER)
    if not own:
        return
    name = block.get("output_file", LOG_NAME)
    if isinstance(name, str) and (output / name).exists():
        try:
            check_log(output / name)
        except LogError as error:
            raise TrainingError("Can't write the log", str(error)) from error


def _initialize(config: Config, use_gpu: int) -> Language:
    try:
        return init_nlp(config, use_gpu=use_gpu)
    except TextFileError as error:
        raise TrainingError("Can't read the data", str(error)) from error
    except ValueError as error:
        if _is_own(error) or _SPACYS.match(str(error)):
            raise TrainingError("Can't make the pipeline", str(error)) from error
        raise


def _is_own(error: Exception) -> bool:
    """Whether this package raised it: then it says which setting is wrong."""
    frames = list(traceback.walk_tb(error.__traceback__))
    raised_in = Path(frames[-1][0].f_code.co_filename)
    return raised_in.is_relative_to(Path(__file__).parents[1])


def _read_checkpoint(path: Path, overwrite: bool) -> Checkpoint | None:
    try:
        return Checkpoint(path)
    except ValueError as error:
        if overwrite:
            msg.warn("Can't resume, so beginning again", str(error))
            return None
        raise TrainingError("Can't resume", f"{error}. Begin again with --overwrite.") from error


def _changed_settings(before: str, now: Config) -> list[str]:
    """The settings that differ from those of an earlier run."""
    old = _flatten(Config().from_str(before, interpolate=False))
    new = _flatten(now)
    return [
        name
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) and not name.startswith(_MAY_DIFFER)
    ]


def _flatten(config: dict, prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            found.update(_flatten(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value
    return found
