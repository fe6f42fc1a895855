"""Checkpoints: everything that a training needs to go on as if nothing had happened.

A checkpoint is one safetensors file: weights, moments of the optimizer, averages, hidden
states and random states as tensors, the rest as JSON in its header. It is written beside
the old one, flushed to the disk and renamed over it, so that at any moment there is
either the old checkpoint or the new one, complete.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from spacy.language import Language
from thinc.api import Optimizer
from torch import Tensor

from ..models.shim import TorchShim
from .data import describe_data
from .places import (
    like_parameter,
    optimizer_tensors,
    parameter_places,
    shims,
    update_counts,
    weights,
)
from .randomness import random_state, restore_random
from .replacing import write_atomically

FILE_NAME = "checkpoint.safetensors"
FORMAT = "spacy-seqgen.checkpoint.v1"
_PARTS = {"step", "results", "losses", "words", "seconds", "finished", "config", "states", "counts",
          "random", "labels", "data", "tensors"}  # fmt: skip


@dataclass
class Progress:
    """How far a training has come.

    step (int): The last update that was made; -1 before the first.
    results (list): (score, step) of every evaluation so far.
    losses (dict): Losses added up since the last evaluation.
    words (int), seconds (float): As shown by loggers.
    finished (bool): Whether the config said that it is enough.
    """

    step: int = -1
    results: list[tuple[float, int]] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)
    words: int = 0
    seconds: float = 0.0
    finished: bool = False


def save_checkpoint(
    path: Path, nlp: Language, optimizer: Optimizer, progress: Progress, config: str
) -> None:
    """Write a checkpoint.

    path (Path): The file; replaced in one step.
    nlp (Language): The pipeline.
    optimizer (Optimizer): The optimizer.
    progress (Progress): How far the training has come.
    config (str): The config, to compare when the training is resumed.
    RAISES (OSError): If it can't be written. The old file is untouched then.
    """
    tensors: dict[str, Tensor] = {}
    states: dict[str, Any] = {}
    for name, value in weights(nlp):
        tensors[f"weights/{name}"] = value
    for name, value in optimizer_tensors(nlp, optimizer):
        tensors[f"optimizer/{name}"] = value
    for name, pipe in nlp.pipeline:
        if hasattr(pipe, "get_training_state"):
            state = pipe.get_training_state()
            states[name] = state["keys"]
            for key, value in state["tensors"].items():
                tensors[f"state/{name}/{key}"] = value
    position, random_tensors = random_state()
    tensors.update(random_tensors)
    info = {
        "format": FORMAT,
        "step": progress.step,
        "results": progress.results,
        "losses": progress.losses,
        "words": progress.words,
        "seconds": progress.seconds,
        "finished": progress.finished,
        "config": config,
        "states": states,
        "counts": update_counts(nlp, optimizer),
        "random": position,
        "labels": _labels(nlp),
        "data": describe_data(nlp.config),
        "tensors": sorted(tensors),
    }
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_atomically(path, lambda temporary: save_file(plain, temporary, {"info": _to_json(info)}))


class CheckpointMismatch(ValueError):
    """A checkpoint is of another model than the one to be resumed."""


class Checkpoint:
    """A checkpoint that was read.

    RAISES (ValueError): If the file is not a complete checkpoint.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            with safe_open(path, framework="pt") as file:
                self.info = json.loads((file.metadata() or {}).get("info", "null"))
                self.tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, ValueError, OSError) as error:
            raise ValueError(f"{path} is not a complete checkpoint: {error}") from error
        if not isinstance(self.info, dict) or self.info.get("format") != FORMAT:
            raise ValueError(f"{path} is not a checkpoint of spacy-seqgen ({FORMAT})")
        if not _PARTS <= self.info.keys() or self.info["tensors"] != sorted(self.tensors):
            raise ValueError(f"{path} is not a complete checkpoint: parts are missing")

    @property
    def config(self) -> str:
        return self.info["config"]

    @property
    def data(self) -> dict[str, str]:
        """See `describe_data`."""
        return self.info["data"]

    @property
    def progress(self) -> Progress:
        info = self.info
        return Progress(
            step=info["step"],
            results=[(float(score), int(step)) for score, step in info["results"]],
            losses=dict(info["losses"]),
            words=info["words"],
            seconds=info["seconds"],
            finished=info["finished"],
        )

    def restore(self, nlp: Language, optimizer: Optimizer) -> None:
        """Put weights, optimizer and hidden states back.

        RAISES (CheckpointMismatch): If they do not fit the pipeline.
        """
        for name in self._misfits(nlp):
            raise CheckpointMismatch(
                f"The checkpoint {self.path} does not fit the data: '{name}' found other symbols "
                "or labels in the training data than when it was made. Resume with the same data, "
                "or begin again with --overwrite."
            )
        for name, target in weights(nlp):
            self._copy(f"weights/{name}", target)
        for _ in range(self.info["step"] + 1):
            optimizer.step_schedules()
        self._restore_optimizer(nlp, optimizer)
        for name, pipe in nlp.pipeline:
            if hasattr(pipe, "set_training_state") and name in self.info["states"]:
                tensors = self._below(f"state/{name}/")
                pipe.set_training_state({"keys": self.info["states"][name], "tensors": tensors})

    def fits(self, nlp: Language) -> bool:
        """Whether the vocabularies and labels of a pipeline are those of the checkpoint."""
        return not self._misfits(nlp)

    def _misfits(self, nlp: Language) -> list[str]:
        now = _labels(nlp)
        return [n for n, labels in self.info["labels"].items() if n in now and labels != now[n]]

    def restore_random(self) -> None:
        """Put the random number generators back to where they were."""
        restore_random(self.info["random"], self.tensors)

    def _below(self, prefix: str) -> dict[str, Tensor]:
        return {k[len(prefix) :]: v for k, v in self.tensors.items() if k.startswith(prefix)}

    def _copy(self, name: str, target: Tensor) -> None:
        value = self.tensors.get(name)
        if value is None or value.shape != target.shape:
            found = "nothing" if value is None else f"shape {tuple(value.shape)}"
            raise CheckpointMismatch(
                f"The checkpoint {self.path} does not fit the config: for {name} it holds {found}, "
                f"the model needs shape {tuple(target.shape)}. Resume with the config and the "
                "data that it was made with, or begin again with --overwrite."
            )
        with torch.no_grad():
            target.copy_(value)

    def _restore_optimizer(self, nlp: Language, optimizer: Optimizer) -> None:
        stored = self._below("optimizer/")
        for place, shim in shims(nlp):
            if isinstance(shim, TorchShim):
                prefix = f"native/{place}/"
                own = {k[len(prefix) :]: v for k, v in stored.items() if k.startswith(prefix)}
                if own:
                    shim.native.load_state(own, optimizer)
        keys = {place: key for key, place in parameter_places(nlp).items()}
        counts = self.info["counts"]
        for place, key in keys.items():
            for kind in ("mom1", "mom2", "averages"):
                value, values = stored.get(f"{kind}/{place}"), getattr(optimizer, kind)
                if value is None or values is None:
                    continue
                values[key] = like_parameter(nlp, key, kind, value)
            if place in counts:
                optimizer.nr_update[key] = counts[place]


def _labels(nlp: Language) -> dict[str, Any]:
    """The vocabularies and labels of the components: what the numbers in a model mean."""
    labels = {name: getattr(pipe, "label_data", None) for name, pipe in nlp.pipeline}
    return json.loads(_to_json(labels))


def _to_json(data: Any) -> str:
    """JSON. spaCy's own components leave NumPy numbers among the losses and scores."""
    return json.dumps(data, default=lambda value: value.item())
