"""Facts as people look at them: a timeline of plain text, and a picture."""
