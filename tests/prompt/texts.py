"""Texts to read: put together from pieces, or of any characters that are not half of a pair."""

from hypothesis import strategies as st


def texts_of(pieces, most=None):
    return st.lists(st.sampled_from(list(pieces)), max_size=most).map("".join)


def any_text(without="", most=None):
    characters = st.characters(exclude_characters=without, exclude_categories=["Cs"])
    return st.text(alphabet=characters, max_size=most)
