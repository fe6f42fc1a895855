"""A logger that shows how a training goes (`@loggers`)."""

import math
import sys
import time
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import IO, Any

from spacy.language import Language
from spacy.util import logger as spacy_log
from tqdm import tqdm
from wasabi import Printer

from .log import FILE_NAME, LogError, LogWriter, memory_use
from .logger import LogStep, SetupLogger

_SHORT = {"characters": "chars/s", "tokens": "tokens/s"}
_BAR = "{percentage:3.0f}% |{bar:5}| {desc}"  # with what it says, 80 columns at the most


def create_progress_logger(
    output_file: str | None = FILE_NAME, progress_bar: bool = True
) -> SetupLogger:
    """Show a row for each evaluation, and between them a bar with loss, speed, time left and
    best score; and write the rows to a file. Registered as
    `spacy-seqgen.progress_logger.v1` (`@loggers`).

    output_file (str | None): Name of the JSONL file in the output directory, or an absolute
        path. None writes none; nor does a training that saves nothing.
    progress_bar (bool): Whether to show the bar, if the output is a terminal.
    """

    def setup(
        nlp: Language, stdout: IO = sys.stdout, stderr: IO = sys.stderr
    ) -> tuple[LogStep, Callable[[], None]]:
        watch = _Watch(nlp, output_file, stdout, stderr, progress_bar)
        return watch.log_step, watch.close

    return setup


class _Watch:
    """One training that is watched."""

    def __init__(self, nlp: Language, file: str | None, stdout: IO, stderr: IO, progress_bar: bool):
        training = nlp.config.interpolate()["training"]
        self.nlp, self.file, self.stdout, self.stderr = nlp, file, stdout, stderr
        self.progress_bar = progress_bar
        self.max_steps, self.frequency = training["max_steps"], training["eval_frequency"]
        self.pipes = [n for n, pipe in nlp.pipeline if getattr(pipe, "is_trainable", False)]
        self.scores = [name for name, weight in training["score_weights"].items() if weight]
        self.writer = LogWriter(self.scores, training["seed"])
        self.bar: tqdm | None = None
        self.step: int | None = None  # not known before the first evaluation
        self.best = ""
        self.evaluated = -1  # the step of the last evaluation
        # Since this run began, which may go on from a checkpoint;
        self.began, self.updates = time.perf_counter(), 0
        # and since the last evaluation.
        self.marked = self.followed = self.began
        self.followed_updates, self.words, self.characters = 0, 0, 0
        self.losses: list[float] = []
        titles = ["E", "#", *(f"loss {name}" for name in self.pipes), *self.scores, "best",
                  "speed", "time", "left"]  # fmt: skip
        self.widths = [3, 7, *(max(8, len(title)) for title in titles[2:-4]), 7, 17, 8, 8]
        self._show([title.upper() for title in titles])
        self._show(["-" * width for width in self.widths])

    def log_step(self, info: dict[str, Any] | None) -> None:
        """Called after each update, with `info` if there was an evaluation."""
        self.updates += 1
        if info is None:
            self._follow()
            return
        self.close()
        self.step = info["step"]
        row = self._row(info)
        left = self._seconds_left()
        self._show([
            row["epoch"],
            row["step"],
            *(f"{row['losses'][name]:.4f}" for name in self.pipes),
            *(_number(row["scores"].get(name)) for name in self.scores),
            _number(row["best"]),
            f"{row['speed']:,.0f} {_SHORT[row['unit']]}" if row["speed"] else "",
            _clock(row["seconds"]),
            "" if left is None else _clock(left),
        ])  # fmt: skip
        self._save(info, row)
        self.evaluated = self.step
        self.marked = self.followed = time.perf_counter()
        self.followed_updates, self.words = 0, info["words"]
        self.characters, self.losses = self._learned(), []
        if self.progress_bar and self.step != self.max_steps:
            self.bar = tqdm(
                total=self.frequency, bar_format=_BAR,
                leave=False, disable=None, file=self.stderr,
            )  # fmt: skip

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _follow(self) -> None:
        """Move the bar on by an update."""
        self.followed = time.perf_counter()
        self.followed_updates += 1
        if self.step is None or self.bar is None:
            return
        self.step += 1
        known = [getattr(pipe, "recent_loss", None) for _, pipe in self.nlp.pipeline]
        self.losses.extend(loss for loss in known if loss is not None)
        if self.bar.disable:
            return
        speed, unit = self._speed(self.words)
        left = self._seconds_left()
        parts = [
            f"#{self.step:,}",  # as the column of the rows
            f"loss {sum(self.losses) / len(self.losses):.4f}" if self.losses else "",
            f"{speed:,.0f} {_SHORT[unit]}" if speed else "",
            f"{_clock(left)} left" if left is not None else "",
            f"best {self.best}",
        ]
        self.bar.set_description_str(", ".join(filter(None, parts)), refresh=False)
        self.bar.update()

    def _row(self, info: dict[str, Any]) -> dict[str, Any]:
        seen = info["checkpoints"]
        before = [step for _, step in seen if step < info["step"]] or [-1]
        updates = max(info["step"] - max(before[-1], self.evaluated), 1)
        best = max((float(score) for score, _ in seen if _is_number(score)), default=None)
        self.best = "none" if best is None else f"{best:.4f}"
        speed, unit = self._speed(info["words"], evaluated=True)
        losses = {name: float(info["losses"].get(name, 0.0)) for name in self.pipes}
        return {
            "step": info["step"],
            "epoch": info["epoch"],
            "seconds": info["seconds"],
            "losses": {k: v / updates for k, v in losses.items() if math.isfinite(v)},
            "scores": {k: float(v) for k, v in info["other_scores"].items() if _is_number(v)},
            "score": float(info["score"]) if _is_number(info["score"]) else None,
            "best": best,
            "speed": speed,
            "unit": unit,
            **memory_use(),
        }

    def _speed(self, words: int, *, evaluated: bool = False) -> tuple[float | None, str]:
        """What was learned from in a second since the last evaluation, which does not count
        itself: the last update before the next is taken to be as long as the others. The
        Docs of this package's readers are not tokenized: there, its components count
        characters."""
        seconds = self.followed - self.marked
        if not self.followed_updates:  # an evaluation after an evaluation
            return None, "characters"
        if evaluated:
            seconds *= (self.followed_updates + 1) / self.followed_updates
        characters = self._learned() - self.characters
        if characters:
            return round(characters / seconds, 1), "characters"
        return round((words - self.words) / seconds, 1), "tokens"

    def _learned(self) -> int:
        return sum(getattr(pipe, "learned_characters", 0) for _, pipe in self.nlp.pipeline)

    def _seconds_left(self) -> float | None:
        if not self.max_steps or self.step is None or self.updates < 2:
            return None
        return (self.max_steps - self.step) * (time.perf_counter() - self.began) / self.updates

    def _save(self, info: dict[str, Any], row: dict[str, Any]) -> None:
        if self.file is None or "output_path" not in info:
            return
        path = Path(info["output_path"]).parent / self.file
        try:
            self.writer.write(path, row)
        except (OSError, LogError) as error:
            spacy_log.warning("No row in the log %s at step %d: %s", path, row["step"], error)

    def _show(self, values: list[Any]) -> None:
        aligns = ["r"] * len(values)
        row = Printer(no_print=True).row(values, widths=self.widths, aligns=aligns, spacing=2)
        print(row, file=self.stdout, flush=True)


def _is_number(value: Any) -> bool:
    """Also NumPy's; JSON has none that is not finite."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
