"""Tiny random models of the real classes, built from configurations: no download, CPU, milliseconds.

Everything is deterministic in its seed, fp32 and in eval mode. Widths are 32; nothing here makes a good picture.
"""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
)

WORDS = (
    "a an the of in on with and to left right above below two three four one photo picture cat dog house hat car "
    "fox ball heart circle square red blue green yellow big small large white black background sky bad quality"
).split()


def clip_bpe(words: list[str] = WORDS) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """(vocabulary, merges) in CLIP's layout: 256 bytes, the same with </w>, merges, BOS, EOS.

    EOS must be the highest id: encoders whose config says eos_token_id 2 pool at the highest id.
    """
    base = _bytes_to_unicode()
    vocab = base + [c + "</w>" for c in base]
    seen, merges = set(vocab), []
    for word in words:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            if pair not in merges:
                merges.append(pair)
            if pair[0] + pair[1] not in seen:
                seen.add(pair[0] + pair[1])
                vocab.append(pair[0] + pair[1])
            parts = [pair[0] + pair[1], *parts[2:]]
    vocab += ["<|startoftext|>", "<|endoftext|>"]
    return {token: i for i, token in enumerate(vocab)}, merges


def _bytes_to_unicode() -> list[str]:
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in visible]
    return [chr(b) for b in visible] + [chr(256 + i) for i in range(len(rest))]


def clip_tokenizer(pad: str = "<|endoftext|>", max_length: int = 77) -> CLIPTokenizer:
    """A real CLIPTokenizer over `WORDS` and single bytes."""
    vocab, merges = clip_bpe()
    return CLIPTokenizer(vocab=vocab, merges=merges, pad_token=pad, model_max_length=max_length)


def text_config(width: int = 32, layers: int = 3, max_positions: int = 77) -> CLIPTextConfig:
    """Configuration of the tiny text tower."""
    tokenizer = clip_tokenizer()
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width + 5,
        num_attention_heads=4,
        num_hidden_layers=layers,
        projection_dim=width,
        max_position_embeddings=max_positions,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def tiny_text_encoder(seed: int = 0, **config: int) -> CLIPTextModel:
    """The text tower alone, as Stable Diffusion carries it."""
    torch.manual_seed(seed)
    return CLIPTextModel(text_config(**config)).eval()


def tiny_pipeline(
    pipeline_class: type = StableDiffusionPipeline,
    *,
    pad: str = "<|endoftext|>",
    seed: int = 0,
    **text: int,
) -> StableDiffusionPipeline:
    """A StableDiffusionPipeline whose pictures are 32 x 32; `text` goes to `text_config`."""
    text_encoder = tiny_text_encoder(seed, **text)
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        block_out_channels=(4, 8),
        layers_per_block=1,
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=text_encoder.config.hidden_size,
        attention_head_dim=2,
        norm_num_groups=2,
    ).eval()
    vae = AutoencoderKL(
        sample_size=32,
        block_out_channels=(4, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=1,
    ).eval()
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    pipe = pipeline_class(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=clip_tokenizer(pad, text_encoder.config.max_position_embeddings),
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def tiny_clip(
    seed: int = 0, width: int = 32
) -> tuple[CLIPModel, CLIPTokenizer, CLIPImageProcessorPil]:
    """(model, tokenizer, image processor): both towers, pictures of 32 x 32 in patches of 8."""
    torch.manual_seed(seed)
    vision = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=width + 5,
        num_attention_heads=4,
        num_hidden_layers=2,
        projection_dim=width,
        image_size=32,
        patch_size=8,
    )
    config = CLIPConfig(
        text_config=text_config(width).to_dict(),
        vision_config=vision.to_dict(),
        projection_dim=width,
    )
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    return CLIPModel(config).eval(), clip_tokenizer(), processor


def save_tiny_clip(folder: str | Path, seed: int = 0) -> Path:
    """Write `tiny_clip` in the transformers folder layout; returns the folder."""
    for part in tiny_clip(seed):
        part.save_pretrained(folder)
    return Path(folder)


def save_tiny_pipeline(folder: str | Path, seed: int = 0) -> Path:
    """Write `tiny_pipeline` in the diffusers folder layout, with a CLIP in clip/; returns the folder."""
    tiny_pipeline(seed=seed).save_pretrained(folder)
    save_tiny_clip(Path(folder) / "clip", seed)
    return Path(folder)
