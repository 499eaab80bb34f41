"""Log lines are JSON where nobody reads them, and carry the id of their request."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from avatar_service.log import JsonFormatter, begin_request, configure, request_id


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    request_id.set("")


def test_a_line_is_one_object_with_all_that_belongs_to_it() -> None:
    """Message, level, logger, request, fields and traceback."""
    stream = io.StringIO()
    configure(stream)
    begin_request("abc")
    try:
        1 / 0  # noqa: B018 - for its traceback
    except ZeroDivisionError:
        logging.getLogger("x").exception("it %s", "broke", extra={"fields": {"status": 500}})
    line = json.loads(stream.getvalue())
    assert line["message"] == "it broke"
    assert (line["level"], line["logger"], line["request_id"], line["status"]) == ("ERROR", "x", "abc", 500)
    assert "ZeroDivisionError" in line["traceback"]
    assert stream.getvalue().count("\n") == 1


def test_a_terminal_gets_text() -> None:
    """As people read it."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure(stream)
    logging.getLogger("x").info("hello")
    assert stream.getvalue().endswith("INFO x: hello\n")


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\nb", '"'])
def test_an_id_that_may_not_be_logged_is_replaced(given: str) -> None:
    """Another one is minted each time."""
    minted = begin_request(given)
    assert minted != given
    assert minted == request_id.get()
    assert begin_request(given) != minted


def test_outside_a_request_there_is_no_id() -> None:
    """The field is left out."""
    record = logging.LogRecord("x", logging.INFO, "", 0, "hello", None, None)
    assert "request_id" not in json.loads(JsonFormatter().format(record))
