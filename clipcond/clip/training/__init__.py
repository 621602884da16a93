"""Contrastive training of both towers: exact gradients at any world size, resumable at any step."""
