#!/usr/bin/env python3
"""Sells one item over MQTT 5, and follows the order to its end.

    controller.py ITEM [REQUEST_ID]

With the REQUEST_ID of an earlier call it goes on with that sale, for example after a power cut.
Exit status: 0 delivered; 1 nothing was paid; 2 wrong use or settings; 3 paid and not delivered; 4 nobody knows.
The settings stand in the environment: ../README.md.
"""
import json
import os
import sys
import time
import uuid

import paho.mqtt.client as mqtt
from paho.mqtt.properties import PacketTypes, Properties

ENDS = {  # How an order ends: our exit status, and what it means.
    "dispensed": (0, "delivered"),
    "refused": (1, "not sold: nothing was begun"),
    **dict.fromkeys(["cancelled", "expired", "denied", "failed"], (1, "not sold: nothing was paid")),
    "refund_due": (3, "paid and not delivered: the customer must get the money back, call the merchant"),
    "refunded": (3, "paid and not delivered: the customer got the money back"),
}
ON_THE_WAY = ["requested", "awaiting_payment", "awaiting_collection", "paid", "dispensing", "cancelling"]


class Sale:
    def __init__(self, item, request_id):
        self.item, self.request_id, self.began = item, request_id, time.monotonic()
        self.next_ask, self.last_event = float("inf"), None
        self.topics = f"qrisd/v1/{os.environ['QRISD_DEVICE']}/"

    def connection(self):
        """One connection, until it breaks. Each has a new client, which sends nothing that an old one could not."""
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.username_pw_set(os.environ["QRISD_USER"], os.environ["QRISD_PASSWORD"])
        if os.environ.get("QRISD_CA_FILE"):
            client.tls_set(ca_certs=os.environ["QRISD_CA_FILE"])
        client.on_connect, client.on_subscribe, client.on_message = self.connected, self.subscribed, self.heard
        client.connect(os.environ["QRISD_HOST"], int(os.environ["QRISD_PORT"]), keepalive=30)
        while client.loop(1) == mqtt.MQTT_ERR_SUCCESS:
            if time.monotonic() > self.next_ask:
                self.ask(client)
            self.look_at_the_clock()

    def connected(self, client, _userdata, _flags, reason, _properties):
        if reason.value in (0x86, 0x87):  # A bad user name or password, not authorized.
            end(2, f"the broker refuses us: {reason}")
        client.subscribe(self.topics + "vend/event", qos=1)

    def subscribed(self, client, _userdata, _mid, reasons, _properties):
        if reasons[0].is_failure:
            end(2, f"the broker does not let us read events: {reasons[0]}")
        self.ask(client)

    def ask(self, client):
        """Asks, or asks again: a request_id is sold once, and its last event comes again. After 30 s without an answer the
        customer may be gone, and nothing new may be sold. Cancelling also tells what became of it."""
        topic, body = "vend/request", {"request_id": self.request_id, "item": self.item}
        if not self.last_event and time.monotonic() > self.began + 30:
            topic, body = "vend/cancel", {"request_id": self.request_id}
        expiry = Properties(PacketTypes.PUBLISH)
        expiry.MessageExpiryInterval = 30  # A machine that comes back later does not find it.
        client.publish(self.topics + topic, json.dumps(body), qos=1, properties=expiry)
        self.next_ask = float("inf") if self.last_event else time.monotonic() + 10

    def heard(self, _client, _userdata, message):
        """An event is news. Never deliver on it: the relay does that, with a proof of the payment."""
        event = json.loads(message.payload)
        if event.get("request_id") != self.request_id or event["event_id"] == self.last_event:
            return  # Another sale, or the same news again.
        self.last_event, self.next_ask, state = event["event_id"], float("inf"), event["state"]
        print(f"{state} ({event['reason']})" if event.get("reason") else state)
        if state in ENDS:
            end(*ENDS[state])
        if state not in ON_THE_WAY:
            print("a word of a later release: wait for the next one")

    def look_at_the_clock(self):
        if time.monotonic() > self.began + (1800 if self.last_event else 60):
            end(4, "nobody knows how it ended: look at the machine")


def end(status, text):
    print(text)
    sys.exit(status)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        end(2, __doc__)
    sys.stdout.reconfigure(line_buffering=True)  # Also in a pipe each line comes at once.
    sale = Sale(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else str(uuid.uuid4()))
    print(f"request {sale.request_id}")
    while True:
        try:
            sale.connection()
        except OSError as why:
            print(f"no connection to the broker: {why}", file=sys.stderr)
        sale.look_at_the_clock()
        time.sleep(1)
