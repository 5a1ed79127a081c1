"""click's classes with what docker's command line does differently: lazy verbs, grouped help, `--flag=false`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import click

from ireko.cli.exit import UnknownCommand
from ireko.cli.session import Session
from ireko.cli.verbs import ELSEWHERE, GROUPS, Entry

Callback = Callable[..., int | None]


class VerbGroup(click.Group):
    """A group whose commands are looked up in the table of verbs and imported when they are run."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; none at all ask for help."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table."""
        return [entry.name for entry in self._entries() if not entry.hidden]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb, imported now; None when there is none of this name."""
        for entry in self._entries():
            if entry.name == cmd_name:
                return _load(entry)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that the first argument names. Raises UsageError with the nearest names when there is none."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise UnknownCommand(f'unknown command: "{ctx.command_path} {args[0]}"{self._nearest(args[0])}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs under their headings."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for entry in self._entries():
            if not entry.hidden:
                sections.setdefault(entry.section or "Commands", []).append((entry.name, entry.help))
        widest = max(len(name) for rows in sections.values() for name, _ in rows)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), text) for name, text in rows])

    def _entries(self) -> tuple[Entry, ...]:
        return GROUPS[self.name or ""]

    def _nearest(self, name: str) -> str:
        import difflib

        if self.name == "ireko" and name in ELSEWHERE:
            return f" (see {ELSEWHERE[name]} --help)"
        close = difflib.get_close_matches(name, [entry.name for entry in self._entries() if not entry.hidden], n=2)
        return f" (did you mean {' or '.join(close)}?)" if close else ""


class VerbCommand(click.Command):
    """A verb; a flag may be written `--flag=true` or `--flag=false`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, with docker's way of writing flags turned into click's."""
        if isinstance(ctx.obj, Session):
            ctx.obj.verb = self.name or ""
        return super().parse_args(ctx, list(self._without_values(ctx, args)))

    def _without_values(self, ctx: click.Context, args: list[str]) -> Iterator[str]:
        options = {name: param for param in self.params if isinstance(param, click.Option) for name in param.opts}
        rest = iter(args)
        for word in rest:
            if word == "--" or (not word.startswith("-") and not ctx.allow_interspersed_args):
                yield word
                break
            yield from _flag(word, options)
            if _wants_value(word, options):
                yield from [value for value in [next(rest, None)] if value is not None]
        yield from rest


def _flag(word: str, options: dict[str, click.Option]) -> Iterator[str]:
    name, equals, value = word.partition("=")
    option = options.get(name)
    truth = {"true": True, "1": True, "false": False, "0": False}.get(value.lower())
    if not equals or option is None or not option.is_flag or truth is None:
        yield word
    elif truth:
        yield name
    elif option.secondary_opts:
        yield option.secondary_opts[0]


def _wants_value(word: str, options: dict[str, click.Option]) -> bool:
    """Whether the next word belongs to this one: `--name web`, `-itw /srv`."""
    if word.startswith("--"):
        return word in options and not options[word].is_flag
    for position, letter in enumerate(word[1:], start=2):
        option = options.get(f"-{letter}")
        if option is None:
            return False
        if not option.is_flag:
            return position == len(word)
    return False


def verb(name: str, *, example: str = "", options_first: bool = False) -> Callable[[Callback], click.Command]:
    """Make a function a verb. With `options_first` what follows the first argument is the container's own command line."""
    lines = "\n".join(f"  {line}" for line in example.splitlines())
    settings: dict[str, Any] = {"allow_interspersed_args": not options_first}
    return click.command(
        name, cls=VerbCommand, context_settings=settings, epilog=f"\b\nExample:\n{lines}" if example else None
    )


def _load(entry: Entry) -> click.Command:
    if not entry.attribute:
        return VerbGroup(entry.name, help=f"{entry.help}.")
    command = getattr(importlib.import_module(f"ireko.cli.{entry.module}"), entry.attribute)
    assert isinstance(command, click.Command)
    return command
