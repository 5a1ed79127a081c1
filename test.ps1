# Check everything that can be checked on Windows: format, lint, types, imports, and the tests without guests.
#
#   .\test.ps1 [PYTEST ARGUMENT...]
#
# Python 3.11 or newer must be installed, with its launcher "py".
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
Set-Location -LiteralPath $PSScriptRoot

function Say([string] $Text) { Write-Host "== $Text" }

function Initialize-Environment {
    $stamp = '.venv\.set-up'
    $wanted = (Get-FileHash -LiteralPath pyproject.toml -Algorithm SHA256).Hash + " $PSScriptRoot"
    if ((Test-Path -LiteralPath $stamp) -and ((Get-Content -LiteralPath $stamp -TotalCount 1) -eq $wanted)) { return }
    Say 'making the virtual environment .venv'
    & py -3 -m venv --clear .venv
    if ($LASTEXITCODE) { throw 'the virtual environment could not be made' }
    $group = 'import tomllib; print(*tomllib.load(open(''pyproject.toml'', ''rb''))[''dependency-groups''][''dev''], sep=chr(10))'
    $packages = @(& .venv\Scripts\python -c $group)
    & .venv\Scripts\python -m pip install --quiet --disable-pip-version-check --editable . @packages
    if ($LASTEXITCODE) { throw 'the Python packages could not be installed' }
    Set-Content -LiteralPath $stamp -Value $wanted -Encoding UTF8
}

$failed = @()
function Test-Part([string] $Name, [string] $Program, [string[]] $Arguments) {
    Say $Name
    & ".venv\Scripts\$Program" @Arguments
    if ($LASTEXITCODE) { $script:failed += $Name }
}

Initialize-Environment
Test-Part 'format' 'ruff' @('format', '--check', '--quiet', '.')
Test-Part 'lint' 'ruff' @('check', '--quiet', '.')
Test-Part 'types' 'mypy' @('--platform', 'linux')
Test-Part 'imports' 'lint-imports' @('--no-cache')
Test-Part 'tests' 'pytest' (@('-m', 'not qemu and not docker and not root') + $args)

if ($failed) {
    Write-Error "failed: $failed" -ErrorAction Continue
    exit 1
}
Say 'all is well'
