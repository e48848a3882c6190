"""From recordings to clips."""
