"""Tiny random pipelines of every family, built from configurations: no download, CPU, milliseconds.

What the tests run on, and the recipes with --tiny. Everything is deterministic in its seed, fp32 and in eval mode; widths
are 32 or so, and nothing here makes a good picture.
"""

from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
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


def t5_tokenizer() -> T5Tokenizer:
    """A real T5Tokenizer over `WORDS` and single characters; ids 0, 1, 2 are padding, end and unknown."""
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0), ("▁", -3.0)]
    vocab += [("▁" + word, -2.0) for word in WORDS]
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'()-:;\""
    vocab += [(letter, -6.0) for letter in letters]
    return T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=512)


def t5_encoder(width: int) -> T5EncoderModel:
    """T5's encoder, two layers."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(t5_tokenizer()),
        d_model=width,
        d_kv=8,
        d_ff=37,
        num_layers=2,
        num_heads=4,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=32,
        dropout_rate=0.0,
        feed_forward_proj="gated-gelu",
    )
    return T5EncoderModel(config).eval()


def projected(seed: int, **changes: Any) -> CLIPTextModelWithProjection:
    """CLIP's text tower with its projection."""
    torch.manual_seed(seed)
    config = text_config()
    config.update(changes)
    return CLIPTextModelWithProjection(config).eval()


def _quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _vae(latent: int = 4, *, flow: bool = False) -> AutoencoderKL:
    torch.manual_seed(0)
    blocks = 1 if latent == 1 else 2
    flow_config = dict(
        use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.0609, scaling_factor=1.5035
    )
    return AutoencoderKL(
        sample_size=32,
        block_out_channels=(4, 8)[:blocks],
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        latent_channels=latent,
        norm_num_groups=1,
        **(flow_config if flow else {}),
    ).eval()


def _xl_unet(cross: int, ids: int) -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=cross,
        attention_head_dim=(2, 4),
        norm_num_groups=2,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=8 * ids + 32,
    ).eval()


def _euler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        timestep_spacing="leading",
    )


def sd1() -> Any:
    """Stable Diffusion 1."""
    return tiny_pipeline()


def sd2() -> Any:
    """Stable Diffusion 2: padded with "!"."""
    return tiny_pipeline(pad="!")


def sdxl(*, zeros: bool = True, **changes: Any) -> Any:
    """Stable Diffusion XL; `changes` go to the second encoder's configuration."""
    return _quiet(
        StableDiffusionXLPipeline(
            vae=_vae(),
            scheduler=_euler(),
            text_encoder=tiny_text_encoder(),
            tokenizer=clip_tokenizer(),
            text_encoder_2=projected(1, **changes),
            tokenizer_2=clip_tokenizer("!"),
            unet=_xl_unet(64, 6),
            force_zeros_for_empty_prompt=zeros,
            add_watermarker=False,
        )
    )


def refiner() -> Any:
    """Stable Diffusion XL's refiner."""
    return _quiet(
        StableDiffusionXLImg2ImgPipeline(
            vae=_vae(),
            scheduler=_euler(),
            text_encoder=None,
            tokenizer=None,
            text_encoder_2=projected(1),
            tokenizer_2=clip_tokenizer("!"),
            unet=_xl_unet(32, 5),
            requires_aesthetics_score=True,
            force_zeros_for_empty_prompt=False,
            add_watermarker=False,
        )
    )


def sd3(*, t5: bool = True) -> Any:
    """Stable Diffusion 3."""
    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=32,
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=80,
        caption_projection_dim=32,
        pooled_projection_dim=64,
    ).eval()
    return _quiet(
        StableDiffusion3Pipeline(
            transformer=transformer,
            scheduler=FlowMatchEulerDiscreteScheduler(),
            vae=_vae(flow=True),
            text_encoder=projected(0),
            tokenizer=clip_tokenizer(),
            text_encoder_2=projected(1),
            tokenizer_2=clip_tokenizer("!"),
            text_encoder_3=t5_encoder(80) if t5 else None,
            tokenizer_3=t5_tokenizer() if t5 else None,
        )
    )


def sd3_without_t5() -> Any:
    """Stable Diffusion 3 without its T5."""
    return sd3(t5=False)


def flux() -> Any:
    """Flux.1."""
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
        guidance_embeds=False,
    ).eval()
    return _quiet(
        FluxPipeline(
            transformer=transformer,
            scheduler=FlowMatchEulerDiscreteScheduler(),
            vae=_vae(1, flow=True),
            text_encoder=tiny_text_encoder(),
            tokenizer=clip_tokenizer(),
            text_encoder_2=t5_encoder(32),
            tokenizer_2=t5_tokenizer(),
        )
    )


def lcm() -> Any:
    """A latent consistency model of Stable Diffusion 1."""
    parts = dict(tiny_pipeline().components)
    config = parts["unet"].config
    torch.manual_seed(0)
    parts["unet"] = UNet2DConditionModel.from_config(config, time_cond_proj_dim=32).eval()
    parts["scheduler"] = LCMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    )
    return _quiet(LatentConsistencyModelPipeline(**parts, requires_safety_checker=False))


BUILDERS = dict(
    sd1=sd1,
    sd2=sd2,
    sdxl=sdxl,
    refiner=refiner,
    sd3=sd3,
    sd3_without_t5=sd3_without_t5,
    flux=flux,
    lcm=lcm,
)
