import os

# Before torch is imported: tests run in several processes, each of which would else take all cores.
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache_and_language(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps the tests off the user's cache folder, runs and language."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DOTBOGI_CACHE_DIR", str(tmp_path_factory.mktemp("shared-cache")))
    patch.setenv("DOTBOGI_LANG", "en")
    for variable in ("DOTBOGI_RUNS_DIR", "COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        patch.delenv(variable, raising=False)
    patch.setenv("LANGUAGE", os.environ.get("LANGUAGE", ""))
    yield
    patch.undo()
