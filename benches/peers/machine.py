"""A machine as a user would write it in Python; the same work as machine.c, and all of it within the callback."""

import json
import os
import secrets
import sqlite3

import paho.mqtt.client as mqtt
import requests
import segno
from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection

WIDTH, HEIGHT, QUIET, PRICE = 480, 800, 4, 5000
BLACK, WHITE = b"\x00\x00", b"\xff\xff"
DEVICE = os.environ["DEVICE"]
BACKEND = os.environ["BACKEND"]
TOPIC = f"qrisd/v1/{DEVICE}"
RELAY = DBusAddress("/io/qrisd/Relay1", bus_name="io.qrisd.Relay1", interface="io.qrisd.Relay1")

# Each statement is a commit.
database = sqlite3.connect(os.environ["DATABASE"], isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.execute("PRAGMA synchronous = FULL")
database.execute(
    "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, request_id TEXT UNIQUE, order_id TEXT, item TEXT,"
    " amount INTEGER, qr TEXT, receipt TEXT, state TEXT)"
)
screen = os.open(os.environ["SCREEN"], os.O_RDWR)
bus = open_dbus_connection("SYSTEM")
http = requests.Session()
http.headers["Authorization"] = f"Bearer {os.environ['BACKEND_TOKEN']}"
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=DEVICE)

# The order on the screen, and the rows that its QR takes.
order = None


def publish(state):
    event = {"request_id": order["request_id"], "order_id": order.get("order_id"), "state": state, "item": "A1", "amount": PRICE}
    client.publish(f"{TOPIC}/vend/event", json.dumps(event), qos=1)


def draw(payload):
    matrix = list(segno.make(payload, error="m", micro=False).matrix_iter(border=QUIET))
    size = WIDTH // len(matrix)
    side = size * len(matrix)
    left = (WIDTH - side) // 2
    rows = []
    for modules in matrix:
        row = b"".join((BLACK if dark else WHITE) * size for dark in modules)
        rows.append((BLACK * left + row + BLACK * (WIDTH - side - left)) * size)
    order["top"], order["side"] = (HEIGHT - side) // 2, side
    os.pwrite(screen, b"".join(rows), order["top"] * WIDTH * 2)


def blank():
    os.pwrite(screen, BLACK * WIDTH * order["side"], order["top"] * WIDTH * 2)


def sell(request):
    global order
    order = {"request_id": request["request_id"]}
    taken = "INSERT INTO orders (request_id, item, amount, state) VALUES (?, 'A1', ?, 'requested')"
    order["row"] = database.execute(taken, (order["request_id"], PRICE)).lastrowid
    body = {
        "request_id": order["request_id"],
        "ticket": secrets.token_urlsafe(16),
        "kids": [os.environ["KID"]],
        "item": "A1",
        "description": "Teh botol 350 ml",
        "amount": PRICE,
        "payment": "gopay",
        "timeout_s": 120,
    }
    answer = http.post(f"{BACKEND}/v1/orders", json=body, headers={"Idempotency-Key": order["request_id"]}, timeout=10)
    if answer.status_code != 201:
        publish("failed")
        return
    new = answer.json()
    order["order_id"] = new["order_id"]
    known = "UPDATE orders SET order_id = ?, qr = ?, state = 'awaiting_payment' WHERE id = ?"
    database.execute(known, (new["order_id"], new["qr_payload"], order["row"]))
    draw(new["qr_payload"])
    publish("awaiting_payment")


def dispense(update):
    global order
    if update["status"] != "settlement" or order is None or update["order_id"] != order.get("order_id"):
        return
    paid = "UPDATE orders SET receipt = ?, state = 'paid' WHERE id = ?"
    database.execute(paid, (update["receipt"], order["row"]))
    reply = bus.send_and_get_reply(new_method_call(RELAY, "Dispense", "s", (update["receipt"],)), timeout=25)
    # An error is answered with its text alone.
    outcome = reply.body[0] if len(reply.body) == 2 else "uncertain"
    database.execute("UPDATE orders SET state = ? WHERE id = ?", (outcome, order["row"]))
    publish(outcome)
    report = {"outcome": outcome, "reason": None, "detail": None}
    http.post(f"{BACKEND}/v1/orders/{order['order_id']}/outcome", json=report, timeout=10).raise_for_status()
    blank()
    order = None


def connected(client, _data, _flags, reason, _properties):
    if reason.is_failure:
        raise SystemExit(f"the broker: {reason}")
    client.subscribe([(f"{TOPIC}/vend/request", 1), (f"{TOPIC}/payment/update", 1)])


def subscribed(client, *_):
    client.publish(f"{TOPIC}/status", json.dumps({"state": "online"}), qos=1, retain=True)


def came(_client, _data, message):
    body = json.loads(message.payload)
    if message.topic.endswith("/vend/request"):
        sell(body)
    else:
        dispense(body)


client.username_pw_set(DEVICE, os.environ["MQTT_PASSWORD"])
client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, came
client.connect("127.0.0.1", int(os.environ["MQTT_PORT"]))
client.loop_forever()
