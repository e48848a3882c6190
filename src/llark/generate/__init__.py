"""Answers to questions about audio: from the facts by code, or in a model's own words."""
