"""The training loop of `spacy train`, made resumable.

The same config gives the same weights as `spacy train`: batches, updates, evaluation,
patience and output are spaCy's own. What is added: an evaluation after the last update,
checkpoints from which a run that was killed goes on, output directories that are never
half-written, and an orderly end when the process is asked to stop.
"""

import math
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from timeit import default_timer as timer
from typing import IO, Any

from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training.loop import (
    DIR_MODEL_BEST,
    DIR_MODEL_LAST,
    clean_output_dir,
    create_before_to_disk_callback,
    create_evaluation_callback,
    create_train_batches,
    subdivide_batch,
    update_meta,
)
from spacy.util import registry, resolve_dot_names
from thinc.api import constant, fix_random_seed, set_gpu_allocator
from tqdm import tqdm
from wasabi import Printer

from .checkpoint import FILE_NAME, Checkpoint, Progress, save_checkpoint
from .logger import checkpoints_written_elsewhere
from .replacing import recover_directory, replace_directory


class Interrupted(Exception):
    """The process was asked to stop, and has. A checkpoint was written."""

    def __init__(self, step: int):
        self.step = step
        super().__init__(f"Interrupted after step {step}")


class Trainer:
    """Trains a pipeline.

    nlp (Language): The initialized pipeline, with its full config.
    output (Path): Where to save the pipeline and the checkpoint.
    use_gpu (int): The id of a GPU, or -1.
    every (int): Updates between two checkpoints. Each evaluation writes one as well.
    stdout, stderr (IO | None): Where to write; by default, to those of the process.
    """

    def __init__(
        self,
        nlp: Language,
        output: Path,
        *,
        use_gpu: int = -1,
        every: int = 500,
        stdout: IO | None = None,
        stderr: IO | None = None,
    ):
        if every < 1:
            raise ValueError(
                f"The number of updates between checkpoints must be 1 or more: {every}"
            )
        self.nlp = nlp
        self.output = output
        self.every = every
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        self.message = Printer(no_print=True)
        config = nlp.config.interpolate()
        self.seed = config["training"]["seed"]
        if self.seed is not None:
            fix_random_seed(self.seed)
        allocator = config["training"]["gpu_allocator"]
        if use_gpu >= 0 and allocator:
            set_gpu_allocator(allocator)
        self.settings = registry.resolve(config["training"], schema=ConfigSchemaTraining)
        names = [self.settings["train_corpus"], self.settings["dev_corpus"]]
        self.train_corpus, dev_corpus = resolve_dot_names(config, names)
        self.optimizer = self.settings["optimizer"]
        self.evaluate = create_evaluation_callback(nlp, dev_corpus, self.settings["score_weights"])
        self.before_to_disk = create_before_to_disk_callback(self.settings["before_to_disk"])
        self.progress = Progress()

    @property
    def checkpoint_path(self) -> Path:
        return self.output / FILE_NAME

    def train(self, checkpoint: Checkpoint | None = None) -> Path:
        """Train until the config says that it is enough.

        checkpoint (Checkpoint | None): Where to go on; None begins.
        RETURNS (Path): The directory of the final pipeline.
        RAISES (Interrupted): If the process was asked to stop.
        RAISES (CheckpointMismatch): If the checkpoint does not fit the pipeline.
        """
        for name in (DIR_MODEL_LAST, DIR_MODEL_BEST):
            recover_directory(self.output / name)
        batches = self._batches()
        if checkpoint is not None:
            self._resume(checkpoint, batches)
        else:
            # The checkpoint first: a process killed here leaves nothing to go on from.
            self.checkpoint_path.unlink(missing_ok=True)
            clean_output_dir(self.output)
        self._say("info", f"Pipeline: {self.nlp.pipe_names}")
        self._say("info", f"Initial learn rate: {self.optimizer.learn_rate}")
        with (
            self.nlp.select_pipes(disable=self.settings["frozen_components"]),
            checkpoints_written_elsewhere(),
        ):
            log_step, finalize = self.settings["logger"](self.nlp, self.stdout, self.stderr)
        try:
            with _stop_requests(self.stderr) as stop_requested:
                for info, is_best in self._steps(batches):
                    self._after_step(info, is_best)
                    log_step(info if is_best is not None else None)
                    if stop_requested():
                        self._save_checkpoint()
                        raise Interrupted(self.progress.step)
        finally:
            finalize()
            self._save_meanwhile(is_best=False)
        if not (self.output / DIR_MODEL_LAST).exists():
            raise OSError(f"No pipeline could be written to {self.output}")
        self.progress.finished = True
        self._save_checkpoint()
        path = self.output / DIR_MODEL_LAST
        self._say("good", f"Saved pipeline to output directory\n{path}")
        return path

    def _batches(self) -> Iterator[tuple[int, Any]]:
        settings = self.settings
        return create_train_batches(
            self.nlp, self.train_corpus, settings["batcher"], settings["max_epochs"]
        )

    def _resume(self, checkpoint: Checkpoint, batches: Iterator[tuple[int, Any]]) -> None:
        checkpoint.restore(self.nlp, self.optimizer)
        self.progress = checkpoint.progress
        self.progress.finished = False
        done = self.progress.step + 1
        self._say("info", f"Resuming after {done} updates from {checkpoint.path}")
        # Batches follow from the seed: those that were used are made again and passed by.
        passed = tqdm(
            islice(batches, done), total=done, desc="Passing by", leave=False, disable=None,
            file=self.stderr,
        )  # fmt: skip
        for _ in passed:
            pass
        checkpoint.restore_random()

    def _steps(
        self, batches: Iterator[tuple[int, Any]]
    ) -> Iterator[tuple[dict[str, Any], bool | None]]:
        """As `spacy.training.loop.train_while_improving`, from any step on."""
        settings, progress = self.settings, self.progress
        dropout = settings["dropout"]
        dropouts: Any = constant(dropout) if isinstance(dropout, float) else dropout
        for _ in range(progress.step + 1):
            next(dropouts)
        started = timer() - progress.seconds
        if self._is_enough():
            return
        epoch, evaluated = 0, True
        for step, (epoch, batch) in enumerate(batches, progress.step + 1):
            self._update(step, epoch, batch, next(dropouts))
            progress.step = step
            progress.words += sum(len(example) for example in batch)
            evaluated = step % settings["eval_frequency"] == 0
            yield self._info(epoch, started, evaluate=evaluated)
            if self._is_enough():
                break
        if not evaluated:
            # The last update too, which spaCy leaves out: `model-best` is the best there is.
            yield self._info(epoch, started, evaluate=True)

    def _info(
        self, epoch: int, started: float, *, evaluate: bool
    ) -> tuple[dict[str, Any], bool | None]:
        """What loggers are told after an update, and whether the model is the best so far."""
        progress = self.progress
        score, other_scores, is_best = None, None, None
        if evaluate:
            with self.nlp.use_params(self.optimizer.averages or {}):
                score, other_scores = self.evaluate()
            is_best = self._is_best(score)
        progress.seconds = timer() - started
        info = {
            "epoch": epoch,
            "step": progress.step,
            "score": score,
            "other_scores": other_scores,
            "losses": progress.losses,
            "checkpoints": progress.results,
            "seconds": int(progress.seconds),
            "words": progress.words,
        }
        return info, is_best

    def _is_best(self, score: float) -> bool:
        """Keep a score, if it is a number: one that is not neither is best nor ends a training."""
        results = self.progress.results
        if not math.isfinite(score):
            self._say(
                "warn", f"The score at step {self.progress.step} is {score}: it does not count"
            )
            return False
        results.append((score, self.progress.step))
        return score == max(results)[0]

    def _update(self, step: int, epoch: int, batch: Any, dropout: float) -> None:
        settings = self.settings
        if settings["before_update"]:
            settings["before_update"](self.nlp, {"step": step, "epoch": epoch})
        exclude = settings["frozen_components"]
        for part in subdivide_batch(batch, settings["accumulate_gradient"]):
            self.nlp.update(
                part,
                drop=dropout,
                losses=self.progress.losses,
                sgd=False,  # type: ignore[arg-type]
                exclude=exclude,
                annotates=settings["annotating_components"],
            )
        for name, pipe in self.nlp.pipeline:
            trainable = getattr(pipe, "is_trainable", False) and name not in exclude
            if trainable and pipe.model not in (True, False, None):  # type: ignore[attr-defined]
                pipe.finish_update(self.optimizer)  # type: ignore[attr-defined]
        self.optimizer.step_schedules()

    def _is_enough(self) -> bool:
        settings, progress = self.settings, self.progress
        if settings["max_steps"] and progress.step >= settings["max_steps"]:
            return True
        if not settings["patience"] or not progress.results:
            return False
        _, best = max((score, -step) for score, step in progress.results)
        return progress.step + best >= settings["patience"]

    def _after_step(self, info: dict[str, Any], is_best: bool | None) -> None:
        if is_best is not None:
            with self.nlp.select_pipes(disable=self.settings["frozen_components"]):
                update_meta(self.settings, self.nlp, info)
            _drop_what_is_no_score(self.nlp.meta["performance"], info["other_scores"])
            self._save_meanwhile(is_best=is_best)
            info["output_path"] = str(self.output / DIR_MODEL_LAST)
            self.progress.losses = {}
        if is_best is not None or (self.progress.step + 1) % self.every == 0:
            self._save_checkpoint()

    def _save_pipeline(self, *, is_best: bool) -> None:
        last, best = self.output / DIR_MODEL_LAST, self.output / DIR_MODEL_BEST
        with self.nlp.use_params(self.optimizer.averages or {}):
            replace_directory(last, self.before_to_disk(self.nlp).to_disk)
        if is_best:
            replace_directory(best, lambda path: shutil.copytree(last, path))

    def _save_meanwhile(self, *, is_best: bool) -> None:
        """A pipeline that can't be written now, on a full disk for instance, does not end
        the training."""
        try:
            self._save_pipeline(is_best=is_best)
        except OSError as error:
            self._say(
                "warn",
                f"The pipeline was not saved at step {self.progress.step}, the one before stays: "
                f"{error}",
            )

    def _save_checkpoint(self) -> None:
        config = self.nlp.config.to_str()
        try:
            save_checkpoint(self.checkpoint_path, self.nlp, self.optimizer, self.progress, config)
        except OSError as error:
            self._say(
                "warn", f"No checkpoint at step {self.progress.step}, the last one stays: {error}"
            )

    def _say(self, kind: str, text: str) -> None:
        print(getattr(self.message, kind)(text), file=self.stdout, flush=True)


def _drop_what_is_no_score(performance: dict[str, Any], scores: dict[str, Any]) -> None:
    """spaCy makes a perfect or a hopeless 0.0 of what was not computed; and JSON has no NaN."""
    for name, value in list(performance.items()):
        missing = name not in scores and not name.endswith("_loss")
        if missing or (isinstance(value, float) and not math.isfinite(value)):
            del performance[name]


@contextmanager
def _stop_requests(stderr: IO) -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a request to stop after the present step.
    The second one stops at once."""
    requested = threading.Event()

    def handle(number: int, frame: Any) -> None:
        if requested.is_set():
            raise KeyboardInterrupt
        requested.set()
        print("\nStopping after this step. Press Ctrl-C again to stop at once.", file=stderr)

    if threading.current_thread() is not threading.main_thread():
        yield requested.is_set  # only the main thread may handle signals
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield requested.is_set
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
