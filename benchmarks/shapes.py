"""Models of published shapes with random numbers: what they compute means nothing, how long it takes does."""

import sys
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

APART = Path(sys.prefix) / "apart"  # where `make bench-install` puts open_clip
_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
LARGE = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
BIG = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20, "hidden_act": "gelu", "projection_dim": 1280,
}  # fmt: skip


@cache
def tokenizer() -> Any:
    """CLIP's, with OpenAI's vocabulary where open_clip_torch is, which carries it; else the shipped model's."""
    from clipcond.clip.tokenizer import find_tokenizer
    from clipcond.resources import model_folder

    found = APART / "open_clip" / _VOCABULARY
    if found.exists():
        own = find_tokenizer(found, found.parent, 49408, bundled=False)
        own.model_max_length = 77
        return own
    return CLIPTokenizer.from_pretrained(model_folder("emoji") / "tokenizer")


def text_encoder(layers: int = 12, *, projected: bool = False, **sizes: Any) -> Any:
    """A CLIP text tower: of the width of CLIP-L unless told otherwise."""
    own = tokenizer()
    config = CLIPTextConfig(
        **{"vocab_size": len(own), "num_hidden_layers": layers, **LARGE, **sizes},
        bos_token_id=own.bos_token_id,
        eos_token_id=own.eos_token_id,
        pad_token_id=own.pad_token_id,
    )
    torch.manual_seed(0)
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


def stable_diffusion(layers: int = 12) -> Any:
    """What of a StableDiffusionPipeline conditioning needs: it has no denoiser."""
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline(
        vae=None,
        text_encoder=text_encoder(layers),
        tokenizer=tokenizer(),
        unet=None,
        scheduler=None,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl(layers: tuple[int, int]) -> Any:
    """The same of SDXL: CLIP-L and bigG by their widths."""
    from diffusers import StableDiffusionXLPipeline

    return StableDiffusionXLPipeline(
        vae=None,
        text_encoder=text_encoder(layers[0]),
        text_encoder_2=text_encoder(layers[1], projected=True, **BIG),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(),
        unet=None,
        scheduler=None,
    )


def clip_folder(folder: Path, *, layers: int = 12) -> Path:
    """A whole CLIP in transformers' layout: ViT-B/32 with so many layers in each tower."""
    own = tokenizer()
    config = CLIPConfig()
    config.text_config.num_hidden_layers = config.vision_config.num_hidden_layers = layers
    config.text_config.vocab_size = len(own)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config.text_config, name, getattr(own, name))
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    own.save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    return folder


def let_apart_in() -> torch.library.Library:
    """Make what is installed apart importable, while the result is kept: torchvision's operators for GPUs, which its build for CUDA has
    and a CPU's torch lacks, are declared. transformers has to be imported before."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    sys.path.insert(0, str(APART))
    return library


def judges(device: torch.device, *, layers: int = 12) -> tuple[Any, Any, Any, Any]:
    """(this library's scorer, transformers' model, its processor, torchmetrics' CLIPScore) of one CLIP."""
    from torchmetrics.multimodal.clip_score import CLIPScore

    from clipcond import ClipScorer

    with tempfile.TemporaryDirectory() as folder:
        saved = clip_folder(Path(folder), layers=layers)
        scorer = ClipScorer.from_pretrained(saved, device=device)
        model = CLIPModel.from_pretrained(saved).eval().to(device)
    processor = CLIPProcessor(CLIPImageProcessorPil(), tokenizer())
    return scorer, model, processor, CLIPScore(lambda: (unpacked(model), processor))


def unpacked(model: CLIPModel) -> Any:
    """A transformers 5 CLIP as torchmetrics 1.9.0 takes it: features are the tensor itself."""

    def image(pixels: torch.Tensor) -> torch.Tensor:
        return model.get_image_features(pixel_values=pixels).pooler_output

    def text(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return model.get_text_features(input_ids=ids, attention_mask=mask).pooler_output

    found = SimpleNamespace(
        model=model, config=model.config, get_image_features=image, get_text_features=text
    )
    found.to = found.eval = lambda *_: found
    return found
