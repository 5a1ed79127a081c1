"""Machines that go to a libvirt, and machines that come from one: a real one, with QEMU behind it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import Typist, give_up
from tests.integration import tiny_system
from tests.integration.hosts import LIMIT, Host
from tests.integration.test_standalone import machine

from ireko.disk.chain import open_chain
from ireko.drivers.qemu import domain, standalone

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

DAEMON = "/usr/sbin/libvirtd"
# As root it wants users that only its whole package makes: in a namespace of its own it is somebody else.
AS_A_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


@pytest.fixture(scope="module")
def libvirt() -> Iterator[None]:
    """A libvirt as any user has one, with everything of its own in a folder: the one that is asked by default."""
    if not Path(DAEMON).exists() or shutil.which("virsh") is None:
        give_up("libvirt is not installed: sudo apt-get install libvirt-clients libvirt-daemon")
    if os.geteuid() == 0 and subprocess.run([*AS_A_USER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("root can't be somebody else here, as in a chroot: there are no user namespaces")
    # the paths of its sockets, which have the machines' names in them, must be short
    made = tempfile.TemporaryDirectory(prefix="virt", ignore_cleanup_errors=True)
    with made as place, pytest.MonkeyPatch.context() as patch:
        folder = Path(place)
        folders = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("CONFIG", "CACHE", "DATA")}
        patch.setenv("LIBVIRT_DEFAULT_URI", f"qemu+unix:///session?socket={folder}/libvirt-sock")
        daemon = _start(folder, {**os.environ, **folders, "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)})
        try:
            yield
        finally:
            for name in virsh("list", "--name").splitlines():
                virsh("destroy", name)
            _end(daemon)


def _start(folder: Path, environment: dict[str, str]) -> int:
    settings = folder / "CONFIG" / "libvirt"
    settings.mkdir(parents=True)
    (settings / "qemu.conf").write_text('stdio_handler = "file"\n')
    (folder / "libvirtd.conf").write_text(f'unix_sock_dir = "{folder}"\nlog_outputs = "3:file:{folder}/log"\n')
    words = [DAEMON, "--daemon", "--config", f"{folder}/libvirtd.conf", "--pid-file", f"{folder}/pid"]
    # It returns when it can be asked.
    subprocess.run([*AS_A_USER, *words] if os.geteuid() == 0 else words, env=environment, timeout=LIMIT, check=True)
    return os.pidfd_open(int((folder / "pid").read_text()))


def _end(daemon: int) -> None:
    signal.pidfd_send_signal(daemon, signal.SIGTERM)
    select.select([daemon], [], [], LIMIT)
    os.close(daemon)


def virsh(*words: str) -> str:
    """The answer of libvirt's own program."""
    done = subprocess.run(["virsh", "--quiet", *words], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def host(libvirt: None, host: Host) -> Host:
    """Its daemon knows this libvirt, as it is started after it."""
    return host


def test_a_container_becomes_one_of_its_machines(host: Host, tmp_path: Path, sit_down: Callable[..., Typist]) -> None:
    name = "箱 'a'"
    # the last word keeps it up until its output was read: of a pseudoterminal whose other side is gone nothing more can be
    said = "read it; cat /kept || { echo $it > /kept; sync; }; read end"
    host.out("create", "-it", "--name", "leaver", "nano", "sh", "-c", said)
    host.out("promote", "--register", name, "leaver", str(tmp_path / "machine"))
    for typed, seen in (b"it stays\r", rb"No such file"), (b"again\r", rb"it stays\r\n"):
        assert virsh("domstate", name) == "shut off"
        virsh("start", name)
        person = sit_down([str(shutil.which("virsh")), "console", name, "--devname", domain.TERMINAL])
        person.expect(rb"Escape character is .*\r\n")
        person.expect_raw()
        person.type(typed)
        person.expect(seen)
        person.type(b"\r")
        person.ends()
    assert virsh("domstate", name) == "shut off"
    again = host("promote", "--register", name, "leaver", str(tmp_path / "other"))
    assert again.returncode != 0
    assert name in again.stderr.decode()
    assert not (tmp_path / "other").exists()
    virsh("undefine", name)


def test_one_of_its_machines_becomes_an_image(host: Host, tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    tiny_system.install(disk)
    spec = machine(disk)
    standalone.write(spec, tmp_path, accelerator="tcg")
    virsh("define", str(tmp_path / domain.FILE))
    virsh("snapshot-create-as", spec.name, "before", "--disk-only", "--atomic")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    host.out("adopt", spec.name, "tiny:1")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert len(host.inspect("tiny:1")["RootFS"]["Layers"]) == 2
    host.out("image", "export", "tiny:1", str(tmp_path / "back.raw"))
    with open_chain(disk) as adopted, open_chain(tmp_path / "back.raw") as exported:
        assert exported.view.read(0, tiny_system.SIZE) == adopted.view.read(0, tiny_system.SIZE)
    virsh("start", spec.name)
    try:
        running = host("adopt", spec.name, "tiny:2")
    finally:
        virsh("destroy", spec.name)
    assert running.returncode != 0
    assert spec.name in running.stderr.decode()
    virsh("undefine", spec.name, "--snapshots-metadata")
