"""The table of verbs: where each is, and the line that `--help` shows. Importing it imports no verb."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """`module` and `attribute` say where the command is; no attribute means a group of its own."""

    name: str
    module: str
    attribute: str
    help: str
    section: str = ""
    hidden: bool = False


_LIVE = "Containers"
_LOOK = "Looking inside"
_IMAGES = "Images"
_SYSTEM = "The daemon and its host"
_GROUPS = "Groups"

_SEE = "Looking"
_MAKE = "Making new disks"
_CHANGE = "Putting a new file in a disk's place"

_VERBS = (
    Entry("run", "run", "run", "Make a container from an image and start it", _LIVE),
    Entry("create", "run", "create", "Make a container without starting it", _LIVE),
    Entry("start", "start", "start", "Start stopped containers", _LIVE),
    Entry("stop", "lifecycle", "stop", "Stop running containers", _LIVE),
    Entry("restart", "lifecycle", "restart", "Stop containers and start them again", _LIVE),
    Entry("kill", "lifecycle", "kill", "Send a signal to running containers", _LIVE),
    Entry("pause", "lifecycle", "pause", "Halt the processors of containers", _LIVE),
    Entry("unpause", "lifecycle", "unpause", "Let paused containers go on", _LIVE),
    Entry("wait", "lifecycle", "wait", "Block until containers stop, then print their exit codes", _LIVE),
    Entry("rename", "lifecycle", "rename", "Give a container another name", _LIVE),
    Entry(
        "recreate", "lifecycle", "recreate", "Throw a container's changes away and start again from its image", _LIVE
    ),
    Entry("promote", "promote", "promote", "Turn a container into a machine that runs without ireko", _LIVE),
    Entry("rm", "lifecycle", "rm", "Remove containers", _LIVE),
    Entry("ps", "ps", "ps", "List containers", _LIVE),
    Entry("exec", "exec", "exec_", "Run a command in a running container", _LOOK),
    Entry("attach", "attach", "attach", "Connect to the input and output of a running container", _LOOK),
    Entry("logs", "logs", "logs", "Show what a container wrote", _LOOK),
    Entry("cp", "cp", "cp", "Copy files between a container and this machine", _LOOK),
    Entry("inspect", "inspect", "inspect", "Show everything about containers, images or volumes", _LOOK),
    Entry("diff", "look", "diff", "Show which files differ from the image", _LOOK),
    Entry("top", "look", "top", "Show the processes of a container", _LOOK),
    Entry("port", "look", "port", "Show the published ports of a container", _LOOK),
    Entry("stats", "stats", "stats", "Show what containers use, as it changes", _LOOK),
    Entry("images", "images", "images", "List images", _IMAGES),
    Entry("commit", "commit", "commit", "Make an image from a container's changes", _IMAGES),
    Entry("adopt", "image_import", "adopt", "Make an image of an existing machine", _IMAGES),
    Entry("tag", "images", "tag", "Give an image one more name", _IMAGES),
    Entry("rmi", "images", "rmi", "Remove images", _IMAGES),
    Entry("history", "images", "history", "Show the layers of an image", _IMAGES),
    Entry("tree", "tree", "tree", "Show layers, images and containers as a tree", _IMAGES),
    Entry("doctor", "doctor", "doctor", "Check this host, and say what to do about each finding", _SYSTEM),
    Entry("events", "events", "events", "Show what happens, as it happens", _SYSTEM),
    Entry("info", "version", "info", "Show how the daemon and its host stand", _SYSTEM),
    Entry("version", "version", "version", "Show the versions of the command line and the daemon", _SYSTEM),
    Entry("serve", "serve", "serve", "Run the daemon", _SYSTEM),
    Entry("completion", "completion", "completion", "Print a completion script for a shell", _SYSTEM),
    Entry("container", "", "", "Manage containers", _GROUPS),
    Entry("image", "", "", "Manage images, and make them with recipes", _GROUPS),
    Entry("volume", "", "", "Manage volumes", _GROUPS),
    Entry("disk", "", "", "Look at virtual disk files and change them, without a daemon", _GROUPS),
    Entry("system", "", "", "Disk space and cleaning up", _GROUPS),
)


def _in_group(names: str) -> tuple[Entry, ...]:
    by_name = {entry.name: entry for entry in _VERBS}
    return tuple(by_name[name]._replace(section="") for name in names.split())


GROUPS: dict[str, tuple[Entry, ...]] = {
    "ireko": _VERBS,
    "container": (
        *_in_group(
            "attach commit cp create diff exec kill logs pause port promote recreate rename restart rm run start stats"
        ),
        *_in_group("stop top unpause wait"),
        Entry("inspect", "inspect", "inspect_container", "Show everything about containers"),
        Entry("ls", "ps", "ps", "List containers"),
        Entry("list", "ps", "ps", "List containers", hidden=True),
        Entry("ps", "ps", "ps", "List containers", hidden=True),
        Entry("prune", "prune", "prune_containers", "Remove all stopped containers"),
    ),
    "image": (
        Entry("export", "export", "export", "Write an image to a disk file, or to an archive of its layers"),
        Entry("flatten", "image_layers", "flatten", "Make one layer of an image's layers"),
        *_in_group("history"),
        Entry(
            "import", "image_import", "import_", "Make an image of a disk and its parents, or take those of an archive"
        ),
        Entry("inspect", "inspect", "inspect_image", "Show everything about images"),
        Entry("ls", "images", "images", "List images"),
        Entry("list", "images", "images", "List images", hidden=True),
        Entry("make", "make", "make", "Make an image with a recipe"),
        Entry("prune", "prune", "prune_images", "Remove images that nothing uses"),
        Entry("rebase", "image_layers", "rebase", "Put an image on top of another, to share what is the same"),
        Entry("recipes", "make", "recipes", "List the built-in recipes"),
        Entry("rm", "images", "rmi", "Remove images"),
        *_in_group("tag"),
    ),
    "volume": (
        Entry("create", "volume", "create", "Make a volume"),
        Entry("inspect", "inspect", "inspect_volume", "Show everything about volumes"),
        Entry("ls", "volume", "ls", "List volumes"),
        Entry("list", "volume", "ls", "List volumes", hidden=True),
        Entry("prune", "prune", "prune_volumes", "Remove volumes that no container uses"),
        Entry("rm", "volume", "rm", "Remove volumes"),
    ),
    "disk": (
        Entry("info", "disk.info", "info", "Show what disks are, and the chains that they stand on", _SEE),
        Entry("map", "disk.map", "map_", "Show where a disk has data, and in which file it lies", _SEE),
        Entry("check", "disk.check", "check", "Look for what is wrong with disks and all that they stand on", _SEE),
        Entry("diff", "disk.diff", "diff", "Show what layers add to their parents", _SEE),
        Entry("convert", "disk.convert", "convert", "Write what a disk shows to a new one of another format", _MAKE),
        Entry("flatten", "disk.convert", "flatten", "Write a disk and its parents to one new file", _MAKE),
        Entry("compact", "disk.change", "compact", "Give back the room that zeros and unused blocks take", _CHANGE),
        Entry("resize", "disk.change", "resize", "Make a disk larger", _CHANGE),
        Entry("repair", "disk.change", "repair", "Have disks point to where their parents are now", _CHANGE),
        Entry("seal", "disk.change", "seal", "Make layers read-only, and note what is in them", _CHANGE),
    ),
    "system": (
        Entry("check", "check", "check", "Look whether the database, the files and every chain of disks agree"),
        Entry("compact", "compact", "compact", "Give back the room that layers and stopped containers don't need"),
        Entry("df", "df", "df", "Show what takes which space"),
        *_in_group("events info"),
        Entry("prune", "prune", "prune_system", "Remove everything that nothing uses"),
    ),
}

ELSEWHERE = {
    "build": "ireko image make",
    "export": "ireko image export",
    "import": "ireko image import",
    "load": "ireko image import",
    "pull": "ireko image make",
    "save": "ireko image export",
}
"""What docker calls by these names, and we by others."""
