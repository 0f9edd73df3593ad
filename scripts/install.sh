# Sourced by quickstart.sh and test.sh, in the repository's root.

# Installs the package for $1, "run" or an extra, unless .venv has it already.
install() {
  local stamp=.venv/installed-$1 extra=${1#run} wanted
  wanted=$(cat setup.py constraints.txt | cksum)
  if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then return; fi
  if ! python3.11 -c "import ensurepip, venv" 2>/dev/null; then
    echo "python3.11 with its venv module is needed, and was not found in PATH." >&2
    exit 1
  fi
  echo "Installing into $PWD/.venv ..."
  python3.11 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check --use-pep517 \
    --constraint constraints.txt --editable ".${extra:+[$extra]}"
  echo "$wanted" >"$stamp"
}
