"""A folder served over HTTPS on a loopback address, with a certificate authority of its own."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "site.test"


@dataclass(frozen=True)
class Site:
    """`authority` is the certificate, in PEM, that a client has to trust."""

    port: int
    authority: bytes

    @property
    def host(self) -> str:
        return f"{NAME}:{self.port}"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base names it
        """Tests say what matters."""


@contextmanager
def https_site(folder: Path, scratch: Path) -> Iterator[Site]:
    """Serves `folder` as https://site.test and keeps its key in `scratch`."""
    authority = make_certificate(scratch / "site.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(scratch / "site.pem")
    handler = partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Site(server.server_port, authority)
        finally:
            server.shutdown()
            thread.join()


def make_certificate(path: Path) -> bytes:
    """Writes the site's key and certificate; the answer is the authority's."""
    authority, key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    names = [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    own = _unsigned("authority", key=authority).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    site = _unsigned(NAME, key=key).add_extension(
        x509.SubjectAlternativeName(names), critical=False
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + site.sign(authority, hashes.SHA256()).public_bytes(pem))
    return own.sign(authority, hashes.SHA256()).public_bytes(pem)


def _unsigned(subject: str, *, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(subject))
        .issuer_name(_named("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
