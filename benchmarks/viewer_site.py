"""Owns the web server from which the gateway's benchmark loads its viewer, and which takes what that reports."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

FILES: Final = {
    "/viewer.html": (Path(__file__).parent / "viewer.html", "text/html"),
    "/hls.js": (Path(__file__).parent.parent / "node_modules/hls.js/dist/hls.min.js", "text/javascript"),
}


@dataclass
class Site:
    """A web server with the viewer's page, which takes its report."""

    port: int = 0
    reports: list[dict[str, Any]] = field(default_factory=list)

    def start(self) -> None:
        """Serve from a thread until the program ends."""
        site = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                found = FILES.get(self.path.split("?")[0])
                if found is None:
                    self.send_error(404)
                    return
                content = found[0].read_bytes()
                self.send_response(200)
                self.send_header("Content-Type", found[1])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                site.reports.append(json.loads(content))
                self.send_response(204)
                self.end_headers()

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
