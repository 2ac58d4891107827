"""The errors of the service, in addition to those of the library.

LLMDiTError
├── SettingsError              the configuration is invalid; for the operator, so it may name files
├── NotFoundError              there is no such job, image or project
│   └── ModelNotFoundError     a model of Qwen-Image, or the built-in one, that does not run here
├── ProjectChangedError        a save builds on a version that is no longer current
├── QuotaError                 a storage limit is reached: delete something first
├── DamagedError               stored data was damaged on the disk
├── StorageError               the data folder is not writable or not readable
├── QueueFullError             too many jobs wait; `retry_after_s` is when to retry
│   └── PoolFullError          too many tasks wait for a process of the pool
├── TaskError                  a task of the pool failed
│   ├── TaskTimeError          it takes too much time
│   ├── TaskMemoryError        it takes too much memory
│   └── TaskLostError          the process ended during the task, or the task has a fault
├── StoppingError              the service is shutting down
├── KeyReusedError             an Idempotency-Key belongs to a different request
├── JobCanceledError           the awaited job was canceled
├── WorkerLostError            the worker process ended during a job
│   ├── StalledError           the service ended it, because it made no progress
│   └── AbandonedError         the service itself ended during each run of the job
├── ClusterError               Ray's cluster cannot be reached; an `EngineError`
└── PipelineError              the pipeline has a fault; the log has the details
"""

from collections.abc import Iterator
from dataclasses import dataclass

from llm_dit.errors import EngineError, InputError, InstructionError, LLMDiTError


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


class ClusterError(EngineError):
    code = "cluster_unreachable"
    temporary = True


class PipelineError(LLMDiTError):
    code = "pipeline_failed"


# An error as plain data, for other processes and for job records.


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The public part of an error: `name` is its class, `param` the invalid field.

    `hint` is that of an `InstructionError`.
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
        """Return the error as an exception; an unknown class becomes a plain `LLMDiTError`."""
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
