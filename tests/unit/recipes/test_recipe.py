"""A recipe is read whole or refused in words, before any work is done."""

from __future__ import annotations

import pytest

from ireko.errors import InvalidInput, NotFound
from ireko.model.image import GIB, MIB
from ireko.model.names import Reference
from ireko.recipes.recipe import Kind, built_in_names, load_recipe, parse

WEB = """\
description = "a web server"
kind = "debian"
names = ["web:1", "web"]
capacity = "4 GiB"
packages = ["nginx-light"]
commands = ["echo hello > /var/www/html/index.html"]

[image]
init = "/sbin/init"
exposed_ports = ["80/tcp"]
memory = "512M"
"""


def test_everything_that_can_be_said() -> None:
    recipe = parse(WEB, name="web")
    assert (recipe.kind, recipe.capacity_bytes, recipe.packages) == (Kind.DEBIAN, 4 * GIB, ("nginx-light",))
    assert recipe.references == (Reference("web", "1"), Reference("web"))
    config = recipe.config()
    assert (config.init, config.exposed_ports, config.memory) == ("/sbin/init", ("80/tcp",), 512 * MIB)


def test_an_image_without_names_is_named_after_its_recipe() -> None:
    assert parse('kind = "busybox"', name="mine").references == (Reference("mine"),)


@pytest.mark.parametrize("name", built_in_names())
def test_the_built_in_ones_are_right(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.description
    assert recipe.references[0].repository == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "kind"),
        ("kind =", "web"),
        ('kind = "alpine"', "alpine"),
        ('kind = "debian"\npackage = ["a"]', "package"),
        ('kind = "debian"\npackages = "a"', "packages"),
        ('kind = "debian"\ncapacity = "4"', 'capacity" is "4"'),
        ('kind = "debian"\n[image]\nmemory = "much"', 'memory" is "much"'),
        ('kind = "debian"\nnames = ["Not A Name"]', "Not A Name"),
        ('kind = "busybox"\npackages = ["a"]', "packages"),
    ],
)
def test_what_is_wrong_is_named(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        parse(text, name="web")


def test_one_that_is_not_there() -> None:
    with pytest.raises(NotFound) as caught:
        load_recipe("no-such-recipe")
    assert "nano" in caught.value.hint
