"""Classifiers from examples, on features that are computed once and kept.

features = scorer.image_features(pictures)          # the slow part, once
probe = fit_probe(features, labels, classes, scorer)
head = few_shot(build_classifier(classes, scorer), features, labels)
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy import optimize, special

from clipcond.errors import ScoreError
from clipcond.score.classifier import Classifier
from clipcond.score.features import require_finite
from clipcond.score.provenance import Made


def fit_probe(
    features: Float[torch.Tensor, "n dim"],
    labels: Sequence[str],
    classes: Sequence[str],
    scorer: Made,
    *,
    penalty: float = 1e-3,
) -> Classifier:
    """Linear probe: multinomial logistic regression on unit features, by L-BFGS in float64 (scipy).

    Minimises mean cross-entropy + penalty / 2 * |weights|^2; the bias is free. Radford et al. 2021, appendix A.3,
    whose C on n examples is 1 / (n penalty) here.

    Args:
        features: of n pictures, as `ClipScorer.image_features` gives them.
        labels: n names, each one of classes.
        classes: the names in order, at least two, each with an example.
        scorer: whose features they are; for the provenance.
        penalty: over 0.

    Raises:
        ScoreError: labels that do not fit, a class without example, a penalty of 0 or less, or NaN among the features.
    """
    if penalty <= 0:
        raise ScoreError(f"penalty: got {penalty}; needs more than 0, or the weights run away")
    if len(classes) < 2:
        raise ScoreError(f"classes: got {list(classes)}; a probe tells two apart at least")
    truth = _one_hot(features, labels, classes)
    x = features.double().numpy()
    count, dim = x.shape

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = flat[: len(classes) * dim].reshape(-1, dim), flat[len(classes) * dim :]
        logits = x @ weights.T + bias
        log_p = logits - special.logsumexp(logits, axis=1, keepdims=True)
        off = (np.exp(log_p) - truth) / count
        slope = np.concatenate([(off.T @ x + penalty * weights).ravel(), off.sum(0)])
        return -(truth * log_p).sum() / count + penalty / 2 * (weights**2).sum(), slope

    start = np.zeros(len(classes) * (dim + 1))
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    split = len(classes) * dim
    return Classifier(
        classes=tuple(classes),
        weights=torch.from_numpy(found.x[:split].reshape(-1, dim)).float(),
        bias=torch.from_numpy(found.x[split:]).float(),
        scale=1.0,
        null=features[:0],
        provenance={
            "scorer": scorer.provenance,
            "kind": "linear probe",
            "examples": count,
            "penalty": penalty,
        },
    )


def few_shot(
    classifier: Classifier,
    features: Float[torch.Tensor, "n dim"],
    labels: Sequence[str],
    *,
    share: float = 0.5,
) -> Classifier:
    """Mix each class's text vector with the mean of its examples: prototypes (Snell et al. 2017) that start from text.

    Args:
        classifier: a zero-shot one; a class without example keeps its vector.
        features: of n pictures, as `ClipScorer.image_features` gives them.
        labels: n names, each one of the classifier's classes.
        share: of the examples, 0 to 1.

    Raises:
        ScoreError: labels that do not fit, a share out of range, or NaN among the features.
    """
    if not 0 <= share <= 1:
        raise ScoreError(f"share: got {share}; needs 0 to 1")
    truth = torch.from_numpy(_one_hot(features, labels, classifier.classes, every=False)).float()
    means = torch.nn.functional.normalize(truth.T @ features, dim=-1)
    mixed = torch.nn.functional.normalize((1 - share) * classifier.weights + share * means, dim=-1)
    seen = truth.sum(0) > 0
    return replace(
        classifier,
        weights=torch.where(seen[:, None], mixed, classifier.weights),
        provenance={
            **classifier.provenance,
            "kind": "few-shot",
            "examples": len(features),
            "share": share,
        },
    )


def _one_hot(
    features: torch.Tensor, labels: Sequence[str], classes: Sequence[str], *, every: bool = True
) -> np.ndarray:
    require_finite(features, "features")
    if len(labels) != len(features):
        raise ScoreError(
            f"got {len(features)} features and {len(labels)} labels; pass one for each"
        )
    strange = [label for label in labels if label not in classes]
    if strange:
        raise ScoreError(f"labels: {strange[0]!r} is none of the classes {', '.join(classes)}")
    bare = [name for name in classes if name not in labels]
    if every and bare:
        raise ScoreError(f"classes: {bare[0]!r} has no example; add some, or leave it out")
    return np.array([[label == name for name in classes] for label in labels], dtype=float)
