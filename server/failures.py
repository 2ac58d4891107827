"""An error by its parts, for where an exception cannot go: another process, and the job's record."""

from collections.abc import Iterator
from dataclasses import dataclass

from llm_dit.errors import InputError, LLMDiTError


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What of an error may be told: `name` is its class's name, `param` the field that is not valid."""

    name: str
    message: str
    param: str | None = None

    @classmethod
    def of(cls, error: LLMDiTError) -> "Failure":
        param = error.param if isinstance(error, InputError) else None
        return cls(name=type(error).__name__, message=error.message, param=param)

    def error(self) -> LLMDiTError:
        """Return the error again; one that this version does not know is a plain `LLMDiTError`."""
        error_class = next((known for known in _family(LLMDiTError) if known.__name__ == self.name), LLMDiTError)
        if issubclass(error_class, InputError):
            return error_class(self.message, param=str(self.param))
        return error_class(self.message)


def _family(error_class: type[LLMDiTError]) -> Iterator[type[LLMDiTError]]:
    yield error_class
    for child in error_class.__subclasses__():
        yield from _family(child)
