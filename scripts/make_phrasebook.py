"""Write an English-French phrasebook to train a small translator on: pairs.tsv files with
the word alignment beside them.

The sentences come from a grammar, so that agreement, elision and word order are known to
be right and the alignment is known exactly. Everything is decided by a seed.
"""

import random
import re
from pathlib import Path

import typer
from phrasebook_grammar import Phrase, patterns
from phrasebook_words import Unit
from wasabi import msg

SIZE = 24_000
TOKEN = re.compile(r"\w+|[^\w\s]")


def write_out(units: tuple[Unit, ...], side: int) -> tuple[str, list[int]]:
    """The text of one side, and for each of its tokens the index of its unit."""
    words = [unit[side] for unit in units]
    stop = [] if words[-1] in ("?", "!") else ["."]
    text, owners = "", []
    for number, word in enumerate([*words, *stop]):
        glued = not text or text.endswith("'") or word in (".", "'s", "")
        if side == 0 and word in ("?", "!"):
            glued = True
        text += word if glued else " " + word
        owners += [number] * len(TOKEN.findall(word))
    return text[0].upper() + text[1:], owners


def make_pair(phrase: Phrase) -> tuple[str, str, str]:
    """English, French, and the alignment: "i-j" for token i of the one and j of the other."""
    en, en_units = write_out(phrase.en, 0)
    fr, fr_units = write_out(phrase.fr, 1)
    names = {id(unit): n for n, unit in enumerate(phrase.en)}
    to_en = [names.get(id(unit), -1) for unit in phrase.fr] + [len(phrase.en)]
    links = [
        f"{i}-{j}"
        for i, unit in enumerate(en_units)
        for j, other in enumerate(fr_units)
        if to_en[other] == unit
    ]
    return en, fr, " ".join(links)


def sample_pairs(size: int, seed: int) -> list[tuple[str, str, str]]:
    """Distinct pairs, each pattern in turn for as long as it lasts."""
    rng = random.Random(seed)
    stock = [
        map(pattern.sentence, rng.sample(range(len(pattern)), min(size, len(pattern))))
        for pattern in patterns()
    ]
    pairs: dict[str, tuple[str, str, str]] = {}
    while stock and len(pairs) < size:
        for pattern in list(stock):
            phrase = next(pattern, None)
            if phrase is None:
                stock.remove(pattern)
                continue
            pair = make_pair(phrase)
            pairs.setdefault(pair[0], pair)
    found = list(pairs.values())[:size]
    rng.shuffle(found)
    return found


def write_parts(parts: dict[str, list[tuple[str, str, str]]], output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        rows = "".join(f"{en}\t{fr}\n" for en, fr, _ in part)
        (output / f"{name}.tsv").write_text(rows, encoding="utf8", newline="\n")
        links = "".join(f"{found}\n" for _, _, found in part)
        (output / f"{name}.align").write_text(links, encoding="utf8", newline="\n")
    samples = "".join(f"{en}\n" for en, _, _ in parts["test"][:10])
    (output / "samples.txt").write_text(samples, encoding="utf8", newline="\n")


def main(output: Path, size: int = SIZE, seed: int = 0) -> None:
    """Write train.tsv, dev.tsv and test.tsv (English, French), beside each an .align with
    "i-j" for token i of the one and j of the other, and ten sentences as samples.txt."""
    pairs = sample_pairs(size, seed)
    held = len(pairs) // 24
    parts = {"test": pairs[:held], "dev": pairs[held : 2 * held], "train": pairs[2 * held :]}
    try:
        write_parts(parts, output)
    except OSError as error:
        msg.fail(f"Can't write to {output}: {error.strerror or error}", exits=1)
    sizes = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
    msg.good(f"Wrote {len(pairs)} pairs to {output} ({sizes})")


if __name__ == "__main__":
    typer.run(main)
