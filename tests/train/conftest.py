from tests.tiny import base, parts, parts_with_concepts, stub_concepts

__all__ = ["base", "parts", "parts_with_concepts", "stub_concepts"]
