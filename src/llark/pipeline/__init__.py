"""The way of one stage through the rooms, which `line.py` and the commands call."""
