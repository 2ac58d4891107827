"""What a client sends in, before it is a job."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from server.jobs.inputs import JobInput


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A job as a client asks for it.

    `key` is its Idempotency-Key. Without `seed_given` the seed was drawn, so that two submissions that are equal
    otherwise ask for two results.
    """

    job_input: JobInput
    client: str
    key: str | None = None
    seed_given: bool = False

    @property
    def fingerprint(self) -> str:
        """What is asked for: equal when, and only when, all that the client chose is equal."""
        fields = dataclasses.asdict(self.job_input) | {"kind": self.job_input.kind}
        del fields["scaled_from"]  # it follows from what was sent, and records of earlier versions are without it
        if not self.seed_given:
            fields["seed"] = None
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
