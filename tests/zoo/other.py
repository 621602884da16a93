"""What makes no picture: sound and shapes."""

from diffusers import (
    AutoencoderOobleck,
    EDMDPMSolverMultistepScheduler,
    HeunDiscreteScheduler,
    PriorTransformer,
    StableAudioDiTModel,
    StableAudioProjectionModel,
)
from diffusers.pipelines.shap_e.renderer import ShapERenderer

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import PROJECTED, T5
from tests.zoo.inputs import call

AUDIO: Parts = T5 | dict(
    transformer=lambda: StableAudioDiTModel(
        sample_size=4, in_channels=3, num_layers=1, attention_head_dim=4, num_attention_heads=2,
        num_key_value_attention_heads=2, out_channels=3, cross_attention_dim=4, time_proj_dim=8,
        global_states_input_dim=8, cross_attention_input_dim=4,
    ),
    vae=lambda: AutoencoderOobleck(
        encoder_hidden_size=6, downsampling_ratios=[1, 2], decoder_channels=3, decoder_input_channels=3,
        audio_channels=2, channel_multiples=[2, 4], sampling_rate=4,
    ),
    projection_model=lambda: StableAudioProjectionModel(
        text_encoder_dim=32, conditioning_dim=4, min_value=0, max_value=32
    ),
    scheduler=lambda: EDMDPMSolverMultistepScheduler(
        solver_order=2, prediction_type="v_prediction", sigma_data=1.0, sigma_schedule="exponential"
    ),
)  # fmt: skip
SHAPE: Parts = PROJECTED | dict(
    prior=lambda: PriorTransformer(
        num_attention_heads=2, attention_head_dim=16, embedding_dim=16, num_embeddings=32, embedding_proj_dim=32,
        time_embed_dim=64, num_layers=1, clip_embed_dim=32, additional_embeddings=0, time_embed_act_fn="gelu",
        norm_in_type="layer", encoder_hid_proj_type=None, added_emb_type=None,
    ),
    shap_e_renderer=lambda: ShapERenderer(
        param_shapes=((8, 93), (8, 8), (8, 8), (8, 8)), d_latent=16, d_hidden=8, n_output=12
    ),
    scheduler=lambda: HeunDiscreteScheduler(
        beta_schedule="exp", num_train_timesteps=1024, prediction_type="sample",
        use_karras_sigmas=True, clip_sample=True, clip_sample_range=1.0,
    ),
)  # fmt: skip

ANIMALS: dict[str, Animal] = {
    **family(AUDIO, StableAudioPipeline=call()),
    **family(SHAPE, ShapEPipeline=call(count=1, frame_size=32)),
}
