"""Zero-shot classification: the names of classes, put into sentences, are the classifier (Radford et al. 2021)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float

from clipcond.clip.images import Images
from clipcond.errors import ScoreError
from clipcond.score.classifier import UNKNOWN, Classifier
from clipcond.score.features import ClipFeatures, cut_texts, quoted, same_to_clip, warn_of_cut

if TYPE_CHECKING:
    ClassNames = Sequence[str | Sequence[str]] | Mapping[str, Sequence[str]]
else:  # checked below
    ClassNames = object

TEMPLATES = ("a photo of a {}",)


def zero_shot(
    images: Images,
    classnames: ClassNames,
    scorer: ClipFeatures,
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
        ScoreError: no class, a name twice, two classes that are the same to this CLIP, or a template without {}.

    Warns:
        ScoreTruncatedWarning: a text is longer than the text tower reads.
    """
    classifier = build_classifier(classnames, scorer, templates)
    warn_of_cut(classifier.truncated, scorer.clip.positions, stacklevel=2)
    return classifier.classify(images, scorer)


def build_classifier(
    classnames: ClassNames,
    scorer: ClipFeatures,
    templates: Sequence[str] = TEMPLATES,
    *,
    null: Sequence[str] = (),
) -> Classifier:
    """The zero-shot classifier of some names, to use on many pictures or to save.

    A class's vector is the mean of the unit features of its names in all templates, made unit again; probabilities
    take the model's own logit scale, and where it was trained with a bias (SigLIP) are the sigmoid of each class's logit,
    as in transformers, which do not sum to 1.

    Args:
        classnames: as `zero_shot` takes them.
        scorer: whose CLIP it is for.
        templates: sentences with {} for the name.
        null: names of other things, dozens, for the answer "unknown"; they go into the templates too. Names of the
            classes among them would count against their own class, so they are passed over (see the provenance).

    Raises:
        ScoreError: no class, a name twice, two classes that are the same to this CLIP, a template without {}, or a null
            of little but the classes' own names.
    """
    prompts = prompts_of(classnames, templates)
    own, cut = _encoded(scorer, prompts)
    weights = torch.stack([_mean_direction(features) for features in own])
    _require_apart(tuple(prompts), weights, scorer.clip.positions)
    others = {name: _in_templates([name], templates) for name in null}
    found, others_cut = _encoded(scorer, others)
    bias = scorer.clip.logit_bias
    kept = _other_things(dict(zip(others, found, strict=True)), tuple(prompts), torch.cat(own))
    return Classifier(
        classes=tuple(prompts),
        weights=weights,
        bias=torch.full((len(prompts),), bias or 0.0),
        scale=scorer.logit_scale,
        each=bias is not None,
        null=torch.stack(list(kept.values())) if kept else weights[:0],
        truncated=cut + others_cut,
        provenance={
            "scorer": scorer.provenance,
            "kind": "zero-shot",
            "prompts": {name: list(texts) for name, texts in prompts.items()},
            "null": list(kept),
            "null_passed_over": [name for name in others if name not in kept],
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


def _encoded(
    scorer: ClipFeatures, prompts: Mapping[str, Sequence[str]]
) -> tuple[list[Float[torch.Tensor, "_ dim"]], tuple[str, ...]]:
    """(features of each name's texts, the texts that were cut), all encoded together."""
    texts = [text for own in prompts.values() for text in own]
    if not texts:
        return [], ()
    found = scorer.text_features(texts)
    counts = [len(own) for own in prompts.values()]
    return list(torch.split(found.features, counts)), cut_texts(texts, found)


def _mean_direction(features: Float[torch.Tensor, "texts dim"]) -> Float[torch.Tensor, " dim"]:
    return torch.nn.functional.normalize(features.mean(0), dim=0)


def _require_apart(
    classes: Sequence[str], weights: Float[torch.Tensor, "classes dim"], positions: int
) -> None:
    """Refuse classes whose probabilities would be equal whatever the picture."""
    alike = same_to_clip(weights, weights).triu(1).nonzero().tolist()
    if alike:
        one, other = (classes[i] for i in alike[0])
        raise ScoreError(
            f"classnames: {quoted(one)} and {quoted(other)} are the same to this CLIP, which reads {positions} tokens "
            "in lower case; let their texts differ within those"
        )


def _other_things(
    null: Mapping[str, Float[torch.Tensor, "templates dim"]],
    classes: Sequence[str],
    own: Float[torch.Tensor, "texts dim"],
) -> dict[str, Float[torch.Tensor, " dim"]]:
    """The vectors of those names that are no class's.

    Raises:
        ScoreError: there were some, and fewer than two are left.
    """
    names = {name.casefold() for name in classes}
    kept = {
        name: _mean_direction(features)
        for name, features in null.items()
        if name.casefold() not in names and not bool(same_to_clip(features[:1], own).any())
    }
    if len(kept) < 2 and len(kept) < len(null):
        taken = next(name for name in null if name not in kept)
        raise ScoreError(
            f"null: {taken!r} is a class itself, and {len(kept)} names of other things are left; "
            "name some more, better dozens"
        )
    return kept
