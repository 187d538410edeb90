"""The one error that a scenario ends with: a sentence for the person who started it."""


class Failed(Exception):
    """Where, what was found, what to do instead."""
