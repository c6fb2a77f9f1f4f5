#!/usr/bin/python3
"""Sells one item over D-Bus, on the machine's own board, and follows the order to its end. It needs no broker.

    controller.py ITEM [REQUEST_ID]

With the REQUEST_ID of an earlier call it goes on with that sale, for example after a power cut.
Exit status: 0 delivered; 1 nothing was paid; 2 wrong use; 3 paid and not delivered; 4 nobody knows.
"""
import os
import sys
import time
import uuid

from gi.repository import Gio, GLib

NAME, PATH = "io.qrisd.Device1", "/io/qrisd/Device1"
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
        self.last, self.loop = None, GLib.MainLoop()

    def connection(self):
        """One connection, until it breaks or the sale ends: on the system bus, or on a socket of qrisd without a bus."""
        address, flags = os.environ.get("QRISD_BUS"), Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
        sender = None if address else NAME
        if not address:
            address = Gio.dbus_address_get_for_bus_sync(Gio.BusType.SYSTEM)
            flags |= Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
        bus = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
        bus.connect("closed", lambda *_: self.loop.quit())
        # GLib lets only those of the name's owner through: since 2.80.1, in Debian 12 since 2.74.6-2+deb12u2.
        bus.signal_subscribe(sender, NAME, "OrderChanged", PATH, None, Gio.DBusSignalFlags.NONE, self.changed)
        while not bus.is_closed() and self.last not in ENDS:
            self.ask(bus)
            if self.last not in ENDS:
                GLib.timeout_add_seconds(30, self.loop.quit)  # Signals can be missed: ask again now and then.
                self.loop.run()

    def ask(self, bus):
        """Asks, or asks again: a request_id is sold once, and the answer is what became of it. After 30 s without an answer
        the customer may be gone, and nothing new may be sold. Cancelling also tells what became of it."""
        if self.last or time.monotonic() < self.began + 30:
            arguments = GLib.Variant("(ssa{sv})", (self.request_id, self.item, {}))
            self.take(*self.call(bus, "Vend", arguments, "(ss)"))
        else:
            (state,) = self.call(bus, "Cancel", GLib.Variant("(s)", (self.request_id,)), "(s)")
            self.take(*((state, "") if state else ("refused", "unknown_request")))

    def call(self, bus, method, arguments, answer):
        return bus.call_sync(NAME, PATH, NAME, method, arguments, GLib.VariantType(answer), Gio.DBusCallFlags.NONE, 15000, None)

    def changed(self, _bus, _sender, _path, _interface, _name, news):
        request_id, _order_id, state, reason = news
        if request_id == self.request_id:
            self.take(state, reason)

    def take(self, state, reason):
        """This is news. Never deliver on it: the relay does that, with a proof of the payment."""
        if state in ("", self.last):
            return
        self.last = state
        print(f"{state} ({reason})" if reason else state)
        if state in ENDS:
            self.loop.quit()
        elif state not in ON_THE_WAY:
            print("a word of a later release: wait for the next one")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        print(__doc__)
        sys.exit(2)
    sys.stdout.reconfigure(line_buffering=True)  # Also in a pipe each line comes at once.
    sale = Sale(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else str(uuid.uuid4()))
    print(f"request {sale.request_id}")
    while sale.last not in ENDS and time.monotonic() < sale.began + (1800 if sale.last else 60):
        try:
            sale.connection()
        except GLib.Error as why:
            print(f"the machine does not answer: {why.message}", file=sys.stderr)
            time.sleep(1)
    status, meaning = ENDS.get(sale.last, (4, "nobody knows how it ended: look at the machine"))
    print(meaning)
    sys.exit(status)
