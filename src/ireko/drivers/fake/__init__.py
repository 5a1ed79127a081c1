"""The fake driver: an in-process hypervisor with toy guests, in which everything above it can be tried in milliseconds."""

from ireko.drivers.fake.book import FakeBook
from ireko.drivers.fake.driver import FakeDriver
from ireko.drivers.fake.host import FakeHost
from ireko.drivers.fake.machine import FakeMachine

__all__ = ["FakeBook", "FakeDriver", "FakeHost", "FakeMachine"]
