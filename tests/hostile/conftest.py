"""A model folder to damage."""

import shutil

import pytest

from tests.tiny import save_tiny_pipeline


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    return save_tiny_pipeline(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def model(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "model")
