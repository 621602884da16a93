"""Tiny language models and their tokenizers, as text encoders carry them."""

from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    ByT5Tokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma2Model,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    GlmConfig,
    GlmModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralConfig,
    PixtralVisionConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2_5_VLTextConfig,
    Qwen2_5_VLTextModel,
    Qwen2VLImageProcessorPil,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    T5Config,
    T5EncoderModel,
)

from clipcond.families import templates
from clipcond.tokens import Template
from tests.doubles import WORDS
from tests.zoo.components import T5_SIZES

VOCABULARY = 600

LLAMA_SPECIAL = ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>")
QWEN_SPECIAL = tuple(
    "<|endoftext|> <|im_start|> <|im_end|> <|vision_start|> <|vision_end|> <|image_pad|> <|video_pad|>".split()
)
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


GEMMA_SPECIAL = ("<pad>", "<eos>", "<bos>")
GLM_SPECIAL = ("<|endoftext|>", "[gMASK]", "<sop>")
MISTRAL_SPECIAL = tuple("<s> </s> <pad> [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [INST] [/INST]".split())
# of messages that are texts, or lists of texts and pictures
CHAT_PARTS = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MISTRAL_CHAT = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}[SYSTEM_PROMPT]"
    "{{ message['content'][0]['text'] }}[/SYSTEM_PROMPT]{% else %}[INST]{{ message['content'][0]['text'] }}[/INST]{% endif %}"
    "{% endfor %}"
)


def _byte_level(special: tuple[str, ...], bos: str = "") -> Tokenizer:
    """Byte-level BPE, trained on `WORDS` and on what stands around prompts, which so has about as many tokens as for the
    real ones.
    """
    known = [
        " ".join(WORDS * 20),  # each a token, whatever the templates say
        *(t.text for t in vars(templates).values() if isinstance(t, Template)),
    ]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(known, trainer)
    made.add_special_tokens([AddedToken(token, special=True) for token in special])
    if bos:
        made.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A",
            pair=f"{bos} $A $B",
            special_tokens=[(bos, made.token_to_id(bos))],
        )
    return made


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """Llama 3's: a BOS, no EOS."""
    return PreTrainedTokenizerFast(
        tokenizer_object=_byte_level((*LLAMA_SPECIAL, "<pad>"), LLAMA_SPECIAL[0]),
        bos_token=LLAMA_SPECIAL[0],
        eos_token=LLAMA_SPECIAL[1],
        pad_token="<pad>",
        model_max_length=2048,
    )


def qwen_tokenizer(chat: str = CHAT) -> PreTrainedTokenizerFast:
    """Qwen 2.5's, with a chat template."""
    return PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(QWEN_SPECIAL),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=2048,
        chat_template=chat,
    )


class _Processor(Qwen2_5_VLProcessor):
    """transformers looks up the classes of processors of films, which it can only where torchvision is installed."""

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> type:
        return type(argument)


def qwen_processor() -> Qwen2_5_VLProcessor:
    """Qwen2.5-VL's, which prepares pictures as well."""
    few = Qwen2VLImageProcessorPil(min_pixels=28**2, max_pixels=4 * 28**2)
    return _Processor(few, qwen_tokenizer(), None)


def _language(width: int) -> dict[str, Any]:
    return dict(
        vocab_size=len(llama_tokenizer()) + len(QWEN_SPECIAL), hidden_size=width, intermediate_size=37,
        num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=3, max_position_embeddings=4096,
    )  # fmt: skip


def llama(width: int, kind: type = LlamaModel) -> LlamaModel | LlamaForCausalLM:
    """Llama, three layers."""
    return kind(LlamaConfig(**_language(width), pad_token_id=0))


def _rope(width: int) -> dict[str, Any]:
    half = width // 4 // 2
    sections = [half - 2 * (half // 3), half // 3, half // 3]
    return dict(rope_type="default", mrope_section=sections, rope_theta=10000.0)


def qwen_text(width: int) -> Qwen2_5_VLTextModel:
    """Qwen2.5-VL without its eyes, three layers."""
    return Qwen2_5_VLTextModel(
        Qwen2_5_VLTextConfig(**_language(width), rope_parameters=_rope(width))
    )


def qwen(width: int) -> Qwen2_5_VLForConditionalGeneration:
    """Qwen2.5-VL, three layers."""
    marks = ("image", "video", "vision_start", "vision_end")
    names = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    ids = qwen_tokenizer().convert_tokens_to_ids(list(names))
    config = Qwen2_5_VLConfig(
        **{f"{mark}_token_id": own for mark, own in zip(marks, ids, strict=True)},
        text_config=_language(width) | dict(rope_parameters=_rope(width)),
        vision_config=dict(
            depth=1, hidden_size=16, intermediate_size=16, num_heads=2, out_hidden_size=width
        ),
    )
    return Qwen2_5_VLForConditionalGeneration(config)


def qwen3(width: int) -> Qwen3ForCausalLM:
    """Qwen3, as many layers as Flux.2 reads the last but the last of."""
    sizes = _language(width) | dict(num_hidden_layers=28, head_dim=8)
    return Qwen3ForCausalLM(Qwen3Config(**sizes))


def byte_tokenizer() -> ByT5Tokenizer:
    """ByT5's."""
    return ByT5Tokenizer()


def byte_encoder(width: int) -> T5EncoderModel:
    """ByT5's encoder, one layer."""
    return T5EncoderModel(T5Config(vocab_size=len(byte_tokenizer()), d_model=width, **T5_SIZES))


def gemma_tokenizer(side: str = "left") -> PreTrainedTokenizerFast:
    """Gemma's: a BOS, no EOS, and padding in front."""
    return PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(GEMMA_SPECIAL, "<bos>"),
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        padding_side=side,
        model_max_length=2048,
    )


def gemma2(width: int, kind: type = Gemma2Model) -> Gemma2Model | Gemma2ForCausalLM:
    """Gemma 2, three layers."""
    return kind(Gemma2Config(**_language(width), head_dim=8))


def gemma3(width: int) -> Gemma3ForConditionalGeneration:
    """Gemma 3 with its eyes, three layers."""
    config = Gemma3Config(
        text_config=_language(width) | dict(head_dim=8),
        vision_config=dict(
            hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32,
            patch_size=8,
        ),
        mm_tokens_per_image=4, image_token_index=600, boi_token_index=601, eoi_token_index=602,
    )  # fmt: skip
    return Gemma3ForConditionalGeneration(config)


def glm_tokenizer() -> PreTrainedTokenizerFast:
    """GLM's: two tokens in front, and padding before them."""
    made = _byte_level(GLM_SPECIAL)
    first, second = GLM_SPECIAL[1:3]
    made.post_processor = processors.TemplateProcessing(
        single=f"{first} {second} $A",
        pair=f"{first} {second} $A $B",
        special_tokens=[(token, made.token_to_id(token)) for token in (first, second)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token=GLM_SPECIAL[0],
        pad_token=GLM_SPECIAL[0],
        padding_side="left",
        model_max_length=2048,
    )


def glm(width: int) -> GlmModel:
    """GLM, three layers."""
    return GlmModel(GlmConfig(**_language(width), head_dim=8, pad_token_id=0))


def mistral_tokenizer() -> PreTrainedTokenizerFast:
    """Mistral 3's, with a chat template and padding in front."""
    return PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(MISTRAL_SPECIAL, "<s>"),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side="left",
        model_max_length=2048,
        chat_template=MISTRAL_CHAT,
    )


def mistral(width: int, layers: int = 3, kind: type = Mistral3ForConditionalGeneration) -> Any:
    """Mistral 3 with its eyes."""
    config = Mistral3Config(
        text_config=MistralConfig(**(_language(width) | dict(num_hidden_layers=layers, head_dim=8))),
        vision_config=PixtralVisionConfig(
            hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32,
            patch_size=8,
        ),
        image_token_index=600,
    )  # fmt: skip
    return kind(config)


def qwen3_vl(width: int, layers: int = 3, kind: type = Qwen3VLForConditionalGeneration) -> Any:
    """Qwen3-VL with its eyes."""
    config = Qwen3VLConfig(
        text_config=_language(width)
        | dict(num_hidden_layers=layers, head_dim=8, rope_parameters=_rope(32)),
        vision_config=dict(
            depth=1, hidden_size=16, intermediate_size=16, num_heads=2, out_hidden_size=width,
            deepstack_visual_indexes=[0],
        ),
    )  # fmt: skip
    return kind(config)


class _Processor3(Qwen3VLProcessor):
    """As `_Processor`."""

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> type:
        return type(argument)


def qwen3_processor() -> Qwen3VLProcessor:
    """Qwen3-VL's, which prepares pictures as well."""
    return _Processor3(Qwen2VLImageProcessorPil(), qwen_tokenizer(), None, chat_template=CHAT_PARTS)
