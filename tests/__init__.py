"""Tests, mirroring the package; laws/, parity/, hostile/ beside it."""
