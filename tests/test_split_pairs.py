import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "split_pairs.py"


@pytest.fixture(scope="module")
def script():
    if not SCRIPT.exists():
        pytest.skip("the scripts are not beside these tests")
    spec = importlib.util.spec_from_file_location("split_pairs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path):
    return [line.split("\t") for line in path.read_text(encoding="utf8").splitlines()]


def test_no_source_is_in_two_parts(script, tmp_path):
    pairs = tmp_path / "fra.txt"
    lines = [f"Sentence {i}.\tPhrase {i} {k}.\tCC-BY\n" for i in range(500) for k in range(2)]
    pairs.write_text("".join(lines) + "No translation.\t\n" + "x" * 400 + "\tlong\n")
    counts = script.split_pairs(pairs, tmp_path / "out")
    parts = {name: read(tmp_path / "out" / f"{name}.tsv") for name in counts}
    assert {name: len(rows) for name, rows in parts.items()} == counts
    sources = {name: {row[0] for row in rows} for name, rows in parts.items()}
    assert not sources["train"] & (sources["dev"] | sources["test"])
    assert not sources["dev"] & sources["test"]
    assert len(set.union(*sources.values())) == 500
    assert min(counts.values()) > 3
    # Every translation to learn from, one to test on.
    assert counts["train"] == 2 * len(sources["train"])
    assert counts["test"] == len(sources["test"])
    samples = (tmp_path / "out/samples.txt").read_text().splitlines()
    assert set(samples) <= sources["test"]
    before = {name: (tmp_path / "out" / f"{name}.tsv").read_bytes() for name in counts}
    pairs.write_text("".join(reversed(lines[100:])))
    script.split_pairs(pairs, tmp_path / "other")
    known = {row[0] for row in read(tmp_path / "other/test.tsv")}
    assert known <= sources["test"]
    script.split_pairs(pairs, tmp_path / "out")
    assert before != {name: (tmp_path / "out" / f"{name}.tsv").read_bytes() for name in counts}
