"""What can go wrong in the service, apart from what the library itself raises.

LLMDiTError
├── SettingsError              the configuration is not valid; for the operator's eyes, it may name files
├── NotFoundError              no such job or image
│   └── ModelNotFoundError     a model of Qwen-Image, or the built-in one, that does not run here
├── ProjectChangedError        a save builds on a version that is not the current one any more
├── QuotaError                 the limit of what is kept is reached: delete something first
├── DamagedError               what is kept was damaged on the disk
├── StorageError               the data folder cannot be written, or read
├── QueueFullError             too many jobs wait; `retry_after_s` says when to come back
│   └── PoolFullError          too much waits for a process of the pool
├── TaskError                  what a process of the pool was to do cannot be done
│   ├── TaskTimeError          it takes too much time
│   ├── TaskMemoryError        it takes too much memory
│   └── TaskLostError          the process ended in the middle of it, or the function failed as it should not
├── StoppingError              the service is about to stop
├── KeyReusedError             an Idempotency-Key came with another request than before
├── JobCanceledError           somebody canceled the job that is waited for
├── WorkerLostError            the worker process ended in the middle of a job
│   ├── StalledError           it was ended, since nothing went on in it
│   └── AbandonedError         the service itself ended in each run of the job
└── PipelineError              the pipeline failed in a way that it should not; the log says how
"""

from collections.abc import Iterator
from dataclasses import dataclass

from llm_dit.errors import InputError, InstructionError, LLMDiTError


class SettingsError(LLMDiTError):
    code = "invalid_settings"


class NotFoundError(LLMDiTError):
    code = "not_found"


class ModelNotFoundError(NotFoundError):
    code = "model_not_found"


class ProjectChangedError(LLMDiTError):
    code = "project_changed"


class QuotaError(LLMDiTError):
    code = "quota_reached"


class DamagedError(LLMDiTError):
    code = "damaged"


class StorageError(LLMDiTError):
    code = "storage_failed"
    temporary = True


class QueueFullError(LLMDiTError):
    code = "queue_full"
    temporary = True

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PoolFullError(QueueFullError):
    code = "busy"


class TaskError(LLMDiTError):
    code = "task_failed"


class TaskTimeError(TaskError):
    code = "takes_too_long"


class TaskMemoryError(TaskError):
    code = "takes_too_much_memory"


class TaskLostError(TaskError):
    code = "task_lost"
    temporary = True


class StoppingError(LLMDiTError):
    code = "stopping"
    temporary = True


class KeyReusedError(InputError):
    code = "idempotency_key_reused"


class JobCanceledError(LLMDiTError):
    code = "canceled"


class WorkerLostError(LLMDiTError):
    code = "worker_lost"
    temporary = True


class StalledError(WorkerLostError):
    code = "stalled"


class AbandonedError(WorkerLostError):
    code = "interrupted"
    temporary = False


class PipelineError(LLMDiTError):
    code = "pipeline_failed"


# An error by its parts, for where an exception cannot go: another process, and the job's record.


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What of an error may be told: `name` is its class's name, `param` the field that is not valid.

    `hint` is what an `InstructionError` says to programs.
    """

    name: str
    message: str
    param: str | None = None
    hint: dict[str, str] | None = None

    @classmethod
    def of(cls, error: LLMDiTError) -> "Failure":
        param = error.param if isinstance(error, InputError) else None
        hint = dict(error.hint) if isinstance(error, InstructionError) and error.hint else None
        return cls(name=type(error).__name__, message=error.message, param=param, hint=hint)

    def error(self) -> LLMDiTError:
        """Return the error again; one that this version does not know is a plain `LLMDiTError`."""
        error_class = next((known for known in _family(LLMDiTError) if known.__name__ == self.name), LLMDiTError)
        if issubclass(error_class, InstructionError):
            return error_class(self.message, param=str(self.param), hint=self.hint)
        if issubclass(error_class, InputError):
            return error_class(self.message, param=str(self.param))
        return error_class(self.message)


def _family(error_class: type[LLMDiTError]) -> Iterator[type[LLMDiTError]]:
    yield error_class
    for child in error_class.__subclasses__():
        yield from _family(child)
