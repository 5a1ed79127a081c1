"""What makes a machine of a freshly installed Debian: quick to start, and without what belongs to one machine alone.

Files are laid over it from `builtin/debian`. On a disk that boots by itself it stays an ordinary Debian. As a container it gets
the units of `/usr/lib/ireko/container` (see the generator `ireko`): the console is a shell, and what a container has no use
for, or not at once, does not keep it waiting. Each program counts where there is no hardware acceleration.
"""

from __future__ import annotations

from fnmatch import fnmatch
from importlib import resources
from pathlib import Path

from ireko.errors import NotFound
from ireko.recipes import rootfiles
from ireko.recipes.rootfiles import Files

_FILES = resources.files("ireko.recipes") / "builtin" / "debian"
_SYSTEM, _UNITS, _CONTAINER = "/etc/systemd/system", "/usr/lib/systemd/system", "/usr/lib/ireko/container"
_DROPPED = (
    # one machine's alone, or another in each build
    "/etc/*-",
    "/etc/fstab",
    "/etc/ssh/ssh_host_*",
    "/var/cache/debconf/*-old",
    "/var/lib/dpkg/*-old",
    "/var/log/*.log",
    "/var/log/apt/*",
    "/var/log/journal",
    # a layer that is thrown away needs no care, and one that is kept is cared for by who keeps it
    f"{_SYSTEM}/*.wants/e2scrub*",
    f"{_SYSTEM}/timers.target.wants/apt-daily*",
    f"{_SYSTEM}/timers.target.wants/dpkg-db-backup.timer",
    f"{_SYSTEM}/sysinit.target.wants/systemd-pstore.service",
    # it is started by its socket
    f"{_SYSTEM}/multi-user.target.wants/ssh.service",
)
_WANTED = {
    "multi-user.target": ("ireko-resolver.path", "systemd-networkd.service"),
    "sockets.target": ("ssh.socket",),
}
_NO_GENERATORS = (
    # they look for what is not on this disk, each time
    "systemd-bless-boot-generator",
    "systemd-cryptsetup-generator",
    "systemd-gpt-auto-generator",
    "systemd-hibernate-resume-generator",
    "systemd-integritysetup-generator",
    "systemd-run-generator",
    "systemd-system-update-generator",
    "systemd-veritysetup-generator",
)
_NOT_IN_A_CONTAINER = (
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty@tty1.service",
    "modprobe@.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-journal-flush.service",
    # its id is the seed's, and not the image's
    "systemd-machine-id-commit.service",
    # the network is set up before the system starts
    "ireko-resolver.path",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-pcrphase-sysinit.service",
    "systemd-pcrphase.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-repart.service",
    "systemd-sysusers.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-update-utmp.service",
)
_LATER_IN_A_CONTAINER = (
    "dbus.service",
    "kmod-static-nodes.service",
    "systemd-logind.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-udevd.service",
    "systemd-user-sessions.service",
)
_LATER = """\
# {unit} as it is in /usr/lib, but after what people wait for.
[Unit]
DefaultDependencies=no
After=multi-user.target
Conflicts=shutdown.target
Before=shutdown.target
"""


def tune(files: Files, folder: Path) -> None:
    """Change the files of a system; `folder` gets the content of those that are new. Raises NotFound: it has no such unit."""
    for path in [path for path in files if any(fnmatch(path, pattern) for pattern in _DROPPED)]:
        del files[path]
    rootfiles.lay_over(files, _FILES, folder)
    for generator in _NO_GENERATORS:
        rootfiles.link(files, f"/etc/systemd/system-generators/{generator}", "/dev/null")
    for target, units in _WANTED.items():
        for unit in units:
            rootfiles.link(files, f"{_SYSTEM}/{target}.wants/{unit}", f"{_UNITS}/{unit}")
    for unit in _NOT_IN_A_CONTAINER:
        rootfiles.link(files, f"{_CONTAINER}/{unit}", "/dev/null")
    for unit in _LATER_IN_A_CONTAINER:
        rootfiles.write(files, f"{_CONTAINER}/{unit}", _later(files, unit), folder)
    rootfiles.link(files, f"{_SYSTEM}/default.target", f"{_UNITS}/multi-user.target")


def _later(files: Files, unit: str) -> bytes:
    """A unit of the system that nothing waits for any more."""
    entry = files.get(f"{_UNITS}/{unit}")
    if entry is None or entry.source is None:
        raise NotFound(
            f'the root file system has no "{unit}"', hint="add dbus, systemd-sysv and udev to the recipe's packages"
        )
    lines = entry.source.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.startswith(("Before=", "DefaultDependencies=", "#")))
    return (_LATER.format(unit=unit) + kept).encode()
