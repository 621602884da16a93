"""Tests of the prompt language; none of them needs torch."""
