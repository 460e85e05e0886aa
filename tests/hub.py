"""A hub on this machine, and a hub's cache made by hand."""

from __future__ import annotations

import hashlib
import json
import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

COMMIT = "0123456789" * 4


def cache_by_hand(
    home: Path, kind: str, name: str, source: Path, commit: str = COMMIT, ref: str = "main"
) -> Path:
    """Put a model or a dataset into a hub cache; the snapshot's folder."""
    folder = home / "hub" / f"{kind}s--{name.replace('/', '--')}"
    shutil.copytree(source, folder / "snapshots" / commit)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / ref).write_text(commit, encoding="utf-8")
    return folder / "snapshots" / commit


class Hub(ThreadingHTTPServer):
    """A hub on this machine: one repository can be had, `test/gated` is only announced."""

    def __init__(self, kind: str, name: str, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.api = f"/api/{kind}s/"
        self.place = f"/{name}" if kind == "model" else f"/{kind}s/{name}"
        self.name = name
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.asked: list[tuple[str, str | None]] = []
        self.address = f"http://127.0.0.1:{self.server_port}"

    def questions(self, name: str) -> list[str]:
        return [path for path, _ in self.asked if name in path]


class Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.asked.append((path, self.headers["authorization"]))
        model, _, file = path.partition(f"/resolve/{COMMIT}/")
        if model == self.server.place and file in self.server.files:
            content = self.server.files[file]
            etag = hashlib.sha256(content).hexdigest()
            self._answer(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
        elif model == "/test/gated":
            self._answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif path.startswith(f"{self.server.api}{self.server.name}/revision/absent"):
            self._answer(404, b"{}")
        elif path.startswith(
            tuple(self.server.api + name for name in (self.server.name, "test/gated"))
        ):
            self._answer(200, json.dumps(self._about(path)).encode())
        else:
            self._answer(500 if "broken" in path else 404, b"{}")

    do_HEAD = do_GET  # noqa: N815

    def _about(self, path: str) -> Any:
        if "/tree/" in path:
            return [
                {"type": "file", "path": name, "size": len(content), "oid": COMMIT}
                for name, content in self.server.files.items()
            ]
        name = "/".join(path.split("/")[3:5])
        files = [{"rfilename": file} for file in self.server.files]
        return {"id": name, "sha": COMMIT, "siblings": files}

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""
