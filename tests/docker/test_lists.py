"""Images, volumes, lists, the system."""

from __future__ import annotations

import json
import re

import pytest

from .conftest import Docker


class TestPs:
    def test_the_table(self, docker: Docker, box: str) -> None:
        titles, *rows = docker.out("ps").splitlines()
        assert re.split(r"\s{2,}", titles) == [
            "CONTAINER ID",
            "IMAGE",
            "COMMAND",
            "CREATED",
            "STATUS",
            "PORTS",
            "NAMES",
        ]
        row = next(row for row in rows if row.endswith(box))
        assert re.search(r' nano +"sleep 1h" .* ago +Up ', row)

    def test_all_and_quiet(self, docker: Docker, box: str) -> None:
        identifier = docker.out("inspect", "-f", "{{.Id}}", box).strip()
        docker.out("stop", "-t", "0", box)
        assert identifier not in docker.out("ps", "-q", "--no-trunc").split()
        assert identifier in docker.out("ps", "-aq", "--no-trunc").split()
        assert docker.out("ps", "-l", "-q", "--no-trunc").split() == [identifier]
        assert docker.out("ps", "-n", "1", "-q", "--no-trunc").split() == [identifier]

    def test_size(self, docker: Docker, box: str) -> None:
        assert re.fullmatch(
            r"[\d.]+k?B \(virtual [\d.]+kB\)\n",
            docker.out("ps", "-s", "--filter", f"name={box}", "--format", "{{.Size}}"),
        )

    @pytest.mark.parametrize(
        ("settings", "wanted", "other"),
        [
            (["-l", "tier=web"], "label=tier=web", "label=tier=db"),
            (["-l", "tier=web"], "label=tier", "label=team"),
            (["-p", "7654"], "expose=7654", "expose=7655"),
            (["-v", "filtered:/d"], "volume=filtered", "volume=unfiltered"),
            (["--network", "none"], "network=none", "network=bridge"),
            ([], "status=exited", "status=running"),
            ([], "exited=3", "exited=0"),
            ([], "ancestor=nano", "ancestor=nobody"),
        ],
    )
    def test_filters(self, docker: Docker, name: str, settings: list[str], wanted: str, other: str) -> None:
        docker("run", "--name", name, *settings, "nano", "sh", "-c", "exit 3")
        shown = [docker.out("ps", "-a", "--filter", each, "--format", "{{.Names}}").split() for each in (wanted, other)]
        assert [name in names for names in shown] == [True, False]

    def test_before_and_since(self, docker: Docker, box: str) -> None:
        later = docker.out("create", "nano", "true").strip()
        for filters, shown in ((["since", box], later), (["before", later], box)):
            assert shown[:12] in docker.out("ps", "-a", "--filter", "=".join(filters), "--format", "{{.ID}} {{.Names}}")
        docker.out("rm", later)

    def test_a_filter_that_is_none(self, docker: Docker) -> None:
        assert docker.refused("ps", "--filter", "colour=red") == "Error response from daemon: invalid filter 'colour'"

    def test_json(self, docker: Docker, box: str) -> None:
        row = json.loads(docker.out("ps", "--filter", f"name={box}", "--format", "{{json .}}"))
        assert (row["Names"], row["Image"], row["State"], row["Networks"]) == (box, "nano", "running", "bridge")


class TestImages:
    def test_names_come_and_go(self, docker: Docker) -> None:
        docker.out("tag", "nano", "alias:1")
        assert "alias" in docker.out("images", "--format", "{{.Repository}}").split()
        assert docker.out("images", "ali*", "--format", "{{.Repository}}:{{.Tag}}") == "alias:1\n"
        assert docker.out("images", "-q", "nano") == docker.out("images", "-q", "alias:1")
        assert docker.out("rmi", "alias:1") == "Untagged: alias:1\n"
        assert "No such image: alias:1" in docker.refused("rmi", "alias:1")

    def test_one_that_is_used_stays(self, docker: Docker, box: str) -> None:
        assert f"({box}) is using its referenced image" in docker.refused("rmi", "nano")

    def test_dangling(self, docker: Docker, box: str) -> None:
        identifier = docker.out("commit", box).strip()
        found = docker.out("images", "--filter", "dangling=true", "-q", "--no-trunc").split()
        named = docker.out("images", "--filter", "dangling=false", "-q", "--no-trunc").split()
        assert (identifier in found, identifier in named, set(found) & set(named)) == (True, False, set())
        assert docker.out("image", "inspect", "-f", "{{.Id}}", "nano").strip() in named
        assert f"Deleted: {identifier}" in docker.out("rmi", identifier)

    def test_history_and_inspect(self, docker: Docker) -> None:
        rows = docker.out("history", "--format", "{{.CreatedBy}}", "nano").splitlines()
        assert rows == ["recipe nano"]
        assert docker.out("image", "inspect", "-f", "{{.Os}}/{{.Architecture}} {{.Config.Cmd}}", "nano") == (
            "linux/amd64 [/bin/sh]\n"
        )
        assert "No such image: nobody:latest" in docker.refused("history", "nobody")

    def test_pull(self, docker: Docker) -> None:
        said = docker.out("pull", "debian:12")
        assert "Status: Made image for debian:12" in said
        assert docker.out("pull", "-q", "debian:12") == "docker.io/library/debian:12\n"


def test_volumes(docker: Docker) -> None:
    assert docker.out("volume", "create", "--label", "a=b", "data") == "data\n"
    assert docker.out("volume", "ls", "-q", "--filter", "label=a=b") == "data\n"
    assert json.loads(docker.out("volume", "inspect", "data"))[0]["Labels"] == {"a": "b"}
    docker.out("create", "--name", "uses-data", "-v", "data:/d", "nano", "true")
    assert "volume is in use" in docker.refused("volume", "rm", "data")
    docker.out("rm", "uses-data")
    assert docker.out("volume", "rm", "data") == "data\n"
    assert "no such volume" in docker.refused("volume", "inspect", "data").lower()


class TestSystem:
    def test_version(self, docker: Docker) -> None:
        found = json.loads(docker.out("version", "--format", "{{json .}}"))
        assert found["Server"]["Version"] == docker.out("version", "--format", "{{.Server.Version}}").strip()
        spoken, newest = (tuple(map(int, found[side]["ApiVersion"].split("."))) for side in ("Client", "Server"))
        assert spoken <= newest  # an older client is spoken to in its own version
        assert "fake" in [part["Name"] for part in found["Server"]["Components"]]
        assert "Engine:\n" in docker.out("version")

    def test_info(self, docker: Docker, box: str) -> None:
        found = json.loads(docker.out("info", "--format", "{{json .}}"))
        assert found["ServerVersion"]
        assert found["ContainersRunning"] >= 1
        assert "Server Version:" in docker.out("info")

    def test_events(self, docker: Docker, name: str) -> None:
        with docker.running(
            "events", "--since", "1", "--filter", f"container={name}", "--format", "{{.Action}}"
        ) as events:
            docker.out("run", "--rm", "--name", name, "nano", "true")
            assert events.stdout is not None
            seen = [events.stdout.readline().strip() for _ in range(4)]
        assert seen == ["create", "start", "die", "destroy"]

    def test_events_that_have_been(self, docker: Docker, box: str) -> None:
        docker.out("rename", box, f"{box}-x")
        docker.out("rename", f"{box}-x", box)
        wanted = ("--filter", f"container={box}", "--filter", "event=rename", "--filter", "type=container")
        with docker.running("events", "--since", "10m", *wanted, "--format", "{{.Actor.Attributes.oldName}}") as events:
            assert events.stdout is not None
            assert events.stdout.readline() == f"/{box}-x\n"

    def test_df(self, docker: Docker, box: str) -> None:
        kinds = docker.out("system", "df", "--format", "{{.Type}} {{.TotalCount}}").splitlines()
        assert [kind.rsplit(" ", 1)[0] for kind in kinds] == ["Images", "Containers", "Local Volumes", "Build Cache"]
        assert box in docker.out("system", "df", "-v")

    def test_prune(self, docker: Docker, name: str) -> None:
        docker.out("run", "--name", name, "nano", "true")
        docker.out("volume", "create", "--label", "mine=1")
        said = docker.out("system", "prune", "-f", "--volumes", "--filter", "label!=kept")
        assert "Deleted Containers:" in said
        assert "Deleted Volumes:" in said
        assert "Total reclaimed space:" in said
        assert "Total reclaimed space: 0B" in docker.out("container", "prune", "-f")
        assert "Total reclaimed space: 0B" in docker.out("image", "prune", "-f")
        assert "Total reclaimed space: 0B" in docker.out("volume", "prune", "-f")

    def test_networks(self, docker: Docker) -> None:
        assert docker.out("network", "ls", "--format", "{{.Name}} {{.Driver}}") == "bridge user\nnone null\n"
        assert json.loads(docker.out("network", "inspect", "bridge"))[0]["Name"] == "bridge"
        assert "networks can't be made or changed yet" in docker.refused("network", "create", "mine")

    def test_what_is_not_there_says_so(self, docker: Docker) -> None:
        assert docker.refused("swarm", "init") == "Error response from daemon: page not found"
