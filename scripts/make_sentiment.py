"""Labelled movie snippets for the sentiment workflow, from the sources of vaderSentiment (Hutto
and Gilbert 2014; MIT licence), which hold 10,605 snippets with the mean of 20 human ratings:

    python scripts/make_sentiment.py corpus/sentiment

The package index gives the file; put it into the folder "assets" yourself where there is none.
Snippets that people did not find clearly positive or negative are left out.
"""

import hashlib
import io
import random
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

PACKAGE = "vaderSentiment-3.3.2"
MD5 = "a04f43dfcc57119bcabaa12f356c8c40"
RATINGS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
CLEAR = 0.5  # of a mean rating, from -4 to 4
SIZES = {"train": 1600, "dev": 300, "test": 600}


def main(
    output: Annotated[Path, typer.Argument(help="Folder to write to")],
    assets: Annotated[Path, typer.Option(help="Folder of the sources")] = Path("assets"),
) -> None:
    """Write train.tsv, dev.tsv and test.tsv: text TAB label."""
    archive = fetch(assets)
    snippets = read_snippets(archive)
    random.Random(0).shuffle(snippets)
    try:
        write_parts(snippets, output)
    except OSError as error:
        msg.fail(f"Can't write to {output}: {error.strerror or error}", exits=1)
    msg.good(f"Wrote {sum(SIZES.values())} of {len(snippets)} snippets to {output}")


def write_parts(snippets: list[tuple[str, str]], output: Path) -> None:
    """RAISES (OSError): If a file can't be written."""
    output.mkdir(parents=True, exist_ok=True)
    first = 0
    for name, size in SIZES.items():
        chosen = snippets[first : first + size]
        first += size
        lines = "".join(f"{text}\t{label}\n" for text, label in chosen)
        (output / f"{name}.tsv").write_text(lines, encoding="utf8")


def fetch(assets: Path) -> Path:
    """The sources of the package, downloaded unless they are there."""
    archive = assets / f"{PACKAGE}.tar.gz"
    if not archive.exists():
        try:
            assets.mkdir(parents=True, exist_ok=True)
            # Elsewhere first: nobody takes a part of a file for the file.
            with tempfile.TemporaryDirectory(dir=assets) as folder:
                _download(folder, assets)
                (Path(folder) / archive.name).replace(archive)
        except OSError as error:
            msg.fail(f"Can't write to {assets}: {error.strerror or error}", exits=1)
    found = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    if found != MD5:
        msg.fail(
            f"{archive} is another file than expected",
            f"MD5 {found}, not {MD5}: delete it, and run this again",
            exits=1,
        )
    return archive


def _download(folder: str, assets: Path) -> None:
    name, _, version = PACKAGE.partition("-")
    command = ["download", "--quiet", "--no-deps", "--no-build-isolation", "--no-binary"]
    command += [":all:", f"{name}=={version}", "--dest", folder]
    done = subprocess.run([sys.executable, "-m", "pip", *command], stderr=subprocess.PIPE)
    if done.returncode:
        reasons = done.stderr.decode(errors="replace").strip().splitlines() or ["pip failed"]
        msg.fail(
            f"Can't download {PACKAGE}.tar.gz: {reasons[-1].removeprefix('ERROR: ')}",
            f"Without a network, put it into {assets} yourself",
            exits=1,
        )


def read_snippets(archive: Path) -> list[tuple[str, str]]:
    """Distinct snippets that were clearly rated, with "positive" or "negative"."""
    with tarfile.open(archive) as outer:
        inside = outer.extractfile(f"{PACKAGE}/additional_resources/hutto_ICWSM_2014.tar.gz")
        assert inside is not None
        with tarfile.open(fileobj=io.BytesIO(inside.read())) as inner:
            ratings = inner.extractfile(RATINGS)
            assert ratings is not None
            lines = ratings.read().decode("latin-1").splitlines()
    found = {}
    for line in lines:
        _, rating, text = line.split("\t", 2)
        if abs(float(rating)) >= CLEAR:
            found[" ".join(text.split())] = "positive" if float(rating) > 0 else "negative"
    return list(found.items())


if __name__ == "__main__":
    typer.run(main)
