"""What is no prompt is one clear error, for every argument that takes prompts; without the type checks that tests have."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
import numpy as np, torch
from clipcond import Conditioner, ClipcondError
from tests import doubles as tiny

conditioner = Conditioner.from_pipeline(tiny.sd3_without_t5())
wrong = {
    "bytes": b"a cat", "dict": {0: "a cat"}, "int": 3, "set": {"a cat"}, "array": np.array(["a cat", "a dog"]),
    "tensor": torch.zeros(1, 77, 8), "generator": (text for text in ["a cat"]),
    "list of None": ["a cat", None], "list of bytes": ["a cat", b"a dog"], "list of lists": ["a cat", ["a dog"]],
    "list of numbers": ["a cat", 1.5], "list of dicts": ["a cat", {"text": "a dog"}],
}
names = ("prompt", "prompt_2", "prompt_3", "negative_prompt", "negative_prompt_2", "negative_prompt_3")
said = {}
for name in names:
    for kind, value in (wrong | ({"None": None} if name == "prompt" else {})).items():
        for call in (conditioner, conditioner.report):
            try:
                call(**({"prompt": ["a cat", "a dog"]} | {name: value}))
            except ClipcondError as error:
                said[f"{name} {kind} {getattr(call, '__name__', 'call')}"] = [name, str(error)]
            except Exception as error:
                said[f"{name} {kind}"] = [name, f"{type(error).__name__}: {error}"]
            else:
                said[f"{name} {kind}"] = [name, "nothing"]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.slow
def test_every_argument_says_what_it_got_and_what_it_takes(said):
    assert len(said) == (6 * 12 + 1) * 2
    for case, (name, message) in said.items():
        where = f"{name}[1]: got " if " list of " in case else f"{name}: got "
        assert message.startswith(where), (case, message)
        assert "string" in message, (case, message)
        assert len(message) < 200, (case, message)
        assert "\n" not in message, (case, message)
