"""Which of transformers' models are read, and what to take instead of those that are not."""

from collections.abc import Mapping
from typing import Any

from clipcond.clip.architecture import Architecture, from_transformers
from clipcond.errors import CheckpointError
from clipcond.files import first_line

# by model_type: configuration, model
_READ = {
    "clip": ("CLIPConfig", "CLIPModel"),
    "metaclip_2": ("MetaClip2Config", "MetaClip2Model"),
    "siglip": ("SiglipConfig", "SiglipModel"),
}
_SIGLIP_2 = "google/siglip2-base-patch16-224"
_METACLIP_2 = "facebook/metaclip-2-worldwide-huge-quickgelu"
_LAION = "laion/CLIP-ViT-L-14-laion2B-s32B-b82K"
_INSTEAD = {
    "siglip2": f"it is a NaFlex model of pictures of any size; a fixed-size SigLIP 2 such as {_SIGLIP_2} is read",
    "align": f"{_SIGLIP_2} was trained on data of the same kind",
    "altclip": f"{_METACLIP_2} reads many languages",
    "chinese_clip": f"{_METACLIP_2} reads many languages",
    "vision-text-dual-encoder": f"{_METACLIP_2} reads many languages",
    "blip": f"{_LAION} compares pictures and texts by two towers as it does",
    "blip-2": f"{_LAION} compares pictures and texts by two towers",
    "clip_text_model": "it is the text tower alone; name the whole CLIPModel",
    "clip_vision_model": "it is the image tower alone; name the whole CLIPModel",
    "siglip_text_model": "it is the text tower alone; name the whole SiglipModel",
    "siglip_vision_model": "it is the image tower alone; name the whole SiglipModel",
}
_ANY = f"{_LAION} and {_SIGLIP_2} are, for example"


def config_of(content: dict[str, Any], source: str) -> tuple[Any, Architecture]:
    """transformers' configuration of a config.json, and what it says of the towers.

    Raises:
        CheckpointError: of another kind of model, or no sound configuration.
    """
    import transformers

    kind = content.get("model_type")
    if not isinstance(kind, str) or kind not in _READ:
        raise CheckpointError(
            f"{source}: model_type is {kind!r}, which is not read; read are {', '.join(map(repr, _READ))}: "
            f"{_INSTEAD.get(str(kind), _ANY)}"
        )
    try:
        config = getattr(transformers, _READ[kind][0]).from_dict(content)
        return config, from_transformers(config)
    # transformers checks types and ranges with errors of its own
    except Exception as error:
        raise CheckpointError(
            f"{source}: does not describe a {_READ[kind][1]} ({first_line(error)}); download the folder again"
        ) from error


def model_class(kind: str) -> Any:
    """transformers' class of a kind."""
    import transformers

    return getattr(transformers, _READ[kind][1])


def instead_of(model: Mapping[str, Any]) -> str:
    """What to take instead of an OpenCLIP model that no plain CLIP is, by its model_cfg."""
    text, vision = (model.get(name) or {} for name in ("text_cfg", "vision_cfg"))
    tower = str(vision.get("timm_model_name", ""))
    if "siglip" in tower:
        return "a SigLIP is read in transformers' layout, e.g. google/siglip-base-patch16-224"
    if text.get("hf_model_name"):
        return f"{_METACLIP_2} reads many languages"
    return f"only plain ViT and ResNet CLIPs are read in this layout: {_LAION} is one"
