"""Every error that this library raises on purpose.

LLMDiTError
├── InputError                 an argument is invalid; `param` names it
│   ├── ImageError             an image is invalid
│   ├── LayerFileError         a layered file is damaged, malicious or of another kind
│   └── InstructionError       the pipeline cannot carry out an edit instruction
├── ServiceError               another service is unreachable or has failed
└── EngineError                the engine itself cannot run
    ├── DeviceError            the requested device does not exist
    ├── DeviceLostError        the device failed; only a new process can use it again
    ├── OutOfMemoryError       the device or the computer has too little memory for the run
    ├── WeightsError           a checkpoint is missing, incomplete or damaged; the message names the file
    ├── DownloadError          the hub is unreachable, refuses, or sends wrong data
    ├── DiskFullError          the disk has no space for weights or results
    ├── EditOnlyError          the pipeline was opened with edit_only and cannot decompose
    ├── NonFiniteOutputError   the model's numbers left their range, so there is no image
    └── VersionError           a library is missing or too old

Each message says what to do next, in one sentence, and is safe to show to anybody: it contains no path, no
exception text and none of the caller's data, except the words of an instruction that were not understood.
"""

from collections.abc import Mapping


class LLMDiTError(Exception):
    """Base class; `code` is the stable, machine-readable name of the failure.

    `temporary`: a later try may work without anybody's help.
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
    """An image has an unusable format, mode, size or content."""

    code = "invalid_image"

    def __init__(self, message: str, *, param: str = "image") -> None:
        super().__init__(message, param=param)


class LayerFileError(InputError):
    """A layered file or an archive is damaged, malicious, too large, or of another kind."""

    code = "invalid_file"

    def __init__(self, message: str, *, param: str = "file") -> None:
        super().__init__(message, param=param)


class InstructionError(InputError):
    """The pipeline does not carry out the instruction.

    `hint` tells programs the same: its `reason`, its details, such as a `part` of the instruction, and the name of an
    alternative `way`, if there is one; docs/http.md lists them.
    """

    code = "unsupported_instruction"

    def __init__(self, message: str, *, param: str = "instruction", hint: Mapping[str, str] | None = None) -> None:
        super().__init__(message, param=param)
        self.hint: Mapping[str, str] = hint or {}


class ServiceError(LLMDiTError):
    """Another service is unreachable, or has failed; then `code` is that service's."""

    code = "service_failed"

    def __init__(self, message: str, *, code: str = code, temporary: bool = False) -> None:
        super().__init__(message)
        self.code, self.temporary = code, temporary


class EngineError(LLMDiTError):
    """The requested engine cannot run here."""

    code = "engine_unavailable"


class DeviceError(EngineError):
    """The requested device does not exist."""

    code = "no_device"


class DeviceLostError(EngineError):
    """The device failed; only a new process can use it again."""

    code = "device_lost"
    temporary = True


class OutOfMemoryError(EngineError):
    """The device or the computer has too little memory for the run."""

    code = "out_of_memory"
    temporary = True


class WeightsError(EngineError):
    """A checkpoint is missing, incomplete or damaged; the message has the file's path inside the checkpoint."""

    code = "no_weights"


class DownloadError(EngineError):
    """The hub is unreachable, refuses, or sends wrong data."""

    code = "download_failed"
    temporary = True


class DiskFullError(EngineError):
    """The disk has no space for weights or results."""

    code = "disk_full"
    temporary = True


class EditOnlyError(EngineError):
    """The pipeline was opened with `edit_only` and cannot decompose."""

    code = "edit_only"


class NonFiniteOutputError(EngineError):
    """The model's numbers left their range, so there is no image."""

    code = "non_finite_output"


class VersionError(EngineError):
    """A library that the engine needs is missing or too old."""

    code = "incompatible_versions"
