"""The API from the other side: what the command line and other Python programs use to talk to a daemon."""

from ireko.client.client import Client
from ireko.client.refusal import Refused
from ireko.client.stream import Stream

__all__ = ["Client", "Refused", "Stream"]
