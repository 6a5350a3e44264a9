"""Whatever comes from outside: a parser takes it, or refuses it with one sentence of the project's own.

Real inputs are mutated and noise is added, so that the parsers are reached beyond their first byte. No
traceback, no hang, no blow-up of memory: each call is bounded in time and in what it allocates. The
campaign (``make test-campaign``) goes on for longer.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.sweep import times

from medtoken import bodies, formats, vocabulary
from medtoken.deploy.record import Deployment
from medtoken.errors import MedtokenError
from medtoken.interop import consent as fhir_consent
from medtoken.interop import crypt4gh, dicomweb, fhir_server, visa
from medtoken.ipfs import CID, EmbeddedStore
from medtoken.ipfs._car import CarFile, write_car
from medtoken.ipfs._unixfs import Link, decode_node, encode_node
from medtoken.keeper import wire
from medtoken.keeper.certificate import Certificate
from medtoken.keeper.client import configured_keepers
from medtoken.keys import LogEntry
from medtoken.lineage import Manifest as Lineage
from medtoken.masking import Profile
from medtoken.messages import Consent
from medtoken.metering import Acknowledgement
from medtoken.parties.baskets import Listing
from medtoken.royalty import Manifest, Rule, Scope
from medtoken.sealing import SealedReader, SealStream, read_trailer

SECONDS = 20.0
"""Of one call, on a machine that is busy with something else."""
MEMORY = 64 << 20
"""Bytes that one call on a small input may allocate at its peak."""
DEEP = b"[" * 100_000
Parser = Callable[[bytes], object]


# ---------------------------------------------------------------------------- real inputs


@functools.cache
def folder() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="medtoken-fuzz-"))


def on_file(read: Callable[[Path], object], name: str) -> Parser:
    """A parser of files as one of bytes."""

    def parse(data: bytes) -> object:
        path = folder() / name
        path.write_bytes(data)
        return read(path)

    return parse


@functools.cache
def files() -> dict[str, bytes]:
    """A small real file of each format."""
    from pydicom.data import get_testdata_file

    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "birthDate": "1980-01-01"}},
            {
                "resource": {
                    "resourceType": "Observation", "status": "final",
                    "code": {"coding": [{"system": "http://loinc.org", "code": "2339-0"}]},
                    "subject": {"reference": "urn:uuid:1"}, "effectiveDateTime": "2020-01-01",
                    "valueQuantity": {"value": 5.5, "unit": "mmol/L"},
                }
            },
        ],
    }  # fmt: skip
    image = Path(str(get_testdata_file("MR_small.dcm")))
    formats.pack_study([image], folder() / "study.tar")
    rows = "".join(f"{n},2020-01-01 00:{n:02}:00,{100 + n}\n" for n in range(60))
    vcf = (
        "##fileformat=VCFv4.2\n##reference=GRCh38\n"
        '##INFO=<ID=DP,Number=1,Type=Integer,Description="d">\n'
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n"
        "1\t100\trs1\tA\tC\t50\tPASS\tDP=9\tGT\t0/1\n"
    )
    return {
        "fhir": json.dumps(bundle).encode(),
        "dicom": image.read_bytes(),
        "study": (folder() / "study.tar").read_bytes(),
        "cgm": b"id,time,gl\n" + rows.encode(),
        "vcf": vcf.encode(),
    }


KEY = crypt4gh.SecretKey(b"\x07" * 32)


@functools.cache
def sealed() -> tuple[bytes, bytes]:
    """A sealed record and its key; the same at each run."""
    noise = random.Random(5)
    stream = SealStream(io.BytesIO(b"content" * 50), bytes(32), _random=noise.randbytes)
    return stream.readall() or b"", stream._dek


@functools.cache
def encrypted() -> bytes:
    file = io.BytesIO()
    crypt4gh.encrypt([b"content" * 50], file, [KEY.public], sender=KEY)
    return file.getvalue()


@functools.cache
def car() -> bytes:
    store = EmbeddedStore(folder() / "store")
    cid = store.add_file(io.BytesIO(b"x" * 3_000_000))
    file = io.BytesIO()
    write_car(cid, store.get_block, file)
    return file.getvalue()[:200_000]


@functools.cache
def a_consent() -> Consent:
    return Consent(
        patient="0x" + "11" * 20, records=b"\1" * 32, purposes=vocabulary.duo_mask(["HMB"]),
        diseases=bytes(32), licensees=1, fields=vocabulary.profile_hash("de-identified"), region=158,
        tier=2, patientShare=7500, floorPrice=0, expiry=1_900_000_000, nonce=1, deadline=1,
    )  # fmt: skip


@functools.cache
def issuer() -> visa.Issuer:
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.derive_private_key(12345, ec.SECP256R1())
    return visa.Issuer("https://x.example", key, "https://x.example/jwks")


@functools.cache
def token() -> bytes:
    claims = {
        "iss": "https://x.example", "sub": "s", "iat": 0, "exp": 10**10,
        "ga4gh_visa_v1": {"type": "t", "asserted": 0, "value": "v", "source": "s"},
    }  # fmt: skip
    return visa._sign(claims, issuer()).encode()


def deployment() -> bytes:
    from medtoken.deploy.record import FORMAT, DeployedContract

    fields = get_type_hints(DeployedContract)
    contract = {name: None if "None" in str(kind) else "x" for name, kind in fields.items()}
    body = {
        "format": FORMAT,
        "chain_id": 1,
        "network": "x",
        "deployer": "x",
        "contracts": [contract],
    }
    return json.dumps(body).encode()


# ---------------------------------------------------------------------------- parsers


def opened(data: bytes) -> bytes:
    """As much of a sealed record as its key opens."""
    source = io.BytesIO(data)
    read_trailer(source)
    return b"".join(bytes(chunk) for chunk in SealedReader(source, sealed()[1]).chunks())


def blocks(path: Path) -> list[bytes]:
    found = CarFile(path)
    return [found.get_block(cid) for cid in found]


def visa_of(data: bytes) -> object:
    keys = json.loads(json.dumps(issuer().jwks))
    return visa.read_visa(data.decode("latin-1"), keys, now=1)


def key_set(data: bytes) -> object:
    """A key set that somebody else wrote."""
    try:
        keys = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return visa.read_visa(token().decode(), keys, now=1) if isinstance(keys, dict) else None


def consent_of(data: bytes) -> object:
    return fhir_consent.from_fhir(fhir_consent.parse("x", data), now=0).consent()


def log_entry(data: bytes) -> object:
    return LogEntry(1, data.decode("latin-1"), bytes(32)).event


def keeper_bodies(data: bytes) -> None:
    """Every body that a keeper or its client takes, and what it is turned into."""
    for name in ("ReleaseRequest", "Answer", "Order", "Deposit", "Rotation", "Completion", "Plain",
                 "Commitment", "RevocationNotice", "HoldingAnswer", "Receipt", "Info", "Head",
                 "Entry", "Problem"):  # fmt: skip
        with contextlib.suppress(MedtokenError):
            body = bodies.decoded(data, getattr(wire, name))
            for turn in ("signed", "refusal", "answer", "holding", "receipt", "card", "entry"):
                if hasattr(body, turn):
                    with contextlib.suppress(MedtokenError):
                        getattr(body, turn)()


def requests() -> bytes:
    """A release request with every field, as a client sends it."""
    fields = get_type_hints(wire.ReleaseRequest)
    body = {n: 1 if k is int else "0x" + "11" * 32 for n, k in fields.items()}
    return json.dumps(body).encode()


def acknowledgement(data: bytes) -> object:
    """What a licensee signed with EIP-712, as a file."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return Acknowledgement.from_json(found)


def public_key(path: Path) -> object:
    with contextlib.suppress(MedtokenError):
        crypt4gh.read_public_key(path)
    return crypt4gh.read_secret_key(path)


class Says:
    """A server that answers the same bytes to whatever it is asked."""

    name, base, status = "The server x", "x", 200

    def __init__(self, data: bytes, content_type: str) -> None:
        self.data, self.content_type = data, content_type
        self.media_type = content_type.partition(";")[0]

    @contextlib.contextmanager
    def get(self, url: str, accept: str, **parameters: object) -> Iterator[Says]:
        yield self

    def own(self, url: str) -> str:
        return url

    def body(self, most: int) -> bytes:
        return self.data

    def pieces(self, most: int) -> Iterator[bytes]:
        return (self.data[at : at + 1000] for at in range(0, len(self.data), 1000))


def searched(data: bytes) -> object:
    """What a DICOMweb server found."""
    return dicomweb.find_instances(Says(data, "application/dicom+json"), study="1.2.3")  # type: ignore[arg-type]


def found_images() -> bytes:
    tags = {"0020000D": "1.2.3", "0020000E": "1.2.3.4", "00080018": "1.2.3.4.5"}
    return json.dumps([{k: {"vr": "UI", "Value": [v]} for k, v in tags.items()}]).encode()


def fetched(data: bytes) -> object:
    """The image that a DICOMweb server sent."""
    web = Says(data, "multipart/related; boundary=b")
    return dicomweb.fetch_instance(web, an_instance(), folder() / "fetched")  # type: ignore[arg-type]


@functools.cache
def an_instance() -> dicomweb.Instance:
    import pydicom

    image = pydicom.dcmread(io.BytesIO(files()["dicom"]))
    return dicomweb.Instance(
        str(image.StudyInstanceUID), str(image.SeriesInstanceUID), str(image.SOPInstanceUID)
    )


def multipart() -> bytes:
    return b"--b\r\nContent-Type: application/dicom\r\n\r\n" + files()["dicom"] + b"\r\n--b--\r\n"


def paged(data: bytes) -> object:
    """What a FHIR server sent of a patient."""
    web = Says(data, "application/fhir+json")
    return fhir_server.fetch_patient(web, "p", folder() / "record.json")  # type: ignore[arg-type]


def a_page() -> bytes:
    resources: list[dict[str, object]] = [
        {"resourceType": "Patient", "id": "p"},
        {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/p"}},
    ]
    page = {"resourceType": "Bundle", "link": [], "entry": [{"resource": one} for one in resources]}
    return json.dumps(page).encode()


def a_roster() -> bytes:
    scope = Scope("0x" + "11" * 20, 1, 9, frozenset({bytes(32)}))
    return Manifest(bytes(32), scope, Rule()).encode()


def cid_text(data: bytes) -> object:
    with contextlib.suppress(MedtokenError):
        CID.from_bytes(data)
    return CID.parse(data.decode("latin-1"))


def node() -> bytes:
    cid = CID.parse("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
    return encode_node([Link(cid, 5, 5), Link(cid, 7, 7)])


PEM = b"""-----BEGIN CRYPT4GH PRIVATE KEY-----
YzRnaC12MQAEbm9uZQAEbm9uZQAgAAAA
-----END CRYPT4GH PRIVATE KEY-----
"""
TARGETS: dict[str, tuple[Parser, Callable[[], bytes]]] = {
    "FHIR": (on_file(formats.read, "f.json"), lambda: files()["fhir"]),
    "DICOM": (on_file(formats.read, "f.dcm"), lambda: files()["dicom"]),
    "DICOM study": (on_file(formats.read, "f.tar"), lambda: files()["study"]),
    "DICOMweb search": (searched, found_images),
    "DICOMweb image": (fetched, multipart),
    "FHIR server": (paged, a_page),
    "roster": (Manifest.decode, a_roster),
    "lineage": (Lineage.decode, lambda: Lineage(bytes(32), {bytes(32): 5}).encode()),
    "CSV": (on_file(formats.read, "f.csv"), lambda: files()["cgm"]),
    "VCF": (on_file(formats.read, "f.vcf"), lambda: files()["vcf"]),
    "sealed": (opened, lambda: sealed()[0]),
    "CAR": (on_file(blocks, "f.car"), car),
    "CID": (cid_text, lambda: b"bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"),
    "UnixFS": (decode_node, node),
    "keeper": (keeper_bodies, requests),
    "certificate": (lambda data: Certificate(data).check(bytes(32)), requests),
    "log": (log_entry, lambda: b'{"kind":"release"}'),
    "deployment": (on_file(Deployment.load, "d.json"), deployment),
    "Crypt4GH": (lambda data: list(crypt4gh.decrypt(io.BytesIO(data), KEY)), encrypted),
    "Crypt4GH key": (on_file(public_key, "k"), lambda: PEM),
    "FHIR Consent": (consent_of, lambda: json.dumps(fhir_consent.to_fhir(a_consent(), 1)).encode()),
    "visa": (visa_of, token),
    "key set": (key_set, lambda: json.dumps(issuer().jwks).encode()),
    "basket": (on_file(Listing.load, "b.json"), lambda: b'[{"record": "0x", "consent": "0x"}]'),
    "keepers": (on_file(configured_keepers, "k.json"), lambda: b'{"format": 1, "keepers": []}'),
    "acknowledgement": (acknowledgement, lambda: b'{"licence": "0x", "units": 1, "time": 1}'),
    "profile": (
        lambda data: Profile(data, "x"),
        lambda: b'{"format":"medtoken masking profile 1"}',
    ),
}


# ---------------------------------------------------------------------------- mutations


VALUES = (
    b"null",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b'""',
    b"[]",
    b"{}",
    b'"\\ud800"',
    b"9" * 5000,
)


@st.composite
def mutations(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A few changes to some input: bytes, pieces, numbers in it, JSON values."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(("flip", "cut", "drop", "repeat", "insert", "number", "value")),
                st.floats(0, 1, exclude_max=True),
                st.integers(0, 2**32 - 1),
                st.binary(max_size=12),
            ),
            min_size=1,
            max_size=5,
        )
    )

    def mutate(data: bytes) -> bytes:
        for kind, place, number, piece in steps:
            at = int(place * (len(data) + 1))
            if kind == "flip" and at < len(data):
                data = data[:at] + bytes([data[at] ^ (number % 255 + 1)]) + data[at + 1 :]
            elif kind == "cut":
                data = data[:at]
            elif kind == "drop":
                data = data[:at] + data[at + number % 64 :]
            elif kind == "repeat":
                data = data[:at] + data[at : at + number % 512] * 3 + data[at:]
            elif kind == "insert":
                data = data[:at] + piece + data[at:]
            elif kind == "number":
                wide = (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, number)[number % 5]
                data = data[:at] + wide.to_bytes(4, ("little", "big")[number % 2]) + data[at + 4 :]
            elif (start := data.find(b":", at)) >= 0:
                data = (
                    data[: start + 1]
                    + VALUES[number % len(VALUES)]
                    + data[start + 1 + number % 9 :]
                )
        return data

    return mutate


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """No traceback, one line, in time, in little memory."""
    started = time.monotonic()
    tracemalloc.start()
    try:
        yield
    except MedtokenError as refusal:
        assert str(refusal)
        assert "\n" not in str(refusal)
        assert len(str(refusal)) < 2000
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.monotonic() - started < SECONDS
    assert peak < MEMORY


@pytest.fixture(autouse=True, scope="module")
def _modules_are_read() -> None:
    """What a first call imports is not what an input makes it allocate."""
    for parse, real in TARGETS.values():
        with contextlib.suppress(MedtokenError):
            parse(real())


def attack(name: str, mutate: Callable[[bytes], bytes]) -> None:
    parse, real = TARGETS[name]
    data = mutate(real())
    with bounded():
        parse(data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_real_input_reaches_the_parser(name: str) -> None:
    attack(name, lambda data: data)


@pytest.mark.parametrize(
    "name",
    ["FHIR", "DICOM", "DICOM study", "CSV", "VCF", "DICOMweb search", "DICOMweb image", "FHIR server",
     "roster", "lineage"],
)  # fmt: skip
def test_a_real_input_is_taken(name: str) -> None:
    parse, real = TARGETS[name]
    assert parse(real())


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 1000, b"\xff" * 1000, DEEP, b'{"a":' * 50_000, b"9" * 100_000, b"null", b"[]", b"{}",
     b'"\\ud800"', b"\xef\xbb\xbf{}", "é☃".encode()],
    ids=range(12),
)  # fmt: skip
def test_what_is_nothing_at_all(name: str, data: bytes) -> None:
    attack(name, lambda _: data)


@pytest.mark.parametrize("name", TARGETS)
@given(mutate=mutations())
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_real_inputs_that_were_changed(name: str, mutate: Callable[[bytes], bytes]) -> None:
    attack(name, mutate)


@pytest.mark.parametrize("name", ["DICOM", "DICOM study", "DICOMweb image"])
def test_an_element_that_says_it_is_a_gigabyte_long_gets_no_gigabyte(name: str) -> None:
    def mutate(data: bytes) -> bytes:
        meta = data.index(b"DICM") + 4  # (0002,0000) UL 4: the length of what follows of the group
        body = meta + 12 + int.from_bytes(data[meta + 8 : meta + 12], "little")
        return data[:body] + b"\x08\0\x05\0UN\0\0" + (1 << 30).to_bytes(4, "little") + data[body:]

    attack(name, mutate)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
@given(mutate=mutations())
@settings(max_examples=times(500, 3_000), suppress_health_check=list(HealthCheck))
def test_real_inputs_that_were_changed_for_longer(
    name: str, mutate: Callable[[bytes], bytes]
) -> None:
    attack(name, mutate)
