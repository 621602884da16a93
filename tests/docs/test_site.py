"""The site: links lead on as they do on GitHub, and what a strict build is to refuse it refuses."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.docs.readers import ROOT

pytest.importorskip("mkdocs", reason="make docs installs it")

from docs.site import hooks


def test_every_public_name_is_in_the_reference_and_documented():
    assert list(hooks.missing_from_reference()) == []


@pytest.mark.parametrize(
    ("link", "page", "leads_to"),
    [
        ("steps.md", "regions.md", "steps.md"),
        ("../steps.md", "api/run.md", "steps.md"),
        ("../pipelines", "conditioning.md", "repository/pipelines/index.md"),
        ("pipelines/flux.py", "repository/pipelines/index.md", "repository/pipelines/flux.py.md"),
        ("../tests/tiny.py", "pitfalls.md", "repository/tests/tiny.py.md"),
        ("docs/search.md", "repository/CHANGELOG.md", "search.md"),
        ("../../docs/demo.png", "repository/weights/emoji/README.md", "demo.png"),
        ("../nowhere.md", "steps.md", None),
    ],
)
def test_links_lead_where_they_lead_in_the_repository(link, page, leads_to):
    assert hooks.target(link, page) == leads_to


def change(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.slow
def test_a_strict_build_names_what_is_broken(tmp_path):
    for part in ("docs", "clipcond"):
        shutil.copytree(ROOT / part, tmp_path / part)
    for part in ("mkdocs.yml", "tests", "pipelines", "weights", "CHANGELOG.md"):
        (tmp_path / part).symlink_to(ROOT / part)
    change(tmp_path / "docs/index.md", "(cookbook.md)", "(cook.md)")
    change(tmp_path / "docs/index.md", "](../CHANGELOG.md)", "](../CHANGES.md)")
    change(tmp_path / "docs/cookbook.md", "#threads)", "#thread)")
    change(tmp_path / "docs/api/score.md", "::: clipcond.rerank\n", "")
    change(tmp_path / "clipcond/score/results.py", '"""Scores of', 'no_docstring = """Scores of')
    change(tmp_path / "clipcond/generation.py", "        candidates: how", "        many: how")
    (tmp_path / "docs/lonely.md").write_text("# Nothing leads here\n")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=tmp_path,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    for said in (
        "'index.md' contains a link 'cook.md'",
        "'index.md' contains a link '../CHANGES.md'",
        "'cookbook.md' contains a link 'encoders.md#thread'",
        "clipcond.rerank is on no page of docs/api",
        "clipcond.score.Scores has no docstring",
        "Parameter 'many' does not appear in the function signature",
        "- lonely.md",
    ):
        assert said in done.stderr
