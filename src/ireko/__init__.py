"""ireko: containers that are virtual machines."""

__version__ = "0.1.0"
