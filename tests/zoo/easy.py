"""Films whose prompt Qwen2.5-VL or Qwen2-VL reads: Cosmos 2.5, EasyAnimate."""

from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from diffusers import (
    AutoencoderKLMagvit,
    CosmosControlNetModel,
    CosmosTransformer3DModel,
    EasyAnimateTransformer3DModel,
    UniPCMultistepScheduler,
)
from diffusers.models.controlnets import controlnet_cosmos
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import FLOW, slot
from tests.zoo.inputs import call, film
from tests.zoo.language import trained
from tests.zoo.language_models import CHAT_PARTS, qwen, qwen_tokenizer
from tests.zoo.wan import wan_vae

WIDTH = 32
# what Cosmos's denoiser and its ControlNet share; they read the states of all three layers
COSMOS: dict[str, Any] = dict(
    num_attention_heads=2, attention_head_dim=16, mlp_ratio=2, text_embed_dim=32, adaln_lora_dim=4,
    max_size=(4, 32, 32), patch_size=(1, 2, 2), rope_scale=(2.0, 1.0, 1.0), extra_pos_embed_type=None,
    use_crossattn_projection=True, crossattn_proj_in_channels=3 * WIDTH, encoder_hidden_states_channels=32,
)  # fmt: skip
EASY: dict[str, Any] = dict(
    num_attention_heads=2, attention_head_dim=16, out_channels=4, patch_size=2, sample_width=4, sample_height=4,
    num_layers=2, mmdit_layers=1, time_embed_dim=8, text_embed_dim=WIDTH, resize_inpaint_mask_directly=False,
    add_norm_text_encoder=True,
)  # fmt: skip


class _Unguarded(torch.nn.Module):
    """Stands where Cosmos wants its guardrail, an own package with own weights: lets everything through."""

    device = torch.device("cpu")
    dtype = torch.float32

    def check_text_safety(self, prompt: str) -> bool:
        return True

    def check_video_safety(self, video: Any) -> Any:
        return video


def _resize(mask: torch.Tensor, size: list[int], interpolation: str) -> torch.Tensor:
    return torch.nn.functional.interpolate(mask, size, mode=interpolation)


def _control() -> CosmosControlNetModel:
    """Cosmos's ControlNet, with a stand-in for torchvision, by which it resizes a mask."""
    controlnet = CosmosControlNetModel(
        **COSMOS, n_controlnet_blocks=1, in_channels=18, latent_channels=18, model_channels=32
    )
    forward = controlnet.forward
    transforms = SimpleNamespace(
        functional=SimpleNamespace(resize=_resize),
        InterpolationMode=SimpleNamespace(NEAREST="nearest"),
    )

    def without_torchvision(*args: Any, **more: Any) -> Any:
        with patch.object(controlnet_cosmos, "transforms", transforms, create=True):
            return forward(*args, **more)

    controlnet.forward = without_torchvision
    return controlnet


def qwen2_vl(width: int) -> Qwen2VLForConditionalGeneration:
    """Qwen2-VL with its eyes, three layers."""
    config = Qwen2VLConfig(
        text_config=dict(
            vocab_size=700, hidden_size=width, intermediate_size=37, num_attention_heads=4,
            num_key_value_heads=2, num_hidden_layers=3, max_position_embeddings=4096, pad_token_id=0,
            bos_token_id=None, eos_token_id=None,
            rope_parameters=dict(rope_type="default", mrope_section=[2, 1, 1], rope_theta=10000.0),
        ),
        vision_config=dict(depth=1, embed_dim=16, hidden_size=width, num_heads=2, mlp_ratio=1),
    )  # fmt: skip
    return Qwen2VLForConditionalGeneration(config)


def _magvit() -> AutoencoderKLMagvit:
    """EasyAnimate's autoencoder: a latent for 8 x 8 pixels of 4 frames."""
    down, up = "SpatialTemporalDownBlock3D", "SpatialTemporalUpBlock3D"
    return AutoencoderKLMagvit(
        latent_channels=4, block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=2,
        down_block_types=("SpatialDownBlock3D", down, down, down), up_block_types=("SpatialUpBlock3D", up, up, up),
    )  # fmt: skip


CHAT = partial(qwen_tokenizer, CHAT_PARTS)
PREDICT: Parts = slot(1, lambda: qwen(WIDTH), CHAT) | dict(
    transformer=lambda: CosmosTransformer3DModel(
        **COSMOS,
        in_channels=17,
        out_channels=16,
        num_layers=1,
        concat_padding_mask=False,
        controlnet_block_every_n=1,
    ),
    controlnet=_control,
    vae=wan_vae,
    scheduler=lambda: UniPCMultistepScheduler(
        use_flow_sigmas=True, prediction_type="flow_prediction"
    ),
    safety_checker=_Unguarded,
)


def _easy(channels: int) -> Parts:
    """EasyAnimate, whose denoiser takes that many channels."""
    return (
        slot(1, lambda: qwen2_vl(WIDTH), CHAT)
        | FLOW
        | dict(
            transformer=lambda: trained(EasyAnimateTransformer3DModel(**EASY, in_channels=channels)),
            vae=_magvit,
        )
    )  # fmt: skip


def _masked(frames: int, size: int) -> dict[str, torch.Tensor]:
    """A grey film, and which half of it is to be painted."""
    white = torch.zeros(1, 1, frames, size, size)
    white[..., : size // 2] = 255
    return dict(video=torch.full((1, 3, frames, size, size), 0.5), mask_video=white)


_film = partial(call, 32, num_frames=5)
_easy_film = partial(_film, negative_prompt="")  # guided, the call fails without one

ANIMALS: dict[str, Animal] = {
    **family(
        PREDICT,
        Cosmos2_5_PredictBasePipeline=_film(max_sequence_length=512),
        Cosmos2_5_TransferPipeline=_film(
            max_sequence_length=512, controls=film(5), num_frames_per_chunk=5
        ),
    ),
    **family(_easy(4), EasyAnimatePipeline=_easy_film()),
    **family(_easy(12), EasyAnimateInpaintPipeline=_easy_film(**_masked(5, 32))),
}
