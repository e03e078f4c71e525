"""A server on this machine that speaks the protocols of the Hugging Face hub, of Ollama's registry and of Kaggle, and
fails on demand: each request asks `faults` for what is to go wrong with it."""

import collections
import functools
import hashlib
import http.server
import json
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@functools.cache
def sha256(data):
    return hashlib.sha256(data).hexdigest()


@functools.cache
def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Server:
    """files: {repository: {name: bytes}}; ollama: {(repository, tag): {media type: bytes}}; kaggle: {(handle, version):
    {name: bytes}}."""

    def __init__(self, files=None, ollama=None, kaggle=None, commit=COMMIT, certificate=None):
        self.files, self.ollama, self.kaggle, self.commit = files or {}, ollama or {}, kaggle or {}, commit
        self.faults = lambda kind, path: None  # kind: "api" or "data"
        self.digest = None  # in place of a layer's own, in manifests
        self.content_url = None  # where large files are, in place of another name of this server
        self.requests = collections.Counter()
        self.proxied = collections.Counter()  # requests for other hosts, as a proxy gets them
        self.authorizations = []  # (kind, header)
        self.bytes_sent = 0
        self.lock = threading.Lock()
        handler = type("Handler", (Handler,), {"state": self})
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*certificate)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @functools.cached_property
    def blobs(self):
        found = {}
        for files in self.files.values():
            found |= {sha256(data): data for data in files.values()}
        for layers in self.ollama.values():
            found |= {sha256(data): data for data in layers.values()}
        return found

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Server

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        if host := urllib.parse.urlsplit(self.path).netloc:
            self.state.proxied[host] += 1
        kind = "data" if "/cdn/" in path or "/blobs/" in path or "/download/" in path else "api"
        with self.state.lock:
            self.state.requests[kind] += 1
            self.state.authorizations.append((kind, self.headers.get("Authorization")))
        fault = self.state.faults(kind, path)
        if isinstance(fault, int):
            return self.answer(fault, b'{"error": "on purpose"}', {"Retry-After": "0"})
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return None
        if fault == "loop":
            return self.answer(302, b"", {"Location": self.path})
        self.padding = b" " * (65 << 20) if fault == "long" else b""
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
            return self.listing(match[1])
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path):
            return self.listing(match[1])
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self.resolve(match[1], match[3], fault)
        if match := re.fullmatch(r"/cdn/([0-9a-f]{64})", path):
            return self.data(self.state.blobs.get(match[1]), fault)
        if match := re.fullmatch(r"/v2/([^/]+/[^/]+)/manifests/([^/]+)", path):
            return self.manifest(match[1], match[2])
        if match := re.fullmatch(r"/v2/([^/]+/[^/]+)/blobs/sha256:([0-9a-f]{64})", path):
            return self.data(self.state.blobs.get(match[2]), fault)
        if match := re.fullmatch(r"/api/v1/models/(\w+/[^/]+/\w+/[^/]+)/(get|(\d+)/files|(\d+)/download/(.+))", path):
            return self.kaggle(match, fault)
        return self.answer(404, b"{}", {})

    def kaggle(self, match, fault):
        """Kaggle's listing comes in pages, here of one file each."""
        versions = {version: files for (handle, version), files in self.state.kaggle.items() if handle == match[1]}
        if match[2] == "get":
            found = {"versionNumber": max(versions)} if versions else None
        elif match[3]:
            files = versions.get(int(match[3]), {})
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            page = int(query.get("page_token", ["0"])[0])
            found = {"files": [{"name": name, "totalBytes": len(data)} for name, data in files.items()][page:page + 1],
                     "nextPageToken": str(page + 1) if page + 1 < len(files) else ""} if files else None
        else:
            return self.data(versions.get(int(match[4]), {}).get(match[5]), fault)
        return self.answer(200 if found else 404, json.dumps(found or {}).encode(), {})

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def listing(self, repository):
        files = self.state.files.get(repository)
        if files is None:
            return self.answer(404, b"{}", {})
        siblings = []
        for name, data in files.items():
            entry = {"rfilename": name, "size": len(data), "blobId": git_sha1(data)}
            if is_large(name):
                entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        body = json.dumps({"id": repository, "sha": self.state.commit, "siblings": siblings})
        return self.answer(200, self.padding + body.encode(), {"Content-Type": "application/json"})

    def resolve(self, repository, name, fault):
        data = self.state.files.get(repository, {}).get(name)
        if data is None:
            return self.answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        headers = {"X-Repo-Commit": self.state.commit}
        if not is_large(name):
            headers["ETag"] = f'"{git_sha1(data)}"'
            return self.data(data, fault, headers)
        digest = sha256(data)
        headers |= {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{digest}"', "ETag": f'"{digest}"'}
        # The name localhost is another host than 127.0.0.1, as a content network is.
        host = self.state.content_url or self.state.url.replace("127.0.0.1", "localhost")
        return self.answer(302, b"", headers | {"Location": f"{host}/cdn/{digest}?secret=1"})

    def manifest(self, repository, tag):
        layers = self.state.ollama.get((repository, tag))
        if layers is None:
            return self.answer(404, b"{}", {})
        body = json.dumps({"schemaVersion": 2, "layers": [
            {"mediaType": kind, "digest": "sha256:" + sha256(data) if self.state.digest is None else self.state.digest,
             "size": len(data)}
            for kind, data in layers.items()]})
        return self.answer(200, body.encode(), {})

    def data(self, data, fault, headers=None):
        if data is None:
            return self.answer(404, b"{}", {})
        headers = dict(headers or {})
        first, last, status = 0, len(data) - 1, 200
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match and fault != "no ranges":
            first, last, status = int(match[1]), int(match[2] or last), 206
            if first > last or last >= len(data):
                return self.answer(416, b"", {})
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            if fault == "wrong range":
                first, last = first + 1, last + 1
                headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        body = data[first:last + 1].ljust(last + 1 - first)
        if fault == "wrong bytes":
            body = bytes(byte ^ 1 for byte in body)
        if fault == "longer":
            body += b"more"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return None
        if fault == "cut":
            body = body[:len(body) // 2]
            self.close_connection = True
        step = len(body) if fault != "slow" else 16384
        for at in range(0, len(body), max(step, 1)):
            try:
                self.wfile.write(body[at:at + step])
            except OSError:
                self.close_connection = True
                return None
            with self.state.lock:
                self.state.bytes_sent += min(step, len(body) - at)
            if fault == "slow":
                time.sleep(0.002)
        if fault == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
        return None


def is_large(name):
    return name.endswith((".gguf", ".safetensors"))
