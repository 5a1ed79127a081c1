"""What several of these tests need: a host with guests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.hosts import Host


@pytest.fixture(scope="module")
def host(nano_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """With the image nano; for a module of tests."""
    made = Host(nano_root, tmp_path_factory.mktemp("host"))
    yield made
    made.close()
