"""The translator against plain PyTorch, and against JoeyNMT."""

import functools
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sacrebleu
import spacy
import torch
from spacy.training import Example
from spacy.util import load_config
from wasabi import msg

from spacy_seqgen.models.precision import resolve_precision
from spacy_seqgen.models.shim import get_shim
from spacy_seqgen.outputs import get_translation
from spacy_seqgen.parallel import read_pairs

from .harness import NO_BF16, ROUNDS, Row, compare
from .joeynmt_peer import Peer, PeerError
from .memory import peak_memory
from .pairs import find_pairs
from .plain_beam import beam_search
from .plain_translator import ROWS, AttentionAfter, AttentionInside, Training, Translator
from .spacy_steps import SpacySteps

CONFIG = Path(__file__).parents[1] / "configs" / "translator.cfg"
BEAM, ALPHA = 5, 0.7
TEXT_SIZE = 5_000_000  # of the file to translate, in characters
# Room in our batches, which count padding: so many sentences as the other side's have on average.
PADDING = 1.3
LENGTH = 15  # symbols of a translation, where both sides take as many steps: the mean of Multi30k


class Benchmark:
    """
    pairs_path (Path): The folder of Multi30k; without it, the phrasebook is used.
    quick (bool): Speed only, on fewer pairs, with a model that has learned little.
    peers (bool): Measure JoeyNMT as well.
    only (str): Only rows whose name holds this.
    joeynmt (str): The interpreter of the environment where it is installed.
    model (Path | None): Where to keep the model for decoding; one that is there already is
        used again.
    updates (int): That models learn for before they decode, unless it is quick.
    overrides (dict | None): Values to set in configs/translator.cfg.
    """

    def __init__(
        self,
        pairs_path: Path,
        *,
        quick: bool,
        peers: bool,
        only: str = "",
        joeynmt: str = sys.executable,
        model: Path | None = None,
        updates: int = 600,
        overrides: dict[str, Any] | None = None,
    ):
        torch.set_num_threads(1)
        self._temporary = tempfile.TemporaryDirectory()
        self.workspace = Path(self._temporary.name)
        self.pairs = find_pairs(pairs_path, self.workspace)
        self.train = list(read_pairs(*self.pairs.train))[: 3000 if quick else None]
        self.dev = list(read_pairs(*self.pairs.dev))[: ROWS if quick else None]
        self.quick = quick
        self.peers = peers
        self.only = only
        self.joeynmt = joeynmt
        self.model = model or self.workspace / "model"
        self.overrides = overrides or {}
        self.rounds = 3 if quick else ROUNDS
        self.updates = 40 if quick else updates
        self.max_length = 30 if quick else 100  # symbols of a translation

    def run(self) -> list[Row]:
        msg.info(f"Sentence pairs: {len(self.train):,} of {self.pairs.name}")
        rows: list[Row] = []
        measures: list[Callable[[], Row]] = [
            self.training,
            self.training_after,
            self.decoding_many,
            self.decoding_one,
            self.decoding_attention,
            self.bleu_lost,
            self.memory,
        ]
        peers: list[Callable[[], Row]] = [
            self.peer_training,
            self.peer_decoding,
            self.peer_steps,
        ]
        for measure in [*measures, *(peers if self.peers else [])]:
            name = measure.__doc__ or ""
            if self.only not in name or (self.quick and measure == self.memory):
                continue
            msg.info(f"Measuring: {name}")
            try:
                rows.append(measure())
            except PeerError as error:
                msg.warn(f"No row: {error}")
        return rows

    # Training

    def training(self) -> Row:
        """training, spacy train, against attention inside the recurrence in fp32"""
        return self._training_row(self.training.__doc__, AttentionInside, 1.7)

    def training_after(self) -> Row:
        """training, spacy train, against attention after the recurrence in fp32"""
        return self._training_row(self.training_after.__doc__, AttentionAfter, None)

    def _training_row(self, what: str | None, kind: type[Translator], bar: float | None) -> Row:
        stepper = SpacySteps(self._config(), self._count_symbols)
        pipe: Any = stepper.nlp.get_pipe("translator")
        torch.manual_seed(0)
        loop = Training(_plain_net(kind, pipe), self._encoded(pipe))
        steps = 3 if self.quick else 20
        row = compare(
            what or "",
            lambda: stepper.run(steps),
            lambda: loop.run(steps),
            bar=bar,
            unit="target tokens/s",
            rounds=self.rounds,
        )
        updates = steps * (self.rounds + 1)
        sizes = [_count_parameters(net) for net in (get_shim(pipe.model).net, loop.net)]
        row.note = (
            f"{stepper.examples / updates:.0f} and {loop.examples / updates:.0f} sentences a "
            f"batch, {sizes[0]:,} and {sizes[1]:,} parameters, {self.pairs.name}"
        )
        if bar is not None and resolve_precision("auto", torch.device("cpu")) == "fp32":
            row.ok = row.ok or None
            row.note += "; " + NO_BF16
        return row

    def _count_symbols(self, stepper: SpacySteps, batch: Sequence[Example]) -> int:
        lengths = self._lengths(stepper.nlp.get_pipe("translator"))
        return sum(lengths[get_translation(eg.reference) or ""] for eg in batch)

    @functools.lru_cache(1)  # noqa: B019
    def _lengths(self, pipe: Any) -> dict[str, int]:
        """Symbols of each translation, the end included. Known before the clock runs, as
        both sides have a round that does not count."""
        encode = pipe.target_vocabulary.encode
        return {pair.target: len(encode(pair.target).ids) + 1 for pair in self.train}

    # Decoding

    def decoding_many(self) -> Row:
        """decoding, beam 5, batch 64"""
        return self._decoding_row(self.decoding_many.__doc__, self._by_length, ROWS, 1.8)

    def decoding_one(self) -> Row:
        """decoding, beam 5, batch 1"""
        texts = [pair.source for pair in self.dev][: 8 if self.quick else 64]
        return self._decoding_row(self.decoding_one.__doc__, texts, 1, 1.5)

    def decoding_attention(self) -> Row:
        """decoding, beam 5, batch 64, attention kept by ours only"""
        what = self.decoding_attention.__doc__
        return self._decoding_row(what, self._by_length, ROWS, None, attention=True)

    def _decoding_row(
        self,
        what: str | None,
        texts: Sequence[str],
        rows: int,
        bar: float | None,
        *,
        attention: bool = False,
    ) -> Row:
        nlp, net = self._trained_pair
        pipe = nlp.get_pipe("translator")
        pipe.attention = attention
        found: dict[str, list[str]] = {}

        def ours() -> float:
            found["ours"] = _translate(nlp, texts, rows)
            return len(texts)

        def other() -> float:
            found["other"] = _translate_plainly(net, pipe, texts, rows)
            return len(texts)

        row = compare(
            what or "", ours, other, bar=bar or 0.0, unit="sentences/s", rounds=self.rounds
        )
        same = sum(one == two for one, two in zip(found["ours"], found["other"], strict=True))
        row.note = f"{same / len(texts):.0%} of the translations are the same on both sides"
        if bar is None:
            row.bar = row.ok = None
        return row

    def bleu_lost(self) -> Row:
        """BLEU lost by the decoding settings against a plain search in fp32"""
        nlp, net = self._trained_pair
        texts = [pair.source for pair in self.dev]
        gold = [[pair.target for pair in self.dev]]
        nlp.get_pipe("translator").attention = False
        sides = (
            _translate(nlp, texts, ROWS),
            _translate_plainly(net, nlp.get_pipe("translator"), texts, ROWS),
        )
        ours, other = (sacrebleu.corpus_bleu(side, gold).score for side in sides)
        row = Row(self.bleu_lost.__doc__ or "", ours, other, other - ours, 0.1, other - ours <= 0.1)
        row.unit = "BLEU"
        row.note = (
            "ours has output weights in float16, and drops hypotheses that are behind by more than "
            f"{nlp.get_pipe('translator').options.beam_threshold}"
        )
        return row

    def memory(self) -> Row:
        """peak memory of translating 5 MB of text, above the loaded model"""
        self._trained_pair  # noqa: B018 (saves the model)
        file = self.workspace / "text.txt"
        sources = itertools.cycle(pair.source for pair in self.train)
        with file.open("w", encoding="utf8", newline="\n") as out:
            size = 0
            while size < TEXT_SIZE:
                size += out.write(next(sources) + "\n")
        model, output = str(self.model), str(self.workspace / "output.jsonl")
        command = ["-m", "spacy", "seqgen", "translate", model]
        sentence = self.workspace / "sentence.txt"
        sentence.write_text(self.dev[0].source, encoding="utf8")
        before = peak_memory([*command, str(sentence), "--output", output])
        start = time.perf_counter()
        after = peak_memory([*command, str(file), "--output", output])
        row = Row(self.memory.__doc__ or "", after - before, None, None, 300.0, None, "MB")
        row.ok = after - before <= 300
        row.note = (
            f"{after:.0f} MB, and {before:.0f} MB with one sentence; "
            f"{time.perf_counter() - start:.0f} s"
        )
        return row

    # JoeyNMT

    def peer_training(self) -> Row:
        """training, spacy train, against JoeyNMT"""
        stepper = SpacySteps(self._config(), self._count_symbols)
        pipe: Any = stepper.nlp.get_pipe("translator")
        steps = 3 if self.quick else 20
        with self._peer(pipe, "training", LENGTH) as peer:
            row = compare(
                self.peer_training.__doc__ or "",
                lambda: stepper.run(steps),
                lambda: peer.train(steps),
                bar=4.0,
                unit="target tokens/s",
                rounds=self.rounds,
            )
            size = _count_parameters(get_shim(pipe.model).net)
            row.note = f"{size:,} and {peer.parameters:,} parameters, {self.pairs.name}"
        return row

    def peer_decoding(self) -> Row:
        """decoding, beam 5, batch 64, against JoeyNMT"""
        nlp, _ = self._trained_pair
        pipe, texts = nlp.get_pipe("translator"), self._some_by_length
        pipe.attention = False
        row = self._peer_decoding_row(self.peer_decoding.__doc__, nlp, texts, None, 5.0)
        row.note += f"; both have learned for {self.updates} updates"
        return row

    def peer_steps(self) -> Row:
        """decoding, beam 5, batch 64, as many steps, against JoeyNMT"""
        nlp, _ = self._trained_pair
        pipe, texts = nlp.get_pipe("translator"), self._some_by_length
        pipe.attention = False
        options = pipe.options
        pipe.options = replace(options, min_length=LENGTH, max_length=LENGTH, max_length_ratio=0.0)
        row = self._peer_decoding_row(self.peer_steps.__doc__, nlp, texts, LENGTH, None)
        pipe.options = options
        return row

    def _peer_decoding_row(
        self,
        what: str | None,
        nlp: Any,
        texts: Sequence[str],
        length: int | None,
        bar: float | None,
    ) -> Row:
        """
        length (int | None): Symbols of each translation; None for those that end by themselves,
            for which JoeyNMT learns as long as ours has.
        """
        pipe = nlp.get_pipe("translator")
        found: dict[str, Any] = {}

        def ours() -> float:
            found["ours"] = _translate(nlp, texts, ROWS)
            return len(texts)

        name = "steps" if length else "decoding"
        with self._peer(pipe, name, length) as peer:
            if length is None:
                msg.info(f"Training JoeyNMT for {self.updates} updates")
                peer.train(self.updates)

            def other() -> float:
                found["other"] = peer.translate(ROWS)
                return len(texts)

            row = compare(
                what or "", ours, other, bar=bar or 0.0, unit="sentences/s", rounds=self.rounds
            )
        encode = pipe.target_vocabulary.encode
        both = [encode(text).ids for text in found["ours"]], found["other"]
        ours_long, other_long = (sum(map(len, side)) / len(texts) for side in both)
        row.note = f"{len(texts)} sentences, {ours_long:.1f} and {other_long:.1f} symbols each"
        if bar is None:
            row.bar = row.ok = None
        return row

    def _peer(self, pipe: Any, name: str, length: int | None) -> Peer:
        decoder = get_shim(pipe.model).net.decoder
        encode = pipe.source_vocabulary.encode
        return Peer(
            self.joeynmt,
            self.workspace / f"joeynmt_{name}",
            train=self._encoded(pipe),
            dev=[encode(text).ids.tolist() for text in self._some_by_length],
            source_size=len(pipe.source_vocabulary),
            target_size=len(pipe.target_vocabulary),
            embedding=decoder.embedding.embedding_dim,
            hidden=decoder.rnn.hidden_size,
            rows=ROWS,
            beam=BEAM,
            alpha=ALPHA,
            length=length,
        )

    # What several rows need

    @functools.cached_property
    def _by_length(self) -> list[str]:
        """The sentences to translate, those of similar length together."""
        return sorted((pair.source for pair in self.dev), key=len)

    @property
    def _some_by_length(self) -> list[str]:
        """A quarter of them."""
        return self._by_length if self.quick else self._by_length[::4]

    def _encoded(self, pipe: Any) -> list[tuple[Sequence[int], Sequence[int]]]:
        encode = [vocabulary.encode for vocabulary in pipe.vocabularies.values()]
        return [(encode[0](p.source).ids, encode[1](p.target).ids) for p in self.train]

    def _config(self) -> Any:
        train, dev = self.pairs.train, self.pairs.dev
        mean = sum(len(p.source) + len(p.target) for p in self.train) / len(self.train)
        overrides = {
            "paths.train": str(train[0]),
            "paths.train_target": train[1] and str(train[1]),
            "paths.dev": str(dev[0]),
            "paths.dev_target": dev[1] and str(dev[1]),
            "corpora.train.limit": len(self.train),
            "corpora.train.max_length": 0,
            "training.batcher.size": int(ROWS * mean * PADDING),
            "training.max_steps": self.updates,
            "training.optimizer.learn_rate.warmup_steps": self.updates // 10,
            "training.eval_frequency": 10**9,
            "components.translator.generation.beam_size": BEAM,
            "components.translator.generation.length_alpha": ALPHA,
            "components.translator.generation.max_length": self.max_length,
            **self.overrides,
        }
        return load_config(CONFIG, overrides=overrides, interpolate=False)

    @functools.cached_property
    def _trained_pair(self) -> tuple[Any, AttentionAfter]:
        """A model trained a little, so that its translations end, and the plain one with
        the same weights."""
        if not (self.model / "meta.json").exists():
            msg.info(f"Training a model for {self.updates} updates")
            stepper = SpacySteps(self._config(), self._count_symbols)
            stepper.run(self.updates)
            stepper.nlp.to_disk(self.model)
        nlp = spacy.load(self.model)  # as it is used: not in training any more
        pipe: Any = nlp.get_pipe("translator")
        settings = self._config()["components"]["translator"]["generation"]
        pipe.options = pipe.options.changed(settings)  # also of a model kept from another time
        net = _plain_net(AttentionAfter, pipe)
        copy_weights(get_shim(pipe.model).net, net)
        return nlp, net.eval()


def copy_weights(ours: Any, net: AttentionAfter) -> None:
    """Give the plain model the weights of ours."""
    parts = (
        (net.source, ours.encoder.embedding),
        (net.encoder, ours.encoder.rnn),
        (net.bridge, ours.bridge.weights[0]),
        (net.target, ours.decoder.embedding),
        (net.query, ours.decoder.attention.query),
        (net.key, ours.decoder.attention.key),
        (net.energy, ours.decoder.attention.energy),
        (net.decoder, ours.decoder.rnn),
        (net.combine, ours.decoder.combine),
        (net.project, ours.decoder.projection),
        (net.output, ours.decoder.output),
    )
    for mine, theirs in parts:
        mine.load_state_dict(theirs.state_dict())


def _plain_net(kind: Any, pipe: Any) -> Any:
    """A plain model of the sizes of ours."""
    decoder = get_shim(pipe.model).net.decoder
    return kind(
        len(pipe.source_vocabulary),
        len(pipe.target_vocabulary),
        embedding=decoder.embedding.embedding_dim,
        hidden=decoder.rnn.hidden_size,
    )


def _count_parameters(net: torch.nn.Module) -> int:
    return sum(item.numel() for item in net.parameters())


def _translate(nlp: Any, texts: Sequence[str], rows: int) -> list[str]:
    return [doc._.translation for doc in nlp.pipe(texts, batch_size=rows)]


def _translate_plainly(net: Translator, pipe: Any, texts: Sequence[str], rows: int) -> list[str]:
    options = pipe.options
    found: list[str] = []
    for first in range(0, len(texts), rows):
        ids = [pipe.source_vocabulary.encode(text).ids for text in texts[first : first + rows]]
        best = beam_search(
            net,
            [item.tolist() for item in ids],
            size=options.beam_size,
            max_length=options.max_length,
            alpha=options.length_alpha,
        )
        found += [pipe.target_vocabulary.decode(item) for item in best]
    return found
