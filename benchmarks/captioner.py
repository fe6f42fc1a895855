"""Benchmark of the captioner: `python -m benchmarks captioner`."""

import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import spacy
import torch
from PIL import Image
from spacy import util
from spacy.language import Language
from spacy.training import Example

from spacy_seqgen.models.shim import get_shim
from spacy_seqgen.pictures import find_picture

from .harness import Row, compare
from .plain_captioner import caption_singly

CONFIGS = Path(__file__).parent.parent / "configs"
_SIDE = 64
_BEAM = 3
_BATCH = 32
_COLORS = {"red": (220, 30, 30), "green": (30, 170, 40), "blue": (30, 60, 220), "black": (30,) * 3}


class Benchmark:
    """
    quick (bool): Rough figures.
    only (str): Only rows whose name holds this.
    """

    def __init__(self, *, quick: bool, only: str):
        self.quick = quick
        self.only = only

    def run(self) -> list[Row]:
        self.threads = torch.get_num_threads()
        torch.set_num_threads(1)
        rows = [("captions", self.captions), ("JPEGs", self.jpegs)]
        with tempfile.TemporaryDirectory() as folder:
            self.folder = Path(folder)
            self.captions_of = dict(_draw(self.folder, 64 if self.quick else 256))
            self.nlp = self._train(60 if self.quick else 300)
            found: list[Row] = []
            for name, measure in rows:
                if self.only in name:
                    found += measure()
            return found

    def _train(self, steps: int) -> Language:
        """A captioner whose captions are as long as they should be."""
        config = util.load_config(CONFIGS / "captioner.cfg")["components"]["image_captioner"]
        config.pop("factory")
        config["attention"] = False
        nlp = spacy.blank("en")
        nlp.add_pipe("image_captioner", config=config)
        examples = []
        for path, caption in self.captions_of.items():
            reference = nlp.make_doc(path)
            reference._.caption = caption
            examples.append(Example(nlp.make_doc(path), reference))
        optimizer = nlp.initialize(lambda: examples)
        optimizer.learn_rate = 0.003
        for _ in range(steps):
            nlp.update(random.sample(examples, _BATCH), sgd=optimizer)
        return _reloaded(nlp)

    def captions(self) -> list[Row]:
        """From files to captions: nlp.pipe, and a loop over pictures."""
        pipe: Any = self.nlp.get_pipe("image_captioner")
        pipe.batch_pictures = _BATCH
        net = get_shim(pipe.model).net.eval()
        paths = list(self.captions_of)[: 64 if self.quick else 256]
        options = pipe.options

        def ours() -> float:
            found.clear()
            found.extend(doc._.caption for doc in self.nlp.pipe(paths, batch_size=_BATCH))
            return len(paths)

        def other() -> float:
            theirs.clear()
            pictures = (pipe.pictures.load(find_picture(path)) for path in paths)
            for ids in caption_singly(
                net, pictures, size=_BEAM, max_length=options.max_length, alpha=options.length_alpha
            ):
                theirs.append(pipe.vocabulary.decode(ids))
            return len(paths)

        found: list[str] = []
        theirs: list[str] = []
        name = f"captions, beam {_BEAM}, batch {_BATCH}, {_SIDE} x {_SIDE} pixels, from files"
        rows = []
        for threads in dict.fromkeys((self.threads, 1)):  # as PyTorch comes, and one
            torch.set_num_threads(threads)
            row = compare(
                f"{name}, {threads} thread{'s' if threads > 1 else ''} on both sides", ours, other,
                bar=8 if threads == self.threads else None, unit="captions/s",
                rounds=2 if self.quick else 5,
            )  # fmt: skip
            same = statistics.mean(a == b for a, b in zip(found, theirs, strict=True))
            row.note = f"{same:.0%} of the captions are the same on both sides"
            rows.append(row)
        torch.set_num_threads(1)
        return rows

    def jpegs(self) -> list[Row]:
        """Reading ahead: does the model wait, and does memory grow?"""
        count = 1000 if self.quick else 10_000
        files = list(_make_jpegs(self.folder, 200))
        paths = [files[number % len(files)] for number in range(count)]
        docs = []
        for path in files:
            doc = self.nlp.make_doc(path)
            with Image.open(path) as image:
                doc._.image = image.convert("RGB").resize((_SIDE, _SIDE))
            docs.append(doc)
        decoded = [docs[number % len(docs)] for number in range(count)]

        def seconds(items: list[Any]) -> tuple[float, float]:
            """All, and of them those without a picture to go on with."""
            start = time.perf_counter()
            with _waiting() as waited:
                for number, _ in enumerate(self.nlp.pipe(items, batch_size=_BATCH), 1):
                    if number == count // 10:
                        peaks.append(_peak())
            return time.perf_counter() - start, sum(waited)

        peaks: list[float] = []
        without, _ = seconds(decoded)
        peaks.clear()
        with_files, waited = seconds(paths)
        growth = _peak() / peaks[0]
        name = f"{count:,} JPEGs of 640 x 480 from disk"
        return [
            Row(
                f"{name}: time that the model waits for them, to all", waited, with_files,
                waited / with_files, 0.05, waited <= 0.05 * with_files, "seconds",
                note="needs a core for the model and one for the threads that decode",
            ),
            Row(
                f"{name}: time, to pictures that are decoded already", with_files, without,
                with_files / without, None, None, "seconds",
            ),
            Row(
                f"{name}: peak memory, at the end to after a tenth", _peak(), peaks[0], growth,
                1.02, growth <= 1.02, "MB",
            ),
        ]  # fmt: skip


def _reloaded(nlp: Language) -> Language:
    """As users have it: not in the middle of a training."""
    with tempfile.TemporaryDirectory() as folder:
        nlp.to_disk(folder)
        return spacy.load(folder)


def _draw(folder: Path, number: int) -> Iterator[tuple[str, str]]:
    """Squares of two colours, and captions of eight words."""
    rng = random.Random(0)
    for n in range(number):
        one, two = rng.sample(list(_COLORS), 2)
        image = Image.new("RGB", (_SIDE, _SIDE), (250, 250, 250))
        left, top = rng.randint(2, 20), rng.randint(2, 40)
        image.paste(_COLORS[one], (left, top, left + 12, top + 12))
        right, down = rng.randint(34, 50), rng.randint(2, 40)
        image.paste(_COLORS[two], (right, down, right + 12, down + 12))
        path = folder / f"{n}.png"
        image.save(path)
        yield str(path), f"a {one} square left of a {two} square"


def _make_jpegs(folder: Path, number: int) -> Iterator[str]:
    rng = random.Random(0)
    for n in range(number):
        small = Image.effect_noise((40, 30), rng.randint(20, 80)).convert("RGB")
        path = folder / f"{n}.jpg"
        small.resize((640, 480), Image.Resampling.BICUBIC).save(path, quality=90)
        yield str(path)


@contextmanager
def _waiting() -> Iterator[list[float]]:
    """The seconds for which results of threads are waited for."""
    waited: list[float] = []
    result = Future.result

    def timed(future: Future[Any], timeout: float | None = None) -> Any:
        start = time.perf_counter()
        try:
            return result(future, timeout)
        finally:
            waited.append(time.perf_counter() - start)

    Future.result = timed  # type: ignore[assignment, method-assign]
    try:
        yield waited
    finally:
        Future.result = result  # type: ignore[method-assign]


def _peak() -> float:
    """Largest resident size so far, in MB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size * (1 if sys.platform == "darwin" else 1024) / 1e6
