"""Owns how log lines look, and which request they belong to. Never logs a portrait, audio or a whole session id.

A terminal gets text, anything else one JSON object a line.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, TextIO

REQUEST_ID_HEADER: Final = "x-request-id"
"""Of HTTP, and the key of gRPC's metadata."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that this task serves; empty outside one."""

_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def begin_request(given: str) -> str:
    """Take a request's id, or mint one where the caller gave none that may be logged, and return it."""
    chosen = given if _WELL_FORMED.fullmatch(given) else secrets.token_hex(8)
    request_id.set(chosen)
    return chosen


def configure(stream: TextIO | None = None) -> None:
    """Log to ``stream``, by default stderr, from level INFO on."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(_TEXT) if stream.isatty() else JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the request's id, and the ``fields`` of ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if identifier := request_id.get():
            line["request_id"] = identifier
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
