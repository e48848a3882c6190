"""The kinds of question that can be asked about an annotation: one module a family, each ends in KINDS."""
