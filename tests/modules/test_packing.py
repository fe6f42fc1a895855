import pytest
import torch

from spacy_seqgen.modules.classifier_head import POOLINGS, ClassifierHead
from spacy_seqgen.modules.packing import Packing

CPU = torch.device("cpu")


@pytest.mark.parametrize("lengths", [[3, 1, 2], [2, 2], [5]])
def test_padding_and_back(lengths):
    packing = Packing(lengths, CPU)
    rows = torch.randn(sum(lengths), 4, dtype=torch.float64, requires_grad=True)
    padded = packing.pad(rows)
    assert padded.shape == (len(lengths), max(lengths), 4)
    assert (packing.unpad(padded) == rows).all()
    assert not padded[~packing.mask].any()
    torch.autograd.gradcheck(lambda x: packing.unpad(packing.pad(x) ** 2), rows)


def test_parts_have_little_padding():
    lengths = sorted([3, 4, 4, 5, 20, 21, 22, 22, 60, 61, 61, 61, 61])
    packing = Packing(lengths, CPU)
    assert [part.packing.count for part in packing.parts] == [4, 4, 5]
    rows = torch.randn(sum(lengths), 2)
    found = torch.cat(
        [part.packing.unpad(part.packing.pad(rows[part.rows])) for part in packing.parts]
    )
    assert (found == rows).all()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_of_windows_is_that_of_the_whole(pooling):
    """Windows that are pooled by themselves and joined give what one window gives."""
    torch.manual_seed(0)
    head = ClassifierHead(4, 2, pooling)
    states = torch.randn(7, 4)
    whole, _ = head.pool(states, Packing([7], CPU))
    if pooling == "cls":
        expected = (states[0] + states[3]) / 2
    else:
        expected = whole[0]
    vectors, weights = head.pool(states, Packing([3, 4], CPU))
    joined = head.join(vectors, weights, Packing([2], CPU))
    torch.testing.assert_close(joined[0], expected)


def test_pooling_by_hand():
    states = torch.tensor([[1.0, 5.0], [3.0, 1.0], [7.0, 7.0]])
    packing = Packing([2, 1], CPU)
    expected = {"cls": [[1, 5], [7, 7]], "mean": [[2, 3], [7, 7]], "max": [[3, 5], [7, 7]]}
    for pooling, rows in expected.items():
        found, _ = ClassifierHead(2, 2, pooling).pool(states, packing)
        assert found.tolist() == rows
