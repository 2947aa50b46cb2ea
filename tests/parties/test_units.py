"""systemd units and the compose file, checked by the tools that read them, where those are installed."""

import os
import re
import shutil
import subprocess

import pytest

from parties.job import read_job
from tests.parties.starting import ROOT

UNITS = sorted((ROOT / "launch_scripts" / "systemd").glob("*.service"))
COMPOSE = ROOT / "launch_scripts" / "compose" / "compose.yaml"
EXAMPLE = ROOT / "mpc" / "jobs" / "example" / "job.toml"


def run(*command, **environ):
    environment = {**os.environ, **environ}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)


def has_compose():
    return shutil.which("docker") is not None and run("docker", "compose", "version").returncode == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_right_and_closed(unit, tmp_path):
    """systemd finds nothing wrong, and rates the exposure at 2 of 10 at most."""
    copy = tmp_path / unit.name.replace("@.", "@hospital_a.")
    # jointfit is not installed in /opt here
    copy.write_text(unit.read_text("utf-8").replace("/opt/jointfit/bin/jointfit", "/usr/bin/env"))
    verified = run("systemd-analyze", "verify", "--man=no", copy)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    rated = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", copy)
    assert rated.returncode == 0, rated.stdout[-500:]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_a_wrong_unit_is_found(tmp_path):
    copy = tmp_path / "jointfit-relay.service"
    text = (ROOT / "launch_scripts" / "systemd" / copy.name).read_text("utf-8")
    copy.write_text(text.replace("ProtectSystem=", "ProtectSytem="))
    verified = run("systemd-analyze", "verify", "--man=no", copy)
    assert "ProtectSytem" in verified.stderr


@pytest.mark.parametrize("unit", [each for each in UNITS if "relay" not in each.name], ids=lambda path: path.name)
def test_units_keep_secrets(unit):
    text = unit.read_text("utf-8")
    for line in ["LimitCORE=0", "MemorySwapMax=0", "UMask=0077", "StateDirectoryMode=0700", "NoNewPrivileges=yes"]:
        assert line in text.splitlines(), line
    assert re.search(r"^LoadCredential=passphrase:", text, re.MULTILINE)
    assert "--passphrase-file %d/passphrase" in text


@pytest.mark.skipif(not has_compose(), reason="no docker compose")
def test_compose_file_is_right():
    shown = run("docker", "compose", "-f", COMPOSE, "--profile", "relay", "config", "--quiet", JOINTFIT_UID="1000")
    assert (shown.returncode, shown.stderr) == (0, "")


def test_compose_has_the_members_of_the_example():
    """Each member of the example is a service with its own volume, at the name and port of its address."""
    top, text = re.split(r"^services:\n", COMPOSE.read_text("utf-8"), maxsplit=1, flags=re.MULTILINE)
    text = text.partition("\nsecrets:\n")[0] + "\n"
    services = dict(re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", text, re.MULTILINE))
    job = read_job(EXAMPLE)
    assert set(services) == {*job.names, "relay"}
    for name in job.names:
        host, port = job.member(name).endpoint
        own = [f"--as={name}", f"{name}_state:/state", f"secrets: [{name}_passphrase]"]
        for part in (*own, f"aliases: [{host}]", f':{port}"]'):
            assert part in services[name], (name, part)
    for service in services.values():
        assert "<<: *member" in service
    for line in ("read_only: true", "cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]', "core: 0"):
        assert line in top
    assert re.search(r"^USER jointfit$", (COMPOSE.parent / "Dockerfile").read_text("utf-8"), re.MULTILINE)
