"""The examples of docs/prompt-language.md, run."""

import doctest
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "prompt-language.md"


def test_every_example_of_the_page():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    test = doctest.DocTestParser().get_doctest("".join(blocks), {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 15
    complaints: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(test, out=complaints.append)
    assert not failed, "".join(complaints)
