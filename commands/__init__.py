"""Commands of `warmpath`, one file a noun; ``cli.py`` registers them."""
