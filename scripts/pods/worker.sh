#!/usr/bin/env bash
# What scripts/tpu.py has each worker of a slice do. It lies in the code that was copied
# there, ~/perceiver_jax; what is known of the training lies beside, in
# ~/perceiver_jax_run: its process id, its log and, at its end, its exit status.
#
#     worker.sh install EXTRAS | mount BUCKET | start FLAGS | status | stop SECONDS | log STATUS
set -euo pipefail
worker=$(realpath "${BASH_SOURCE[0]}")
code=$(dirname "$(dirname "$(dirname "$worker")")")
mkdir -p ~/perceiver_jax_run
cd ~/perceiver_jax_run

# Not by its number alone, which another process may have after a reboot.
runs() { [[ -f pid && ! -f exit_status ]] && grep -qs worker.sh "/proc/$(<pid)/cmdline"; }

# Python comes from uv: the machines' own is 3.10, for which there is no JAX any more.
install_code() {
  export PATH="$HOME/.local/bin:$PATH"
  command -v uv >/dev/null || curl -LsSf https://astral.sh/uv/install.sh | sh
  uv python install 3.12
  cd "$code"
  source scripts/install.sh
  PYTHON=$(uv python find 3.12) install "$1"
}

# As https://cloud.google.com/storage/docs/cloud-storage-fuse/install says. Hosts read
# what others wrote, so nothing is cached; checkpoints are folders that are renamed.
mount_bucket() {
  local apt=https://packages.cloud.google.com/apt key=/usr/share/keyrings/cloud.google.asc
  if ! command -v gcsfuse >/dev/null; then
    curl -s $apt/doc/apt-key.gpg | sudo tee $key >/dev/null
    echo "deb [signed-by=$key] $apt gcsfuse-$(lsb_release -c -s) main" |
      sudo tee /etc/apt/sources.list.d/gcsfuse.list >/dev/null
    sudo apt-get update -qq
    sudo apt-get install -qq -y gcsfuse
  fi
  sudo mkdir -p "/mnt/$1"
  sudo chown "$(id -u)" "/mnt/$1"
  mountpoint -q "/mnt/$1" || gcsfuse --implicit-dirs --rename-dir-limit=100000 \
    --metadata-cache-ttl-secs=0 --metadata-cache-negative-ttl-secs=0 "$1" "/mnt/$1"
}

case $1 in
install) install_code "$2" ;;
mount) mount_bucket "$2" ;;
start) # in a session of its own, which a lost connection does not end
  if runs; then echo "Training runs already." >&2 && exit 1; fi
  rm -f exit_status
  nohup setsid bash "$worker" train "${@:2}" >>log 2>&1 </dev/null &
  echo $! >pid
  ;;
train) # outlives a signal to the session, to write down how training ended
  trap : TERM
  cd "$code"
  status=0
  .venv/bin/python -m experiments.train "${@:2}" || status=$?
  echo $status >~/perceiver_jax_run/ended
  mv ~/perceiver_jax_run/ended ~/perceiver_jax_run/exit_status
  ;;
status)
  status=none
  if runs; then
    status=running
  elif [[ -f pid ]]; then
    status=lost # or ended since
    if [[ -f exit_status ]]; then status=$(<exit_status); fi
  fi
  echo "training: $(hostname) $status"
  ;;
stop)
  if runs; then kill -TERM -- "-$(<pid)"; fi
  for ((second = 0; second < $2; second++)); do
    runs || exit 0
    sleep 1
  done
  echo "Training did not stop within $2 s." >&2
  ;;
log) # of a worker whose training ended so
  if [[ -f exit_status && $(<exit_status) == "$2" ]]; then hostname && tail -n 30 log; fi
  ;;
*) echo "worker.sh: '$1' is no command." >&2 && exit 2 ;;
esac
