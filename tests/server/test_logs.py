"""What gets into the log, and what never does."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.telemetry import GRAM, HIDDEN, Concealed, JsonFormatter, Redaction, TextFormatter, without

RECORD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [\w.]+: ")


class Log:
    """A logger of its own with what it has written, as text and as JSON."""

    def __init__(self) -> None:
        self.redaction = Redaction()
        self.logger = logging.Logger("llm_dit.test")
        self._streams = io.StringIO(), io.StringIO()
        formatters = TextFormatter(self.redaction), JsonFormatter(self.redaction)
        for stream, formatter in zip(self._streams, formatters, strict=True):
            handler = logging.StreamHandler(stream)
            handler.setFormatter(formatter)
            self.logger.addHandler(handler)

    @property
    def text(self) -> str:
        return self._streams[0].getvalue()

    @property
    def objects(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._streams[1].getvalue().split("\n")[:-1]]


@pytest.fixture
def log() -> Iterator[Log]:
    yield Log()


def test_a_line_has_the_time_the_message_and_the_fields(log: Log) -> None:
    log.logger.info("job %s", "ended", extra={"job_id": "x1", "ms": 12.5, "engine": "Qwen-Image · H200", "error": None})
    assert RECORD.match(log.text)
    assert log.text.endswith('INFO llm_dit.test: job ended job_id=x1 ms=12.5 engine="Qwen-Image · H200" error=None\n')
    (entry,) = log.objects
    assert list(entry)[:4] == ["ts", "level", "logger", "message"]
    assert entry | {"ts": ""} == {
        "ts": "",
        "level": "INFO",
        "logger": "llm_dit.test",
        "message": "job ended",
        "job_id": "x1",
        "ms": 12.5,
        "engine": "Qwen-Image · H200",
        "error": None,
    }


def test_fields_do_not_take_the_place_of_what_every_line_has(log: Log) -> None:
    log.logger.info("true", extra={"ts": "forged", "level": "forged", "logger": "forged"})
    assert "forged" not in json.dumps(log.objects)


@given(st.text(), st.text(), st.text())
def test_nothing_that_is_logged_starts_a_line(message: str, value: str, words: str) -> None:
    log = Log()
    try:
        raise RuntimeError(words)
    except RuntimeError:
        log.logger.exception(message, extra={"field": value})
    first, *others = log.text.splitlines()
    assert RECORD.match(first)
    assert all(line.startswith("    ") for line in others)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", log.text)
    (entry,) = log.objects
    assert entry["message"] == message


def test_terminal_codes_are_shown_and_not_sent(log: Log) -> None:
    log.logger.info("\x1b[2J\u202eabc", extra={"route": "\x1b]0;title\x07"})
    assert r"\x1b[2J\u202eabc route=\x1b]0;title\x07" in log.text


def test_a_line_without_end_is_cut(log: Log) -> None:
    log.logger.info("a" * 10_000, extra={"field": "b" * 10_000})
    assert len(log.text) < 1200
    assert "(9500 more)" in log.text


SECRET = "A quiet village at dusk; “snow” on the roofs\nand one lit window. 一只猫坐在椅子上"


@pytest.mark.parametrize(
    "quoted",
    [SECRET, repr(SECRET), ascii(SECRET), json.dumps(SECRET), SECRET.upper(), SECRET[4:30], SECRET[40:60], SECRET[-5:]],
)
def test_a_secret_is_taken_out_however_it_is_quoted(log: Log, quoted: str) -> None:
    with log.redaction.hiding(SECRET, "  "):
        log.logger.warning("could not read: %s", quoted, extra={"field": quoted})
        try:
            raise ValueError(f"bad input {quoted}!")
        except ValueError:
            log.logger.exception("failed")
    written = log.text + json.dumps(log.objects, ensure_ascii=False)
    for piece in ("quiet village", "lit window", "QUIET", "一只猫", "坐在椅", "\\u4e00\\u53ea", "\\u5750"):
        assert piece not in written
    assert HIDDEN in written
    assert "could not read: " in written and "ValueError: bad input" in written and "test_logs.py" in written


def test_short_secrets_go_as_words_only() -> None:
    assert without("the cat concatenates a cat-alogue", ("cat",)) == f"the {HIDDEN} concatenates a {HIDDEN}-alogue"
    assert without("nothing to hide", ("", "  \n")) == "nothing to hide"


def test_what_was_hidden_during_a_run_is_not_hidden_after_it(log: Log) -> None:
    with pytest.raises(RuntimeError), log.redaction.hiding("the secret sentence"):
        raise RuntimeError
    log.logger.info("the secret sentence")
    assert "the secret sentence" in log.text


@given(st.text(min_size=GRAM), st.text(), st.text())
def test_no_secret_survives_whole(secret: str, before: str, after: str) -> None:
    if secret.strip():
        assert secret.strip() not in without(before + secret + after, (secret,)).replace(HIDDEN, "\0")


def test_a_concealed_error_has_a_stack_and_no_words(log: Log) -> None:
    try:
        try:
            raise KeyError("what the client sent")
        except KeyError as cause:
            raise ValueError("what else the client sent") from cause
    except ValueError as error:
        log.logger.error("failed", exc_info=Concealed.of(error))
    assert "client sent" not in log.text.replace('raise KeyError("what the client sent")', "").replace(
        'raise ValueError("what else the client sent")', ""
    )
    assert "Concealed: ValueError" in log.text and "Concealed: KeyError" in log.text
    assert "test_logs.py" in log.text
