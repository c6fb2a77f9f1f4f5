# What the machine of tests/vm/run goes through, a chapter a function. To be read by that script with `.`.

new_machine() {
  stick
  on
  awaits "no unit failed" guest "systemctl is-system-running"
  chip_base=$(guest "sed -n 's/^gpiochip0: GPIOs \([0-9]*\)-.*/\1/p' /sys/kernel/debug/gpio")
  is "panel" "480,800" "$(guest cat /sys/class/graphics/fb0/virtual_size)"
  is "GPIO chip" "8" "$(guest cat /sys/class/gpio/gpiochip"$chip_base"/ngpio)"
  is "hardware watchdog, fed by systemd" "30s" "$(guest systemctl show -p RuntimeWatchdogUSec --value)"
  guest "mkdir -p /root/stick && tar -xf /dev/vdb -C /root/stick && sync"
}

pins_in_reach() {
  awaits "QEMU names the chip" chip_of_qemu
  chip=$(cat "$work/said")
}

installed() {
  install_package qrisd.deb
  holds "it says what to do next" grep -q "Next: sudo qrisctl setup" "$work/install.log"
  is "its files are as packed" "" "$(guest dpkg -V qrisd)"
  is "who may use the chip" "660 root:gpio" "$(guest stat -c "'%a %U:%G'" /dev/gpiochip0)"
  holds "users and groups" guest "getent passwd qrisd qris-relay && getent group qrisd-control"
  is "relay is in" "qris-relay gpio" "$(guest id -nG qris-relay)"
  is "configuration" "755 root:root" "$(guest stat -c "'%a %U:%G'" /etc/qrisd)"
  is "orders" "700 qrisd:qrisd" "$(guest stat -c "'%a %U:%G'" /var/lib/qrisd)"
  is "ledger" "700 qris-relay:qris-relay" "$(guest stat -c "'%a %U:%G'" /var/lib/qris-relay)"
  is "enabled, and not started without a configuration" "enabled enabled inactive inactive" \
    "$(words "$(guest systemctl is-enabled qrisd qris-relayd; guest systemctl is-active qrisd qris-relayd)")"
  is "units that failed" "" "$(guest systemctl --failed --no-legend)"
  is "units as systemd reads them" "" "$(guest systemd-analyze verify --man=no qrisd.service qris-relayd.service qris-again@qrisd.service.{service,target})"
}

# A person tries a line, and then changes their mind.
given_up() {
  local status=0 answers="yes yes yes no no no"
  # Pulse the first, right, at rest before and after, not once more; not the second; do not write.
  guest "printf '%s\n' $answers | qrisctl setup --ask --from /root/stick/enrolment --name Lobby --language en --contact 0812-0000-0000 \
    --item 'A1:$price:Bottled tea 350 ml' --item 'A2:$price:Water 600 ml' --screen none \
    --line A1=/dev/gpiochip0:$tray_1:${short_ms}ms --line A2=/dev/gpiochip0:$tray_2:${long_ms}ms" >"$work/given-up.log" || status=$?
  is "qrisctl setup, and no at its end: $(tail -n 1 "$work/given-up.log")" 1 "$status"
  is "pulses" "1 0" "$(pulses $tray_1) $(pulses $tray_2)"
  awaits "nobody drives its pin any more" grep -E "gpio_direction: $(number $tray_1) +in" "$work/boot$boots.trace"
  holds "a chip that is none is refused, with --yes, too" guest "! qrisctl setup --yes --from /root/stick/enrolment --name Lobby --screen none \
    --item A1:$price --line A1=/dev/null:6 2>/run/refused && grep '/dev/null: is no GPIO chip' /run/refused"
  is "what was written" "" "$(guest "ls /etc/qrisd; ls -d /run/qrisctl-* 2>/dev/null || true")"
}

knows_the_relay() {
  local key
  key=$(sed -n 's/.*the relay signs with the key \([0-9a-f-]*\):.*/\1/p' "$work/setup.log")
  [ -n "$key" ] && [[ $(backend device list --json) == *"\"relay_key\":\"$key\""* ]]
}

# With what the merchant sent, one text, and what only a person in front of it knows.
set_up() {
  local before
  before=$(pulses $tray_1)
  holds "it finds the chip" guest "qrisctl setup --find | grep -F /dev/gpiochip0"
  holds "it finds the panel" guest "qrisctl setup --find | grep -F /dev/fb0"
  guest "qrisctl setup --yes --from /root/stick/enrolment --name Lobby --language en --contact 0812-0000-0000 \
    --item 'A1:$price:Bottled tea 350 ml' --item 'A2:$price:Water 600 ml' --item 'A3:$price:Umbrella' --screen auto --pulse A1 \
    --line A1=/dev/gpiochip0:$tray_1:${short_ms}ms --line A2=/dev/gpiochip0:$tray_2:${long_ms}ms --line A3=/dev/gpiochip0:$tray_3:${longest_ms}ms" >"$work/setup.log" || wrong "qrisctl setup: $(cat "$work/setup.log")"
  good "qrisctl setup"
  # The set-up that was given up tried it, too.
  is "pulses, of the line that it was told to try" "$((before + 1)) 0" "$(pulses $tray_1) $(pulses $tray_2)"
  awaits "both services run" guest "systemctl is-active qrisd qris-relayd"
  awaits "online at the broker, with name, password and TLS" online
  awaits "the relay service answers" guest "qrisctl relay lines"
  awaits "the backend knows the relay by the key that set-up told" knows_the_relay
  awaits "qrisctl doctor finds nothing bad" guest "qrisctl doctor"
  is "faults" "[]" "$(last_status | grep -o '"faults":\[[^]]*\]' | cut -d: -f2-)"
  is "what they read" "644 root 644 root 644 root" "$(words "$(guest stat -c "'%a %U'" /etc/qrisd/qrisd.toml /etc/qrisd/relay.toml /etc/qrisd/keys.json)")"
  is "secrets" "640 root:qrisd 640 root:qrisd" "$(words "$(guest stat -c "'%a %U:%G'" /etc/qrisd/mqtt-password /etc/qrisd/backend-token)")"
  chip_is_closed
  is "lines are held inactive" "lo lo" "$(levels $tray_1 $tray_2)"
  is "QR" "" "$(qr || true)"
  # Those that a person asked for.
  pulses_at_set_up=$(pulses $tray_1)
}

# Somebody who is in the group of all chips, as the default user of Raspberry Pi OS is, cannot open the one that fires relays.
chip_is_closed() {
  guest "useradd -G gpio pi"
  is "who may use the chip now" "660 root:qris-relay" "$(guest stat -c "'%a %U:%G'" /dev/gpiochip0)"
  is "what opening it says to somebody in the group gpio" "closed" "$(guest "runuser -u pi -- sh -c ': </dev/gpiochip0' 2>/dev/null && echo open || echo closed")"
  holds "qrisctl doctor names nobody" guest "qrisctl doctor | grep -F '/dev/gpiochip0 is opened by root and qris-relay alone'"
  guest "chgrp gpio /dev/gpiochip0"
  holds "qrisctl doctor names who could" guest "! qrisctl doctor >/run/told && grep -F '/dev/gpiochip0 can be opened by pi (group gpio)' /run/told"
  # As at every start: the rule holds for what is there, too.
  guest "udevadm trigger --settle --action=change --subsystem-match=gpio"
  is "what relay.toml calls the chip" "$chip_label" "$(guest "sed -n 's/^chip = \"\(.*\)\"/\1/p' /etc/qrisd/relay.toml | sort -u")"
  is "who may use the chip after udev looked again" "660 root:qris-relay" "$(guest stat -c "'%a %U:%G'" /dev/gpiochip0)"
}

# From now on systemd hands them over, plain or encrypted; or they are files again.
secrets_move() {
  local places="find /etc/qrisd /etc/credstore /etc/credstore.encrypted -name '*mqtt-password*' -o -name '*backend-token*' 2>/dev/null"
  local relay
  relay=$(pid_of qris-relayd)
  holds "qrisctl setup --secrets $1" guest "qrisctl setup --yes --secrets $1"
  is "the relay service, which has none, went on" "$relay" "$(pid_of qris-relayd)"
  is "where secrets are" "$2backend-token $2mqtt-password" "$(words "$(guest "$places | sort")")"
  is "what systemd hands over" "$3" "$(words "$(guest "ls /run/credentials/qrisd.service 2>/dev/null || true")")"
  is "whether qrisd may open the TPM" "$4" "$(guest "systemctl show -p DeviceAllow qrisd | grep -q tpm && echo yes || echo no")"
  awaits "the broker takes the password" \
    guest "journalctl --no-pager -q -b _PID=$(pid_of qrisd) MESSAGE_ID=e565d22a21924fefa87d4021c6106a1b | grep ."
  holds "the backend takes the token, by qrisctl doctor" guest "qrisctl doctor"
}

credentials() {
  secrets_move credential /etc/credstore/qrisd. "backend-token mqtt-password" no
  secrets_move encrypted /etc/credstore.encrypted/qrisd. "backend-token mqtt-password" yes
  is "secrets in plain text on the disk" 0 "$(guest "grep -rlF -f /run/credentials/qrisd.service/mqtt-password /etc /var/lib/qrisd | wc -l")"
  secrets_move file /etc/qrisd/ "" no
}

# What is wrong with it now does not end by itself, but a person mends it, later.
cannot_start() {
  # Three starts are enough to see it: ten would take long here.
  guest "mkdir -p /run/systemd/system/qrisd.service.d && printf '[Unit]\nStartLimitBurst=3\n' >/run/systemd/system/qrisd.service.d/few.conf && systemctl daemon-reload"
  guest "cp /etc/qrisd/qrisd.toml /root/good.toml && echo 'colour = 1' >>/etc/qrisd/qrisd.toml && systemctl restart --no-block qrisd"
  awaits "it ends too often, and systemd has enough" guest "systemctl is-failed qrisd | grep -x failed"
  holds "because of its limit of starts" guest "journalctl --no-pager -q -b -u qrisd | grep -F 'Start request repeated too quickly'"
  holds "the journal says why, by the service's name" guest "journalctl --no-pager -q -b -u qrisd -p warning MESSAGE_ID=b6a8a68f41434b5bb0cf65f475a680c9 | grep -F colour"
  awaits "another service rests for it" guest "systemctl show -p ActiveState --value qris-again@qrisd.service.service | grep -x activating"
}

# The merchant's side, on a computer of its own: here the machine's.
backend_serves() {
  install_package qris-backend.deb
  holds "it says what to do next" grep -q "sudo qris-backend init" "$work/install.log"
  is "its files are as packed" "" "$(guest dpkg -V qris-backend)"
  is "enabled, and not started without a configuration" "enabled inactive" "$(words "$(guest "systemctl is-enabled qris-backend; systemctl is-active qris-backend")")"
  is "units as systemd reads them" "" "$(guest systemd-analyze verify --man=no qris-backend.service qris-desk{.service,.socket,-home.service} qris-backend-again@qris-backend.service.{service,target})"
  guest "cd /root/stick && install -m640 -g qris-backend backend.toml ca.pem /etc/qris-backend/ && install -m640 -g qris-backend mqtt-backend /etc/qris-backend/mqtt-password && printf %s $server_key | install -m640 -g qris-backend /dev/stdin /etc/qris-backend/midtrans-server-key"
  holds "keys" guest "runuser -u qris-backend -- qris-backend keys new"
  holds "its configuration is good" guest "runuser -u qris-backend -- qris-backend --check"
  # Until it says that it is ready.
  holds "systemctl start qris-backend" guest "systemctl start qris-backend"
  holds "it answers" guest "busybox wget -q -O - http://127.0.0.1:8080/healthz"
  holds "a machine is let in" guest "runuser -u qris-backend -- qris-backend device add vm-002"
  exposed qris-backend 1.5
  is "who it is" "qris-backend" "$(guest stat -c %U "/proc/$(pid_of qris-backend)")"
  guest "kill -KILL $(pid_of qris-backend)"
  awaits "systemd started it anew" guest "systemctl show -p NRestarts --value qris-backend | grep -x 1 && systemctl is-active qris-backend"
  awaits "it answers again" guest "busybox wget -q -O - http://127.0.0.1:8080/healthz"
  # The Server Key as the manual has it.
  guest "sed -i 's|^server_key_file.*|server_key_file = \"midtrans-server-key\"|' /etc/qris-backend/backend.toml && cd /etc/qris-backend && mkdir -p -m700 /etc/credstore.encrypted && mkdir -p /etc/systemd/system/qris-backend.service.d && systemd-creds encrypt --name=midtrans-server-key midtrans-server-key /etc/credstore.encrypted/qris-backend.midtrans-server-key 2>/dev/null && rm midtrans-server-key"
  guest "printf '[Service]\nLoadCredentialEncrypted=midtrans-server-key:qris-backend.midtrans-server-key\n' >/etc/systemd/system/qris-backend.service.d/50-secrets.conf && systemctl daemon-reload"
  holds "it starts with an encrypted Server Key" guest "systemctl restart qris-backend"
  is "what systemd hands over" "midtrans-server-key" "$(words "$(guest ls /run/credentials/qris-backend.service)")"
  holds "a command gets it by systemd" \
    guest "systemd-run --quiet --pipe --wait --uid=qris-backend -p LoadCredentialEncrypted=midtrans-server-key:qris-backend.midtrans-server-key qris-backend --check"
}

comes_back() {
  guest "cp /root/good.toml /etc/qrisd/qrisd.toml"
  awaits "when it is mended, it comes back by itself" guest "systemctl is-active qrisd"
  awaits "what rested has ended" guest "systemctl show -p ActiveState --value qris-again@qrisd.service.service | grep -x inactive"
  awaits "online" guest "journalctl --no-pager -q -b _PID=$(pid_of qrisd) MESSAGE_ID=e565d22a21924fefa87d4021c6106a1b | grep ."
  guest "rm -r /run/systemd/system/qrisd.service.d && systemctl daemon-reload"
}

# A merchant with one machine may have all three programs on its computer.
one_journal() {
  local moved="An order went into another state"
  midtrans_is_there
  holds "the machine is let in there" guest "runuser -u qris-backend -- qris-backend device add $device --bundle --backend-url http://127.0.0.1:8080 \
    --broker-password-file - </root/stick/mqtt-$device >/root/enrolment"
  holds "qrisctl setup --from what it says" guest "qrisctl setup --yes --from /root/enrolment"
  offer A1
  pays
  awaits "dispensed" event "$asked" dispensed
  awaits "the backend has heard it" guest "runuser -u qris-backend -- qris-backend orders --json | grep -F '\"outcome\":\"dispensed\"'"
  is "who tells of the order" "qris-backend qrisd qris-backend qrisd qrisd qris-relayd qris-relayd qrisd" "$(field SYSLOG_IDENTIFIER "ORDER_ID=$order")"
  is "what, each explained" "A charge was made at the gateway $moved A receipt was signed $moved $moved A line is about to be driven A line was driven and is inactive again $moved" \
    "$(words "$(guest "journalctl -x --no-pager -q ORDER_ID=$order" | sed -n 's/.*Subject: //p')")"
  is "its machine, in each" "$device" "$(words "$(guest "journalctl --no-pager -q -o cat --output-fields=DEVICE_ID ORDER_ID=$order" | sort -u)")"
  holds "the Server Key is in none of the journal" guest "! journalctl --no-pager -o export | grep -qF $server_key"
  holds "and back to the merchant of before" guest "qrisctl setup --yes --from /root/stick/enrolment"
  holds "apt-get purge" guest "apt-get purge -y qris-backend"
  is "what is left of it" "" "$(guest "find / -xdev -path /root/stick -prune -o -name '*qris-backend*' -print")"
}

# Midtrans names itself as it is reached on this computer; so it is reached in the machine, too, until that restarts.
midtrans_is_there() {
  guest "systemd-run --quiet --unit=midtrans --socket-property=ListenStream=${midtrans#http://} /lib/systemd/systemd-socket-proxyd $address:${midtrans##*:}"
}

sale() {
  offer A1
  is "pulses before it is paid" "$before_1" "$(pulses $tray_1)"
  pays
  awaits "dispensed" event "$asked" dispensed
  is "pulses of tray 1" 1 "$(($(pulses $tray_1) - before_1))"
  is "pulses of tray 2" 0 "$(pulses $tray_2)"
  holds "it was high for $(high_ms $tray_1) ms, and $short_ms are configured" between $short_ms 3000 "$(high_ms $tray_1)"
  awaits "the QR is gone" no_qr
  first_order=$order
}

# A card reader's battery, or a wrong server of the time. The watchdog resets the machine after 30 s without food.
clock_set_back() {
  local boot over
  boot=$(guest cat /proc/sys/kernel/random/boot_id)
  over=$(($(guest cut -d. -f1 /proc/uptime) + 45))
  guest 'date -s "@$(($(date +%s) - 600))"' >/dev/null
  awaits "the watchdog's time is over" guest "[ \$(cut -d. -f1 /proc/uptime) -ge $over ]"
  is "the boot" "$boot" "$(guest cat /proc/sys/kernel/random/boot_id)"
  guest 'date -s "@$(($(date +%s) + 600))"' >/dev/null
}

# An update of the kernel, or one more board, changes the numbers of chips. What was at the number of ours is another one then.
renumbered() {
  local ours=$chip_label other=AMDF030:01
  local driver="cd /sys/bus/platform/drivers/pt-gpio"
  local again="systemctl reset-failed qris-relayd; systemctl restart qris-relayd"
  is "the chip at the first number" "$ours" "$(guest qrisctl chip-label /dev/gpiochip0)"
  guest "systemctl stop qris-relayd && $driver && echo $ours >unbind && echo $other >unbind && echo $other >bind && echo $ours >bind && udevadm settle"
  is "the chip at the first number now" "$other" "$(guest qrisctl chip-label /dev/gpiochip0)"
  is "who may use ours" "660 root:qris-relay" "$(guest stat -c "'%a %U:%G'" /dev/gpiochip1)"
  is "who may use the other one" "660 root:gpio" "$(guest stat -c "'%a %U:%G'" /dev/gpiochip0)"
  guest "$again"
  awaits "the relay service holds its lines" guest "qrisctl relay lines | grep -w ready"
  is "who holds lines at the first number" "" "$(held_at 0)"
  is "who holds lines of ours" "qris-relayd qris-relayd qris-relayd" "$(held_at 1)"
  holds "qrisctl doctor finds it" guest "qrisctl doctor | grep -F '$ours (/dev/gpiochip1)'"
  guest "systemctl stop qris-relayd && $driver && echo $ours >unbind && udevadm settle; $again"
  awaits "the relay service says that ours is gone, and what is there" \
    guest "journalctl -b -u qris-relayd | grep -F 'there is no GPIO chip \"$ours\"; there is /dev/gpiochip0 ($other)'"
  awaits "the machine says so" relay_fault gpio
  is "who holds lines of the other one" "" "$(held_at 0)"
  guest "systemctl stop qris-relayd && $driver && echo $other >unbind && echo $ours >bind && echo $other >bind && udevadm settle; $again"
  awaits "the relay service holds its lines again" guest "qrisctl relay lines | grep -w ready"
  awaits "no faults" no_faults
}

# Who holds lines of the chip with this number.
held_at() {
  words "$(guest "sed -n '/^gpiochip$1:/,/^\$/s/^ gpio-[0-9]* (.*|\([^ ]*\) *).*/\1/p' /sys/kernel/debug/gpio")"
}

relay_fault() {
  [[ $(last_status) == *"$1"* ]]
}

no_faults() {
  [[ $(last_status) == *'"faults":[]'* ]]
}

journal() {
  local told
  is "qrisd on the order" "awaiting_payment paid dispensing dispensed" "$(field STATE "ORDER_ID=$first_order SYSLOG_IDENTIFIER=qrisd")"
  is "the order across both programs" "qrisd qrisd qrisd qris-relayd qris-relayd qrisd" "$(field SYSLOG_IDENTIFIER "ORDER_ID=$first_order")"
  is "its machine" "$device" "$(field DEVICE_ID "ORDER_ID=$first_order STATE=paid")"
  is "its item" "A1" "$(field ITEM "ORDER_ID=$first_order STATE=paid")"
  is "its amount" "$price" "$(field AMOUNT "ORDER_ID=$first_order STATE=paid")"
  told=$(guest journalctl -x --no-pager -u qrisd -u qris-relayd)
  for subject in "A program is ready" "An order went into another state" "A line was driven and is inactive again"; do
    holds "the catalog explains: $subject" grep -qF "Subject: $subject" <<<"$told"
  done
  is "times of it in a field report" 4 "$(guest "qrisctl doctor --field-report /run/report >/dev/null; grep -c ' s from ' /run/report")"
  is "secrets in the report" 0 "$(guest "grep -cF -f /etc/qrisd/mqtt-password -f /etc/qrisd/backend-token /run/report || true")"
  is "secrets in the journal" 0 "$(guest "journalctl --no-pager -o export | grep -cF -f /etc/qrisd/mqtt-password -f /etc/qrisd/backend-token || true")"
}

# All on the kernel's chip. What is at the inputs comes from outside, levels of pins.
pins() {
  local count shortest longest pause known
  # Switches to ground, and all of them are open.
  put $door_button 1
  put $chute 1
  put $wash_button 1
  known=$(statuses)
  guest "cat /root/stick/washer.relay.toml >>/etc/qrisd/relay.toml && cat /root/stick/washer.qrisd.toml >>/etc/qrisd/qrisd.toml && sync"
  holds "both files are good" guest "qrisd --check && qris-relayd --check"
  holds "systemctl reload" guest "systemctl reload qris-relayd qrisd"
  awaits "the washer's line is ready" guest "qrisctl relay lines | grep -F 'line \"washer\": ready'"
  awaits "the machine is back" online_since "$known"
  is "level of its pin at rest, active low" "hi" "$(levels $washer)"
  is "pins that qrisctl doctor finds held: of four lines, a sensor and two buttons" 7 "$(guest "qrisctl doctor | grep -c 'is held by qris-relayd'")"
  is "times that it was active since the machine was switched on" 0 "$(pulses $washer 0)"

  # Nothing comes down the chute.
  offer wash
  pays
  awaits "the sensor saw nothing: refund due" event "$asked" refund_due
  is "why" "failed" "$(event "$asked" refund_due | json reason)"
  is "pulses for Rp$price, Rp1000 each" 5 "$(pulses $washer 0)"
  holds "the line is blocked" guest "qrisctl relay lines | grep -F 'line \"washer\": blocked'"
  effect_of $wash_button "whoever presses the button is refused" newest_of wash refused
  is "why" "line_blocked" "$(newest_of wash refused | json reason)"
  effect_of $door_button "the button in the door clears it" guest "qrisctl relay lines | grep -F 'line \"washer\": ready'"
  holds "the journal says who did" guest "journalctl --no-pager -q -b -u qris-relayd MESSAGE_ID=33c95b570f9c409f9e542131fb990cd2 | grep -F 'its button'"

  effect_of $wash_button "whoever presses the button now is offered it" newest_of wash awaiting_payment
  asked=$(newest_of wash awaiting_payment | json request_id)
  awaits "its QR is on the panel" qr
  payload=$(cat "$work/said")
  pays
  awaits "its line is driven" more_pulses $washer 0 5
  # For ten milliseconds.
  put $chute 0 1
  awaits "the sensor saw it: dispensed" event "$asked" dispensed
  is "requests for it: one by the controller, and one a press, however the contact bounced" 3 "$(requests_of wash)"
  read -r count shortest longest pause < <(train $washer)
  is "pulses, of both" 10 "$count"
  holds "each was $shortest to $longest ms long, and $on_ms are configured" between $on_ms 1000 "$shortest"
  holds "the longest, too" between $on_ms 1000 "$longest"
  holds "between two were $pause ms at least, and $off_ms are configured" between $off_ms 1000 "$pause"
  is "level of its pin at the end" "hi" "$(levels $washer)"
  awaits "the QR is gone" no_qr
}

# Somebody presses a button until its effect is seen: effect_of BUTTON WHAT COMMAND…. The contact bounces both times.
effect_of() {
  local button=$1
  shift
  put "$button" 0 1 0 1 0 1 0
  awaits "$@"
  put "$button" 1 0 1 0 1
}

# So soon after it was set up that what is not on the disk yet is gone.
power_cut_with_qr() {
  local shown looks from
  offer A1
  shown=$payload
  guest "kill -KILL $(pid_of qrisd)"
  awaits "systemd started it anew" guest "systemctl show -p NRestarts --value qrisd | grep -x 1 && systemctl is-active qrisd"
  awaits "the same QR is on the panel" shows "$shown"
  pull_the_plug
  from=$SECONDS
  # Looks at the panel while the machine boots.
  { until shows "$shown"; do sleep 0.5; done 2>/dev/null; echo "   the QR is back $((SECONDS - from)) s after the power"; } &
  looks=$!
  on "without network"
  awaits "the same QR is on the panel again, without a network" shows "$shown"
  is "network cards with a cable in them" "" "$(guest "grep -l 1 /sys/class/net/e*/carrier 2>/dev/null || true")"
  is "what they wait for, of what may be slow" "" \
    "$(guest "systemctl show -p After -p Requires -p Wants --value qrisd qris-relayd | tr ' ' '\n' | grep -E 'network|remote|time-|nss-|getty|multi-user|cloud' || true")"
  wait "$looks"
  is "pulses for it" 0 "$(($(pulses $tray_1) - before_1))"
  tell_qemu "set_link card on" >/dev/null
  awaits "the cable is in again" guest "grep -l 1 /sys/class/net/e*/carrier"
  payload=$shown
  pays
  awaits "dispensed" event "$asked" dispensed
  is "pulses for it" 1 "$(($(pulses $tray_1) - before_1))"
}

confined() {
  local asks="busctl get-property io.qrisd.Relay1 /io/qrisd/Relay1 io.qrisd.Relay1 Facts"
  exposed qrisd 2.0
  exposed qris-relayd 1.5
  is "networks that the relay service sees" "lo" "$(guest "sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/$(pid_of qris-relayd)/net/dev")"
  is "who they are" "qrisd qris-relay" "$(words "$(guest stat -c %U "/proc/$(pid_of qrisd)" "/proc/$(pid_of qris-relayd)")")"
  holds "qrisd may ask the relay service" guest "runuser -u qrisd -- $asks"
  holds "nobody else may" guest "! runuser -u nobody -- $asks"
  is "devices that the relay service may open" "/dev/gpiochip0 /dev/null" "$(devices_of qris-relayd)"
  is "devices that qrisd may open" "/dev/fb0 /dev/null" "$(devices_of qrisd)"
  is "what qrisd may write" "no" "$(guest "nsenter -t $(pid_of qrisd) -m sh -c 'touch /etc/qrisd/x 2>/dev/null && echo yes || echo no'")"
}

# devices_of UNIT: which of four devices the kernel lets its processes open, root's too.
devices_of() {
  words "$(guest "sh -c 'echo \$\$ >/sys/fs/cgroup/system.slice/$1.service/cgroup.procs && for device in /dev/fb0 /dev/gpiochip0 /dev/null /dev/vda; do (: <\$device) 2>/dev/null && echo \$device; done; true'")"
}

# exposed UNIT MOST: what systemd thinks of it, from 0 to 10.
exposed() {
  local exposure
  exposure=$(guest systemd-analyze security --no-pager "$1" | sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\) .*/\1/p')
  holds "exposure of $1: $exposure of 10, at most $2" awk -v is="$exposure" -v most="$2" 'BEGIN { exit !(is != "" && is <= most) }'
}

reload_and_stop() {
  local before after
  before="$(pid_of qrisd) $(pid_of qris-relayd)"
  price=6000
  guest "sed -i 's/^price = .*/price = $price/' /etc/qrisd/qrisd.toml && sed -i '0,/^name = .*/s//name = \"left tray\"/' /etc/qrisd/relay.toml"
  holds "systemctl reload" guest "systemctl reload qris-relayd qrisd"
  awaits "the relay service took up what was changed" guest "qrisctl relay lines | grep -q 'left tray'"
  after="$(pid_of qrisd) $(pid_of qris-relayd)"
  is "the processes" "$before" "$after"
  guest "cp /etc/qrisd/qrisd.toml /root/good.toml && echo 'colour = 1' >>/etc/qrisd/qrisd.toml"
  guest "systemctl reload qrisd"
  awaits "a configuration that is wrong is told" guest "journalctl --no-pager -q -b MESSAGE_ID=aa4db58ef14044b9ba1c9a05afda1ed5 | grep ."
  guest "cp /root/good.toml /etc/qrisd/qrisd.toml"
  is "and changes nothing" "active" "$(guest systemctl is-active qrisd)"

  holds "systemctl stop" guest "systemctl stop qrisd qris-relayd"
  awaits "a stopped machine is offline at the broker" offline
  is "the relay service" "inactive" "$(guest systemctl is-active qris-relayd)"
  is "a call to it" "nobody answers" "$(guest "busctl get-property io.qrisd.Relay1 /io/qrisd/Relay1 io.qrisd.Relay1 Facts 2>/dev/null || echo nobody answers")"
  is "and does not start it" "inactive" "$(guest systemctl is-active qris-relayd)"
  holds "systemctl start qrisd" guest "systemctl start qrisd"
  is "which starts the relay service, too" "active" "$(guest systemctl is-active qris-relayd)"
  awaits "online" online
}

# With ExecStopPost=qris-relayd --safe; the restart of the service comes a second later.
killed_while_driving() {
  drives A2
  guest "kill -KILL $(pid_of qris-relayd)"
  awaits "the line is inactive" line_is $tray_2 0
  holds "it was high for $(high_ms $tray_2) ms, and $long_ms are configured" between 1 $((long_ms - 3000)) "$(high_ms $tray_2)"
  is "it was ExecStopPost that set it" "$(guest "systemctl show -p ExecStopPost qris-relayd | sed 's/.*; pid=\([0-9]*\) .*/\1/'")" "$(who_set $tray_2)"
  ends_uncertain
}

# With the watchdog: systemd itself says how long it waits for one that drives a line, and that it was this that ended it.
hangs_while_driving() {
  drives A2
  is "its watchdog, while it drives" "5s" "$(guest systemctl show -p WatchdogUSec --value qris-relayd)"
  guest "kill -STOP $(pid_of qris-relayd)"
  awaits "the line is inactive" line_is $tray_2 0
  # Not how soon: this computer may be slow. That it was before the pulse's own end.
  holds "it was high for $(high_ms $tray_2) ms, and $long_ms are configured" between 1 $((long_ms - 2000)) "$(high_ms $tray_2)"
  awaits "systemd says that its watchdog did it" guest "journalctl --no-pager -b -u qris-relayd | grep -F \"Failed with result 'watchdog'\""
  ends_uncertain
  is "its watchdog, while it drives nothing" "30s" "$(guest systemctl show -p WatchdogUSec --value qris-relayd)"
}

# A line was driven for the order, and nobody knows whether anything fell: told to a person, never driven again.
ends_uncertain() {
  awaits "refund due" event "$asked" refund_due
  is "why" "uncertain" "$(event "$asked" refund_due | json reason)"
  awaits "the relay service is back" guest "qrisctl relay lines"
  is "lines" "lo lo" "$(levels $tray_1 $tray_2)"
  is "pulses for it" 1 "$(($(pulses $tray_2) - before_2))"
}

power_cut_paid() {
  offer A1
  guest "kill -STOP $(pid_of qris-relayd)"
  pays
  awaits "paid, and not dispensed" event "$asked" dispensing
  is "pulses for it" 0 "$(($(pulses $tray_1) - before_1))"
  pull_the_plug
  on "without clock"
  holds "the machine thinks that it is $(guest date +%F)" test "$(guest date +%F)" "<" "$(date +%F)"
  awaits "dispensed" event "$asked" dispensed
  is "pulses for it, in both boots" 1 "$(($(pulses $tray_1) - before_1))"
}

power_cut_driving() {
  drives A2
  pull_the_plug
  on
  ends_uncertain
  [ "$short" = yes ] || is "level of the washer's pin, active low" "hi" "$(levels $washer)"
  is "lines in the new boot" "0" "$(grep -c "gpio_value: $(number $tray_2) set 1" "$work/boot$boots.trace" || true)"
}

# From the desk: nobody is at the machine but its customer.
from_afar() {
  local jwk item told dear=7000
  jwk=$("$programs/qrisctl" keys new --level service --operator-key "$work/shop/operator.jwk" 2>/dev/null)
  holds "root lets it believe an operator" guest "qrisctl keys add '$jwk' && systemctl reload qris-relayd qrisd"
  for item in A1 A2 A3; do
    printf '[[item]]\nid = "%s"\nprice = %s\n' $item $dear
  done >"$work/prices.toml"
  holds "another price, from afar" desk fleet config set "$work/prices.toml" --yes
  offer A1
  is "what the customer is to pay" "$dear" "$(event "$asked" awaiting_payment | grep -o '"amount":[0-9]*' | cut -d: -f2)"
  desk fleet run reboot --wait 600 >"$work/told" 2>&1 &
  told=$!
  awaits "a reboot is asked for, and waits" guest "journalctl --no-pager -q -b -u qrisd --grep 'command reboot'"
  holds "the customer's QR stays" shows "$payload"
  pays
  awaits "dispensed" event "$asked" dispensed
  is "pulses for it" 1 "$(($(pulses $tray_1) - before_1))"
  restarts "then the computer is restarted"
  on
  wait "$told" || wrong "the reboot: $(cat "$work/told")"
  holds "the operator is told that it is done" grep -F "done" "$work/told"
  awaits "online" online
  holds "the machine's own prices, from afar" desk fleet config set /dev/null --yes
}

# With the real RAUC. The machine proves itself, and RAUC hears that its system is good; or the bootloader goes back.
updated() {
  local told
  is "the system that runs" "A" "$(guest "sed 's/.*rauc.slot=//' /proc/cmdline")"
  desk fleet run update /root/stick/update.raucb --wait 900 >"$work/told" 2>&1 &
  told=$!
  restarts "RAUC has written the other slot, and the computer is restarted"
  holds "what stands in that slot" cmp -n 4194304 "$work/update/rootfs.img" "$work/slot-B.img"
  slot=B
  on
  is "what the bootloader was told to start" "B" "$(guest cat /var/lib/bootloader/primary)"
  wait "$told" || wrong "the update: $(cat "$work/told")"
  holds "it has proven itself: the operator is told that it is done" grep -F "done" "$work/told"
  is "what RAUC was told of that system" "good" "$(guest cat /var/lib/bootloader/state-B)"

  desk fleet run update /root/stick/update.raucb --wait 900 >"$work/told" 2>&1 &
  told=$!
  restarts "an update more, and the computer is restarted"
  # What it was to start does not start. So the bootloader takes the one from before.
  on
  ! wait "$told" || wrong "the update that went back: $(cat "$work/told")"
  holds "the operator is told that the bootloader went back" grep -F "the bootloader went back to B" "$work/told"
  awaits "it sells with the system from before" online
}

# It waits for the customer, beside what the customer does.
upgrade_with_qr() {
  local runs
  offer A1
  runs=$(pid_of qrisd)
  holds "an upgrade begins" guest "systemd-run --quiet --unit=upgrade --remain-after-exit apt-get install -y --no-install-recommends /root/stick/next.deb"
  awaits "nothing new is sold" guest "systemctl show -p StatusText --value qrisd | grep -F 'held by package'"
  is "scripts see whose order it is" "$asked" "$(guest "cut -d' ' -f1 /run/qrisd/customer")"
  is "what runs meanwhile" "$runs" "$(pid_of qrisd)"
  pays
  awaits "dispensed" event "$asked" dispensed
  is "pulses for it" 1 "$(($(pulses $tray_1) - before_1))"
  awaits "then the upgrade ends" guest "systemctl show -p SubState --value upgrade | grep -x exited"
  is "how" "success" "$(guest systemctl show -p Result --value upgrade)"
  is "version" "$(dpkg-deb -f "$work/stick/next.deb" Version)" "$(guest "dpkg-query -W -f '\${Version}' qrisd")"
  holds "and another qrisd runs" test "$runs" != "$(pid_of qrisd)"
}

# Unpacked before, so that what follows comes while the line is driven.
upgrade_driving() {
  local before ends=fbf7374eddff4e74a91db2b53535191b stops=701da3b955a34a1395abac9619cacb6e
  before="$(pid_of qris-relayd)"
  holds "dpkg --unpack" guest "dpkg --unpack /root/stick/later.deb"
  is "what runs meanwhile" "$before" "$(pid_of qris-relayd)"
  offer A3
  pays
  awaits "the line is active" line_is $tray_3 1
  holds "dpkg --configure" guest "dpkg --configure qrisd"
  is "version" "$(dpkg-deb -f "$work/stick/later.deb" Version)" "$(guest "dpkg-query -W -f '\${Version}' qrisd")"
  awaits "dispensed" event "$asked" dispensed
  is "pulses for it" 1 "$(pulses $tray_3)"
  holds "it was high for $(high_ms $tray_3) ms, and $longest_ms are configured" between $longest_ms $((longest_ms + 3000)) "$(high_ms $tray_3)"
  is "the order's pulse ended, then qrisd stopped, then the relay service" "order qrisd qris-relayd" \
    "$(words "$(guest "journalctl --no-pager -q -b -o cat MESSAGE_ID=$ends + MESSAGE_ID=$stops | tail -n 3 | cut -d' ' -f1")")"
  holds "and that of the new release came" test "$before" != "$(pid_of qris-relayd)"
}

# The controller asks for an item; its QR comes on the panel. Sets asked (the request), order, payload (what is in the QR)
# and how many pulses there were before.
offer() {
  awaits "the relay service answers" answered
  before_1=$(pulses $tray_1)
  before_2=$(pulses $tray_2)
  asked=$(request "$1")
  awaits "$1 is asked for, and its payment awaited" event "$asked" awaiting_payment
  order=$(event "$asked" awaiting_payment | json order_id)
  awaits "its QR is on the panel" qr
  payload=$(cat "$work/said")
}

pays() {
  holds "a customer scans it and pays" pay "$payload"
}

# An item is asked for and paid, and its line is driven now.
drives() {
  offer "$1"
  pays
  awaits "the line is active" line_is $tray_2 1
}

# Installs a package from the stick, as an integrator does.
install_package() {
  local from=$SECONDS
  guest "apt-get install -y --no-install-recommends /root/stick/$1" >"$work/install.log" || wrong "apt-get install: $(tail -n 20 "$work/install.log")"
  good "apt-get install $1 ($((SECONDS - from)) s)"
}

# The values of a field of all journal entries that match.
field() {
  words "$(guest journalctl --no-pager -q -o cat --output-fields="$1" "$2")"
}

# How often the machine has said how it is.
statuses() {
  grep -cF "/status {\"" "$work/shop/events.log" || true
}

# Whether it has the relay service's version: before that, it refuses who asks.
answered() {
  last_status | grep -F '"relay":{'
}

# Whether it said since then that it is online and nothing is wrong: online_since STATUSES
online_since() {
  [ "$(statuses)" -gt "$1" ] && online && last_status | grep -F '"faults":[]'
}

# Each order has an outcome, and each that was dispensed has its pulse: books OUTCOMES TRAY-1 TRAY-2 TRAY-3 WASHER. The last
# four are pulses over all boots; those of the set-up do not count.
books() {
  local outcomes
  awaits "each order has an outcome at the backend" told
  outcomes=$(backend orders --json | json outcome | sort | uniq -c)
  is "outcomes" "$1" "$(words "$outcomes")"
  is "pulses of tray 1" "$2" "$(($(pulses $tray_1) - pulses_at_set_up))"
  is "pulses of tray 2" "$3" "$(pulses $tray_2)"
  is "pulses of tray 3" "$4" "$(pulses $tray_3)"
  is "pulses of the washer" "$5" "$([ "$short" = yes ] && echo 0 || pulses $washer 0)"
}

told() {
  ! backend orders --json | grep -F '"outcome":null'
}

removed() {
  local stream
  stream=$(last_status | json stream)
  holds "apt-get remove" guest "apt-get remove -y qrisd"
  awaits "offline" offline
  is "services that run" "" "$(guest "systemctl list-units --no-legend 'qris*.service' | grep -w running || true")"
  holds "tray 1 is inactive" line_is $tray_1 0
  holds "tray 2 is inactive" line_is $tray_2 0
  holds "the washer is inactive" line_is $washer 1
  holds "orders, ledger and configuration are there" guest "ls /var/lib/qrisd/qrisd.db /var/lib/qris-relay/ledger.db /etc/qrisd/qrisd.toml /etc/qrisd/backend-token"
  install_package next.deb
  awaits "installed again, it sells again" online
  is "the stream of its events goes on" "$stream" "$(last_status | json stream)"
}

# With what a set-up has put elsewhere.
purged() {
  holds "qrisctl setup --secrets encrypted" guest "qrisctl setup --yes --secrets encrypted"
  holds "apt-get purge" guest "apt-get purge -y qrisd"
  awaits "offline" offline
  is "what is left" "" "$(guest "find / -xdev -path /root/stick -prune -o \( -iname '*qris*' -o -iname 'io.qrisd*' \) -print")"
  is "units that failed" "" "$(guest systemctl --failed --no-legend)"
}

# docs/using/one-pi.md, on the machine that was purged: its blocks as they stand, but for what this machine has not.
one_pi() {
  local chip_has="low" pulses_before of='runuser -u qris-backend -- qris-backend orders --limit 1 --json | grep -o "order_id.:.[^,]*" | cut -c 12-31'
  pulses_before=$(pulses $tray_2 0)
  # The page's line is that of tray 2. The chip of the arm64 has eight lines, so the button is at another; the PC's has no inputs.
  if [ "$short" = no ]; then
    chip_has="low:button=$wash_button"
    put $wash_button 1
  fi
  install_package qrisd.deb
  install_package qris-backend.deb
  midtrans_is_there
  # What a person types: the Server Key, the number for customers, and yes. This Midtrans is simulated.
  by_page init "s|--sandbox|--ask --midtrans $midtrans|" "printf '%s\n' $server_key Kios 0812-0000-0000 0.7 no yes"
  by_page setup "s|low:button=16|$chip_has|"
  is "the secret that was carried is gone" "" "$(guest "ls /run/vm-001 2>/dev/null || true")"
  awaits "qrisctl doctor finds nothing bad" guest "qrisctl doctor"
  if [ "$short" = no ]; then
    effect_of $wash_button "whoever presses the button is offered it" qr
  else
    by_page sell
    holds "it is asked for" grep -F requested "$work/page.log"
    awaits "its QR is on the panel" qr
  fi
  payload=$(cat "$work/said")
  by_page pay "s#ORDER#\$($of)#"
  holds "the address that the page wants in Midtrans' simulator" curl -sS --fail -o "$work/picture.png" "$(sed -n 's/^ *picture *//p' "$work/page.log")"
  is "what is in its picture" "$payload" "$(zbarimg --quiet --raw --nodbus -Sdisable -Sqrcode.enable "$work/picture.png")"
  is "pulses before it is paid" 0 "$(($(pulses $tray_2 0) - pulses_before))"
  pays
  awaits "the backend asks Midtrans, and the order is dispensed" sold 1
  is "pulses for it" 1 "$(($(pulses $tray_2 0) - pulses_before))"
  awaits "the QR is gone" no_qr
  desk_without_network
  # A boot takes long, and the power has gone often enough in the short story.
  [ "$short" = no ] || return 0
  by_page sell
  awaits "its QR is on the panel" qr
  payload=$(cat "$work/said")
  pull_the_plug
  on
  awaits "the same QR is on the panel again" shows "$payload"
  midtrans_is_there
  pays
  awaits "dispensed" sold 2
  is "pulses for it, in both boots" 2 "$(($(pulses $tray_2 0) - pulses_before))"
}

# The owner's pages, as their service has them. Whoever takes their program over has the web server's connections, and no network.
desk_without_network() {
  local inside metrics="http://127.0.0.1:8080/metrics"
  guest "printf '[desk]\nurl = \"http://127.0.0.1:8090\"\n' >>/etc/qris-backend/backend.toml && systemctl restart qris-backend && systemctl start qris-desk"
  is "units as systemd reads them" "" "$(guest systemd-analyze verify --man=no qris-desk.service qris-desk.socket qris-desk-home.service)"
  holds "the login is at the listener that systemd has opened" guest "busybox wget -q -O - http://127.0.0.1:8090/login | grep -F '<form'"
  is "its network" "lo:" "$(words "$(guest "tail -n +3 /proc/$(pid_of qris-desk)/net/dev | awk '{ print \$1 }'")")"
  holds "this computer reads /metrics" guest "busybox wget -q -O - $metrics | grep -F qris"
  # Without a connection nobody reads, and nobody invents an X-Forwarded-For.
  inside="nsenter --target $(pid_of qris-desk) --net setpriv --reuid qris-desk --regid qris-desk --clear-groups"
  holds "where the desk is the backend does not answer its user" \
    guest "$inside bash -c ': </dev/tcp/127.0.0.1/8080' 2>&1 | grep -F 'Connection refused'"
}

# Runs a block of the page for one Pi: by_page NAME [SED-SCRIPT [WHO-ANSWERS]]. The script must change something.
by_page() {
  local block text
  block=$(sed -n "/^\`\`\`sh $1\$/,/^\`\`\`\$/{//!p}" docs/using/one-pi.md)
  text=$(sed "${2:-}" <<<"$block")
  [ -n "$block" ] && { [ -z "${2:-}" ] || [ "$text" != "$block" ]; } || wrong "docs/using/one-pi.md: no block $1 with what this test changes in it: $block"
  # One line of shell.
  guest "echo $(base64 -w0 <<<"$text") | base64 -d >/run/page && ${3:+$3 | }bash -eu /run/page" >"$work/page.log" || wrong "the page's block $1: $(cat "$work/page.log")"
}

# Whether so many orders are dispensed, by the page's own command.
sold() {
  by_page sold
  [ "$(grep -c dispensed "$work/page.log")" = "$1" ]
}
