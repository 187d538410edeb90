"""The error with which a scenario ends: a sentence for the person who started it."""


class Failed(Exception):
    """Says where, what was found, and what to do instead."""
