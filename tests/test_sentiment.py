"""Movie snippets from the sources of vaderSentiment."""

import importlib.util
import io
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_sentiment.py"
LINES = "1\t2.5\tA   fine film\n2\t-1.0\tna\xefve\n3\t0.1\tunclear\n4\t0.9\tA fine film\n"


def pack(path, name, data):
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(scope="module")
def script():
    if not SCRIPT.exists():
        pytest.skip("the scripts are not beside these tests")
    spec = importlib.util.spec_from_file_location("make_sentiment", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def archive(tmp_path, script):
    inner = pack(tmp_path / "inner.tar.gz", script.RATINGS, LINES.encode("latin-1"))
    name = f"{script.PACKAGE}/additional_resources/hutto_ICWSM_2014.tar.gz"
    (tmp_path / "assets").mkdir()
    target = tmp_path / "assets" / f"{script.PACKAGE}.tar.gz"
    return pack(target, name, inner.read_bytes())


def test_snippets(archive, script):
    assert script.read_snippets(archive) == [
        ("A fine film", "positive"),
        ("naïve", "negative"),
    ]


def test_another_file_is_refused(archive, tmp_path, capsys, script):
    with pytest.raises(SystemExit):
        script.main(tmp_path / "out", archive.parent)
    assert "another file than expected" in capsys.readouterr().out


def test_no_network_is_one_sentence(tmp_path, capsys, monkeypatch, script):
    class Done:
        returncode = 1
        stderr = b"WARNING: Retrying\nERROR: No matching distribution found for vaderSentiment\n"

    monkeypatch.setattr(script.subprocess, "run", lambda *args, **kwargs: Done)
    with pytest.raises(SystemExit):
        script.main(tmp_path / "out", tmp_path)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"Can't download {script.PACKAGE}.tar.gz: No matching distribution" in shown
    assert "Retrying" not in shown


def test_a_full_disk_is_one_sentence(archive, tmp_path, capsys, monkeypatch, script):
    monkeypatch.setattr(script, "fetch", lambda assets: archive)
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(SystemExit):
        script.main(tmp_path / "out", tmp_path)
    assert "Can't write to" in capsys.readouterr().out


def test_a_part_of_a_download_is_not_taken_for_the_file(tmp_path, monkeypatch, script):
    def fail(command, **kwargs):
        (Path(command[-1]) / f"{script.PACKAGE}.tar.gz").write_bytes(b"")
        return type("Done", (), {"returncode": 1, "stderr": b"ERROR: No space left on device"})

    monkeypatch.setattr(script.subprocess, "run", fail)
    with pytest.raises(SystemExit):
        script.main(tmp_path / "out", tmp_path / "assets")
    assert not list((tmp_path / "assets").iterdir())
