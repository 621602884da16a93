"""Where the shipped files are: inside the installed package, or in the checkout it runs from.

The wheel carries weights/NAME as clipcond/weights/NAME; a checkout has it beside the package.
"""

from importlib import resources
from pathlib import Path

from clipcond.errors import CheckpointError


def model_folder(name: str = "emoji") -> Path:
    """The folder of a shipped model, in diffusers layout.

    Args:
        name: a folder of weights/.

    Raises:
        CheckpointError: this installation does not carry it.
    """
    package = Path(str(resources.files("clipcond")))
    candidates = (package / "weights" / name, package.parent / "weights" / name)
    for folder in candidates:
        if folder.is_dir():
            return folder
    looked = " and ".join(str(folder) for folder in candidates)
    raise CheckpointError(f"the shipped model {name!r} is not here; looked in {looked}")
