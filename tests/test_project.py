"""project.yml: what is up to date is not done again, and what goes wrong is one sentence."""

import hashlib
import importlib.util
import itertools
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import srsly
from spacy.util import load_config

ROOT = Path(__file__).parents[1]
PROJECT = srsly.read_yaml(ROOT / "project.yml")
COMMANDS = {command["name"]: command for command in PROJECT["commands"]}


@pytest.fixture
def fetch_assets():
    return load_script("fetch_assets")


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "clean"])
def test_commands_are_run_again_when_what_they_use_has_changed_and_only_then(name):
    """spaCy always runs a command without outputs, and never looks at files that are not
    among the dependencies."""
    command = COMMANDS[name]
    assert command.get("outputs") or command.get("outputs_no_cache")
    used = set(
        re.findall(r"(?:configs|scripts)/[\w.${}-]+\.(?:cfg|py)", " ".join(command["script"]))
    )
    assert used <= set(command.get("deps", []))
    known = [*command.get("deps", []), *command.get("outputs", [])]
    for path in _inputs(command):
        if any(path == item or path.startswith(f"{item}/") for item in known):
            continue
        # A folder of assets: all of them; or what is made there.
        folder = path.rstrip("/") + "/"
        assets = {a["dest"] for a in PROJECT["assets"] if a["dest"].startswith(folder)}
        assert assets & set(known) == assets or any(item.startswith(path) for item in known), path
        assert path.endswith("/") or assets <= set(known), path


def _inputs(command):
    """The files and folders that a command is given."""
    for line in command["script"]:
        words = line.split()
        for before, word in itertools.pairwise(words):
            places = ("assets/", "corpus/", "training/", "${vars.flickr8k_t", "${vars.flickr8k_i",
                      "${vars.tatoeba_p")  # fmt: skip
            if word.startswith(places) and before not in ("--output", "-o"):
                yield word


def test_workflows_make_what_they_need_in_order():
    for name, steps in PROJECT["workflows"].items():
        # What users bring themselves.
        brought = ("${vars.tatoeba_pairs}", "${vars.flickr8k_texts}", "${vars.flickr8k_images}")
        made: set[str] = set()
        for step in steps:
            for dep in COMMANDS[step].get("deps", []):
                given = dep.startswith(("configs/", "scripts/", *brought))
                assert given or dep in made, (name, step, dep)
            made |= set(COMMANDS[step].get("outputs", []))
            made |= set(COMMANDS[step].get("outputs_no_cache", []))


def make_asset(tmp_path, content=b"text", **changes):
    (tmp_path / "there.txt").write_bytes(content)
    asset = {
        "dest": "assets/here.txt",
        "url": (tmp_path / "there.txt").as_uri(),
        "checksum": hashlib.md5(content).hexdigest(),
    }
    return asset | changes


def test_an_asset_is_downloaded_once(fetch_assets, tmp_path):
    asset = make_asset(tmp_path)
    assert fetch_assets.fetch(asset, tmp_path)
    (tmp_path / "there.txt").unlink()
    assert not fetch_assets.fetch(asset, tmp_path)
    assert [path.name for path in (tmp_path / "assets").iterdir()] == ["here.txt"]


def test_a_wrong_file_in_place_is_named_and_left_alone(fetch_assets, tmp_path):
    asset = make_asset(tmp_path)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "here.txt").write_text("half a te")
    with pytest.raises(fetch_assets.AssetError, match=r"here\.txt has the checksum .* Delete it"):
        fetch_assets.fetch(asset, tmp_path)
    assert (tmp_path / "assets" / "here.txt").read_text() == "half a te"


def test_a_wrong_download_is_not_kept(fetch_assets, tmp_path):
    with pytest.raises(fetch_assets.AssetError, match="not 0000"):
        fetch_assets.fetch(make_asset(tmp_path, checksum="0000"), tmp_path)
    assert not list((tmp_path / "assets").iterdir())


def test_no_network(fetch_assets, tmp_path):
    asset = make_asset(tmp_path, url="http://127.0.0.1:9/here.txt")
    with pytest.raises(fetch_assets.AssetError, match=r"Without a network, put .*here\.txt; it"):
        fetch_assets.fetch(asset, tmp_path)


def run(*command, cwd, blocks="unlimited"):
    """blocks: How large a file can become, in units of 512 bytes: as on a full disk."""
    limited = ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", sys.executable]
    return subprocess.run([*limited, *map(str, command)], cwd=cwd, capture_output=True, text=True)


def test_a_failed_asset_is_one_sentence_and_ends_the_workflow(tmp_path):
    asset = make_asset(tmp_path, url="http://127.0.0.1:9/here.txt")
    srsly.write_yaml(tmp_path / "project.yml", {"assets": [asset]})
    done = run(ROOT / "scripts" / "fetch_assets.py", "assets/", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert "Can't download" in done.stdout


def test_only_the_assets_that_are_asked_for(tmp_path):
    """A pair of languages does not need the third."""
    asset = make_asset(tmp_path)
    other = {**asset, "url": "http://127.0.0.1:9/x", "dest": "assets/train.fr.gz"}
    srsly.write_yaml(tmp_path / "project.yml", {"assets": [asset, other]})
    name = asset["dest"]
    done = run(ROOT / "scripts" / "fetch_assets.py", name, f"{name[:-2]}*", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(name) == 1
    done = run(ROOT / "scripts" / "fetch_assets.py", name, "*.de.gz", cwd=tmp_path)
    assert done.returncode == 1
    assert "lists no asset *.de.gz" in done.stdout


def test_a_file_where_the_folder_of_assets_should_be(tmp_path):
    asset = make_asset(tmp_path)
    srsly.write_yaml(tmp_path / "project.yml", {"assets": [asset]})
    (tmp_path / "assets").write_text("x")
    done = run(ROOT / "scripts" / "fetch_assets.py", "assets/", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert "Can't read or write assets" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    "command",
    [
        ["make_topics.py", "out/topics.txt"],
        ["make_phrasebook.py", "out", "--size", "400"],
        ["split_pairs.py", "pairs.txt", "out"],
        ["make_scenes.py", "out", "--train", "40", "--others", "1"],
        ["fetch_assets.py", "assets/"],
    ],
    ids=lambda command: command[0],
)
def test_a_full_disk_is_one_sentence(tmp_path, command):
    (tmp_path / "pairs.txt").write_text("".join(f"number {n}\tnombre {n}\n" for n in range(900)))
    asset = make_asset(tmp_path, content=b"text" * 1000)
    srsly.write_yaml(tmp_path / "project.yml", {"assets": [asset]})
    script = ROOT / "scripts" / command[0]
    done = run("-B", script, *command[1:], cwd=tmp_path, blocks=2)
    shown = done.stdout + done.stderr
    assert done.returncode == 1, shown
    assert "Traceback" not in shown
    assert re.search(r"Can't (write|save)", shown)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("python", "Python 3.10 to 3.13 is needed, this is 3.9: make PYTHON=python3.12"),
        ("nothing", "There is no 'nothing' here. Python 3.10 to 3.13 is needed: make PYTHON="),
    ],
)
def test_a_wrong_python_is_one_sentence(name, said, tmp_path):
    if shutil.which("make") is None or not (ROOT / "Makefile").exists():
        pytest.skip("needs make, and the repository")
    old = tmp_path / "python"
    old.write_text(
        f"#!{sys.executable}\nimport sys\nsys.version_info = (3, 9, 1)\nexec(sys.argv[2])\n"
    )
    old.chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    for file in ("requirements.txt", "requirements-weights.txt", "setup.cfg", "pyproject.toml"):
        (tmp_path / file).touch()
    python = old if name == old.name else name
    command = ["make", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhalf",
        b"garbage\r\n\r\n",
        b"",
    ],
)
def test_a_server_that_says_nonsense(fetch_assets, tmp_path, answer):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/here.txt"
        with pytest.raises(fetch_assets.AssetError):
            fetch_assets.fetch(make_asset(tmp_path, url=url), tmp_path)
        thread.join()
    assert not list((tmp_path / "assets").iterdir())


def test_a_folder_where_an_asset_should_be(fetch_assets, tmp_path):
    (tmp_path / "assets" / "here.txt").mkdir(parents=True)
    with pytest.raises(fetch_assets.AssetError, match="is a folder"):
        fetch_assets.fetch(make_asset(tmp_path), tmp_path)


def test_clean_leaves_what_others_put_there(tmp_path):
    """And removes what the workflows made, all of it."""
    clean = load_script("clean")
    made = [
        re.sub(r"\$\{vars\.(\w+)\}", lambda match: str(PROJECT["vars"][match.group(1)]), path)
        for command in COMMANDS.values()
        for path in [*command.get("outputs", []), *command.get("outputs_no_cache", [])]
        if not path.startswith("assets/")
    ]
    for path in made:
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
    mine = ["corpus/mine", "corpus/emoji-my-own", "metrics/my_lm.json", "packages/en_my_lm-1.0.0"]
    mine += [f"training/{name}" for name in ("my_lm", "translator-my-own", "sst2-mine")]
    for path in mine:
        (tmp_path / path).mkdir()
    clean.main(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert left == {*mine, "corpus", "metrics", "packages", "training"}


@pytest.mark.parametrize("name", ["translator", "translator_plain", "translator_transformer"])
def test_multi30k_takes_every_config_as_it_is(name):
    """The plain one has no attention there, either."""
    (line, *_) = COMMANDS["train-multi30k"]["script"]
    words = line.replace("${vars.multi30k_settings}", PROJECT["vars"]["multi30k_settings"]).split()
    config = load_config(ROOT / "configs" / f"{name}.cfg")
    for key, value in itertools.pairwise(words):
        if key.startswith("--components."):
            *path, last = key[2:].split(".")
            block = config
            for part in path:
                block = block[part]
            assert last in block
            block[last] = value
    attention = config["components"]["translator"]["model"].get("attention")
    assert (attention == "none") == (name == "translator_plain")
