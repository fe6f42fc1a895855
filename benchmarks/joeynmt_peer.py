"""JoeyNMT (Kreutzer et al. 2019, https://arxiv.org/abs/1907.12484) beside ours.

It runs in a process of its own, because its dependencies may not agree with ours: this file
is also the script of that process, which reads a command from each line of standard input
and answers with a line. Needs an environment with `pip install joeynmt==2.3.0
importlib_metadata`.
"""

import contextlib
import itertools
import json
import logging
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

INSTALL = "pip install joeynmt==2.3.0 importlib_metadata"  # which it imports and doesn't ask for
_FIRST = 4  # the first symbol behind the special ones, of which both have so many


class PeerError(RuntimeError):
    """JoeyNMT does not run."""


class Peer:
    """JoeyNMT with the sizes, the symbols and the pairs of our model.

    python (str): The interpreter of its environment.
    folder (Path): Where to put data.
    train (Sequence): Ids of sources and translations, without `<s>` and `</s>`.
    dev (Sequence): Ids of the sources to translate.
    settings (dict): source_size, target_size, embedding, hidden, rows, beam, alpha, and
        length: that of all translations, or None for those that JoeyNMT ends itself, within
        the limit that it sets: half as many symbols again as the source has.
    RAISES (PeerError): If it does not start.
    """

    def __init__(
        self,
        python: str,
        folder: Path,
        *,
        train: Sequence[tuple[Sequence[int], Sequence[int]]],
        dev: Sequence[Sequence[int]],
        **settings: Any,
    ):
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "train.src", (source for source, _ in train))
        _write(folder / "train.trg", (target for _, target in train))
        _write(folder / "dev.src", dev)
        for name, size in (("src", "source_size"), ("trg", "target_size")):
            symbols = range(_FIRST, settings[size])
            _write(folder / f"vocabulary.{name}", ([number] for number in symbols))
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf8")
        self.process = subprocess.Popen(
            [python, __file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.parameters: int = self._answer()["parameters"]

    def train(self, steps: int) -> float:
        """RETURNS (float): Symbols of translations learned from, `</s>` included."""
        return float(self._ask(train=steps)["units"])

    def translate(self, rows: int) -> list[list[int]]:
        """RETURNS (list[list[int]]): Ids of the translations of the dev sentences."""
        texts = self._ask(translate=rows)["texts"]
        return [[int(symbol) for symbol in text.split() if symbol.isdigit()] for text in texts]

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *error: Any) -> None:
        self.process.communicate()  # it ends when there are no more commands

    def _ask(self, **command: int) -> dict[str, Any]:
        assert self.process.stdin
        print(json.dumps(command), file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            self.process.communicate()
            raise PeerError(
                f"The process of JoeyNMT ended with {self.process.returncode}; what it wrote is "
                f"above. Its environment needs: {INSTALL}"
            )
        return dict(json.loads(line))


def _write(path: Path, rows: Iterable[Sequence[int]]) -> None:
    with path.open("w", encoding="utf8", newline="\n") as file:
        file.writelines(" ".join(map(str, row)) + "\n" for row in rows)


# The process of its own, from here. It knows nothing of spacy_seqgen.


def make_config(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """JoeyNMT's configuration: bidirectional GRU, additive attention, input feeding (its
    way), tied softmax, Adam, label smoothing, as the configs that it brings along."""
    embedding, hidden = settings["embedding"], settings["hidden"]
    embeddings = {"embedding_dim": embedding, "dropout": 0.3}
    both = {"type": "recurrent", "rnn_type": "gru", "num_layers": 1, "dropout": 0.3}

    def side(name: str) -> dict[str, Any]:
        return {"lang": name, "level": "word", "voc_file": str(folder / f"vocabulary.{name}")}

    return {
        "name": "peer",
        "model_dir": str(folder),
        "use_cuda": False,
        "random_seed": 0,
        "data": {
            "train": str(folder / "train"),
            "dev": str(folder / "dev"),
            "dataset_type": "plain",
            "src": side("src"),
            "trg": side("trg"),
        },
        "training": {
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "scheduling": "exponential",  # from epoch to epoch: never stepped here
            "clip_grad_norm": 1.0,
            "batch_size": settings["rows"],
            "batch_type": "sentence",
            "normalization": "tokens",
            "label_smoothing": 0.1,
        },
        "testing": {
            "batch_size": settings["rows"],
            "batch_type": "sentence",
            "beam_size": settings["beam"],
            "beam_alpha": settings["alpha"],
            "min_output_length": settings["length"] or 1,
            "max_output_length": settings["length"] or -1,
            "generate_unk": False,
        },
        "model": {
            "tied_softmax": embedding == hidden,
            "encoder": {
                **both,
                "embeddings": embeddings,
                "hidden_size": hidden // 2,
                "bidirectional": True,
            },
            "decoder": {
                **both,
                "embeddings": embeddings,
                "hidden_size": hidden,
                "hidden_dropout": 0.3,
                "attention": "bahdanau",
                "init_hidden": "bridge",
                "input_feeding": True,
            },
        },
    }


def main(folder: Path) -> None:
    import torch
    from joeynmt.config import parse_global_args
    from joeynmt.prediction import predict, prepare
    from joeynmt.training import TrainManager

    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf8"))
    args = parse_global_args(make_config(folder, settings), mode="train")
    model, train_data, dev_data, _ = prepare(args, rank=0, mode="train")
    trainer = TrainManager(
        rank=0,
        model=model,
        model_dir=folder,
        device=args.device,
        autocast=args.autocast,
        train_args=args.train,
        dev_args=args.test,
    )
    batches = _batches(train_data, model, args)

    def train(steps: int) -> dict[str, Any]:
        """What `TrainManager.train_and_validate` does between two logs."""
        model.train()
        model.zero_grad()
        units = 0
        for batch in itertools.islice(batches, steps):
            trainer._train_step(batch)
            trainer.clip_grad_fun(parameters=model.parameters())
            trainer.optimizer.step()
            model.zero_grad()
            units += int(batch.ntokens)
        return {"units": units}

    def translate(rows: int) -> dict[str, Any]:
        test = args.test._replace(batch_size=rows)
        found = predict(model, dev_data, args.device, 0, args=test, autocast=args.autocast)
        return {"texts": found[2]}

    commands = {"train": train, "translate": translate}
    answers = sys.stdout
    parameters = sum(item.numel() for item in model.parameters())
    print(json.dumps({"parameters": parameters}), file=answers, flush=True)
    for line in sys.stdin:
        ((name, value),) = json.loads(line).items()
        with contextlib.redirect_stdout(sys.stderr):
            answer = commands[name](value)
        print(json.dumps(answer), file=answers, flush=True)


def _batches(data: Any, model: Any, args: Any) -> Iterator[Any]:
    found = data.make_iter(
        batch_size=args.train.batch_size,
        batch_type=args.train.batch_type,
        seed=args.seed,
        shuffle=True,
        eos_index=model.eos_index,
        pad_index=model.pad_index,
        device=args.device,
    )
    for epoch in itertools.count(1):
        data.seed = args.seed + epoch
        found.batch_sampler.set_seed(args.seed + epoch)
        yield from found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
