from itertools import islice, pairwise

import pytest

from spacy_seqgen.schedules import warmup_cosine


def test_shape():
    rates = list(islice(warmup_cosine(1.0, 4, 12, 0.1), 20))
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[7] == pytest.approx(0.55)
    assert rates[11:] == pytest.approx([0.1] * 9)
    assert all(a > b for a, b in pairwise(rates[3:12]))


def test_no_warmup():
    rates = list(islice(warmup_cosine(1.0, 0, 2), 3))
    assert rates == pytest.approx([0.5, 0.0, 0.0])


def test_a_run_shorter_than_the_warmup(caplog):
    caplog.set_level("WARNING", logger="spacy")
    rates = list(islice(warmup_cosine(1.0, 4, 2), 6))
    assert rates == [0.25, 0.5, 0.75, 1.0, 0.0, 0.0]
    (message,) = caplog.messages
    assert "warmup_steps is 4, total_steps 2" in message


@pytest.mark.parametrize("warmup,total", [(-1, 5), (0, 0)])
def test_settings_are_checked(warmup, total):
    with pytest.raises(ValueError, match="warmup_steps"):
        warmup_cosine(1.0, warmup, total)
