"""Split sentence pairs into training, development and test data by their source side, so that
no sentence is in two of them, however many translations it has.

    python scripts/split_pairs.py assets/fra.txt corpus/tatoeba

reads pairs as manythings.org/anki publishes them (source TAB translation TAB attribution; plain or
.gz) and writes train.tsv, dev.tsv, test.tsv and samples.txt, ten sources of the test data. Which
part a sentence goes to follows from the sentence itself: the same with every version of the file.
"""

import argparse
import hashlib
import random
from pathlib import Path

from spacy_seqgen.parallel import read_pairs
from spacy_seqgen.textfiles import TextFileError

SHARE = 50  # one source of so many is for development, and one for testing
LONGEST = 300  # characters of a side
SAMPLES = 10


def find_part(source: str) -> str:
    """The part that a source belongs to."""
    number = int.from_bytes(
        hashlib.blake2b(source.casefold().encode(), digest_size=8).digest(), "big"
    )
    return {0: "dev", 1: "test"}.get(number % SHARE, "train")


def split_pairs(path: Path, output: Path) -> dict[str, int]:
    """RETURNS (dict[str, int]): How many pairs each part has."""
    parts: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    # One translation of each sentence to test on: exact matches mean little otherwise.
    seen: set[str] = set()
    for pair in read_pairs(path):
        source, target = pair.source.strip(), pair.target.strip()
        if not source or not target or max(len(source), len(target)) > LONGEST:
            continue
        part = find_part(source)
        if part != "train" and source.casefold() in seen:
            continue
        seen.add(source.casefold())
        parts[part].append(f"{source}\t{target}\n")
    output.mkdir(parents=True, exist_ok=True)
    for part, lines in parts.items():
        random.Random(part).shuffle(lines)  # the file goes from short to long
        (output / f"{part}.tsv").write_text("".join(lines), encoding="utf8", newline="\n")
    samples = [line.partition("\t")[0] + "\n" for line in parts["test"][:SAMPLES]]
    (output / "samples.txt").write_text("".join(samples), encoding="utf8", newline="\n")
    return {part: len(lines) for part, lines in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path, help="the pairs")
    parser.add_argument("output", type=Path, help="directory to write to")
    arguments = parser.parse_args()
    try:
        counts = split_pairs(arguments.path, arguments.output)
    except TextFileError as error:
        parser.exit(1, f"Can't read the pairs: {error}\n")
    except OSError as error:
        parser.exit(1, f"Can't write to {arguments.output}: {error.strerror or error}\n")
    if empty := [part for part, count in counts.items() if not count]:
        parser.exit(1, f"{arguments.path} has too few pairs: none for {', '.join(empty)}\n")
    shown = ", ".join(f"{count:,} for {part}" for part, count in counts.items())
    print(f"Pairs: {shown}")


if __name__ == "__main__":
    main()
