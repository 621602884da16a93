"""Rows of figures, each beside its peer in the same process."""
