"""The page on evaluations: its settings are understood, and it is made of what was measured."""

import json

from clipcond.evaluation.settings import read_spec
from tests.docs.readers import ROOT, blocks
from weights.lab.measure.evaluating import page

TEXT = (ROOT / "docs" / "evaluating.md").read_text()


def test_its_file_is_understood(tmp_path):
    (toml,) = blocks("docs/evaluating.md", "toml")
    (tmp_path / "sweep.toml").write_text(toml)
    assert len(read_spec(tmp_path / "sweep.toml").settings) == 3


def test_it_is_the_page_of_what_was_measured():
    assert page(json.loads((ROOT / "weights" / "evaluating.json").read_text())) == TEXT
