"""Which pipelines are known, and which only look like one of them: a literal table, gathered.

Variants of one contract (image to image, inpainting, ControlNet, PAG, LCM, ...) are one family.
"""

from clipcond.families.clip import CLIP_FAMILIES
from clipcond.families.contract import Family
from clipcond.families.gemma import GEMMA_FAMILIES
from clipcond.families.gemma_language import GEMMA_LANGUAGE_FAMILIES
from clipcond.families.language import LANGUAGE_FAMILIES
from clipcond.families.language_films import FILM_FAMILIES
from clipcond.families.mixed import MIXED_FAMILIES
from clipcond.families.qwen import QWEN_FAMILIES
from clipcond.families.t5 import T5_FAMILIES

FAMILIES: tuple[Family, ...] = (
    *CLIP_FAMILIES,
    *T5_FAMILIES,
    *GEMMA_FAMILIES,
    *QWEN_FAMILIES,
    *LANGUAGE_FAMILIES,
    *GEMMA_LANGUAGE_FAMILIES,
    *FILM_FAMILIES,
    *MIXED_FAMILIES,
)

# classes that only their names tell from others of the same parts and arguments -> their families
NAMED: dict[str, str] = {
    "QwenImageEditPipeline": "Qwen-Image Edit",
    "QwenImageEditInpaintPipeline": "Qwen-Image Edit",
    "QwenImageEditPlusPipeline": "Qwen-Image Edit Plus",
}

# classes that look like one of a family and are not
REFUSED: dict[str, str] = {
    "VisualClozePipeline": "its call takes no embeddings without a task prompt, and none with one",
    "VisualClozeGenerationPipeline": "its call takes no embeddings without a task prompt, and none with one",
    "StableUnCLIPPipeline": "its prior reads the prompt as text only",
    "HunyuanVideoImageToVideoPipeline": "its language model reads the picture before the prompt, so that the prompt's "
    "states depend on it",
    "Kandinsky5I2IPipeline": "its language model reads the picture after the prompt, and hands over the states of both",
    "QwenImageLayeredPipeline": "where it is given no text it writes a caption of its own, also beside embeddings",
    "LongCatImagePipeline": "its call with embeddings counts the prompt's strings all the same, and fails without them",
    "LongCatImageEditPipeline": "as LongCatImagePipeline, and its language model reads the picture before the prompt",
    "EasyAnimateControlPipeline": "its call fails, with strings as with embeddings: it hands encode_prompt a "
    "text_encoder_index that that does not take",
    "GlmImagePipeline": "its language model samples the picture's tokens from the prompt as text; only what is in quotes "
    "is embedded",
}
