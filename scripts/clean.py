"""Remove what the workflows of project.yml made. Assets stay, and trainings of your own.

python scripts/clean.py
"""

import shutil
from pathlib import Path

import typer
from wasabi import msg

MADE = (
    "metrics", "packages", "training/topics", "training/shakespeare", "training/phrasebook",
    "training/phrasebook-plain", "training/translator*-*-*", "training/tatoeba",
    "training/sentiment", "training/sst2-*", "training/scenes", "training/emoji-*-*",
    "training/flickr8k", "training/report.html", "training/report.md", "training/report_figures",
    "corpus/topics.txt", "corpus/phrasebook", "corpus/sentiment", "corpus/sst2", "corpus/tatoeba",
    "corpus/scenes", "corpus/emoji-*-*",
)  # fmt: skip


def main(root: Path = Path()) -> None:
    """Other files and folders stay as they are."""
    found = [path for pattern in MADE for path in sorted(root.glob(pattern))]
    for path in found:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    msg.good(f"Removed {', '.join(map(str, found)) or 'nothing'}")


if __name__ == "__main__":
    typer.run(main)
