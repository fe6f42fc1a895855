"""`nlp.pipe(n_process=2)` in a process of its own, so that a hang can be ended."""

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from ..util import TEXTS, make_nlp
from .test_translator import PAIRS
from .test_translator import make_nlp as make_translator

SCRIPT = """
import multiprocessing, sys
import spacy, torch

if __name__ == "__main__":
    method, path = sys.argv[1:]
    multiprocessing.set_start_method(method)
    texts = {texts!r} * 5
    nlp = spacy.load(path)
    look = lambda doc: (doc._.continuation, doc[0]._.surprisal)
    expected = [look(doc) for doc in nlp.pipe(texts)]
    # Wake the threads of PyTorch up, which a forked process does not inherit.
    torch.rand(2000, 2000) @ torch.rand(2000, 2000)
    found = [look(doc) for doc in nlp.pipe(texts, n_process=2, batch_size=7)]
    assert [f[0] for f in found] == [e[0] for e in expected]
    assert all(abs(f[1] - e[1]) < 1e-3 for f, e in zip(found, expected))
    print("same")
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_two_processes_give_what_one_gives(tmp_path, method):
    if method == "fork" and sys.platform in ("win32", "darwin"):
        pytest.skip("no safe fork on this system")
    make_nlp(steps=5, generation={"max_length": 20}).to_disk(tmp_path / "model")
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(texts=TEXTS))
    done = subprocess.run(
        [sys.executable, str(script), method, str(tmp_path / "model")],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.stdout.strip() == "same", done.stderr[-2000:]


def test_translations_come_back_from_other_processes():
    nlp = make_translator(steps=60, attention=True)
    nlp.get_pipe("translator").greedy_evaluation = False
    texts = [source for source, _ in PAIRS] * 2
    expected = [doc._.translations[0] for doc in nlp.pipe(texts)]
    docs = list(nlp.pipe(texts, n_process=2, batch_size=3))
    for doc, one in zip(docs, expected, strict=True):
        (found,) = pickle.loads(pickle.dumps(doc))._.translations
        assert (found.text, found.tokens, found.finish_reason) == (
            one.text, one.tokens, one.finish_reason,
        )  # fmt: skip
        assert found.token_log_probs == pytest.approx(one.token_log_probs, abs=1e-4)
        assert np.allclose(found.attention, one.attention, atol=0.01)
