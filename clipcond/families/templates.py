"""What pipelines put around a prompt for a language model: literal, as diffusers 0.42 has it.

`crop` is the number of tokens that a pipeline drops at the beginning after encoding.
"""

from collections.abc import Mapping
from typing import Any

from clipcond.errors import ClipcondError
from clipcond.tokens import Template


def template_of(given: Mapping[str, Any]) -> Template:
    """The template that a call's `prompt_template` says, as HunyuanVideo's pipelines take it.

    Args:
        given: "template", a format string with one {} for the prompt, and "crop_start", how many tokens are dropped at the
            beginning; without it all before the prompt (diffusers 0.42 then counts padding as well).

    Raises:
        ClipcondError: it is none.
    """
    place = "\0"
    about = given if isinstance(given, Mapping) else {}
    text, crop = about.get("template"), about.get("crop_start")
    try:
        parts = text.format(place).split(place) if isinstance(text, str) else []
    except (AttributeError, IndexError, KeyError, ValueError):
        parts = []
    if len(parts) != 2 or not (crop is None or (isinstance(crop, int) and crop >= 0)):
        raise ClipcondError(
            f"prompt_template: got {given!r}; needs a dict of template, a text with one {{}} for the prompt, and crop_start, "
            "how many of its first tokens to drop"
        )
    return Template(text="{}".join(parts), crop=crop)


HIDREAM = Template(text="{}", crop=0, eos_pads=True)

HUNYUAN_VIDEO = Template(
    text=(
        "<|start_header_id|>system<|end_header_id|>\n\nDescribe the video by detailing the following aspects: "
        "1. The main content and theme of the video."
        "2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects."
        "3. Actions, events, behaviors temporal relationships, physical movement changes of the objects."
        "4. background environment, light, style and atmosphere."
        "5. camera angles, movements, and transitions used in the video:<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
    ),
    crop=95,
)

HUNYUAN_VIDEO_15 = Template(
    text=(
        "You are a helpful assistant. Describe the video by detailing the following aspects: "
        "        1. The main content and theme of the video. "
        "        2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects. "
        "        3. Actions, events, behaviors temporal relationships, physical movement changes of the objects. "
        "        4. background environment, light, style and atmosphere. "
        "        5. camera angles, movements, and transitions used in the video."
    ),
    crop=108,
    chat=True,
    empty=" ",
)

HUNYUAN_IMAGE = Template(
    text=(
        "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
        "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>"
    ),
    crop=34,
)

QWEN_IMAGE = Template(text=HUNYUAN_IMAGE.text + "\n<|im_start|>assistant\n", crop=34)

FLUX_2_KLEIN = Template(text="", crop=0, chat=True, system=False, thinking=False)

KANDINSKY_IMAGE = Template(
    text=(
        "<|im_start|>system\nYou are a prompt engineer. Describe the image by detailing the color, shape, size, texture, "
        "quantity, text, spatial relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>"
    ),
    crop=40,
)

# spelt as the models were trained with it
KANDINSKY_5_VIDEO = Template(
    text=(
        "<|im_start|>system\nYou are a prompt engineer. Describe the video in detail.\n"
        "Describe how the camera moves or shakes, describe the zoom and view angle, whether it follows the objects.\n"
        "Describe the location of the video, main characters or objects and their action.\n"
        "Describe the dynamism of the video and presented actions.\n"
        "Name the visual style of the video: whether it is a professional footage, user generated content, some kind of "
        "animation, video game or scren content.\n"
        "Describe the visual effects, postprocessing and transitions if they are presented in the video.\n"
        "Pay attention to the order of key actions shown in the scene.<|im_end|>\n"
        "<|im_start|>user\n{}<|im_end|>"
    ),
    crop=128,
)
KANDINSKY_6_VIDEO = Template(
    text=KANDINSKY_5_VIDEO.text.replace("a prompt engineer", "a promt engineer"), crop=129
)


FLUX_2 = Template(
    text=(
        "You are an AI that reasons about image descriptions. You give structured responses focusing on object "
        "relationships, object\n"
        "attribution and actions without speculation."
    ),
    crop=0,
    chat=True,
    parts=True,
    answer=False,
)

SANA = Template(
    text=(
        "Given a user prompt, generate an 'Enhanced prompt' that provides detailed visual descriptions suitable "
        "for image generation. Evaluate the level of detail in the user prompt:\n"
        "- If the prompt is simple, focus on adding specifics about colors, shapes, sizes, textures, and spatial "
        "relationships to create vivid and concrete scenes.\n"
        "- If the prompt is already detailed, refine and enhance the existing details slightly without "
        "overcomplicating.\n"
        "Here are examples of how to transform or refine prompts:\n"
        "- User Prompt: A cat sleeping -> Enhanced: A small, fluffy white cat curled up in a round shape, sleeping "
        "peacefully on a warm sunny windowsill, surrounded by pots of blooming red flowers.\n"
        "- User Prompt: A busy city street -> Enhanced: A bustling city street scene at dusk, featuring glowing "
        "street lamps, a diverse crowd of people in colorful clothing, and a double-decker bus passing by towering "
        "glass skyscrapers.\n"
        "Please generate only the enhanced description for the prompt below and avoid including any additional "
        "commentary or evaluations:\n"
        "User Prompt: {}"
    ),
    crop=-1,
    keeps=1,
)

SANA_VIDEO = Template(
    text=(
        "Given a user prompt, generate an 'Enhanced prompt' that provides detailed visual descriptions suitable "
        "for video generation. Evaluate the level of detail in the user prompt:\n"
        "- If the prompt is simple, focus on adding specifics about colors, shapes, sizes, textures, motion, and "
        "temporal relationships to create vivid and dynamic scenes.\n"
        "- If the prompt is already detailed, refine and enhance the existing details slightly without "
        "overcomplicating.\n"
        "Here are examples of how to transform or refine prompts:\n"
        "- User Prompt: A cat sleeping -> Enhanced: A small, fluffy white cat slowly settling into a curled "
        "position, peacefully falling asleep on a warm sunny windowsill, with gentle sunlight filtering through "
        "surrounding pots of blooming red flowers.\n"
        "- User Prompt: A busy city street -> Enhanced: A bustling city street scene at dusk, featuring glowing "
        "street lamps gradually lighting up, a diverse crowd of people in colorful clothing walking past, and a "
        "double-decker bus smoothly passing by towering glass skyscrapers.\n"
        "Please generate only the enhanced description for the prompt below and avoid including any additional "
        "commentary or evaluations:\n"
        "User Prompt: {}"
    ),
    crop=-1,
    keeps=1,
)

LUMINA_2 = Template(
    text=(
        "You are an assistant designed to generate superior images with the superior degree of image-text alignment "
        "based on textual prompts or user prompts. <Prompt Start> {}"
    ),
    crop=0,
)
Z_IMAGE = Template(text="", crop=0, chat=True, system=False, thinking=True)
NONE = Template(text="{}", crop=0)

QWEN_IMAGE_21 = Template(
    text=(
        "<|im_start|>system\nComprehend and analyze the provided prompt.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n"
        "<|im_start|>assistant\n"
    ),
    crop="<|im_start|>system\nComprehend and analyze the provided prompt.<|im_end|>\n",
    empty=" ",
)
OVIS = Template(
    text=(
        "Describe the image by detailing the color, quantity, text, shape, size, texture, spatial relationships of the "
        "objects and background: {}"
    ),
    crop=28,
    chat=True,
    system=False,
    thinking=False,
)
KREA_2 = Template(text=QWEN_IMAGE.text, crop=34)
NUCLEUS = Template(
    text=(
        "You are an image generation assistant. Follow the user's prompt literally. Pay careful attention to spatial "
        "layout: objects described as on the left must appear on the left, on the right on the right. Match exact object "
        "counts and assign colors to the correct objects."
    ),
    crop=0,
    chat=True,
    parts=True,
)
FIBO_2 = Template(text="<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n", crop=0)
HUNYUAN_REFINER = Template(
    text=(
        "<|start_header_id|>system<|end_header_id|>\n\nDescribe the image by detailing the color, shape, size, texture, "
        "quantity, text, spatial relationships of the objects and background:<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
    ),
    crop=36,
)
COSMOS_25 = Template(
    text="You are a helpful assistant who will provide prompts to an image generator.",
    crop=0,
    chat=True,
    parts=True,
    answer=False,
)
EASY_ANIMATE = Template(text="", crop=0, chat=True, system=False, parts=True)

QWEN_IMAGE_EDIT = Template(
    text=(
        "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, background), "
        "then explain how the user's text instruction should alter or modify the image. Generate a new image that meets the "
        "user's requirements while maintaining consistency with the original input where appropriate.<|im_end|>\n"
        "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
    ),
    crop=64,
)
