"""Saving and loading a component together with its vocabularies."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import srsly
from spacy import util
from spacy.pipeline import TrainablePipe
from thinc.api import Model

from ..vocabularies import Vocabulary

_SYMBOLS = "symbols"  # the attribute of a model that says which ones it was made for
# Attributes that weights of the same shapes can differ in, and make no sense with another.
_CHECKED = (_SYMBOLS, "num_heads", "positions")


class VocabularyPipe(TrainablePipe):
    """A trainable component that owns one or more vocabularies.

    A vocabulary is part of the component and is saved beside the model, because the
    sizes of the model depend on it: it is restored first, then the model is made, then
    the weights are loaded.
    """

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """The vocabularies, by the names under which they are saved."""
        raise NotImplementedError

    def make_model(self) -> None:
        """Make the PyTorch module, now that the vocabularies are there."""
        raise NotImplementedError

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        serialize: dict[str, Callable[[], bytes]] = {
            "cfg": lambda: srsly.json_dumps(self.cfg),
            "vocab": lambda: self.vocab.to_bytes(exclude=exclude),
        }
        for name, vocabulary in self.vocabularies.items():
            serialize[name] = vocabulary.to_bytes
        serialize["model"] = self._signed_model().to_bytes
        return util.to_bytes(serialize, exclude)

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "VocabularyPipe":
        deserialize: dict[str, Callable[[bytes], Any]] = {
            "cfg": lambda data: self._load_cfg(data, "the given bytes"),
            "vocab": lambda data: self.vocab.from_bytes(data, exclude=exclude),
        }
        for name, vocabulary in self.vocabularies.items():
            deserialize[name] = vocabulary.from_bytes
        deserialize["model"] = lambda data: self._load_model(data, "the given bytes")
        util.from_bytes(bytes_data, deserialize, exclude)
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        serialize: dict[str, Callable[[Path], Any]] = {
            "cfg": lambda p: srsly.write_json(p, self.cfg),
            "vocab": lambda p: self.vocab.to_disk(p, exclude=exclude),
        }
        for name, vocabulary in self.vocabularies.items():
            serialize[name] = vocabulary.to_disk
        serialize["model"] = self._signed_model().to_disk
        util.to_disk(path, serialize, exclude)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "VocabularyPipe":
        path = Path(path)
        deserialize: dict[str, Callable[[Path], Any]] = {
            "cfg": lambda p: self._load_cfg(p.read_bytes(), str(p)),
            "vocab": lambda p: self.vocab.from_disk(p, exclude=exclude),
        }
        for name, vocabulary in self.vocabularies.items():
            deserialize[name] = vocabulary.from_disk
        deserialize["model"] = lambda p: self._load_model(p.read_bytes(), str(p))
        for name in deserialize:
            if name != "vocab" and name not in exclude and not (path / name).exists():
                raise ValueError(
                    f"Can't load '{self.name}': {path / name} is missing. The directory is "
                    "incomplete: copy or train the pipeline again."
                )
        util.from_disk(path, deserialize, exclude)
        return self

    def _signed_model(self) -> Model:
        """The model, which says in its file which symbols its weights are for."""
        self.model.attrs[_SYMBOLS] = self._digest()
        return self.model

    def _digest(self) -> str:
        symbols = [vocabulary.symbols for vocabulary in self.vocabularies.values()]
        return hashlib.sha256(json.dumps(symbols).encode("ascii")).hexdigest()

    def _load_cfg(self, data: bytes, source: str) -> None:
        try:
            self.cfg.update(srsly.json_loads(data))
        except (ValueError, TypeError) as error:
            raise ValueError(f"Can't load '{self.name}': {source} is damaged: {error}") from error

    def _load_model(self, data: bytes, source: str) -> None:
        try:
            if all(vocabulary.is_built for vocabulary in self.vocabularies.values()):
                self.make_model()
            self.model.attrs.pop(_SYMBOLS, None)  # of what was saved before
            _check_model(self.model, data, self._digest())
            # What the config says of the model counts, not what the file does.
            attrs = [dict(node.attrs) for node in self.model.walk()]
            self.model.from_bytes(data)
            for node, values in zip(self.model.walk(), attrs, strict=True):
                node.attrs.clear()
                node.attrs.update(values)
        except Exception as error:
            # Damaged msgpack fails in many ways: all mean that this is no model.
            raise ValueError(
                f"Can't load the model of '{self.name}' from {source}: {error} "
                "(Config, vocabulary and model must come from the same training.)"
            ) from error


def _check_model(model: Model, data: bytes, symbols: str) -> None:
    """RAISES (ValueError): If a file has not the weights of every part of a model, which
    Thinc would pass over without a word; or if they mean nothing there, though they fit."""
    saved = srsly.msgpack_loads(data)
    found = [len(shims) for shims in saved["shims"]]
    expected = [len(node.shims) for node in model.walk()]
    if found != expected:
        raise ValueError(f"expected weights for {expected} networks, found {found}.")
    for node, values in zip(model.walk(), saved["attrs"], strict=False):
        known = {name: srsly.msgpack_loads(values[name]) for name in _CHECKED if name in values}
        if known.pop(_SYMBOLS, symbols) != symbols:
            raise ValueError("the weights were learned with another vocabulary.")
        for name, value in known.items():
            if value != node.attrs.get(name):
                raise ValueError(
                    f"the weights were learned with {name} = {value!r}, not "
                    f"{node.attrs.get(name)!r}."
                )
