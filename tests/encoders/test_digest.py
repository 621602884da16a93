"""The digest of an encoder sees whole rows and whole columns change places, which leaves most sums as they were."""

import torch

from clipcond.encoders import digest
from tests.doubles import tiny_text_encoder


def test_rows_and_columns_that_change_places_are_seen():
    encoder = tiny_text_encoder()
    table = torch.randn(64, 2048, generator=torch.Generator().manual_seed(0))
    found = set()
    for changed in (table, table[[1, 0, *range(2, 64)]], table[:, [*range(2, 2048), 0, 1]]):
        encoder.get_input_embeddings().weight.data = changed.contiguous()
        found.add(digest(encoder))
    assert len(found) == 3
