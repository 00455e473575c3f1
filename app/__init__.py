"""Tiketi: a waiting room and the ticket shop behind it."""

from importlib.metadata import version

VERSION = version("tiketi")
