# What run.ps1 and test.ps1 have in common: the virtual environment. Dot-sourced in the folder of the checkout.
#
#   Initialize-Environment run    make .venv with ireko in it ("dev": with what the checks need, too)
#
# Python 3.11 or newer must be installed, with its launcher "py".

function Say([string] $Text) { Write-Host "== $Text" }

function Initialize-Environment([string] $Level) {
    $stamp = '.venv\.set-up'
    $wanted = (Get-FileHash -LiteralPath pyproject.toml -Algorithm SHA256).Hash + " $PWD"
    if (Test-Path -LiteralPath $stamp) {
        $present = Get-Content -LiteralPath $stamp -TotalCount 1
        if (("$wanted $Level", "$wanted dev") -contains $present) { return }
    }
    if (-not (Get-Command py -ErrorAction SilentlyContinue)) { throw 'Python 3.11 or newer is needed: https://www.python.org/downloads/' }
    Say 'making the virtual environment .venv'
    & py -3 -m venv --clear .venv
    if ($LASTEXITCODE) { throw 'the virtual environment could not be made' }
    $packages = @()
    if ($Level -eq 'dev') {
        $group = 'import tomllib; print(*tomllib.load(open(''pyproject.toml'', ''rb''))[''dependency-groups''][''dev''], sep=chr(10))'
        $packages = @(& .venv\Scripts\python -c $group)
    }
    & .venv\Scripts\python -m pip install --quiet --disable-pip-version-check --editable . @packages
    if ($LASTEXITCODE) { throw 'the Python packages could not be installed' }
    Set-Content -LiteralPath $stamp -Value "$wanted $Level" -Encoding UTF8
}
