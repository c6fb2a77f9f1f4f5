# A virtual machine that is told what to do over its second serial port, and whose panel is seen through QEMU. To be read
# by scripts with `.`; they set `kernel` (of tests/vm/kernel), `initramfs` (of tests/vm/initramfs) and `work` (a
# directory) before.
#
#   boot "KERNEL ARGUMENTS" QEMU-ARGUMENT…   starts a PC, and waits until it listens
#   started COMMAND…                         starts another machine: COMMAND calls power_on
#   power_on QEMU QEMU-ARGUMENT…             runs QEMU. Its machine listens at pipe:$work/serial
#   guest COMMAND                            runs a line of shell in it: its output, and its status
#   shot FILE.ppm                            what its panel shows
#   off                                      the plug

# What the machine says by itself goes into this file. A script may name another one.
console=$work/console.log
# A machine that is emulated on a busy computer is slow: a boot that went on to its end took two minutes.
patience=${VM_PATIENCE:-300}
# A kernel that stands still is tried again sooner.
kernel_patience=120

boot() {
  started plug_in "$@"
}

plug_in() {
  local append=$1
  shift
  # Emulated: that is the same on every computer, and seconds are enough. Its timers are late when the computer is busy.
  power_on qemu-system-x86_64 -accel tcg,thread=multi -m 512 -smp 2 -nodefaults -no-reboot -display none -nic none \
    -kernel "$kernel/vmlinuz" -initrd "$initramfs" -append "console=ttyS0 no_timer_check panic=-1 $append" \
    -serial "file:$console" -serial "pipe:$work/serial" -monitor "unix:$work/monitor,server,nowait" "$@"
}

# Waits until the machine listens. QEMU may stand still, or end, in the first second of a kernel. Nothing that is tested has run
# then, so it is tried again.
started() {
  local tries status
  for tries in 1 2 3; do
    "$@"
    if first_program; then
      answer >/dev/null
      return
    fi
    status=0
    kill -0 "$machine" 2>/dev/null || wait "$machine" || status=$?
    echo "tests/vm: the kernel began no program within $kernel_patience s, or QEMU ended (status $status), at try $tries of 3; its console:" >&2
    tail -n 5 "$console" "$work/qemu.log" >&2 || true
    off
  done
  exit 1
}

power_on() {
  rm -f "$work"/{monitor,serial.in,serial.out} "$console"
  mkfifo "$work/serial.in" "$work/serial.out"
  "$@" >"$work/qemu.log" 2>&1 &
  machine=$!
  # Both directions are opened for both, so that neither end waits for the other.
  exec 7<>"$work/serial.in" 8<>"$work/serial.out"
}

# Whether the kernel comes to its first program.
first_program() {
  local end=$((SECONDS + kernel_patience))
  until grep -qs "Run /.* as init process" "$console"; do
    kill -0 "$machine" 2>/dev/null && [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

# Everything up to the next <<…>>, whose content is the status.
answer() {
  local line='' part end=$((SECONDS + patience))
  while kill -0 "$machine" 2>/dev/null && [ $SECONDS -lt $end ]; do
    # What has come of a line by the end of the wait is kept: the rest of it is still on its way.
    IFS= read -r -t 5 part <&8 || { line+=$part; continue; }
    line+=${part%$'\r'}
    case "$line" in
      *"<<ready>>") return 0 ;;
      # Before it stands the rest of an output whose last line has no end.
      *"<<"[0-9]*">>")
        [ -z "${line%<<*}" ] || printf '%s\n' "${line%<<*}"
        line=${line##*<<}
        return "${line%>>}"
        ;;
      *) printf '%s\n' "$line" ;;
    esac
    line=
  done
  echo "tests/vm: the machine says nothing for $patience s, or has ended; its console:" >&2
  tail -n 20 "$console" "$work/qemu.log" >&2
  exit 1
}

guest() {
  printf '%s\n' "$*" >&7
  answer
}

shot() {
  local end=$((SECONDS + patience)) picture asked
  while [ $SECONDS -lt $end ]; do
    # QEMU forgets a command whose sender has gone before it was read, and is slow to read when the computer is busy. One
    # that comes late after all writes to a file of its own.
    picture=$1.$((++pictures))
    printf 'screendump %s\n' "$picture" | socat -t 5 - "UNIX-CONNECT:$work/monitor" >/dev/null &
    asked=$!
    for _ in $(seq 50); do
      is_whole "$picture" && break
      sleep 0.1
    done
    kill "$asked" 2>/dev/null || true
    wait "$asked" 2>/dev/null || true
    is_whole "$picture" && mv "$picture" "$1" && return
  done
  echo "tests/vm: no picture of the panel" >&2
  exit 1
}
pictures=0

# Whether a picture has as many bytes as its first lines announce: it is written piece by piece.
is_whole() {
  local width height
  [ -s "$1" ] && read -r width height < <(sed -n 2p "$1" 2>/dev/null) && [ "$(stat -c %s "$1")" -ge $((width * height * 3)) ]
}

off() {
  [ -n "${machine:-}" ] || return 0
  exec 7>&- 8>&-
  kill "$machine" 2>/dev/null || true
  wait "$machine" 2>/dev/null || true
  machine=
}
