"""Encoders: what a clip sounds like, as frames of numbers. One encoder a file."""
