"""One script a training stage."""
