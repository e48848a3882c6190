"""Jukebox: the encoder of its VQ-VAE, and the first 36 of the 72 layers of its top-level prior."""
