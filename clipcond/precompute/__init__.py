"""Embeddings of many prompts, made once and read as a data set: for training, where the text encoder stays as it is."""

from clipcond.precompute.dataset import EmbeddingDataset, load_embeddings
from clipcond.precompute.job import Summary, encode_prompts, summary_json

__all__ = ["EmbeddingDataset", "Summary", "encode_prompts", "load_embeddings", "summary_json"]
