"""The log: a line for people or a JSON object, that no client can forge and no prompt gets into.

A record says what happened; what it happened to are fields: `logger.info("job ended", extra={"job_id": …})`. This is by
hand because the libraries for it (structlog, python-json-logger) do not do the part that matters here, which is what
must not be written, and their records are not those that uvicorn, torch and diffusers write.
"""

import contextlib
import datetime
import json
import logging
import re
import sys
import traceback
from collections.abc import Generator, Mapping
from types import TracebackType
from typing import Literal, Self

LogFormat = Literal["text", "json"]

HIDDEN = "[hidden]"
LONGEST_LINE = 500
"""Characters of one line; beyond it somebody prints a picture, or floods the log."""
GRAM = 8
"""Bytes that a line and a hidden text must have in common for them to be hidden: a word or so, three Han characters."""

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message", "taskName"}
# Control characters, line separators, and the marks that make a terminal show text in another order.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access")


class Redaction:
    """What must not be written at the moment, by any logger."""

    def __init__(self) -> None:
        self._texts: tuple[str, ...] = ()

    @contextlib.contextmanager
    def hiding(self, *texts: str) -> Generator[None]:
        """Keep `texts`, and pieces of them, out of the log while the block runs."""
        self._texts = texts
        try:
            yield
        finally:
            self._texts = ()

    def __call__(self, line: str) -> str:
        return without(line, self._texts) if self._texts else line


class Concealed(Exception):
    """Stands in the log for an exception whose words may hold what a client has sent: its class and its stack."""

    @classmethod
    def of(cls, error: BaseException) -> Self:
        shown = cls(type(error).__qualname__).with_traceback(error.__traceback__)
        before = error.__cause__ or error.__context__
        shown.__cause__ = None if before is None else cls.of(before)
        return shown


def configure(log_format: LogFormat) -> Redaction:
    """Send what this process logs to standard error in one format, warnings and uncaught exceptions too.

    uvicorn's own lines come along, but for its access log: that one holds addresses as clients write them.
    """
    redaction = Redaction()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((JsonFormatter if log_format == "json" else TextFormatter)(redaction))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in _UVICORN:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").disabled = True
    sys.excepthook = _log_uncaught
    return redaction


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `ts`, `level`, `logger`, `message`, the fields, and `exception` for a traceback."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {"ts": _time_of(record), "level": record.levelname, "logger": record.name}
        line["message"] = self._clean(record.getMessage())
        for name, value in fields_of(record).items():
            line.setdefault(name, self._clean(value))
        if record.exc_info and record.exc_info[1]:
            line["exception"] = "\n".join(_lines_of(record.exc_info[1], self._redaction))
        return json.dumps(line)

    def _clean(self, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        return _cut(self._redaction(str(value)))


class TextFormatter(logging.Formatter):
    """`TIME LEVEL LOGGER: MESSAGE name=value …`; the lines of a traceback follow, indented as no record is."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        fields = [f" {name}={self._value(value)}" for name, value in fields_of(record).items()]
        message = _printable(_cut(self._redaction(record.getMessage())))
        line = f"{_time_of(record)} {record.levelname} {record.name}: {message}{''.join(fields)}"
        if record.exc_info and record.exc_info[1]:
            stack = _lines_of(record.exc_info[1], self._redaction)
            line += "".join(f"\n    {_printable(entry)}" for entry in stack)
        return line

    def _value(self, value: object) -> str:
        text = _printable(_cut(self._redaction(str(value))))
        return text if re.fullmatch(r"[^\s\"=]+", text) else json.dumps(text, ensure_ascii=False)


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """Return what a record was given as `extra`."""
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def without(text: str, secrets: tuple[str, ...]) -> str:
    """Return `text` with every piece that it has in common with a secret, as it stands or escaped, taken out.

    Libraries quote what they fail on: whole, in part, cut off, in `repr`, in another case. A secret shorter than
    `GRAM` bytes is only taken out where it stands as a word of its own.
    """
    content = text.encode("utf-8", "backslashreplace")
    folded = content.lower()
    hidden = bytearray(len(content))
    forms = {form.encode("utf-8", "backslashreplace").lower() for secret in secrets for form in _forms(secret)}
    grams = {form[at : at + GRAM] for form in forms for at in range(len(form) - GRAM + 1)}
    for at in range(len(folded) - GRAM + 1 if grams else 0):
        if folded[at : at + GRAM] in grams:
            hidden[at : at + GRAM] = b"\1" * GRAM
    for word in (form for form in forms if 0 < len(form) < GRAM):
        for found in re.finditer(rb"(?<!\w)" + re.escape(word) + rb"(?!\w)", folded):
            hidden[found.start() : found.end()] = b"\1" * len(word)
    marked = bytes(1 if hide else byte for byte, hide in zip(content, hidden, strict=True))
    shown = re.sub(rb"\x01+", HIDDEN.encode(), marked)
    return shown.decode("utf-8", "replace")


def _forms(secret: str) -> tuple[str, ...]:
    """Return a text as it may be printed."""
    stripped = secret.strip()
    return (stripped, repr(stripped)[1:-1], ascii(stripped)[1:-1], json.dumps(stripped)[1:-1])


def _lines_of(error: BaseException, redaction: Redaction) -> list[str]:
    text = redaction("".join(traceback.format_exception(error)))
    return [_cut(line) for line in text.splitlines()]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}… ({len(text) - LONGEST_LINE} more)"


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(lambda sign: ascii(sign[0])[1:-1], text)


def _time_of(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _log_uncaught(kind: type[BaseException], error: BaseException, stack: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, stack)
    else:
        logging.getLogger("llm_dit").critical("this process ends by an error", exc_info=error)
