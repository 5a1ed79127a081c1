"""Disks that were made small, under real guests: they run as before, and a check finds everything as it must be."""

from __future__ import annotations

import json

import pytest

from .hosts import FOREVER, PATIENT, Host

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]
WASTE = (
    "i=0; while [ $i -lt 150 ]; do head -c 4096 /dev/urandom; head -c 61440 /dev/zero; i=$((i + 1)); done > {}; sync"
)
"""Zeros that are written together with what is none, so that they are stored."""


def findings(host: Host, *flags: str) -> list[dict]:
    done = host("system", "check", "--format", "json", "-q", *flags)
    found = json.loads(done.stdout)["Findings"]
    assert done.returncode == (1 if found else 0)
    return found


def digest(host: Host, name: str) -> str:
    return host.out("exec", name, "sh", "-c", "cat /kept | sha256sum")


def test_a_container_runs_as_before_on_disks_that_were_made_small(host: Host) -> None:
    host.out("run", "-d", "--name", "box", "nano", *FOREVER)
    host.out("exec", "box", "sh", "-c", WASTE.format("/kept"))
    before = digest(host, "box")
    host.out("commit", "box", "kept")
    host.out("exec", "box", "sh", "-c", WASTE.format("/more"))
    host.out("run", "-d", "--name", "web", "nano", *FOREVER)
    host.out("stop", *PATIENT, "box")
    (image,) = json.loads(host.out("image", "inspect", "kept"))
    assert findings(host, "--deep") == []
    done = json.loads(host.out("system", "compact", "--format", "json"))
    assert [each["Name"].split()[0] for each in done["Shrunk"]] == ["layer", "container"]
    assert all(each["Before"] - each["After"] > 4 << 20 for each in done["Shrunk"])
    assert [each["Why"] for each in done["Left"]] == ["web runs on it", "it runs"]
    assert json.loads(host.out("image", "inspect", "kept"))[0]["Size"] < image["Size"] - (4 << 20)
    assert findings(host, "--deep", "--repair") == []
    host.out("start", "box")
    assert digest(host, "box") == before
    assert host.out("run", "--rm", "kept", "sh", "-c", "cat /kept | sha256sum") == before
    assert findings(host, "--deep") == []


def test_a_missing_key_and_a_writable_layer_are_put_right(host: Host) -> None:
    host.out("create", "--name", "late", "kept", "true")
    host.out("run", "--name", "old", "kept", "true")
    identifier = host.inspect("old")["Id"]
    (host.root / "containers" / identifier / "client_key").unlink()
    top = json.loads(host.out("image", "inspect", "kept"))[0]["RootFS"]["Layers"][-1].removeprefix("sha256:")
    (host.root / "layers" / top / "disk.qcow2").chmod(0o644)
    assert len(findings(host)) == 2
    assert host("system", "check", "--repair", "-q").returncode == 0
    assert findings(host) == []
    host.out("start", "-a", "old")
    host.out("rm", "old", "late")
