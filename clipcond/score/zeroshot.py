"""Zero-shot classification: the names of classes, put into sentences, are the classifier (Radford et al. 2021)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float

from clipcond.errors import ScoreError
from clipcond.score.classifier import UNKNOWN, Classifier

if TYPE_CHECKING:
    from clipcond.clip.images import Images
    from clipcond.score.scorer import ClipScorer

    ClassNames = Sequence[str | Sequence[str]] | Mapping[str, Sequence[str]]
else:  # checked where they are used
    Images = ClassNames = object
    ClipScorer = Any

TEMPLATES = ("a photo of a {}",)


def zero_shot(
    images: Images,
    classnames: ClassNames,
    scorer: ClipScorer,
    templates: Sequence[str] = TEMPLATES,
) -> Float[torch.Tensor, "images classes"]:
    """Probability of each class for each picture.

    Args:
        images: n pictures.
        classnames: names; or lists of names that mean one class, e.g. [["cat", "kitty"], "dog"]; or a dictionary from
            a class to whole prompts of its own (as in CuPL), which go into no template.
        scorer: whose CLIP compares.
        templates: sentences with {} for the name; their features are averaged.

    Raises:
        ScoreError: no class, a name twice, or a template without {}.
    """
    return build_classifier(classnames, scorer, templates).classify(images, scorer)


def build_classifier(
    classnames: ClassNames,
    scorer: ClipScorer,
    templates: Sequence[str] = TEMPLATES,
    *,
    null: Sequence[str] = (),
) -> Classifier:
    """The zero-shot classifier of some names, to use on many pictures or to save.

    A class's vector is the mean of the unit features of its names in all templates, made unit again; probabilities
    take the model's own logit scale.

    Args:
        classnames: as `zero_shot` takes them.
        scorer: whose CLIP it is for.
        templates: sentences with {} for the name.
        null: names of other things, dozens, for the answer "unknown"; they go into the templates too.

    Raises:
        ScoreError: no class, a name twice, or a template without {}.
    """
    prompts = prompts_of(classnames, templates)
    weights = torch.stack([_mean_direction(scorer, texts) for texts in prompts.values()])
    others = [_mean_direction(scorer, _in_templates([name], templates)) for name in null]
    return Classifier(
        classes=tuple(prompts),
        weights=weights,
        bias=torch.zeros(len(prompts)),
        scale=scorer.logit_scale,
        null=torch.stack(others) if others else weights[:0],
        provenance={
            "scorer": scorer.provenance,
            "kind": "zero-shot",
            "prompts": {name: list(texts) for name, texts in prompts.items()},
        },
    )


def prompts_of(classnames: ClassNames, templates: Sequence[str]) -> dict[str, list[str]]:
    """The texts of each class; its first name is its name.

    Raises:
        ScoreError: no class, a name twice, or a template without {}.
    """
    if isinstance(classnames, str) or not isinstance(classnames, Sequence | Mapping):
        raise ScoreError(f"classnames: got {classnames!r}; pass a list of names or a dictionary")
    if not classnames:
        raise ScoreError("classnames: got none; pass at least one")
    if isinstance(classnames, Mapping):
        found = {name: _texts(name, texts) for name, texts in classnames.items()}
    else:
        groups = [[own] if isinstance(own, str) else _texts(str(own), own) for own in classnames]
        found = {group[0]: _in_templates(group, templates) for group in groups}
        names = [name for group in groups for name in group]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ScoreError(f"classnames: {twice[0]!r} is there twice; name each class once")
    if UNKNOWN in found:
        raise ScoreError(
            f"classnames: {UNKNOWN!r} is the answer for none of them; use another name"
        )
    return found


def _in_templates(names: Sequence[str], templates: Sequence[str]) -> list[str]:
    if isinstance(templates, str) or not templates:
        raise ScoreError(f"templates: got {templates!r}; pass a list of sentences")
    for template in templates:
        if "{}" not in template:
            raise ScoreError(f"templates: {template!r} has no {{}} for the name; put one in")
    return [template.replace("{}", name) for name in names for template in templates]


def _texts(name: str, texts: Any) -> list[str]:
    if (
        isinstance(texts, str)
        or not isinstance(texts, Sequence)
        or not texts
        or not all(isinstance(text, str) for text in texts)
    ):
        raise ScoreError(f"classnames: {name!r} has {texts!r}; pass a list of at least one text")
    return list(texts)


def _mean_direction(scorer: ClipScorer, texts: Sequence[str]) -> Float[torch.Tensor, " dim"]:
    mean = scorer.text_features(list(texts)).features.mean(0)
    return torch.nn.functional.normalize(mean, dim=0)
