"""Draw emoji in four styles, with their names as captions.

    pip install emoji resvg-py
    python scripts/make_emoji.py assets/emoji corpus/emoji --held-out openmoji --language en

Emoji that all styles have, without skin tones, flags, digits and letters. train.jsonl and
dev.jsonl have three styles, test.jsonl the fourth, which the others never show. Of some emoji
one drawing is in dev.jsonl, and the other two are in train.jsonl.
"""

import json
import random
import tarfile
from pathlib import Path
from typing import Any

import srsly
import typer
from wasabi import msg

STYLES = {
    "fluent": "iconify-json-fluent-emoji-flat-1.2.6.tgz",
    "noto": "iconify-json-noto-1.2.9.tgz",
    "openmoji": "iconify-json-openmoji-1.2.29.tgz",
    "twemoji": "iconify-json-twemoji-1.2.5.tgz",
}
_VARIATION = 0xFE0F  # says that a character is to be drawn as emoji
_TONES = range(0x1F3FB, 0x1F400)
_FLAGS = range(0x1F1E6, 0x1F200)
_LETTERS = range(0x100)  # and digits
_DEV = 0.1  # of the emoji have a drawing there


def main(
    assets: Path,
    folder: Path,
    held_out: str = "openmoji",
    language: str = "en",
    size: int = 160,
    seed: int = 0,
) -> None:
    """ASSETS has the packages of the four styles; FOLDER is made. HELD_OUT is the style of
    the test, LANGUAGE one of en, fr, de and es, SIZE that of the pictures in pixels."""
    for name, value, known in (
        ("held-out", held_out, list(STYLES)),
        ("language", language, ["en", "fr", "de", "es"]),
    ):
        if value not in known:
            msg.fail(f"--{name} must be one of {', '.join(known)}, got {value}", exits=1)
    try:
        write_corpus(assets, folder, held_out, language, size, seed)
    except ImportError as error:
        msg.fail(
            f"Can't draw emoji: {error}. Install what is needed: pip install '.[emoji]'", exits=1
        )
    except (tarfile.TarError, EOFError, ValueError, KeyError) as error:
        wrong = f"{type(error).__name__}: {error}"
        msg.fail(f"The drawings in {assets} can't be read ({wrong}): fetch them anew", exits=1)
    except OSError as error:
        at = error.filename or folder
        msg.fail(f"Can't make {folder}: {at}: {error.strerror or error}", exits=1)


def write_corpus(
    assets: Path, folder: Path, held_out: str, language: str, size: int, seed: int
) -> None:
    """RAISES (OSError): If a file can't be read or written."""
    names = find_names(language)
    icons = {style: read_icons(assets / file) for style, file in STYLES.items()}
    keys = sorted(set(names).intersection(*icons.values()))
    for style, found in icons.items():
        (folder / "images" / style).mkdir(parents=True, exist_ok=True)
        for key in keys:
            file = folder / "images" / style / f"{key}-{size}.png"
            if not file.exists():  # whole, where an earlier run was stopped
                part = file.with_suffix(".part")
                part.write_bytes(draw(found[key], size))
                part.replace(file)
    rng = random.Random(seed)
    known = [style for style in STYLES if style != held_out]
    left_out = {key: rng.choice(known) for key in keys if rng.random() < _DEV}
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "dev": [], "test": []}
    for style in STYLES:
        for key in keys:
            split = "test" if style == held_out else "train"
            split = "dev" if left_out.get(key) == style else split
            image = f"images/{style}/{key}-{size}.png"
            rows[split].append({"image": image, "captions": [names[key]]})
    for split, items in rows.items():
        srsly.write_jsonl(folder / f"{split}.jsonl", items)
    msg.good(f"Drew {len(keys)} emoji in {len(STYLES)} styles in {folder}; {held_out} for the test")


def find_names(language: str) -> dict[str, str]:
    """The names of emoji, by their code points."""
    import emoji

    emoji.config.load_language(language)
    found = {}
    for text, data in emoji.EMOJI_DATA.items():
        if data["status"] != emoji.STATUS["fully_qualified"] or language not in data:
            continue
        points = [ord(char) for char in text if ord(char) != _VARIATION]
        if not any(p in _TONES or p in _FLAGS or p in _LETTERS for p in points):
            found[find_key(points)] = data[language].strip(":").replace("_", " ")
    return found


def find_key(points: list[int]) -> str:
    return "-".join(f"{point:x}" for point in points if point != _VARIATION)


def read_icons(path: Path) -> dict[str, str]:
    """The drawings of a style, SVG, by the code points of the emoji."""
    with tarfile.open(path) as archive:
        chars, icons = (json.load(_member(archive, name)) for name in ("chars", "icons"))
    found = {}
    for points, name in chars.items():
        icon = icons["icons"].get(name)
        if icon:
            width, height = (icon.get(k, icons.get(k, 16)) for k in ("width", "height"))
            left, top = (icon.get(k, icons.get(k, 0)) for k in ("left", "top"))
            found[find_key([int(point, 16) for point in points.split("-")])] = (
                '<svg xmlns="http://www.w3.org/2000/svg" '
                'xmlns:xlink="http://www.w3.org/1999/xlink" '
                f'viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'
            )
    return found


def _member(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(f"package/{name}.json")
    if file is None:
        raise ValueError(f"There is no {name}.json in {archive.name!r}")
    return file


def draw(svg: str, size: int) -> bytes:
    """As PNG, transparent around it."""
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size))


if __name__ == "__main__":
    typer.run(main)
