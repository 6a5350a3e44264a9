"""Small servers as hospitals have them: FHIR R4 and DICOMweb, honest or not; and Orthanc, if installed."""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pydicom

Handler = http.server.BaseHTTPRequestHandler
FHIR_JSON = "application/fhir+json;charset=UTF-8"


class Server:
    """What a test sees of one; everything may be changed while it runs."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.over = threading.Event()
        self.answer: Callable[[Handler, str], bool] = lambda handler, path: False
        """Takes an answer over and returns True, or leaves it to the honest server."""


def reply(handler: Handler, body: bytes, content_type: str, status: int = 200) -> None:
    """One whole answer."""
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextlib.contextmanager
def serving(answer: Callable[[Handler, Server], None]) -> Iterator[Server]:
    """A server on this machine."""

    class Answers(Handler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802
            server.asked.append(self.path)
            server.headers.append(dict(self.headers))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                if not server.answer(self, self.path):
                    answer(self, server)

        def log_message(self, *args: Any) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    listening.daemon_threads = True
    server = Server(f"http://127.0.0.1:{listening.server_port}")
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        listening.shutdown()
        thread.join()
        listening.server_close()


# ---------------------------------------------------------------------------- FHIR


def stored(bundle: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """A bundle's resources as a server keeps them: with ids of its own and references by them."""
    ids = {
        entry["fullUrl"]: f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for entry in bundle["entry"]
    }
    text = json.dumps([entry["resource"] for entry in bundle["entry"]])
    for url, reference in ids.items():
        text = text.replace(f'"{url}"', f'"{reference}"')
    resources: list[dict[str, Any]] = json.loads(text)
    (patient,) = (one["id"] for one in resources if one["resourceType"] == "Patient")
    return patient, resources


@contextlib.contextmanager
def fhir_server(
    resources: Sequence[dict[str, Any]], *, everything: bool = True, page: int = 50
) -> Iterator[Server]:
    """Serves resources under ``/fhir``: reads, searches by patient, ``$everything``, pages."""

    def answer(handler: Handler, server: Server) -> None:
        parts = urlsplit(handler.path)
        asked = {k: v[0] for k, v in parse_qs(parts.query).items()}
        path = parts.path.removeprefix("/fhir/").split("/")
        if len(path) == 3 and path[2] == "$everything" and everything:
            found = list(resources)
        elif len(path) == 1 and "patient" in asked:
            found = [
                one
                for one in resources
                if one["resourceType"] == path[0]
                and (one.get("subject") or one.get("patient") or {}).get("reference")
                == f"Patient/{asked['patient']}"
            ]
        elif len(path) == 2:
            (one,) = (r for r in resources if [r["resourceType"], r["id"]] == path)
            reply(handler, json.dumps(one).encode(), FHIR_JSON)
            return
        else:
            outcome = {
                "resourceType": "OperationOutcome",
                "issue": [{"severity": "error", "code": "not-supported"}],
            }
            reply(handler, json.dumps(outcome).encode(), FHIR_JSON, 404)
            return
        start = int(asked.get("_offset", 0))
        links = [{"relation": "self", "url": server.url + handler.path}]
        if start + page < len(found):
            more = f"_offset={start + page}" + (
                f"&patient={asked['patient']}" if "patient" in asked else ""
            )
            links.append({"relation": "next", "url": f"{server.url}{parts.path}?{more}"})
        body = {
            "resourceType": "Bundle", "type": "searchset", "total": len(found), "link": links,
            "entry": [
                {"fullUrl": f"{server.url}/fhir/{r['resourceType']}/{r['id']}", "resource": r,
                 "search": {"mode": "match"}}
                for r in found[start : start + page]
            ],
        }  # fmt: skip
        reply(handler, json.dumps(body).encode(), FHIR_JSON)

    with serving(answer) as server:
        yield server


# ---------------------------------------------------------------------------- DICOMweb


@contextlib.contextmanager
def dicomweb_server(files: Sequence[Path], *, pages: bool = True) -> Iterator[Server]:
    """Serves DICOM files under ``/dicom-web``; without ``pages`` it passes over limit and offset."""
    sets = {path: pydicom.dcmread(path, stop_before_pixels=True) for path in files}

    def described(path: Path) -> dict[str, Any]:
        return {
            f"{one.tag:08X}": {"vr": one.VR, "Value": [str(one.value)]}
            for one in (
                sets[path][key]
                for key in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID")
            )
        }

    def answer(handler: Handler, server: Server) -> None:
        parts = urlsplit(handler.path)
        asked = {k: v[0] for k, v in parse_qs(parts.query).items()}
        path = parts.path.removeprefix("/dicom-web/").split("/")
        chosen = [
            one
            for one, data in sets.items()
            if asked.get("PatientID") in (None, data.PatientID)
            and (len(path) < 2 or path[1] == data.StudyInstanceUID)
            and (len(path) < 6 or path[5] == data.SOPInstanceUID)
        ]
        if len(path) == 6:
            boundary = b"a-boundary"
            body = b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n"
            body += chosen[0].read_bytes() + b"\r\n--" + boundary + b"--\r\n"
            kind = 'multipart/related; type="application/dicom"; boundary=a-boundary'
            reply(handler, body, kind)
            return
        lines = [described(one) for one in chosen]
        if pages:
            start = int(asked.get("offset", 0))
            lines = lines[start : start + min(int(asked.get("limit", 100)), 2)]
        if lines:
            reply(handler, json.dumps(lines).encode(), "application/dicom+json")
        else:
            handler.send_response(204)
            handler.end_headers()

    with serving(answer) as server:
        yield server


ORTHANC = shutil.which("Orthanc")
_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def has_orthanc() -> bool:
    """Whether Orthanc and its DICOMweb plugin are installed, as Debian packs them."""
    return ORTHANC is not None and _PLUGIN.exists()


@contextlib.contextmanager
def orthanc(folder: Path, files: Sequence[Path]) -> Iterator[str]:
    """A real Orthanc on this machine with some files in it; yields its DICOMweb address."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        http_port, dicom_port = one.getsockname()[1], two.getsockname()[1]
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "HttpPort": http_port, "DicomPort": dicom_port, "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False, "Plugins": [str(_PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([str(ORTHANC), str(path)], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{http_port}"
    try:
        for _ in range(300):
            with contextlib.suppress(urllib.error.URLError):
                urllib.request.urlopen(f"{url}/system", timeout=5).close()  # noqa: S310
                break
            time.sleep(0.1)
        for file in files:
            request = urllib.request.Request(  # noqa: S310  our own server
                f"{url}/instances", file.read_bytes(), {"Content-Type": "application/dicom"}
            )
            urllib.request.urlopen(request, timeout=60).close()  # noqa: S310
        yield f"{url}/dicom-web"
    finally:
        process.terminate()
        process.wait(60)
