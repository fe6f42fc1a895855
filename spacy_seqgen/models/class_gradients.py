"""The gradient of classification.

spaCy's text categorizers hand back `scores - truths`. With scores that are a softmax or
a sigmoid, that is the gradient of the cross-entropy with respect to the logits, so it is
passed on as it is: not through the softmax again.
"""

from collections.abc import Sequence

from torch import Tensor


class ClassGradients:
    """Turns spaCy's gradient into that of a weighted and smoothed cross-entropy.

    exclusive (bool): Softmax over the classes (true) or a sigmoid for each (false).
    label_smoothing (float): Share of the truth to spread over all classes, or over yes
        and no (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567).
    class_weights (Sequence[float] | None): Weight of the examples of each class, in the
        order of the labels; where classes are not exclusive, of those that have it.
    RAISES (ValueError): If a value is out of range.
    """

    def __init__(
        self, exclusive: bool, label_smoothing: float, class_weights: Sequence[float] | None
    ):
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be from 0 to below 1, got {label_smoothing}")
        if class_weights is not None and not all(weight > 0 for weight in class_weights):
            raise ValueError(f"class_weights must be above 0, got {list(class_weights)}")
        self.exclusive = exclusive
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights

    def check(self, classes: int) -> None:
        """RAISES (ValueError): If there are not as many weights as classes."""
        if self.class_weights is not None and len(self.class_weights) != classes:
            raise ValueError(
                f"class_weights has {len(self.class_weights)} weights, but there are {classes} "
                "labels. Give one for each, in the order of the labels: fix it with "
                "labels = [...] below [initialize.components]"
            )

    def __call__(self, scores: Tensor, d_scores: Tensor) -> Tensor:
        """
        scores (Tensor): The probabilities, shape (texts, classes).
        d_scores (Tensor): What spaCy made of them: `scores - truths`, and 0 where
            there is no annotation.
        RETURNS (Tensor): The gradient of the losses of the texts, added up and divided by
            their number, with respect to the logits, of the same shape.
        """
        if self.label_smoothing or self.class_weights is not None:
            d_scores = self._full(scores, d_scores)
        return d_scores / len(d_scores)

    def _full(self, scores: Tensor, d_scores: Tensor) -> Tensor:
        # No difference means that there is no annotation, or that a score is so sure of
        # its truth that it was rounded to it.
        known = d_scores != 0
        truths = scores - d_scores
        size = scores.shape[1] if self.exclusive else 2
        truths = truths + self.label_smoothing * (1 / size - truths)
        weights = scores.new_tensor(self.class_weights or [1.0])
        if self.exclusive:
            mass = truths * weights
            d_scores = scores * mass.sum(1, keepdim=True) - mass
            # Exclusive classes have no missing ones: all or nothing.
            return d_scores * (known | (scores == 1)).any(1, keepdim=True)
        known |= (scores == 0) | (scores == 1)
        return (scores * (weights * truths + 1 - truths) - weights * truths) * known
