"""Requirement C6, protocol §9: wss, TLS 1.2 and 1.3, reload of the certificate."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl

import pytest
from client import Client, channel, eventually, unique
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tokens import mint

clause = pytest.mark.clause


def write_certificate(folder, name: str) -> None:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@pytest.fixture
def secure(start, tmp_path):
    write_certificate(tmp_path, "first")
    files = {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}
    return start({"server": files})


def trusting(folder, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def served_name(server) -> str:
    """The common name in the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((server.host, server.port), 5) as sock,
        context.wrap_socket(sock) as secured,
    ):
        der = secured.getpeercert(binary_form=True)
    name = x509.load_der_x509_certificate(der).subject
    return name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


@clause("9.tls", "C6")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_wss_with_tls_1_2_and_1_3(secure, tmp_path, version):
    """C6: "wss with OpenSSL, TLS 1.2 and 1.3"; §9: "`https` when TLS is on" in the ready line"""
    assert secure.scheme == "https"
    client = await Client.connect(secure, mint(unique("u")), ssl=trusting(tmp_path, version))
    secured = client.ws.transport.get_extra_info("ssl_object")
    assert secured.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
    name = channel()
    await client.subscribe(name)
    big = "x" * 500_000
    await client.publish(name, big)
    assert (await client.deliveries(name, 1))[0]["data"] == big


@clause("9.tls", "C6", "P8")
def test_older_versions_and_plain_text_are_refused(secure, http):
    """C6: "TLS 1.2 and 1.3" alone"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection((secure.host, secure.port), 5) as sock, pytest.raises(OSError):
        context.wrap_socket(sock)
    with socket.create_connection((secure.host, secure.port), 5) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " not in sock.recv(1000)
    assert http(secure, "GET", "/healthz").status_code == 200


@clause("9.tls-reload", "C6", "O1")
async def test_a_reload_brings_a_new_certificate_and_drops_nobody(secure, tmp_path):
    """C6: "certificate reload without dropping a connection"; §9: "SIGHUP reloads … TLS files" """
    client = await Client.connect(secure, mint(unique("u")), ssl=trusting(tmp_path))
    assert await asyncio.to_thread(served_name, secure) == "first"
    write_certificate(tmp_path, "second")
    secure.reload()

    async def second():
        return await asyncio.to_thread(served_name, secure) == "second"

    await eventually(second, "the new certificate")
    assert (await client.request({"type": "ping"}))["type"] == "pong"
    again = await Client.connect(secure, mint(unique("u")), ssl=trusting(tmp_path))
    assert (await again.request({"type": "ping"}))["type"] == "pong"


@clause("9.tls-reload", "C6", "O1")
async def test_a_reload_takes_files_of_another_name(secure, tmp_path):
    """§9: "SIGHUP reloads … TLS files" """
    folder = tmp_path / "renewed"
    folder.mkdir()
    write_certificate(folder, "second")
    secure.reload({"server": {"tls_cert": str(folder / "cert.pem"), "tls_key": str(folder / "key.pem")}})

    async def second():
        return await asyncio.to_thread(served_name, secure) == "second"

    await eventually(second, "the new certificate")


def no_certificate(folder) -> None:
    (folder / "cert.pem").write_text("not a certificate")


def key_of_another_type(folder) -> None:
    """As after a renewal that went from ECDSA to RSA, when only the key has been copied."""
    key = rsa.generate_private_key(65537, 2048)
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


@clause("9.tls-reload", "C6", "O1")
@pytest.mark.parametrize("spoil", [no_certificate, key_of_another_type])
async def test_a_broken_certificate_changes_nothing(secure, tmp_path, spoil):
    """§9: "a file with an error changes nothing" """
    spoil(tmp_path)
    size = len(secure.log())
    secure.reload()
    await eventually(lambda: len(secure.log()) > size, "a word in the log")
    assert await asyncio.to_thread(served_name, secure) == "first"


@clause("2.http-408", "C6", "P8")
async def test_a_tls_handshake_that_never_ends_is_cut_off(secure):
    """§2: "headers not complete 10 s after the connection was accepted (TLS included)" """
    reader, writer = await asyncio.open_connection(secure.host, secure.port)
    began = asyncio.get_running_loop().time()
    writer.write(b"\x16\x03\x01\x02\x00")
    await asyncio.wait_for(reader.read(), 30)
    assert 9 <= asyncio.get_running_loop().time() - began <= 30
    writer.close()


@clause("9.tls", "C6")
def test_a_certificate_that_cannot_be_read_is_a_configuration_error(tmp_path):
    """§9: "A configuration error … names the key, … and exits 2" """
    from server import Server

    files = {"tls_cert": str(tmp_path / "none.pem"), "tls_key": str(tmp_path / "none.key")}
    server = Server({"server": files}).launch()
    try:
        assert server.wait() == 2
        assert "tls_cert" in server.log() or "none.pem" in server.log()
    finally:
        server.kill()
