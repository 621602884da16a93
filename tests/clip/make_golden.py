"""Writes golden.json: what open_clip makes of the seeded weights of openai_model.py.

    pip install --no-deps --target scratch open_clip_torch ftfy wcwidth
    PYTHONPATH=.:scratch python -m tests.clip.make_golden

open_clip imports torchvision, for transforms that are not used here; where there is none, empty modules stand in.
"""

import importlib.util
import json
import sys
from importlib.metadata import version
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch

from tests.clip.openai_model import SCALARS, OpenAIClip, seeded_weights

GOLDEN = Path(__file__).with_name("golden.json")


def pixels(model):
    size = int(model.input_resolution)
    values = np.random.default_rng(1).standard_normal((2, 3, size, size))
    return torch.from_numpy(values).float()


def ids():
    rows = np.random.default_rng(2).integers(0, 636, (2, 77))
    rows[:, 0] = 636
    rows[0, 9:], rows[1, 76] = 0, 637
    rows[0, 9] = 637
    return torch.from_numpy(rows)


def main():
    if importlib.util.find_spec("torchvision") is None:
        names = ("", ".ops", ".ops.misc", ".transforms", ".transforms.functional")
        sys.modules |= {f"torchvision{name}": MagicMock() for name in names}
        sys.modules["transformers"] = None  # it would ask after torchvision
    from open_clip.model import build_model_from_openai_state_dict

    golden = {"open_clip_torch": version("open_clip_torch"), "torch": torch.__version__}
    for vision in ("vit", "resnet"):
        template = OpenAIClip(vision)
        weights = seeded_weights(template.state_dict())
        scalars = {name: template.state_dict()[name] for name in SCALARS}
        theirs = build_model_from_openai_state_dict(weights | scalars, cast_dtype=torch.float32)
        theirs.float().load_state_dict(weights)  # it was built in half precision
        with torch.no_grad():
            golden[vision] = {
                "image": theirs.encode_image(pixels(template)).tolist(),
                "text": theirs.encode_text(ids()).tolist(),
            }
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
