"""The character language model against plain PyTorch."""

import math
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import spacy
import torch
from spacy.training import Example
from spacy.util import load_config
from wasabi import msg

from spacy_seqgen.models.precision import resolve_precision
from spacy_seqgen.models.shim import get_shim
from spacy_seqgen.pipeline.continuing import TextContinuer
from spacy_seqgen.pipeline.prompts import Prompts
from spacy_seqgen.textfiles import read_range

from . import plain
from .harness import NO_BF16, ROUNDS, Row, compare
from .spacy_steps import SpacySteps

CONFIGS = Path(__file__).parents[1] / "configs"


class Benchmark:
    """
    text_path (Path): The text; its first nine tenths are learned.
    quick (bool): Everything in a minute, nothing that takes training to the end.
    peers (bool): Measure the Keras loop of the book as well.
    only (str): Only rows whose name holds this.
    """

    def __init__(self, text_path: Path, *, quick: bool, peers: bool, only: str = ""):
        torch.set_num_threads(1)
        self.path = text_path
        self.text = "".join(read_range(text_path, 0, None))
        self.ids, self.symbols = plain.encode(self.text)
        self.train_ids = self.ids[: int(0.9 * len(self.ids))]
        self.dev_ids = self.ids[int(0.9 * len(self.ids)) : int(0.95 * len(self.ids))]
        self.quick = quick
        self.peers = peers
        self.only = only
        self.rounds = 3 if quick else ROUNDS

    def run(self) -> list[Row]:
        rows: list[Row] = []
        measures: list[Callable[[], Row]] = [
            self.training,
            self.default_precision,
            self.equal_quality,
            self.generating_one,
            self.generating_many,
            self.piping,
            self.three_minutes,
            self.large,
        ]
        slow = (self.equal_quality, self.three_minutes, self.large)
        for measure in measures:
            name = measure.__doc__ or ""
            if self.only not in name or (self.quick and measure in slow):
                continue
            msg.info(f"Measuring: {name}")
            rows.append(measure())
        if self.peers:
            self._add_peers(rows)
        return rows

    # Training

    def training(self) -> Row:
        """training, spacy train, fp32"""
        return self._training_row(self.training.__doc__, "fp32", 0.95)

    def default_precision(self) -> Row:
        """training, spacy train, default precision against fp32"""
        row = self._training_row(self.default_precision.__doc__, "auto", 1.8)
        if resolve_precision("auto", torch.device("cpu")) == "fp32":
            row.ok, row.note = None, NO_BF16
        return row

    def _training_row(self, what: str | None, precision: str, bar: float) -> Row:
        stepper = _steps(self._config(precision=precision))
        loop = self._plain_loop(stepper.batcher["rows"], stepper.batcher["window"])
        steps = 20 if self.quick else 100
        return compare(
            what or "",
            lambda: stepper.run(steps),
            lambda: loop.run(steps),
            bar=bar,
            unit="characters/s",
            rounds=self.rounds,
        )

    def equal_quality(self) -> Row:
        """held-out bits, default precision against fp32 at equal characters"""
        bits = []
        for precision in ("auto", "fp32"):
            stepper = _steps(self._config(precision=precision, max_steps=2000))
            stepper.run(2000)
            bits.append(
                _bits_per_char(stepper.nlp, self.text[int(0.9 * len(self.text)) :][:50_000])
            )
        ratio = bits[0] / bits[1]
        name = self.equal_quality.__doc__ or ""
        row = Row(name, bits[0], bits[1], ratio, 1.005, ratio <= 1.005)
        row.unit = "bits/character"
        if resolve_precision("auto", torch.device("cpu")) == "fp32":
            row.note = NO_BF16
        return row

    # Generating

    def generating_one(self) -> Row:
        """generating, batch 1, sampled"""
        return self._generating_row(self.generating_one.__doc__, 1, 10.0, 1000)

    def generating_many(self) -> Row:
        """generating, batch 64, sampled"""
        return self._generating_row(self.generating_many.__doc__, 64, 1.8, 200)

    def _generating_row(self, what: str | None, rows: int, bar: float, length: int) -> Row:
        nlp, loop = self._trained_pair()
        pipe = nlp.get_pipe("text_generator")
        pipe.score_text = False
        pipe.options = _options(pipe, length)
        docs = [nlp.make_doc(self.text[i * 99]) for i in range(rows)]
        loop.net.eval()

        def ours() -> float:
            return sum(len(r.continuations[0].text) for r in pipe.predict(docs))

        def other() -> float:
            plain.generate(loop.net, rows, length)
            return rows * length

        return compare(what or "", ours, other, bar=bar, unit="characters/s", rounds=self.rounds)

    def piping(self) -> Row:
        """nlp.pipe, 1,000 prompts x 200 characters, against the generator alone (time)"""
        nlp, _ = self._trained_pair()
        pipe = nlp.get_pipe("text_generator")
        pipe.options = _options(pipe, 200)
        count = 200 if self.quick else 1000
        texts = [self.text[i * 500 : i * 500 + 20] for i in range(count)]
        encoded = [pipe.vocabulary.encode(text).ids for text in texts]
        rows = pipe.batch_symbols // (20 + 200)
        continuer = TextContinuer(pipe.model, pipe.vocabulary, pipe.options)

        def ours() -> float:
            return sum(len(doc._.continuation) for doc in nlp.pipe(texts))

        def other() -> float:
            done = 0
            for first in range(0, count, rows):
                prompts = Prompts(pipe.model, encoded[first : first + rows])
                with get_shim(pipe.model).inference() as net:
                    step, prepare = net.stepper()
                    search = continuer.make_search(step)
                    found = search.run(_starter(prompts, prepare), texts[first : first + rows])
                done += sum(len(items[0].ids) for items in found)
            return done

        return compare(
            self.piping.__doc__ or "", ours, other, bar=1.10, unit="characters/s",
            rounds=self.rounds, smaller=True,
        )  # fmt: skip

    # Quality

    def three_minutes(self) -> Row:
        """held-out bits, next 5 %, after 3 minutes of one core"""
        rate = self._steps_per_second("char_lm")
        # The number of updates must be told at the start, for the learning rate to fall. The
        # rest is for loading, evaluating and saving, and for a machine that slows down.
        steps = int(rate * 164)
        seconds, bits = self._train_process("char_lm", steps, threads=1)
        loop = self._plain_loop(64, 64, learn_rate=1e-2, seconds=180)
        other = loop.bits_per_char(self.dev_ids)
        row = Row(
            self.three_minutes.__doc__ or "", bits, other, bits / other, 2.12,
            bits <= 2.12 and seconds <= 180, "bits/character",
        )  # fmt: skip
        row.note = f"{steps} updates in {seconds:.0f} s of processor time, everything included"
        return row

    def large(self) -> Row:
        """held-out bits, last 10 %, char_lm_large, at most 45 minutes on 2 cores"""
        seconds, bits = self._train_process("char_lm_large", None, threads=2)
        ok = bits <= 2.06 and seconds <= 45 * 60
        row = Row(self.large.__doc__ or "", bits, None, None, 2.06, ok, "bits/character")
        row.note = f"{seconds / 60:.1f} minutes of the clock"
        return row

    def _train_process(self, name: str, steps: int | None, threads: int) -> tuple[float, float]:
        """Train in a process of its own. RETURNS: seconds (of processor time, for one
        thread, else of the clock), and bits per character on the held-out part."""
        import time

        stop = "0.95" if name == "char_lm" else "1.0"
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable, "-m", "spacy", "seqgen", "train", str(CONFIGS / f"{name}.cfg"),
                "--output", folder, "--paths.train", str(self.path), "--paths.dev", str(self.path),
                "--variables.train_stop", "0.9", "--variables.dev_start", "0.9",
                "--variables.dev_stop", stop,
            ]  # fmt: skip
            if steps:
                command += ["--training.max_steps", str(steps)]
                command += ["--training.eval_frequency", str(steps)]
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            start = time.perf_counter()
            subprocess.run(command, check=True, env=environment)
            wall = time.perf_counter() - start
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
            nlp = spacy.load(Path(folder) / "model-best")
        held_out = self.text[int(0.9 * len(self.text)) :]
        if stop == "0.95":
            held_out = held_out[: len(self.dev_ids)]
        return (used if threads == 1 else wall), _bits_per_char(nlp, held_out)

    # What several rows need

    def _config(self, *, precision: str = "auto", max_steps: int = 100_000) -> Any:
        overrides = {
            "paths.train": str(self.path),
            "paths.dev": str(self.path),
            "variables.train_stop": 0.9,
            "training.max_steps": max_steps,
            "training.eval_frequency": 10**9,
            "components.text_generator.model.precision": precision,
        }
        return load_config(CONFIGS / "char_lm.cfg", overrides=overrides, interpolate=False)

    def _plain_loop(
        self, rows: int, window: int, learn_rate: float = 1e-3, seconds: float | None = None
    ) -> plain.Training:
        import time

        options: dict[str, Any] = {"rows": rows, "window": window, "learn_rate": learn_rate}
        loop = plain.Training(self.train_ids, len(self.symbols), **options)
        if seconds is None:
            return loop
        loop.run(5)
        start = time.perf_counter()
        loop.run(100)
        steps = int(100 / (time.perf_counter() - start) * seconds)
        loop = plain.Training(self.train_ids, len(self.symbols), total_steps=steps, **options)
        loop.run(steps)
        return loop

    def _steps_per_second(self, name: str) -> float:
        import time

        stepper = _steps(self._config())
        stepper.run(50)
        start = time.perf_counter()
        stepper.run(500)
        return 500 / (time.perf_counter() - start)

    def _trained_pair(self) -> tuple[Any, plain.Training]:
        """The same model on both sides, trained a little, so that it writes words and
        not noise."""
        if not hasattr(self, "_pair"):
            steps = 200 if self.quick else 1000
            stepper = _steps(self._config(precision="fp32", max_steps=steps))
            stepper.run(steps)
            loop = self._plain_loop(64, 64, learn_rate=1e-2)
            loop.run(steps // 4)
            self._pair = stepper.nlp, loop
        return self._pair

    def _add_peers(self, rows: list[Row]) -> None:
        from .keras_book import measure

        msg.info("Measuring: the Keras loop of the book")
        try:
            found = measure(self.text, seconds=5 if self.quick else 20)
        except ImportError as error:
            msg.warn(f"No Keras column: {error}. pip install keras")
            return
        for row in rows:
            if row.what == self.training.__doc__:
                row.peer = found["training"]
            if row.what == self.generating_one.__doc__:
                row.peer = found["generating"]


def _steps(config: Any) -> SpacySteps:
    return SpacySteps(config, _count_characters)


def _count_characters(stepper: SpacySteps, batch: Sequence[Example]) -> int:
    return stepper.batcher["rows"] * stepper.batcher["window"]


def _bits_per_char(nlp: Any, text: str) -> float:
    nlp.get_pipe("text_generator").generate_text = False
    pieces = [text[i : i + 100_000] for i in range(0, len(text), 100_000)]
    examples = [Example(nlp.make_doc(piece), nlp.make_doc(piece)) for piece in pieces]
    bits = nlp.evaluate(examples)["bits_per_char"]
    assert math.isfinite(bits)
    return bits


def _options(pipe: Any, length: int) -> Any:
    from dataclasses import replace

    return replace(pipe.options, max_length=length, min_length=length)


def _starter(prompts: Prompts, prepare: Callable) -> Callable[[Any], tuple[Any, np.ndarray]]:
    return lambda rows: prompts.start(prepare, rows)
