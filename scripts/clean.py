"""Remove what the workflows of project.yml made. Assets stay, and trainings of your own.

python scripts/clean.py
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import typer
from wasabi import msg

MADE = (
    *(f"metrics/{name}.json" for name in (
        "topics", "shakespeare_dev", "shakespeare_test", "phrasebook", "phrasebook-plain",
        "translator-??-??", "translator_plain-??-??", "translator_transformer-??-??", "tatoeba",
        "sentiment", "sst2-textcat_*", "scenes", "scenes_heldout", "flickr8k", "emoji-noto-??",
        "emoji-twemoji-??", "emoji-fluent-??", "emoji-openmoji-??",
    )),
    "packages/en_topics_lm-*", "packages/en_shakespeare_lm-*",
    "packages/en_phrasebook_translator-*", "packages/en_snippet_sentiment-*",
    "packages/en_scenes_captioner-*", "training/topics",
    "training/shakespeare", "training/phrasebook", "training/phrasebook-plain",
    "training/translator-??-??", "training/translator_plain-??-??",
    "training/translator_transformer-??-??", "training/tatoeba",
    "training/sentiment", "training/sst2-textcat_*", "training/scenes",
    *(f"{folder}/emoji-{style}-??" for folder in ("training", "corpus")
      for style in ("noto", "twemoji", "fluent", "openmoji")),
    "training/flickr8k", "training/report.html", "training/report.md", "training/report_figures",
    "corpus/topics.txt", "corpus/phrasebook", "corpus/sentiment", "corpus/sst2", "corpus/tatoeba",
    "corpus/scenes",
)  # fmt: skip


def main(root: Path = Path()) -> None:
    """Other files and folders stay as they are."""
    found = [path for pattern in MADE for path in sorted(root.glob(pattern))]
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    left = [path for path in found if os.path.lexists(path)]
    removed = [path for path in found if path not in left]
    msg.good(f"Removed {', '.join(map(str, removed)) or 'nothing'}")
    if left:
        msg.fail(f"Can't remove {', '.join(map(str, left))}", exits=1)


if __name__ == "__main__":
    typer.run(main)
