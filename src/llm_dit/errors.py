"""Every error this library raises on purpose.

LLMDiTError
├── InputError                 an argument that is not valid; `param` names it
│   ├── ImageError             an image that is not valid
│   ├── LayerFileError         a file of layers that is damaged, lies about itself, or is none
│   └── InstructionError       an edit instruction that the pipeline cannot carry out
├── ServiceError               a service elsewhere cannot be reached, or has failed
└── EngineError                the pipeline itself cannot run
    ├── DeviceError            the device that was asked for is not there
    ├── DeviceLostError        the device failed in a way that takes a new process
    ├── OutOfMemoryError       the device's or the computer's memory does not hold what the run needs
    ├── WeightsError           a checkpoint is missing, incomplete or damaged; the message names the file in it
    ├── DownloadError          the hub cannot be reached, refuses, or sends something else
    ├── DiskFullError          there is no room for the weights, or for results
    ├── EditOnlyError          the pipeline was opened to edit, and cannot decompose
    ├── NonFiniteOutputError   the model's numbers ran out of range, so that there is no image
    └── VersionError           a library is missing or too old

Each message says what to do next, in one sentence, and is safe to show to anybody: it holds no path,
no exception text and nothing of the caller's data but the words of an instruction that were not understood.
"""

from collections.abc import Mapping


class LLMDiTError(Exception):
    """Base class; `code` is the stable, machine-readable name of the failure.

    `temporary` says that the same may work a while later, without anybody doing anything about it.
    """

    code = "error"
    temporary = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputError(LLMDiTError):
    """An argument is out of range or of the wrong kind; `param` is its Python name."""

    code = "invalid_input"

    def __init__(self, message: str, *, param: str) -> None:
        super().__init__(message)
        self.param = param


class ImageError(InputError):
    """An image cannot be used: its format, mode, size or content."""

    code = "invalid_image"

    def __init__(self, message: str, *, param: str = "image") -> None:
        super().__init__(message, param=param)


class LayerFileError(InputError):
    """A file of layers or an archive cannot be read: damaged, not what it says, too large, or of another kind."""

    code = "invalid_file"

    def __init__(self, message: str, *, param: str = "file") -> None:
        super().__init__(message, param=param)


class InstructionError(InputError):
    """The pipeline does not carry the instruction out.

    `hint` says the same for programs: its `reason`, what that is about, such as a `part` of the instruction, and where
    there is a `way` to get there all the same, its name; docs/http.md lists them.
    """

    code = "unsupported_instruction"

    def __init__(self, message: str, *, param: str = "instruction", hint: Mapping[str, str] | None = None) -> None:
        super().__init__(message, param=param)
        self.hint: Mapping[str, str] = hint or {}


class ServiceError(LLMDiTError):
    """A service elsewhere cannot be reached, or failed with an error of its own, whose `code` it has then."""

    code = "service_failed"

    def __init__(self, message: str, *, code: str = code, temporary: bool = False) -> None:
        super().__init__(message)
        self.code, self.temporary = code, temporary


class EngineError(LLMDiTError):
    """The engine that was asked for cannot run here."""

    code = "engine_unavailable"


class DeviceError(EngineError):
    """The device that was asked for is not there."""

    code = "no_device"


class DeviceLostError(EngineError):
    """The device failed in a way that takes a new process."""

    code = "device_lost"
    temporary = True


class OutOfMemoryError(EngineError):
    """The device's or the computer's memory does not hold what the run needs."""

    code = "out_of_memory"
    temporary = True


class WeightsError(EngineError):
    """A checkpoint is missing, incomplete or damaged; a file is named by its place in the checkpoint."""

    code = "no_weights"


class DownloadError(EngineError):
    """The hub cannot be reached, refuses, or sends something else than was asked for."""

    code = "download_failed"
    temporary = True


class DiskFullError(EngineError):
    """There is no room on the disk for the weights, or for results."""

    code = "disk_full"
    temporary = True


class EditOnlyError(EngineError):
    """The pipeline was opened to edit layers, and holds no model that takes a picture apart."""

    code = "edit_only"


class NonFiniteOutputError(EngineError):
    """The model's numbers ran out of range, so that there is no image."""

    code = "non_finite_output"


class VersionError(EngineError):
    """A library that the engine needs is missing or too old."""

    code = "incompatible_versions"
