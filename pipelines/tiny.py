"""What the recipes run on with --tiny: the tests' doubles, pipelines of random parts."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # a recipe runs as a program from its own folder

from tests.doubles import *  # noqa: F403 - each recipe takes its own
from tests.zoo import ZOO


def qwen_image():
    """Qwen-Image."""
    return ZOO["QwenImagePipeline"].build()


def z_image():
    """Z-Image."""
    return ZOO["ZImagePipeline"].build()


def flux2():
    """Flux.2 Klein."""
    return ZOO["Flux2KleinPipeline"].build()


def sana():
    """Sana."""
    return ZOO["SanaPipeline"].build()
