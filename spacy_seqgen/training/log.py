"""The log of a training: a JSONL file beside the pipeline.

The first line of a run says what it ran on, each other one is an evaluation. A run that is
resumed goes on in the same file.
"""

import os
import platform
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import srsly
from spacy.util import logger

from ..machine import gpu_name, processor_name

FILE_NAME = "training.jsonl"
_PACKAGES = ("spacy-seqgen", "spacy", "thinc", "torch", "numpy")


class LogError(ValueError):
    """A log can't be read. The message names the file, and the line if there is one."""


@dataclass(frozen=True)
class TrainingLog:
    """What a training wrote.

    starts (list[dict]): One for each time that it was begun or resumed: "step", "started",
        "scores" (those that "score" is made of), "seed", "versions" and "machine".
    rows (list[dict]): One for each evaluation: "step", "epoch", "seconds" of training so
        far, "losses" (mean of an update since the row before), "scores", "score", "best"
        and "speed" (what "unit" says, a second) since the row before. The last three are None
        where there is no finite number. "memory" and "peak_memory" are the resident size of
        the process in MB, now and at the most; None where the system does not tell.
    """

    starts: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)


def read_log(path: Path) -> TrainingLog:
    """
    path (Path): The file. A last line that was cut off, by a full disk or a kill, is passed
        over.
    RAISES (LogError): If the file is missing, or is no log of a training.
    """
    try:
        lines = path.read_text(encoding="utf8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(f"Can't read {path}: {error}") from error
    log = TrainingLog()
    for number, line in enumerate(lines, 1):
        try:
            row = srsly.json_loads(line)
        except ValueError as error:
            if number == len(lines):
                break
            raise LogError(f"{path}, line {number} is not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            raise LogError(f"{path}, line {number} is not of a training log: {line[:80]!r}")
        if _is_start(row):
            log.starts.append(row)
        elif _is_row(row):
            log.rows.append(row)
        else:
            raise LogError(f"{path}, line {number} is not of a training log: {line[:80]!r}")
    return log


def _is_start(row: dict[str, Any]) -> bool:
    return (
        isinstance(row.get("versions"), dict)
        and isinstance(row.get("scores"), list)
        and all(isinstance(name, str) for name in row["scores"])
        and isinstance(row.get("machine", {}), dict)
    )


def _is_row(row: dict[str, Any]) -> bool:
    losses = row.get("losses")
    numbers = [row.get(name) for name in ("score", "best", "speed")]
    return (
        isinstance(losses, dict)
        and isinstance(row.get("scores", {}), dict)
        and {"score", "best"} <= set(row)
        and all(isinstance(value, (int, float, type(None))) for value in numbers)
        and all(isinstance(n, (int, float)) for n in [row.get("seconds", 0), *losses.values()])
    )


def find_logs(directory: Path) -> dict[str, TrainingLog]:
    """The logs of a training, or of several.

    directory (Path): The output directory of a training, or one with such directories.
    RETURNS (dict[str, TrainingLog]): By the name of the output directory. Of several, those
        that can't be read are left out, with a warning.
    RAISES (LogError): If there is none that can be read.
    """
    own = directory / FILE_NAME
    paths = [own] if own.exists() else sorted(directory.glob(f"*/{FILE_NAME}"))
    if not paths:
        raise LogError(
            f"There is no {FILE_NAME} in {directory}: it is written by the logger "
            "spacy-seqgen.progress_logger.v1"
        )
    logs, errors = {}, []
    for path in paths:
        try:
            logs[path.resolve().parent.name] = read_log(path)
        except LogError as error:
            errors.append(error)
    if not logs:
        raise errors[0]
    for problem in errors:
        logger.warning("Left out: %s", problem)
    return logs


class LogWriter:
    """Writes a log. The file is opened with the first row: only then it is known where the
    pipeline is saved.

    scores (list[str]): What the score is made of.
    seed (int | None): Of the training.
    """

    def __init__(self, scores: list[str], seed: int | None):
        self.start = {"scores": scores, **describe_run(), "seed": seed}
        self.is_open = False

    def write(self, path: Path, row: dict[str, Any]) -> None:
        """Append a row. Rows of an earlier run stay if they are of earlier updates: then
        this one was resumed.

        RAISES (OSError): If the file can't be written.
        RAISES (LogError): If there is a file of that name that is no log: it stays as it is.
        """
        rows = [row]
        if not self.is_open:
            before = _rows_before(path, row["step"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(map(_to_line, before)), encoding="utf8")
            rows = [{"step": row["step"], **self.start}, row]
            self.is_open = True
        with path.open("a", encoding="utf8") as file:
            file.write("".join(map(_to_line, rows)))


def describe_run() -> dict[str, Any]:
    """When and on what this process runs: time, versions and machine."""
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{n: version(n) for n in _PACKAGES}},
        "machine": {
            "system": platform.system(),
            "processor": processor_name(),
            "gpu": gpu_name(),
            "cores": os.cpu_count(),
            "threads": _threads(),
        },
    }


def memory_use() -> dict[str, float | None]:
    """The resident size of this process in MB, now ("memory") and at the most
    ("peak_memory"). None where the system does not tell: Linux does."""
    sizes: dict[str, float | None] = dict.fromkeys(("VmRSS", "VmHWM"))
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf8").splitlines():
            name, _, value = line.partition(":")
            if name in sizes:
                sizes[name] = round(int(value.split()[0]) * 1024 / 1e6, 1)
    except OSError:
        pass
    return dict(zip(("memory", "peak_memory"), sizes.values(), strict=True))


def check_log(path: Path) -> TrainingLog:
    """What a file has that is to be gone on with.

    RAISES (LogError): If it is no log: it must not be written over.
    """
    try:
        return read_log(path)
    except LogError as error:
        raise LogError(
            f"The log can't be written to {path}, where there is something else: {error}. Move it "
            "away, or set another --output, or output_file in [training.logger]"
        ) from error


def _rows_before(path: Path, step: int) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    log = check_log(path)
    both = [*log.starts, *log.rows]
    return sorted((r for r in both if r["step"] < step), key=lambda r: (r["step"], "score" in r))


def _to_line(row: dict[str, Any]) -> str:
    return srsly.json_dumps(row) + "\n"


def _threads() -> int:
    import torch

    return torch.get_num_threads()
