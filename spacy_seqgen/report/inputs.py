"""What a report is made of: pipelines, the logs of their trainings, and scores."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.training import Example
from spacy.util import load_config, load_model, registry
from thinc.api import Config

from ..training.log import FILE_NAME, LogError, TrainingLog, read_log

_BEST = "model-best"


@dataclass(eq=False)
class Run:
    """A training: its directory holds `model-best` and the log.

    name (str): Of the directory.
    path (Path): The directory.
    config (Config): Of the pipeline, interpolated.
    log (TrainingLog | None): None if there is none.
    """

    name: str
    path: Path
    config: Config
    log: TrainingLog | None

    @property
    def model_path(self) -> Path:
        return self.path / _BEST

    @cached_property
    def nlp(self) -> Language:
        """
        RAISES (ValueError, OSError): If the pipeline can't be loaded.
        """
        try:
            return load_model(self.model_path)
        except (ImportError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    def find(self, factory: str) -> str | None:
        """The name of the first component of a kind."""
        components = self.config.get("components", {})
        return next((n for n, c in components.items() if c.get("factory") == factory), None)

    def dev_examples(self, limit: int) -> list[Example]:
        """The first examples that the training was evaluated on.

        RAISES (ValueError): If they can't be read, for instance because the file of the
            config is not there.
        """
        block: Any = self.config
        for part in str(self.config["training"].get("dev_corpus")).split("."):
            block = block.get(part) if isinstance(block, dict) else None
        if not isinstance(block, dict):
            raise ValueError("its [training] names no dev_corpus that is in the config")
        corpus = registry.resolve({"corpus": block})["corpus"]
        return list(islice(corpus(self.nlp), limit))


@dataclass
class Inputs:
    """
    folder (Path): The output directory of a training, or one with several.
    metrics_folder (Path): Where the scores are.
    prompt (str): What samples continue.
    runs (list[Run]): The trainings, by name.
    metrics (dict[str, dict]): Scores, by the name of their file.
    problems (list[str]): What could not be read, and why.
    """

    folder: Path
    metrics_folder: Path
    prompt: str = "The "
    runs: list[Run] = field(default_factory=list)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path in self._directories():
            try:
                config = load_config(path / _BEST / "config.cfg", interpolate=True)
                missing = {"nlp", "training"} - config.keys()
                if missing:
                    raise ValueError(f"its config has no [{missing.pop()}]")
            except (ValueError, OSError) as error:
                self.problems.append(f"{path / _BEST} can't be loaded: {error}")
                continue
            self.runs.append(Run(path.resolve().name, path, config, self._read_log(path)))
        if not self.runs:
            raise ValueError(
                f"There is no pipeline in {self.folder}: expected {_BEST} in it, or in the "
                "directories in it" + "".join(f". {problem}" for problem in self.problems)
            )
        for path in self._score_files():
            try:
                scores = srsly.read_json(path)
                if not isinstance(scores, dict):
                    raise ValueError("it is not an object of JSON")
                self.metrics[path.stem] = scores
            except (ValueError, OSError) as error:
                self.problems.append(f"{path} can't be read: {error}")

    def with_component(self, factory: str) -> list[tuple[Run, str]]:
        """The runs that have a component of a kind, with its name."""
        found = ((run, run.find(factory)) for run in self.runs)
        return [(run, name) for run, name in found if name is not None]

    def _directories(self) -> Iterator[Path]:
        if (self.folder / _BEST).is_dir():
            yield self.folder
            return
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            try:
                if (path / _BEST).is_dir():
                    yield path
            except OSError as error:
                self.problems.append(f"{path} can't be read: {error}")

    def _score_files(self) -> list[Path]:
        if not self.metrics_folder.is_dir():
            return []
        try:
            found = [p for p in self.metrics_folder.iterdir() if p.suffix == ".json"]
        except OSError as error:
            self.problems.append(f"{self.metrics_folder} can't be read: {error}")
            return []
        return sorted(found, key=lambda path: path.stem)

    def _read_log(self, path: Path) -> TrainingLog | None:
        if not (path / FILE_NAME).exists():
            return None
        try:
            return read_log(path / FILE_NAME)
        except LogError as error:
            self.problems.append(str(error))
            return None
