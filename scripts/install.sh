# Sourced by quickstart.sh and test.sh, in the repository's root.

# Prints the version of a Python that can make .venv, else why it can't.
check='
import sys
version = "%d.%d.%d" % sys.version_info[:3]
if not (3, 11) <= sys.version_info < (3, 14):
    sys.exit("is " + version)
try:
    import ensurepip, venv
except ImportError as error:
    package = "python%d.%d-venv" % sys.version_info[:2]
    sys.exit("%s has no %s (Debian, Ubuntu: apt install %s)" % (version, error.name, package))
print(version)'

# Sets `python` and `version` to $PYTHON or, without it, to the newest that will do.
find_python() {
  local candidates=(python3.13 python3.12 python3.11 python3) tried=""
  if [[ -n ${PYTHON:-} ]]; then candidates=("$PYTHON"); fi
  for python in "${candidates[@]}"; do
    if ! command -v "$python" >/dev/null; then
      version="was not found"
    elif version=$("$python" -c "$check" 2>&1); then
      return
    fi
    tried+=$'\n'"  $python ${version%%$'\n'*}"
  done
  echo "Python 3.11, 3.12 or 3.13 is needed, with venv and ensurepip. Tried:$tried" >&2
  echo "Another place can be named: PYTHON=/path/to/python3.12 $0" >&2
  exit 1
}

# Installs the package with the extra $1, unless .venv has it already from this Python.
install() {
  local python version constraints wanted stamp=.venv/installed-$1
  find_python
  constraints=$(echo constraints*-"${version%.*}"*.txt) # of its minor version
  wanted="$version $(cat setup.py "$constraints" | cksum)"
  if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then return; fi
  echo "Installing into $PWD/.venv, with Python $version ..."
  if [[ $(.venv/bin/python -c "$check" 2>&1) != "$version" ]]; then
    "$python" -m venv --clear .venv
  fi
  .venv/bin/pip install --quiet --disable-pip-version-check --use-pep517 \
    --constraint "$constraints" --editable ".[$1]"
  echo "$wanted" >"$stamp"
}
