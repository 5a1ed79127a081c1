"""Names, ids and references."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ireko.errors import InvalidInput
from ireko.model.names import Reference, check_container_name, check_volume_name, looks_like_id, new_id, short


@pytest.mark.parametrize("name", ["web", "a1", "a_b.c-d", "/web", "Web"])
def test_good_container_names(name: str) -> None:
    assert check_container_name(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["", "a", "-web", ".web", "web server", "web/1", "コンテナ", "web\n", "*"])
def test_bad_container_names_are_named_in_the_error(name: str) -> None:
    with pytest.raises(InvalidInput, match="Invalid container name") as caught:
        check_container_name(name)
    assert f'"{name}"' in caught.value.message


def test_a_relative_path_is_no_volume_name() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_volume_name("./data")
    assert "absolute" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "repository", "tag"),
    [
        ("nano", "nano", "latest"),
        ("debian:12", "debian", "12"),
        ("docker.io/library/nano:latest", "nano", "latest"),
        ("library/nano", "nano", "latest"),
        ("localhost:5000/team/web", "localhost:5000/team/web", "latest"),
        ("localhost:5000/team/web:1.0", "localhost:5000/team/web", "1.0"),
        ("a__b/c-d.e:V_1", "a__b/c-d.e", "V_1"),
    ],
)
def test_references(text: str, repository: str, tag: str) -> None:
    assert Reference.parse(text) == Reference(repository, tag)


@pytest.mark.parametrize(
    "text", ["", ":1", "Web", "web:", "web:a b", "web@sha256:00", "a//b", "-a", "web:" + "x" * 129]
)
def test_bad_references(text: str) -> None:
    with pytest.raises(InvalidInput):
        Reference.parse(text)


@given(
    st.from_regex(r"[a-z0-9]{1,20}(/[a-z0-9]{1,20}){0,2}", fullmatch=True),
    st.from_regex(r"[a-z0-9_]{1,30}", fullmatch=True),
)
def test_a_reference_reads_what_it_writes(repository: str, tag: str) -> None:
    reference = Reference.parse(f"{repository}:{tag}")
    assert Reference.parse(str(reference)) == reference


def test_ids() -> None:
    identifier = new_id()
    assert len(identifier) == 64
    assert looks_like_id(identifier)
    assert short(f"sha256:{identifier}") == identifier[:12]
    assert not looks_like_id("web")
