"""From an annotation to exchanges: the teacher's room."""
