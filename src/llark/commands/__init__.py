"""The command line of one stage a file; `cli.py` gathers them."""
