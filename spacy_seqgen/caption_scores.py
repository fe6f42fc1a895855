"""Measures of captions against several references, as COCO's evaluation has them
(Chen et al. 2015, https://arxiv.org/abs/1504.00325)."""

import math
import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"\w+(?:'\w+)?")
_ORDERS = 4  # n-grams of 1 to so many words
_SIGMA = 6.0  # of the penalty for another length than the reference's
_BETA = 1.2  # how much more recall counts than precision


def find_words(text: str) -> list[str]:
    """The words of a text, in lower case, without marks."""
    return _WORD.findall(text.lower())


def is_right(text: str, gold: Sequence[str]) -> bool:
    """Whether a caption is equal to one of the true ones, in lower case: captioners may be
    trained so (`lowercase` of the vocabulary)."""
    return text.strip().casefold() in (item.strip().casefold() for item in gold)


def rouge_l(text: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """ROUGE-L (Lin 2004, https://aclanthology.org/W04-1013): the longest common
    subsequence, as F-measure of the best precision and the best recall.

    text, references (Sequence[str]): Words.
    RETURNS (float): From 0 to 1.
    """
    common = [_longest_common(text, reference) for reference in references]
    precision = max(n / max(1, len(text)) for n in common)
    recall = max(n / max(1, len(ref)) for n, ref in zip(common, references, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _longest_common(one: Sequence[str], two: Sequence[str]) -> int:
    row = [0] * (len(two) + 1)
    for word in one:
        diagonal = 0
        for place, other in enumerate(two, 1):
            above = row[place]
            row[place] = diagonal + 1 if word == other else max(above, row[place - 1])
            diagonal = above
    return row[-1]


def cider_d(
    texts: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> list[float]:
    """CIDEr-D (Vedantam et al. 2015, https://arxiv.org/abs/1411.5726, section 5): how near
    n-grams are to those of the references, weighted by how rare they are in the references
    of all pictures.

    texts (Sequence): The words of a caption for each picture.
    references (Sequence): For each picture the words of each of its references.
    RETURNS (list[float]): For each picture, from 0 to 10. Their mean is the score.
    """
    found = [_count(text) for text in texts]
    gold = [[_count(text) for text in several] for several in references]
    seen: Counter[tuple[str, ...]] = Counter()
    for several in gold:
        seen.update({gram for counts in several for gram in counts})
    pictures = math.log(float(len(texts)))
    scores = []
    for counts, several in zip(found, gold, strict=True):
        vectors = [_Vectors(item, seen, pictures) for item in (counts, *several)]
        near = [vectors[0].similarity(other) for other in vectors[1:]]
        scores.append(10.0 * sum(near) / len(near))
    return scores


def _count(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(
        tuple(words[start : start + n])
        for n in range(1, _ORDERS + 1)
        for start in range(len(words) - n + 1)
    )


class _Vectors:
    """The n-grams of a text, weighted by tf-idf."""

    def __init__(
        self, counts: Counter[tuple[str, ...]], seen: Counter[tuple[str, ...]], pictures: float
    ):
        self.values: list[dict[tuple[str, ...], float]] = [{} for _ in range(_ORDERS)]
        for gram, count in counts.items():
            weight = pictures - math.log(max(1.0, seen[gram]))
            self.values[len(gram) - 1][gram] = count * weight
        self.norms = [math.sqrt(sum(v * v for v in part.values())) for part in self.values]
        # As COCO's code has it: the length in bigrams.
        self.length = sum(count for gram, count in counts.items() if len(gram) == 2)

    def similarity(self, other: "_Vectors") -> float:
        """To a reference: the mean over the orders."""
        total = 0.0
        for mine, norm, theirs, other_norm in zip(
            self.values, self.norms, other.values, other.norms, strict=True
        ):
            product = sum(min(v, theirs.get(g, 0.0)) * theirs.get(g, 0.0) for g, v in mine.items())
            if norm and other_norm:
                total += product / (norm * other_norm)
        difference = self.length - other.length
        return total / _ORDERS * math.exp(-(difference**2) / (2 * _SIGMA**2))
