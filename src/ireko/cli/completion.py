"""`completion`."""

from __future__ import annotations

import click

from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session

_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName ireko -ScriptBlock {
    param($word, $line, $position)
    $env:_IREKO_COMPLETE = 'fish_complete'
    $env:COMP_WORDS = $line.ToString()
    $env:COMP_CWORD = $word
    try {
        ireko | Where-Object { $_ } | ForEach-Object {
            $name, $help = ($_ -split ',', 2)[1] -split "`t", 2
            if (-not $help) { $help = $name }
            [System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $help)
        }
    } finally {
        Remove-Item Env:_IREKO_COMPLETE, Env:COMP_WORDS, Env:COMP_CWORD
    }
}
"""


@verb("completion", example="ireko completion bash > /etc/bash_completion.d/ireko")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]))
@pass_session
def completion(session: Session, *, shell: str) -> None:
    """Print a completion script for a shell."""
    if shell == "powershell":
        session.out.write(_POWERSHELL)
        return

    from click.shell_completion import get_completion_class

    from ireko.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    session.line(kind(cli, {}, "ireko", "_IREKO_COMPLETE").source())
