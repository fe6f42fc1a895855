"""Sentence pairs to measure translators with."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PHRASEBOOK = Path(__file__).parents[1] / "scripts" / "make_phrasebook.py"


@dataclass
class Pairs:
    """Files of sentence pairs.

    name (str): What they are.
    train, dev (tuple[Path, Path | None]): The pairs in one file, or sources and
        translations in two.
    """

    name: str
    train: tuple[Path, Path | None]
    dev: tuple[Path, Path | None]


def find_pairs(folder: Path, workspace: Path) -> Pairs:
    """Multi30k, English to German, if it was fetched; otherwise the phrasebook, English to
    French, which is written into the workspace."""
    parts = [folder / f"{part}.{lang}.gz" for part in ("train", "val") for lang in ("en", "de")]
    if all(path.exists() for path in parts):
        return Pairs("Multi30k en-de", (parts[0], parts[1]), (parts[2], parts[3]))
    output = workspace / "phrasebook"
    command = [sys.executable, str(PHRASEBOOK), str(output)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Pairs("the phrasebook", (output / "train.tsv", None), (output / "dev.tsv", None))
