import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from spacy_seqgen.pictures import (
    Picture,
    PictureError,
    PictureSettings,
    find_picture,
    read_picture,
    reading,
)
from spacy_seqgen.pictures.augmenting import Augmenter
from spacy_seqgen.pictures.loading import read_ahead
from spacy_seqgen.pictures.reading import MOST_PIXELS

RED, GREEN, WHITE = (255, 0, 0), (0, 128, 0), (255, 255, 255)


def read(content, **settings):
    return read_picture(Picture("it", content), **settings)


def encoded(image, kind="PNG", **settings):
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def image(mode="RGB", color=RED, size=(8, 6)):
    return Image.new(mode, size, color)


@pytest.mark.parametrize(
    "content,expected",
    [
        (encoded(image()), RED),
        (encoded(image("L", 100)), (100, 100, 100)),
        (encoded(image("1", 1)), WHITE),
        (encoded(image("RGBA", (255, 0, 0, 0))), WHITE),  # on white
        (encoded(image("RGBA", (0, 0, 0, 127))), (128, 128, 128)),
        (encoded(image("LA", (0, 0))), WHITE),
        (encoded(image().convert("P")), RED),
        (encoded(image("CMYK", (0, 255, 255, 0)), "TIFF"), RED),
        (encoded(image("I;16", 32896)), (128, 128, 128)),
        (encoded(image("P", 0), transparency=0), WHITE),
        (image("LAB", (136, 208, 195)), (250, 3, 11)),
        (image("I", 32896), (128, 128, 128)),
        (image("I;16", 200), (1, 1, 1)),  # dark, but not black
        (image("F", 0.5), (128, 128, 128)),
        (image("F", float("nan")), (0, 0, 0)),
        (encoded(image("I;16", 200), transparency=200), WHITE),
        (image("RGBA", (255, 0, 0, 0)).convert("RGBa"), WHITE),
        (image("LA", (0, 0)).convert("La"), WHITE),
        (image(), RED),
        (np.full((6, 8, 3), RED, dtype=np.uint8), RED),
        (np.full((6, 8), 0.5, dtype=np.float32), (128, 128, 128)),
        (np.full((6, 8, 1), 7, dtype=np.uint8), (7, 7, 7)),
        (np.ones((6, 8), dtype=bool), WHITE),
    ],
)
def test_every_kind_becomes_red_green_and_blue(content, expected):
    found = read(content)
    assert found.mode == "RGB" and found.size == (8, 6)
    assert found.getpixel((3, 3)) == expected


def test_the_first_frame_of_an_animation():
    frames = [image(color=RED), image(color=GREEN)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read(data).getpixel((0, 0)) == RED


def test_turned_as_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    assert read(encoded(image(), "JPEG", exif=exif)).size == (6, 8)


def huge_png(side=30_000):
    """A picture that says it is large, in some bytes."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content,message",
    [
        (b"", "is empty"),
        (b"This is text.\n" * 20, "no picture of a known kind"),
        (encoded(Image.effect_noise((64, 64), 50), "JPEG")[:300], "can't be decoded"),
        (huge_png(), r"pixels, more than max_pixels \(50,000,000\)"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "SVG, which is not supported"),
        (b'<?xml version="1.0"?>\n<svg></svg>', "SVG, which is not supported"),
        (b"<!-- of a drawing program -->\n<svg></svg>", "SVG, which is not supported"),
        (b"<!-- " + b"long " * 2000 + b"-->\n<svg></svg>", "SVG, which is not supported"),
        ("<svg></svg>".encode("utf-16"), "SVG, which is not supported"),
        (encoded(image(size=(16, 16)), "ICO"), "no picture of a known kind"),
        (image(size=(0, 5)), "no pixels"),
        (np.zeros((8000, 8000), np.bool_), "max_pixels"),
        (np.zeros((3, 4, 5), np.uint8), "shape"),
        (np.zeros((0, 4), np.uint8), "shape"),
        (np.zeros((4, 4), np.int32), "uint8"),
        (np.full((4, 4), 2.0), "from 0 to 1"),
        (np.full((4, 4), np.nan), "from 0 to 1"),
    ],
)
def test_what_is_wrong_is_said(content, message):
    with pytest.raises(PictureError, match=message) as error:
        read(content)
    assert "it" in str(error.value)


def test_one_pixel():
    found = PictureSettings(size=16).load(Picture("it", encoded(image(size=(1, 1)))))
    assert found.shape == (3, 16, 16) and found.dtype == np.uint8
    assert (found[0] == 255).all() and (found[1:] == 0).all()


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize(
    "resample", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
)
def test_filters(fit, resample):
    values = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    found = PictureSettings(size=4, fit=fit, resample=resample).load(Picture("it", values))
    expected = Image.fromarray(values).resize((4, 4), Image.Resampling[resample.upper()])
    np.testing.assert_array_equal(found.transpose(1, 2, 0), np.asarray(expected))


@pytest.mark.parametrize("fit,color", [("crop", RED), ("stretch", RED), ("pad", WHITE)])
def test_other_shapes(fit, color):
    wide = Picture("it", image(size=(40, 10)))
    found = PictureSettings(size=20, fit=fit).load(wide)
    assert tuple(found[:, 0, 10]) == color
    assert tuple(found[:, 10, 10]) == RED


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (30, 7), (7, 30)])
def test_thin_pictures_are_padded(size):
    found = PictureSettings(size=16, fit="pad").to_size(image(size=size))
    assert found.size == (16, 16)
    assert found.getpixel((8, 8)) == RED and found.getpixel((0, 0)) != found.getpixel((8, 8))
    if min(size) > 1:
        expected = ImageOps.pad(image(size=size), (16, 16), color=WHITE)
        assert found.tobytes() == expected.tobytes()


def test_large_jpeg_files_are_decoded_at_a_part_of_their_size():
    data = encoded(image(size=(4096, 2048)), "JPEG")
    assert read(data).size == (2048, 1024)
    assert read(data, size=2000).size == (4096, 2048)  # no less than is needed
    mine = Image.open(io.BytesIO(data))
    assert read(mine).size == mine.size == (4096, 2048)
    assert MOST_PIXELS == 2 * Image.MAX_IMAGE_PIXELS


def test_only_files_and_not_any_size(tmp_path, monkeypatch):
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(PictureError, match=r"pipe\.png is a pipe, socket or device"):
            find_picture("pipe.png", tmp_path)
    (tmp_path / "a.png").write_bytes(encoded(image()))
    monkeypatch.setattr(reading, "MOST_BYTES", 10)
    with pytest.raises(PictureError, match=r"a\.png has .* more than the limit of 10"):
        read_picture(find_picture("a.png", tmp_path))


def test_names(tmp_path, monkeypatch):
    inside = tmp_path / "pictures"
    inside.mkdir()
    for place in (inside / "ünï 猫.png", tmp_path / "secret.png"):
        place.write_bytes(encoded(image()))
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    assert read_picture(find_picture("ünï 猫.png", inside)).size == (8, 6)
    assert find_picture(str(inside / "ünï 猫.png"), inside).key
    for name in ("../secret.png", str(tmp_path / "secret.png"), "link.png"):
        with pytest.raises(PictureError, match="outside of image_dir"):
            find_picture(name, inside)
    monkeypatch.chdir(tmp_path)
    assert find_picture("secret.png").name == "secret.png"


@pytest.mark.parametrize(
    "name,message",
    [
        ("missing.png", "There is no picture missing.png"),
        (".", "is a directory"),
        (" ", "is empty"),
        ("http://127.0.0.1/a.png", "not fetched"),
        (str(Path("http://127.0.0.1/a.png")), "not fetched"),
        ("file:///etc/passwd", "not fetched"),
        ("data:image/png;base64,AAAA", "not fetched"),
        ("a\0b", "null character"),
        ("x" * 5000, "Can't read"),
        ("\ud800.png", "Can't read"),
    ],
)
def test_bad_names(name, message):
    with pytest.raises(PictureError, match=message):
        find_picture(name)


def test_augmenting_depends_on_the_seed_only():
    noise = Image.effect_noise((16, 16), 60).convert("RGB")
    augment = Augmenter(
        crop=0.5, flip=0.5, rotate=20, brightness=0.5, contrast=0.5, saturation=0.5, hue=0.2,
        gray=0.3, invert=0.3,
    )  # fmt: skip
    settings = PictureSettings(size=16, augmenter=augment)
    load = [settings.load(Picture("it", noise), seed) for seed in ("1", "1", "2", None)]
    assert np.array_equal(load[0], load[1])
    assert not np.array_equal(load[0], load[2])
    assert np.array_equal(load[3], np.asarray(noise).transpose(2, 0, 1))
    nothing = Augmenter(crop=1.0, brightness=0.0, contrast=0.0, saturation=0.0)
    assert np.array_equal(np.asarray(nothing(noise, "1")), np.asarray(noise))


@pytest.mark.parametrize("setting", [{"crop": 0}, {"flip": 2}, {"rotate": -1}, {"hue": 1.5}])
def test_impossible_augmentation(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        Augmenter(**setting)


@pytest.mark.parametrize(
    "setting",
    [
        {"size": 0},
        {"fit": "no"},
        {"resample": "no"},
        {"workers": 0},
        {"max_pixels": MOST_PIXELS + 1},
    ],
)
def test_impossible_settings(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        PictureSettings(**setting)


def test_pictures_are_read_one_batch_ahead_and_no_further():
    asked = []

    def batches():
        for number in range(5):
            asked.append(number)
            yield [number] * 3

    def find(number):
        if number == 2:
            raise PictureError("no 2")
        return Picture(str(number), np.full((4, 4), number, dtype=np.uint8))

    seen = []
    for batch, pictures in read_ahead(batches(), find, PictureSettings(size=4)):
        seen.append(batch[0])
        assert len(asked) <= len(seen) + 1
        for picture in pictures:
            assert (
                isinstance(picture, PictureError) if batch[0] == 2 else picture[0, 0, 0] == batch[0]
            )
    assert seen == list(range(5))


def test_threads_leave_the_warnings_of_the_process_alone():
    before = list(warnings.filters)
    data = encoded(Image.effect_noise((64, 64), 50))
    batches = [[Picture("it", data)] * 50] * 4
    for _, pictures in read_ahead(batches, lambda item: item, PictureSettings(workers=4)):
        assert all(isinstance(picture, np.ndarray) for picture in pictures)
    assert warnings.filters == before
