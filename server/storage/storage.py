"""Whether what is sent in can be kept: the database and the pictures as one."""

import asyncio
from dataclasses import dataclass

from llm_dit.errors import LLMDiTError
from server.storage.database import Database
from server.storage.images import ImageStore


@dataclass(frozen=True, kw_only=True)
class Storage:
    database: Database
    store: ImageStore

    @property
    def problem(self) -> LLMDiTError | None:
        """What keeps things from being kept, as far as it is known."""
        return self.database.problem or self.store.problem

    @property
    def warnings(self) -> list[str]:
        """What happened to the data before, in a sentence each."""
        return [str(self.database.rescued)] if self.database.rescued else []

    async def look(self) -> LLMDiTError | None:
        """Return what keeps things from being kept now; what may have passed is tried again."""
        return await self.database.look() or await asyncio.to_thread(self.store.look)
