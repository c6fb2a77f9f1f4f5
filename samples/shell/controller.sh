#!/bin/sh
# Sells one item over MQTT 5, and follows the order to its end.
#
#   controller.sh ITEM [REQUEST_ID]
#
# With the REQUEST_ID of an earlier call it goes on with that sale, for example after a power cut.
# Exit status: 0 delivered; 1 nothing was paid; 2 wrong use or settings; 3 paid and not delivered; 4 nobody knows.
set -eu

[ $# -eq 1 ] || [ $# -eq 2 ] || { sed -n 's/^# \{0,1\}//; 2,7p' "$0" >&2; exit 2; }
request_id=${2:-$(cat /proc/sys/kernel/random/uuid)}
request=$(jq -nc --arg id "$request_id" --arg item "$1" '{request_id: $id, item: $item}')
cancel=$(jq -nc --arg id "$request_id" '{request_id: $id}')
topics=qrisd/v1/$QRISD_DEVICE
work=$(mktemp -d)
events='' asker=''
trap 'kill $events $asker 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 4' INT TERM

# The two clients read these options from a file. Everybody on this computer can read the arguments of a program.
printf '%s\n' "-h $QRISD_HOST" "-p $QRISD_PORT" "-u $QRISD_USER" "-P $QRISD_PASSWORD" '-V mqttv5' '-q 1' >"$work/mosquitto_sub"
[ -z "${QRISD_CA_FILE:-}" ] || echo "--cafile $QRISD_CA_FILE" >>"$work/mosquitto_sub"
cp "$work/mosquitto_sub" "$work/mosquitto_pub"
export XDG_CONFIG_HOME="$work"

# A message expires after 30 s: a machine that comes back later does not find it.
publish() {
  mosquitto_pub -t "$topics/$1" -D publish message-expiry-interval 30 -m "$2" || echo "not published: $1" >&2
}

seconds() {
  read -r up _ </proc/uptime
  echo "${up%.*}"
}

# Asks again every 10 s: a request_id is sold once, and its last event comes again. So no event is missed for long. After
# 30 s without an answer the customer may be gone, and nothing new may be sold. Cancelling also tells what became of it.
ask() {
  began=$(seconds)
  while age=$(($(seconds) - began)) && { [ -e "$work/answered" ] || [ "$age" -lt 60 ]; }; do
    if [ -e "$work/answered" ] || [ "$age" -lt 30 ]; then publish vend/request "$request"; else publish vend/cancel "$cancel"; fi
    sleep 10 >/dev/null 2>&1
  done
  kill "$events"
}

end() {
  echo "$2"
  exit "$1"
}

echo "request $request_id"
mkfifo "$work/events"
mosquitto_sub -t "$topics/vend/event" -W 1800 >"$work/events" &
events=$!
ask &
asker=$!
last=''
# An event is news. Never deliver on it: the relay does that, with a proof of the payment.
while read -r event; do
  words=$(printf '%s\n' "$event" | jq -r --arg id "$request_id" \
    'objects | select(.request_id == $id) | "\(.event_id) \(.state) \(.reason // "")"' 2>/dev/null) || continue
  if [ -z "$words" ] || [ "$words" = "$last" ]; then continue; fi # Another sale, or the same news again.
  last=$words
  : >"$work/answered"
  read -r _ state reason <<END
$words
END
  echo "$state${reason:+ ($reason)}"
  case $state in
    dispensed) end 0 "delivered" ;;
    refused) end 1 "not sold: nothing was begun" ;;
    cancelled | expired | denied | failed) end 1 "not sold: nothing was paid" ;;
    refund_due) end 3 "paid and not delivered: the customer must get the money back, call the merchant" ;;
    refunded) end 3 "paid and not delivered: the customer got the money back" ;;
    requested | awaiting_payment | awaiting_collection | paid | dispensing | cancelling) ;;
    *) echo "a word of a later release: wait for the next one" ;;
  esac
done <"$work/events"
end 4 "nobody knows how it ended: look at the machine"
