"""Checkpoints: everything that a training needs to go on as if nothing had happened.

A checkpoint is one safetensors file: weights, moments of the optimizer, averages, hidden
states and random states as tensors, the rest as JSON in its header. It is written beside
the old one, flushed to the disk and renamed over it, so that at any moment there is
either the old checkpoint or the new one, complete.
"""

import json
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from spacy.language import Language
from thinc.api import Model, Optimizer
from thinc.shims import PyTorchShim
from torch import Tensor

from ..models.shim import TorchShim

FILE_NAME = "checkpoint.safetensors"
FORMAT = "spacy-seqgen.checkpoint.v1"


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
    for name, value in _weights(nlp):
        tensors[f"weights/{name}"] = value
    for name, value in _optimizer_tensors(nlp, optimizer):
        tensors[f"optimizer/{name}"] = value
    for name, pipe in nlp.pipeline:
        if hasattr(pipe, "get_training_state"):
            state = pipe.get_training_state()
            states[name] = state["keys"]
            for key, value in state["tensors"].items():
                tensors[f"state/{name}/{key}"] = value
    tensors.update(_random_tensors())
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
        "counts": _update_counts(nlp, optimizer),
        "random": random.getstate(),
        "numpy": _numpy_position(),
    }
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_atomically(
        path, lambda temporary: save_file(plain, temporary, {"info": json.dumps(info)})
    )


def write_atomically(path: Path, write: Any) -> None:
    """Have `write` make a file, and put it into the place of another in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, SafetensorError):
            raise OSError(f"Can't write {path}: {error}") from error
        raise
    with suppress(OSError):  # not every system lets one open a directory
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


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

    @property
    def config(self) -> str:
        return self.info["config"]

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
        for name, target in _weights(nlp):
            self._copy(f"weights/{name}", target)
        for _ in range(self.info["step"] + 1):
            optimizer.step_schedules()
        self._restore_optimizer(nlp, optimizer)
        for name, pipe in nlp.pipeline:
            if hasattr(pipe, "set_training_state") and name in self.info["states"]:
                tensors = self._below(f"state/{name}/")
                pipe.set_training_state({"keys": self.info["states"][name], "tensors": tensors})

    def restore_random(self) -> None:
        """Put the random number generators back to where they were."""
        version, state, gauss = self.info["random"]
        random.setstate((version, tuple(state), gauss))
        name, position, has_gauss, cached = self.info["numpy"]
        keys = self.tensors["random/numpy"].numpy().astype(np.uint32)
        np.random.set_state((name, keys, position, has_gauss, cached))
        torch.set_rng_state(self.tensors["random/torch"])
        if torch.cuda.is_available() and "random/cuda/0" in self.tensors:
            devices = range(torch.cuda.device_count())
            torch.cuda.set_rng_state_all([self.tensors[f"random/cuda/{i}"] for i in devices])

    def _below(self, prefix: str) -> dict[str, Tensor]:
        return {k[len(prefix) :]: v for k, v in self.tensors.items() if k.startswith(prefix)}

    def _copy(self, name: str, target: Tensor) -> None:
        value = self.tensors.get(name)
        if value is None or value.shape != target.shape:
            found = "nothing" if value is None else f"shape {tuple(value.shape)}"
            raise CheckpointMismatch(
                f"The checkpoint {self.path} does not fit the config: for {name} it holds {found}, "
                f"the model needs shape {tuple(target.shape)}. Resume with the config and the "
                "data that it was made with, or start again without --resume."
            )
        with torch.no_grad():
            target.copy_(value)

    def _restore_optimizer(self, nlp: Language, optimizer: Optimizer) -> None:
        stored = self._below("optimizer/")
        for place, shim in _shims(nlp):
            if isinstance(shim, TorchShim):
                prefix = f"native/{place}/"
                own = {k[len(prefix) :]: v for k, v in stored.items() if k.startswith(prefix)}
                if own:
                    shim.native.load_state(own, optimizer)
        keys = {place: key for key, place in _parameter_places(nlp).items()}
        counts = self.info["counts"]
        for place, key in keys.items():
            for kind in ("mom1", "mom2", "averages"):
                value, values = stored.get(f"{kind}/{place}"), getattr(optimizer, kind)
                if value is None or values is None:
                    continue
                values[key] = _like_parameter(nlp, key, kind, value)
            if place in counts:
                optimizer.nr_update[key] = counts[place]


def _nodes(nlp: Language) -> Iterator[tuple[str, Model]]:
    """All Thinc nodes of the pipeline, with names that are the same in every process."""
    for name, pipe in nlp.pipeline:
        model = getattr(pipe, "model", None)
        if isinstance(model, Model):
            for number, node in enumerate(model.walk()):
                yield f"{name}/{number}", node


def _shims(nlp: Language) -> Iterator[tuple[str, PyTorchShim]]:
    for place, node in _nodes(nlp):
        for number, shim in enumerate(node.shims):
            if isinstance(shim, PyTorchShim):
                yield f"{place}/shim{number}", shim


def trained_shims(nlp: Language) -> Iterator[TorchShim]:
    """The bridges to PyTorch that have made an update."""
    for _, shim in _shims(nlp):
        if isinstance(shim, TorchShim) and shim.native.source is not None:
            yield shim


def _weights(nlp: Language) -> Iterator[tuple[str, Tensor]]:
    """The weights themselves: to write into a tensor changes the model."""
    for place, node in _nodes(nlp):
        for name in node.param_names:
            if node.has_param(name):
                yield f"{place}/{name}", torch.as_tensor(node.get_param(name))
    for place, shim in _shims(nlp):
        seen: set[int] = set()
        for name, value in shim._model.state_dict(keep_vars=True).items():
            if id(value) not in seen:
                seen.add(id(value))
                yield f"{place}/{name}", value


def _parameter_places(nlp: Language) -> dict[tuple[int, str], str]:
    """What the keys of a Thinc optimizer, which are new in each process, stand for."""
    places = {}
    for place, node in _nodes(nlp):
        for name in node.param_names:
            places[node.id, name] = f"{place}/{name}"
    for place, shim in _shims(nlp):
        for name, _ in shim._model.named_parameters():
            places[shim.id, name] = f"{place}/{name}"
    return places


def _optimizer_tensors(nlp: Language, optimizer: Optimizer) -> Iterator[tuple[str, Tensor]]:
    for place, shim in _shims(nlp):
        if isinstance(shim, TorchShim):
            for name, value in shim.native.state().items():
                yield f"native/{place}/{name}", value
    places = _parameter_places(nlp)
    for kind in ("mom1", "mom2", "averages"):
        for key, value in (getattr(optimizer, kind) or {}).items():
            if key in places:
                yield f"{kind}/{places[key]}", torch.as_tensor(value)


def _like_parameter(nlp: Language, key: tuple[int, str], kind: str, value: Tensor) -> Any:
    """A value of the optimizer, in the type in which it is kept for a parameter."""
    for _, shim in _shims(nlp):
        if shim.id == key[0] and isinstance(shim, TorchShim):
            return value.to(shim.device)
    for _, node in _nodes(nlp):
        if node.id == key[0]:
            return node.ops.asarray(value.numpy())  # type: ignore[arg-type]
    return value.numpy()


def _update_counts(nlp: Language, optimizer: Optimizer) -> dict[str, int]:
    places = _parameter_places(nlp)
    return {places[key]: n for key, n in optimizer.nr_update.items() if key in places}


def _random_tensors() -> dict[str, Tensor]:
    _, keys, *_ = np.random.get_state(legacy=True)
    tensors = {
        "random/numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "random/torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        for number, state in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"random/cuda/{number}"] = state
    return tensors


def _numpy_position() -> list[Any]:
    name, _, position, has_gauss, cached = np.random.get_state(legacy=True)
    return [name, position, has_gauss, cached]
