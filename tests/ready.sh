# What tests/run looks at before its first step, so that nothing is missing in its last one. To be read by that script with
# `.`.
#
#   ready TIER     installs what the steps of `run`, `near`, `sales` or `long` need; mends or names what an earlier run, or a
#                  half-done installation, left behind

ready() {
  local start=$SECONDS
  echo "== ready for it?"
  leftovers
  room "$1"
  tools
  # The long run has a machine of another architecture, whose programs this kernel must be told how to run.
  if [ "$1" = long ]; then tests/vm/foreign || exit 1; fi
  took "ready" $((SECONDS - start))
  echo "== ready ($((SECONDS - start)) s)"
}

give_up() {
  echo "tests/run: $1" >&2
  exit 1
}

# All that is temporary is in one directory, which names the run that made it. Those of runs that were killed go, and what
# the simulation left in memory.
leftovers() {
  # Sockets are in there, and their paths must be short.
  local left mounted all=${TMPDIR:-/tmp}
  [ "${#all}" -le 30 ] || all=/tmp
  for left in "$all"/qris-[0-9]* /dev/shm/qris-{simulate,nth}-[0-9]*; do
    [ -e "$left" ] || continue
    # In a container this process may have the number of the one before it.
    [[ ${left##*/} =~ ^qris-(simulate-|nth-)?([0-9]+) ]] && [ "${BASH_REMATCH[2]}" != $$ ] && kill -0 "${BASH_REMATCH[2]}" 2>/dev/null && continue
    echo "-- $left is of a run that has ended: removed"
    # A run that was killed may have left mounts in it, of this machine's own /sys too.
    while read -r mounted; do umount "$mounted"; done < <(awk -v within="$left/" 'index($2, within) == 1 { print $2 }' /proc/mounts | tac)
    rm -rf --one-file-system "$left" || echo "-- it stays there: remove it by hand"
  done
  # Some tests run as other users.
  mkdir "$all/qris-$$" && chmod 755 "$all/qris-$$" || give_up "cannot write to $all: it is full, or not ours"
  place=$all/qris-$$
  export TMPDIR=$place
  logs=$place/logs
  mkdir "$logs" || give_up "cannot write to $place"
}

# There must be some on the disks, in MiB, for what is not there yet.
room() {
  local at needed free build=5000 memory=256
  case "$1" in
    near) build=3000 memory=0 ;;
    sales) build=3000 ;;
    run) ;;
    long)
      build=40000
      # The largest is the break test, or the packages of each architecture.
      [ -z "$part" ] || build=13000
      ;;
  esac
  mkdir -p "$target" || give_up "cannot write to $target"
  build=$((build - $(du -sm "$target" | cut -f1)))
  while read -r at needed; do
    free=$(df --output=avail -k "$at" | tail -n 1)
    [ "$free" -ge $((needed * 1024)) ] || give_up "$at has $((free / 1024)) MiB left, and $needed are needed: make room there"
  done <<<"$target $build
$TMPDIR 2000
/dev/shm $memory"
}

# Tools and the Debian packages that bring them; scripts that can be called alone name their own. What is missing is
# installed at once, or named.
tools() {
  local -A package=(
    [cc]=build-essential [mosquitto]=mosquitto [mosquitto_passwd]=mosquitto [mosquitto_pub]=mosquitto-clients
    [dbus-daemon]=dbus [dbus-monitor]=dbus-bin [busctl]=systemd [systemd-analyze]=systemd [openssl]=openssl [socat]=socat [strace]=strace [setpriv]=util-linux
    [soffice]=libreoffice-calc [chromium]=chromium [chromedriver]=chromium-driver [unshare]=util-linux [nsenter]=util-linux [script]=bsdutils
    [faketime]=faketime [patch]=patch [ip]=iproute2 [pg_ctlcluster]=postgresql [pgbouncer]=pgbouncer
    [man]=man-db [zbarimg]=zbar-tools
    [prometheus]=prometheus [promtool]=prometheus [nginx]=nginx-light [caddy]=caddy [apache2]=apache2-bin
  )
  local tool script service missing=() packages=()
  for tool in "${!package[@]}"; do
    have "$tool" || { missing+=("$tool"); packages+=("${package[$tool]}"); }
  done
  # One that had no package is broken: nothing goes on without it.
  while read -r script; do
    # shellcheck disable=SC2086 # A script and its arguments.
    tool=$($script) || give_up "$script failed"
    [ -z "$tool" ] || mapfile -t -O "${#packages[@]}" packages <<<"$tool"
  done < <(scripts)
  if [ "${#packages[@]}" -gt 0 ]; then
    mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
    echo "-- missing: ${packages[*]}"
    packaging/apt "${packages[@]}" || exit 1
    # These packages start what the tests start for themselves.
    for service in mosquitto nginx caddy; do
      case " ${packages[*]} " in
        *" $service"*) { systemctl disable --now "$service" || service "$service" stop; } >/dev/null 2>&1 || true ;;
      esac
    done
    for tool in ${missing[@]+"${missing[@]}"}; do
      have "$tool" || give_up "$tool is still missing after the installation of ${package[$tool]}"
    done
  fi
  have cargo || give_up "cargo is missing: install Rust 1.94 or later (https://rustup.rs)"
  for tool in fmt:rustfmt clippy:clippy; do
    cargo "${tool%:*}" --version >/dev/null 2>&1 && continue
    rustup component add "${tool#*:}" || give_up "cargo ${tool%:*} is missing"
  done
}

# Those that say which packages they miss, a line each.
scripts() {
  case "$tier" in near | sales) return ;; esac
  printf '%s --need\n' tests/clients/install tests/yocto tests/crates "packaging/deb --quick amd64" tests/packages tests/repository tests/vm/screen "tests/vm/run --short"
  [ "$tier" != long ] || printf '%s --need\n' "packaging/deb amd64 arm64 armhf" tests/vm/run tests/card tests/architectures tests/container tests/reproducible
}

have() {
  command -v "$1" >/dev/null 2>&1
}

