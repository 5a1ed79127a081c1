"""`image make` and `image recipes`."""

from __future__ import annotations

from pathlib import Path

import click

from ireko.cli import complete
from ireko.cli.group import verb
from ireko.cli.made import id_alone, tell
from ireko.cli.render import Fields, write_list
from ireko.cli.session import Session, pass_session
from ireko.errors import InvalidInput

_FIELDS: Fields = {
    "Name": ("RECIPE", lambda item: item["Name"]),
    "References": ("MAKES", lambda item: ", ".join(item.get("References") or [])),
    "Description": ("DESCRIPTION", lambda item: item.get("Description", "")),
}


@verb("make", example="ireko image make debian\nireko image make ./web.toml -t web:1")
@click.option("-t", "--tag", default="", metavar="REPOSITORY[:TAG]", help="The name of the image.")
@id_alone
@click.argument("recipe", shell_complete=complete.recipes)
@pass_session
def make(session: Session, *, tag: str, quiet: bool, recipe: str) -> None:
    """Make an image with a recipe.

    RECIPE is the name of a built-in recipe or the path of a .toml file of your own.
    """
    source = ""
    if recipe.endswith(".toml"):
        try:
            source = Path(recipe).read_text(encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f'can\'t read the recipe "{recipe}": {error.strerror}') from error
    name = Path(recipe).stem if source else recipe
    tell(session, session.client.images.make(name, tag=tag, source=source), quiet=quiet)


@verb("recipes")
@click.option("--format", "written", default="", metavar="FORMAT", help="table, json or a template.")
@pass_session
def recipes(session: Session, *, written: str) -> None:
    """List the built-in recipes."""
    default = ("Name", "References", "Description")
    write_list(session.out, _FIELDS, session.client.images.recipes(), written=written, default=default)
