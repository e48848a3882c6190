"""llark: software that hears music and can talk about it."""

__version__ = "0.1.0"
