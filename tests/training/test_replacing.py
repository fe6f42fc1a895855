import pytest

from spacy_seqgen.training.replacing import recover_directory, replace_directory


def write(content):
    def make(path):
        path.mkdir()
        (path / "file").write_text(content)

    return make


def content(path):
    return (path / "file").read_text()


def test_replace(tmp_path):
    path = tmp_path / "model"
    replace_directory(path, write("one"))
    assert content(path) == "one"
    replace_directory(path, write("two"))
    assert content(path) == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_an_error_leaves_the_old_one(tmp_path):
    path = tmp_path / "model"
    replace_directory(path, write("one"))

    def fail(place):
        write("half")(place)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_directory(path, fail)
    assert content(path) == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    "found,expected",
    [
        ({"model": "a", "model.new": "b"}, "a"),
        ({"model.old": "a", "model.new": "b"}, "a"),
        ({"model": "b", "model.old": "a"}, "b"),
        ({"model": "a"}, "a"),
        ({"model.new": "b"}, None),
        ({}, None),
    ],
)
def test_recovery_from_every_moment(tmp_path, found, expected):
    for name, text in found.items():
        write(text)(tmp_path / name)
    recover_directory(tmp_path / "model")
    if expected is None:
        assert list(tmp_path.iterdir()) == []
    else:
        assert content(tmp_path / "model") == expected
        assert [p.name for p in tmp_path.iterdir()] == ["model"]
