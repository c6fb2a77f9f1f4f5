#!/usr/bin/env python3
"""Lights the buttons of a panel, and greys those of items that are sold out.

    buttons.py ITEM...

It prints a line for each button that changes, until somebody stops it.
The settings stand in the environment: ../README.md.
"""
import json
import os
import sys

import paho.mqtt.client as mqtt


class Panel:
    def __init__(self, items):
        self.shown = dict.fromkeys(items)

    def draw(self, is_there, sold_out):
        """Draws the buttons that have changed. Put those of your own panel here."""
        for item, shown in self.shown.items():
            looks = "lit" if is_there and item not in sold_out else "grey"
            if looks != shown:
                self.shown[item] = looks
                print(f"{item} {looks}")

    def connected(self, client, _userdata, _flags, reason, _properties):
        if reason.is_failure:
            sys.exit(f"the broker refuses us: {reason}")
        # The broker keeps the last status. So it comes at once, and again at each change.
        client.subscribe(f"qrisd/v1/{os.environ['QRISD_DEVICE']}/status", qos=1)

    def heard(self, _client, _userdata, message):
        """This is for customers' eyes. The machine itself refuses a request for what it has not."""
        status = json.loads(message.payload)
        if "state" not in status:
            return  # A probe, which says nothing.
        self.draw(status["state"] == "online", status.get("sold_out", []))

    def lost(self, *_):
        """Nobody hears a request now."""
        self.draw(False, [])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.stdout.reconfigure(line_buffering=True)  # Also in a pipe each line comes at once.
    panel = Panel(sys.argv[1:])
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set(os.environ["QRISD_USER"], os.environ["QRISD_PASSWORD"])
    if os.environ.get("QRISD_CA_FILE"):
        client.tls_set(ca_certs=os.environ["QRISD_CA_FILE"])
    client.on_connect, client.on_message, client.on_disconnect = panel.connected, panel.heard, panel.lost
    client.connect_async(os.environ["QRISD_HOST"], int(os.environ["QRISD_PORT"]), keepalive=30)
    client.loop_forever(retry_first_connection=True)
