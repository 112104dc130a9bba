"""Group 7 over TLS: what is echoed comes whole, then the close frame, then close_notify."""

from __future__ import annotations

import socket

import pytest
from case import close
from raw import BINARY, encode_frame, upgrade_request
from server import Server
from test_tls import trusting, write_certificate

BODY = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def secured(mode, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    write_certificate(folder, "echo")
    files = {"tls_cert": str(folder / "cert.pem"), "tls_key": str(folder / "key.pem")}
    with Server({"server": files}, echo=True, env={"TIDEWIRE_COMPRESSION_MODE": mode}) as running:
        yield running, trusting(folder)


@pytest.mark.parametrize("behind", [b"", b"\x00" * 4000], ids=["nothing", "more bytes"])
@pytest.mark.parametrize("receive_buffer", [4096, 60_000])
def test_a_slow_reader_gets_all_of_it(secured, receive_buffer, behind):
    """A small receive buffer cuts the server's records at many places, the last one, too. A stream that
    ends without close_notify is an error here."""
    server, context = secured
    plain = socket.socket()
    plain.settimeout(20)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    plain.connect((server.host, server.port))
    with context.wrap_socket(plain, server_hostname=server.host, suppress_ragged_eofs=False) as client:
        client.sendall(upgrade_request(server, "/echo"))
        got = bytearray()
        while b"\r\n\r\n" not in got:
            got += client.recv(1000)
        assert got.startswith(b"HTTP/1.1 101 ")
        client.sendall(encode_frame(BINARY, BODY) + close(1000) + behind)
        got = got[got.index(b"\r\n\r\n") + 4 :]
        while data := client.recv(65536):
            got += data
    assert bytes(got) == encode_frame(BINARY, BODY, mask=False) + close(1000, mask=False)
