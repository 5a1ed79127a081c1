# Set ireko up on Windows, and say what can be done with it here.
#
#   .\run.ps1
#
# Python 3.11 or newer must be installed, with its launcher "py".
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
Set-Location -LiteralPath $PSScriptRoot
. .\scripts\setup.ps1

Initialize-Environment run
$ireko = Join-Path $PSScriptRoot '.venv\Scripts\ireko.exe'
& $ireko --version
if ($LASTEXITCODE) { throw 'ireko does not start' }

Write-Host @"

No machines run on Windows yet: the driver for Hyper-V is still to come.

What works here:
  the command line against a daemon on a Linux machine, through an SSH tunnel:
    ssh -N -L 2375:/var/lib/ireko/ireko.sock root@linux-machine
    $ireko -H tcp://127.0.0.1:2375 ps

  a daemon whose machines are only played, to get to know the commands, in two windows:
    $ireko serve --driver fake -H tcp://127.0.0.1:2375
    $ireko -H tcp://127.0.0.1:2375 run --rm nano echo hello
"@
