"""The way of one stage through the rooms, where it takes more than a few lines of `line.py`."""
