# What ./run and ./test have in common: Debian's packages and the virtual environment.
#
# Sourced by bash, in the folder of the checkout. Nothing happens when everything is there already.
#
#   setup_packages "${host_packages[@]}"    install those Debian packages that are missing
#   setup_python run                        make .venv with ireko in it ("dev": with what the checks need, too)
#   setup_docker_client                     have a docker client on PATH
#
# shellcheck shell=bash

# the virtual environment; the hypervisor and its firmware; what recipes make images with
python_packages=(python3-venv)
host_packages=(
  "${python_packages[@]}"
  qemu-system-x86 qemu-utils seabios ovmf
  mmdebstrap fakeroot fakechroot e2fsprogs mtools
)
# what else looks at what was made, in tests
witness_packages=(fdisk p7zip-full libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu libxml2-utils)

say() { printf '== %s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this needs root, and there is no sudo: $*" "run it as root"
  fi
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" >&2; }

_apt_updated=
apt_update() {
  [ -z "$_apt_updated" ] || return 0
  say "fetching the lists of packages"
  apt update || die "the lists of packages could not be fetched" "look at /etc/apt/sources.list and the network"
  _apt_updated=yes
}

# dpkg-query fails when one of them is not known
_installed() { { dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true; } | sed -n 's/ installed$//p'; }

setup_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "this is no Debian: these packages' programs must be there: $*"
    return 0
  fi
  local installed package missing=()
  installed=" $(_installed "$@" | tr '\n' ' ')"
  for package in "$@"; do
    [[ $installed == *" $package "* ]] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  apt_update
  say "installing ${missing[*]}"
  apt install --yes --no-install-recommends "${missing[@]}" ||
    die "the packages could not be installed" "sudo apt-get install --no-install-recommends ${missing[*]}"
}

setup_python() {
  local level=$1 wanted stamp=.venv/.set-up
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Python 3.11 or newer is needed: $(python3 --version)"
  # the folder is part of it, because a virtual environment can't be moved
  wanted="$(printf '%s\n' "$PWD" | cat - pyproject.toml | sha256sum | cut -d' ' -f1)"
  if [ -f "$stamp" ] && grep -qxE "$wanted ($level|dev)" "$stamp"; then
    return 0
  fi
  say "making the virtual environment .venv"
  [ -x .venv/bin/pip ] && .venv/bin/pip --version >/dev/null 2>&1 || python3 -m venv --clear .venv ||
    die "the virtual environment could not be made" "sudo apt-get install python3-venv"
  local packages=(--editable .)
  [ "$level" = run ] || mapfile -t -O 2 packages < <(_dev_group)
  .venv/bin/pip install --disable-pip-version-check --progress-bar off "${packages[@]}" |
    sed -u -n 's/^Collecting \([^ ]*\).*/   \1/p; s/^Successfully installed .*/   done/p' >&2 ||
    die "the Python packages could not be installed" "see above; then run this again"
  printf '%s %s\n' "$wanted" "$level" >"$stamp"
}

# pip of Debian 12 knows no dependency groups
_dev_group() {
  python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")'
}

setup_docker_client() {
  command -v docker >/dev/null && return 0
  local folder=${IREKO_TEST_CACHE:-$HOME/.cache/ireko-tests}/docker-client
  if [ ! -x "$folder/docker" ]; then
    command -v apt-get >/dev/null || { say "there is no docker client: its tests are skipped"; return 0; }
    apt_update
    say "fetching the docker client (no daemon is installed)"
    _fetch_docker_client "$folder"
  fi
  PATH=$folder:$PATH
}

_fetch_docker_client() {
  local half
  half=$(mktemp -d)
  # from Debian 13 on the client is a package of its own
  (cd "$half" && { apt-get -q download docker-cli || apt-get -q download docker.io; }) >&2 2>/dev/null &&
    dpkg-deb -x "$half"/docker*.deb "$half/files" && mkdir -p "$1" && mv "$half/files/usr/bin/docker" "$1/docker" ||
    say "the docker client could not be fetched: its tests are skipped"
  rm -rf "$half"
}
