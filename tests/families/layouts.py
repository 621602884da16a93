"""Tiny pipelines and the single files that the original code bases would have kept their text encoders in."""

import torch
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
)

from clipcond.clip import openclip_from_hf
from tests import doubles as tiny

WIDTH = 128  # two heads of 64, as widths say
CLIP_L, CLIP_G, T5 = (
    f"text_encoders.{name}.transformer." for name in ("clip_l", "clip_g", "t5xxl")
)


def text_model(model_class, seed, activation, **changes):
    torch.manual_seed(seed)
    config = dict(tiny.text_config(WIDTH).to_dict(), num_attention_heads=2, hidden_act=activation)
    return model_class(CLIPTextConfig(**(config | changes))).eval()


def t5_encoder(width=WIDTH):
    torch.manual_seed(3)
    config = T5Config(
        vocab_size=len(tiny.t5_tokenizer()),
        d_model=width,
        d_kv=8,
        d_ff=37,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
    )
    return T5EncoderModel(config).eval()


def pipeline(name):
    """The tiny pipeline of that name with text encoders whose heads are 64 wide."""
    pipe = tiny.BUILDERS[name]()
    projection = {"projection_dim": 96}  # not as wide as the tower
    match name:
        case "sd1":
            pipe.text_encoder = text_model(CLIPTextModel, 0, "quick_gelu")
        case "sd2":
            pipe.text_encoder = text_model(CLIPTextModel, 0, "gelu")
        case "sdxl" | "refiner":
            if name == "sdxl":
                pipe.text_encoder = text_model(CLIPTextModel, 0, "quick_gelu")
            pipe.text_encoder_2 = text_model(CLIPTextModelWithProjection, 1, "gelu", **projection)
        case "sd3" | "sd3_without_t5":
            pipe.text_encoder = text_model(CLIPTextModelWithProjection, 0, "quick_gelu")
            pipe.text_encoder.text_projection.weight.data = torch.eye(WIDTH)
            pipe.text_encoder_2 = text_model(CLIPTextModelWithProjection, 1, "gelu", **projection)
            if name == "sd3":
                pipe.text_encoder_3 = t5_encoder(2 * WIDTH)
        case "flux":
            pipe.text_encoder = text_model(CLIPTextModel, 0, "quick_gelu")
            pipe.text_encoder_2 = t5_encoder()
    # only the configuration's width is read here
    if hasattr(pipe, "unet"):
        pipe.unet.register_to_config(cross_attention_dim=WIDTH * (1 + (name == "sdxl")))
    else:
        pipe.transformer.register_to_config(joint_attention_dim=WIDTH * (1 + (name != "flux")))
    return pipe


def state_of(module):
    """With `text_model.`, as files have it."""
    return {
        name if name.startswith("text_") else f"text_model.{name}": tensor.clone()
        for name, tensor in module.state_dict().items()
    }


def openclip(module, *, extra_layer=False):
    """The names and merged matrices of OpenCLIP's text tower."""
    state = state_of(module)
    if extra_layer:  # Stable Diffusion 2's files have one that is not used
        last = f"layers.{module.config.num_hidden_layers - 1}."
        extra = f"layers.{module.config.num_hidden_layers}."
        state |= {n.replace(last, extra): t + 1 for n, t in state.items() if last in n}
    state.setdefault("text_projection.weight", torch.eye(WIDTH))
    return openclip_from_hf(state) | {"logit_scale": torch.tensor(4.6)}


def prefixed(prefix, state):
    return {prefix + name: tensor.contiguous() for name, tensor in state.items()}


def tensors_of(name, pipe):
    """What a file of this family holds: text encoders, and a tensor of the denoiser."""
    unet = {"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"}
    denoiser = {"sd3": {"model.diffusion_model.context_embedder.weight"}}
    denoiser = {"flux": {"model.diffusion_model.txt_in.weight"}, **denoiser}
    key = next(iter(denoiser.get(name.removesuffix("_without_t5"), unet)))
    config = (getattr(pipe, "unet", None) or pipe.transformer).config
    width = config.get("cross_attention_dim") or config.joint_attention_dim
    positions = {"text_model.embeddings.position_ids": torch.arange(77)[None]}
    state = {key: torch.zeros(4, width)}
    match name:
        case "sd1":
            state |= prefixed(
                "cond_stage_model.transformer.", state_of(pipe.text_encoder) | positions
            )
        case "sd2":
            state |= prefixed(
                "cond_stage_model.model.", openclip(pipe.text_encoder, extra_layer=True)
            )
        case "sdxl":
            state |= prefixed(
                "conditioner.embedders.0.transformer.", state_of(pipe.text_encoder) | positions
            )
            state |= prefixed("conditioner.embedders.1.model.", openclip(pipe.text_encoder_2))
        case "refiner":
            state |= prefixed("conditioner.embedders.0.model.", openclip(pipe.text_encoder_2))
        case "flux":
            state |= prefixed(CLIP_L, state_of(pipe.text_encoder))
            state |= prefixed(T5, pipe.text_encoder_2.state_dict())
        case _:
            first = state_of(pipe.text_encoder)
            first["text_projection.weight"] = torch.full((WIDTH, WIDTH), 7.0)  # not what is used
            state |= prefixed(CLIP_L, first) | prefixed(CLIP_G, state_of(pipe.text_encoder_2))
            if name == "sd3":
                state |= prefixed(T5, pipe.text_encoder_3.state_dict())
    embedded = [key for key in state if key.endswith("encoder.embed_tokens.weight")]
    return {key: tensor for key, tensor in state.items() if key not in embedded}


def write(folder, name, pipe, **changes):
    """The file; `changes`: tensors by name, None to leave one out."""
    state = tensors_of(name, pipe) | changes
    save_file({k: t for k, t in state.items() if t is not None}, folder / f"{name}.safetensors")
    return folder / f"{name}.safetensors"


def tokenizers(name):
    """What `tokenizer=` wants for the tiny vocabulary."""
    t5 = {"sd3": "tokenizer_3", "flux": "tokenizer_2"}.get(name)
    if t5 is None:
        return tiny.clip_tokenizer()
    return {
        "tokenizer": tiny.clip_tokenizer(),
        **({"tokenizer_2": tiny.clip_tokenizer()} if name == "sd3" else {}),
        t5: tiny.t5_tokenizer(),
    }
