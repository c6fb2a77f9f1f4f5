# Everything of a sale but the machine, on this computer: Mosquitto with the shipped configuration and access list, a
# simulated Midtrans, the merchant's backend with HTTPS in front of it, a controller and a customer. To be read by scripts
# with `.`; they set `programs` (where cargo has built ours), `work` (a directory) and `address` (where the machine sees
# this computer) before.
#
#   open_shop                    starts it; `broker_port`, `https_port` and `midtrans` (its URL) are then known
#   close_shop                   ends what was started
#   enrolment DIR                what the machine must know: DIR/enrolment, for `qrisctl setup --from`
#   backend ARGUMENT…            a sub-command of qris-backend
#   request ITEM                 the controller asks the machine for an item: the request's id
#   event REQUEST STATE          the event that told this state of it, or status 1
#   newest_of ITEM STATE         the newest event of an item, if it told this state, or status 1
#   requests_of ITEM             how many requests for it there were
#   pay PAYLOAD                  a customer pays what is in a QR
#   desk ARGUMENT…               qrisctl at the operator's desk, far from the machine

device=vm-001
price=5000
server_key=SB-Mid-server-machine
started=()

open_shop() {
  # Keys and passwords are nobody else's.
  umask 077
  mkdir -p "$work/shop"/{certs,mosquitto}
  certificates
  broker_port=$(free_port)
  https_port=$(free_port)
  backend_port=$(free_port)
  start_broker
  start_midtrans
  start_backend
  listen_to_events
}

close_shop() {
  local process
  for process in "${started[@]}"; do
    kill "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
  started=()
}

# Starts a program in the background; what it says is in shop/NAME.log.
start() {
  local name=$1
  shift
  "$@" >"$work/shop/$name.log" 2>&1 &
  started+=($!)
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

listens() {
  local end=$((SECONDS + 30))
  until (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
    [ $SECONDS -lt $end ] || { echo "tests/vm: $2 does not listen: $(tail -n 5 "$work/shop/$2.log")" >&2; exit 1; }
    sleep 0.1
  done
}

# As config/README.md makes a private CA.
certificates() {
  local at=$work/shop/certs
  {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout "$at/ca.key" -out "$at/ca.pem" -subj "/CN=qrisd CA"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$at/broker.key" -out "$at/broker.csr" -subj "/CN=shop"
    printf 'subjectAltName=IP:%s,IP:127.0.0.1\n' "$address" >"$at/broker.ext"
    openssl x509 -req -in "$at/broker.csr" -CA "$at/ca.pem" -CAkey "$at/ca.key" -CAcreateserial -days 20 -extfile "$at/broker.ext" -out "$at/broker.pem"
  } >"$work/shop/openssl.log" 2>&1
}

start_broker() {
  local at=$work/shop user first=-c
  for user in "$device" "$device-controller" backend fleet; do
    openssl rand -base64 24 >"$at/mqtt-$user"
    mosquitto_passwd $first -b "$at/qrisd.passwd" "$user" "$(cat "$at/mqtt-$user")"
    first=
  done
  cp config/mosquitto.acl "$at/qrisd.acl"
  chmod 600 "$at/qrisd.passwd" "$at/qrisd.acl"
  # The shipped file with other places.
  sed -e "s|/etc/mosquitto/certs/|$at/certs/|; s|/etc/mosquitto/|$at/|; s|/var/lib/mosquitto/|$at/mosquitto/|" \
    -e "s|^listener 8883|user $(id -un)\nlistener $broker_port 127.0.0.1|" config/mosquitto.conf >"$at/mosquitto.conf"
  start mosquitto mosquitto -c "$at/mosquitto.conf"
  listens "$broker_port" mosquitto
}

start_midtrans() {
  start midtrans "$programs/qris-demo" midtrans --listen 127.0.0.1:0 --server-key "$server_key"
  local end=$((SECONDS + 30))
  until midtrans=$(grep -os 'http://[0-9.:]*' "$work/shop/midtrans.log" | head -n 1) && [ -n "$midtrans" ]; do
    [ $SECONDS -lt $end ] || { echo "tests/vm: the simulated Midtrans does not listen" >&2; exit 1; }
    sleep 0.1
  done
}

start_backend() {
  local at=$work/shop
  echo "$server_key" >"$at/server-key"
  cat >"$at/backend.toml" <<CONF
[http]
listen = "127.0.0.1:$backend_port"
public_url = "http://127.0.0.1:$backend_port"
[midtrans]
base_url = "$midtrans"
allow_other_host = true
server_key_file = "$at/server-key"
[store]
url = "sqlite://$at/orders.db"
[mqtt]
url = "mqtts://127.0.0.1:$broker_port"
username = "backend"
password_file = "$at/mqtt-backend"
ca_file = "$at/certs/ca.pem"
[receipts]
issuer = "pay.example"
signing_key_file = "$at/signing-key.json"
CONF
  backend keys new >/dev/null
  start backend "$programs/qris-backend" --config "$at/backend.toml" serve
  listens "$backend_port" backend
  # A web server's part.
  local certs=$at/certs
  start https socat "OPENSSL-LISTEN:$https_port,bind=127.0.0.1,reuseaddr,fork,verify=0,cert=$certs/broker.pem,key=$certs/broker.key" "TCP:127.0.0.1:$backend_port"
  listens "$https_port" https
}

backend() {
  "$programs/qris-backend" --config "$work/shop/backend.toml" "$@" 2>>"$work/shop/commands.log"
}

enrolment() {
  local ca=$work/shop/certs/ca.pem
  backend device add "$device" --bundle --backend-url "https://$address:$https_port" --backend-ca-file "$ca" \
    --broker-url "mqtts://$address:$broker_port" --broker-ca-file "$ca" --broker-password-file "$work/shop/mqtt-$device" >"$1/enrolment"
}

# What the fleet hears, a line each: its topic and its JSON.
listen_to_events() {
  start events mosquitto_sub -h 127.0.0.1 -p "$broker_port" -V 5 --cafile "$work/shop/certs/ca.pem" -u fleet -P "$(cat "$work/shop/mqtt-fleet")" \
    -q 1 -v -t "qrisd/v1/$device/vend/event" -t "qrisd/v1/$device/status"
}

# With time enough for a slow machine to boot while its QR is payable.
request() {
  local id
  id=$(cat /proc/sys/kernel/random/uuid)
  mosquitto_pub -h 127.0.0.1 -p "$broker_port" -V 5 --cafile "$work/shop/certs/ca.pem" -u "$device-controller" \
    -P "$(cat "$work/shop/mqtt-$device-controller")" -q 1 -t "qrisd/v1/$device/vend/request" -m "{\"request_id\":\"$id\",\"item\":\"$1\",\"timeout_s\":600}"
  echo "$id"
}

event() {
  grep -F "/vend/event " "$work/shop/events.log" | grep -F "\"request_id\":\"$1\"" | grep -F "\"state\":\"$2\"" | head -n 1 | grep .
}

newest_of() {
  grep -F "/vend/event " "$work/shop/events.log" | grep -F "\"item\":\"$1\"" | tail -n 1 | grep -F "\"state\":\"$2\""
}

requests_of() {
  grep -F "/vend/event " "$work/shop/events.log" | grep -F "\"item\":\"$1\"" | json request_id | sort -u | wc -l
}

# The last thing that the machine said of itself. What is {} is a probe.
last_status() {
  grep -F "/status {\"" "$work/shop/events.log" | tail -n 1 | cut -d' ' -f2-
}

pay() {
  curl -sS --fail-with-body -X POST -H 'Content-Type: application/json' -d "{\"qr\":\"$1\",\"via\":\"gopay\"}" "$midtrans/sim/pay"
}

desk() {
  "$programs/qrisctl" --broker "mqtts://127.0.0.1:$broker_port" --ca-file "$work/shop/certs/ca.pem" --username fleet \
    --password-file "$work/shop/mqtt-fleet" "$@" --device "$device" --operator-key "$work/shop/operator.jwk"
}
