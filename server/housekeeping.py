"""Keeps the store within its limits, and never touches what a job or a project uses."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection

from server.jobs.records import Roster
from server.projects.projects import Projects
from server.settings import ServerSettings
from server.storage.database import Database
from server.storage.folder import Transit
from server.storage.images import SHA256, ImageStore, StoredFile

logger = logging.getLogger("llm_dit.server")

EVERY_S = 600
GRACE_S = 3600
"""Seconds for which a picture is left alone after its last use: a request that names it may be on its way."""
DAY_S = 86_400
USED_BY_JOBS = "SELECT input || coalesce(result, '') FROM jobs"


class Housekeeping:
    """Forgets old jobs and deleted projects, then removes pictures that nothing uses, by age and by size."""

    def __init__(
        self,
        database: Database,
        roster: Roster,
        projects: Projects,
        store: ImageStore,
        transit: Transit,
        settings: ServerSettings,
    ) -> None:
        self._database = database
        self._projects = projects
        self._roster = roster
        self._store = store
        self._transit = transit
        self._settings = settings
        self.store_bytes = 0
        """Size of all pictures when they were last looked at."""

    async def keep_on(self) -> None:
        """Clean up now and again, until canceled."""
        while True:
            try:
                await self.clean_up()
            except Exception:
                logger.exception("the clean-up failed, and is tried again later")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._projects.freed.wait(), EVERY_S)
            self._projects.freed.clear()

    async def clean_up(self) -> None:
        now = time.time()
        too_old = now - self._settings.max_age_days * DAY_S
        await self._roster.forget_before(too_old)
        await self._projects.purge(deleted_before=too_old)
        rows = await self._database.rows(USED_BY_JOBS)
        used = {sha256 for row in rows for sha256 in SHA256.findall(row[0])}
        # What a project takes up from here on is touched, and so spared by its age.
        async for images in self._projects.images():
            used.update(images)
        await asyncio.to_thread(self._sweep, used, now)

    def _sweep(self, used: Collection[str], now: float) -> None:
        self._store.remove_leftovers(now - GRACE_S)
        self._transit.clean(now - GRACE_S)
        files = sorted(self._store.files(), key=lambda file: file.used_at)
        held = sum(file.size for file in files)
        limit = self._settings.max_store_gb * 1e9
        removed = 0
        for file in files:
            too_old = file.used_at < now - self._settings.max_age_days * DAY_S
            if self._spare(file, used, now) and (too_old or held > limit) and self._store.remove(file):
                held -= file.size
                removed += 1
        self.store_bytes = held
        if removed:
            logger.info("%d pictures that nothing used were removed", removed)
        if held > limit:
            logger.warning("the store holds %.1f GB, all in use: max_store_gb is %g", held / 1e9, limit / 1e9)

    @staticmethod
    def _spare(file: StoredFile, used: Collection[str], now: float) -> bool:
        return file.sha256 not in used and file.used_at < now - GRACE_S
