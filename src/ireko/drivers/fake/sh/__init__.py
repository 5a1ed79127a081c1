"""The toy guest's sh."""

from ireko.drivers.fake.sh.interpreter import sh

__all__ = ["sh"]
