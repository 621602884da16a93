"""Checkpoints of a CLIP: each layout's files made the same tensors under the same names, and written as either layout.

`loading` and `export` are the doors. A file's tensors come from `archive`, out of their wrapping by `unwrap`, under
transformers' names by `layouts`; what they are of say `kinds` and `openclip` (configurations) and `shapes` (weights alone).
`assemble` checks them and builds the towers.
"""
