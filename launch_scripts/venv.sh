# shellcheck shell=bash
# Sourced by the scripts beside it: makes the virtual environment .venv of this checkout, or completes one.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
venv="${JOINTFIT_VENV:-$root/.venv}"

# venv_with EXTRA MODULE…: a virtual environment with the project and one of its extras, in which each MODULE can be found.
# An environment made by another script is kept, and gets what it lacks.
venv_with() {
  local extra="$1"
  shift
  if [[ ! -x "$venv/bin/python" ]]; then
    local python
    python="$(find_python)"
    echo "making a virtual environment in $venv" >&2
    "$python" -m venv "$venv"
  fi
  if ! has_modules torch; then
    # torch first: with a CPU build among the indexes configured, plain pip takes and keeps it
    "$venv/bin/python" -m pip install --quiet "torch>=2.9,<2.14"
  fi
  if ! is_this_checkout || ! has_modules "$@"; then
    "$venv/bin/python" -m pip install --quiet -e "$root[$extra]"
  fi
}

# has_modules NAME…: whether the environment can find all of them
has_modules() {
  "$venv/bin/python" - "$@" <<'PYTHON'
import sys
from importlib.util import find_spec

sys.exit(any(find_spec(name) is None for name in sys.argv[1:]))
PYTHON
}

# is_this_checkout: whether jointfit is installed, and from here
is_this_checkout() {
  (cd / && "$venv/bin/python" - "$root" <<'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

try:
    distribution("jointfit")
    found = find_spec("parties")
except PackageNotFoundError:
    sys.exit(1)
sys.exit(found is None or Path(found.origin).resolve().parents[1] != Path(sys.argv[1]))
PYTHON
  )
}

# find_python: a Python from 3.11 on
find_python() {
  local name
  for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14 python; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  echo "no Python from 3.11 on was found; set PYTHON to one" >&2
  return 1
}
