# Check everything that can be checked on Windows: format, lint, types, imports, and the tests without guests.
#
#   .\test.ps1 [PYTEST ARGUMENT...]
#
# Python 3.11 or newer must be installed, with its launcher "py".
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
Set-Location -LiteralPath $PSScriptRoot

. .\scripts\setup.ps1

$failed = @()
function Test-Part([string] $Name, [string] $Program, [string[]] $Arguments) {
    Say $Name
    & ".venv\Scripts\$Program" @Arguments
    if ($LASTEXITCODE) { $script:failed += $Name }
}

Initialize-Environment dev
Test-Part 'format' 'ruff' @('format', '--check', '--quiet', '.')
Test-Part 'lint' 'ruff' @('check', '--quiet', '.')
Test-Part 'types' 'mypy' @('--platform', 'linux')
# What Windows has not, and an unreachable line there, is in the code for other systems alone: drivers.qemu and recipes.
Test-Part 'types on Windows' 'mypy' @(
    '--platform', 'win32', '--cache-dir', '.mypy_cache/windows', '--no-warn-unreachable', '--follow-imports', 'silent',
    '--exclude', 'drivers/qemu|recipes', 'src/ireko')
Test-Part 'imports' 'lint-imports' @('--no-cache')
# One process for each processor, with a file of tests at a time.
$shared = @('-n', 'auto', '--dist', 'loadfile', '--no-loadscope-reorder')
Test-Part 'tests' 'pytest' ($shared + @('-m', 'not qemu and not docker and not root') + $args)

if ($failed) {
    Write-Error "failed: $failed" -ErrorAction Continue
    exit 1
}
Say 'all is well'
