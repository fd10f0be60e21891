"""An archive of either kind, for the tests of what is in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store.archive import Archive


@pytest.fixture
async def archive(tmp_path: Path, archive_url: str | None) -> AsyncIterator[Archive]:
    opened = await Archive.open(tmp_path, archive_url)
    yield opened
    await opened.close()
