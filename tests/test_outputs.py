import math
import subprocess
import sys

import numpy as np
import spacy

from spacy_seqgen.outputs import (
    Continuation,
    install_extensions,
    perplexity_of,
    set_continuations,
    set_surprisal,
)

install_extensions()
NLP = spacy.blank("en")


def test_nothing_is_there_before_anything_was_written():
    doc = NLP.make_doc("a b")
    assert doc._.continuation is None
    assert doc._.continuations == []
    assert doc._.surprisal is doc._.bits_per_char is doc._.perplexity is None
    assert doc[0]._.surprisal is doc[:]._.surprisal is doc[0:0]._.surprisal is None


def test_continuations_can_be_set_by_hand():
    doc = NLP.make_doc("a b")
    item = Continuation(" c", -1.5, "end")
    doc._.continuations = [item]
    assert doc._.continuations == [item]
    assert doc._.continuation == " c"
    set_continuations(doc, [])
    assert doc._.continuation is None


def test_whitespace_belongs_to_the_token_before():
    doc = NLP.make_doc("ab c")
    set_surprisal(doc, np.array([1.0, 2.0, 4.0, 8.0]))
    assert [token._.surprisal for token in doc] == [7.0, 8.0]
    assert doc._.surprisal == 15.0


def test_many_small_numbers_add_up():
    doc = spacy.tokens.Doc(NLP.vocab, words=["a" * 1_000_000], spaces=[False])
    set_surprisal(doc, np.full(1_000_000, 0.1))
    assert abs(doc._.surprisal - 100_000) < 0.01


def test_extensions_are_installed_once():
    install_extensions()
    install_extensions()


def test_perplexity():
    assert perplexity_of(3.0) == 8.0
    assert perplexity_of(2000.0) == math.inf


def test_a_part_of_a_doc_does_not_have_the_surprisals_of_the_whole():
    doc = spacy.blank("en")("one two three")
    set_surprisal(doc, np.ones(13))
    part = doc[1:3].as_doc(copy_user_data=True)
    assert part._.surprisal is part._.bits_per_char is part[0]._.surprisal is None
    assert doc[1:3]._.surprisal == 9.0


def test_importing_the_package_is_enough_to_read_results():
    code = "import spacy_seqgen, spacy.tokens as t; print(t.Doc.has_extension('perplexity'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"
