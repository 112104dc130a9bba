"""The files of deploy/ are good, as far as the machine has what reads them."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from blocks import ROOT
from server import binary

DEPLOY = ROOT / "deploy"


def needs(program: str):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"there is no {program}")


@needs("systemd-analyze")
def test_the_unit_is_understood(tmp_path):
    text = (DEPLOY / "tidewire.service").read_text().replace("/usr/local/bin/tidewire", str(binary()))
    unit = tmp_path / "tidewire.service"
    unit.write_text(text)
    found = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    about_it = [line for line in (found.stdout + found.stderr).splitlines() if "tidewire" in line]
    assert about_it == [], about_it


@needs("nginx")
def test_the_site_is_understood(tmp_path):
    text = (DEPLOY / "nginx.conf").read_text()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
        + ["-keyout", tmp_path / "privkey.pem", "-out", tmp_path / "fullchain.pem"],
        check=True,
        capture_output=True,
    )
    text = re.sub(r"/etc/letsencrypt/live/[^/]+", str(tmp_path), text)
    text = text.replace("listen 443", f"listen unix:{tmp_path}/site")
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid; error_log stderr; events {{}}\nhttp {{\naccess_log off;\n{text}\n}}\n")
    found = subprocess.run(["nginx", "-t", "-c", whole, "-p", tmp_path], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_what_the_containerfile_names_exists():
    text = (DEPLOY / "Containerfile").read_text()
    assert "./dev build release tidewire" in text
    assert (ROOT / "dev").exists()
    keys = re.findall(r"\bTIDEWIRE_(\w+)=", text)
    listed = subprocess.run([binary(), "config", "print", "--defaults"], capture_output=True, text=True).stdout
    names = {line.split(" = ")[0].replace(".", "_").upper() for line in listed.splitlines() if " = " in line}
    assert keys and set(keys) <= names
