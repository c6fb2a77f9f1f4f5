"""A merchant's backend as a user would write it with Flask, served by waitress: the same work as backend.js."""

import hashlib
import hmac
import json
import os
import sqlite3
import threading
import uuid

import paho.mqtt.client as mqtt
import waitress
from flask import Flask, request

# One connection for all threads of the server, one at a time; each statement is a commit.
lock = threading.Lock()
database = sqlite3.connect(os.environ["DATABASE"], isolation_level=None, check_same_thread=False)
database.execute("PRAGMA journal_mode = WAL")
database.execute("PRAGMA synchronous = FULL")
database.execute(
    "CREATE TABLE IF NOT EXISTS orders (order_id TEXT PRIMARY KEY, request_id TEXT UNIQUE, device TEXT, item TEXT,"
    " amount INTEGER, status TEXT, settled_at TEXT)"
)
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.username_pw_set("backend", os.environ["MQTT_PASSWORD"])
# By default the rest waits for acknowledgements of the first twenty.
client.max_inflight_messages_set(1000)
client.connect("127.0.0.1", int(os.environ["MQTT_PORT"]))
client.loop_start()
app = Flask(__name__)


def commit(statement, values):
    with lock:
        return database.execute(statement, values).fetchone()


@app.post("/v1/orders")
def new_order():
    if request.headers.get("Authorization") != f"Bearer {os.environ['BACKEND_TOKEN']}":
        return "", 401
    new, order_id = request.get_json(), str(uuid.uuid4())
    row = (order_id, new["request_id"], os.environ["DEVICE"], new["item"], new["amount"])
    commit("INSERT INTO orders VALUES (?, ?, ?, ?, ?, 'pending', NULL)", row)
    return {"order_id": order_id, "request_id": new["request_id"], "item": new["item"], "amount": new["amount"], "status": "pending"}, 201


@app.post("/midtrans/notifications")
def notification():
    told = request.get_json()
    signed = told["order_id"] + told["status_code"] + told["gross_amount"] + os.environ["SERVER_KEY"]
    if not hmac.compare_digest(hashlib.sha512(signed.encode()).hexdigest(), told["signature_key"]):
        return "", 403
    settle = "UPDATE orders SET status = 'settlement', settled_at = ? WHERE order_id = ? RETURNING device"
    order = commit(settle, (told["settlement_time"], told["order_id"]))
    if order is None:
        return "", 404
    update = {"order_id": told["order_id"], "rev": 2, "status": "settlement", "receipt": os.environ["RECEIPT"]}
    client.publish(f"qrisd/v1/{order[0]}/payment/update", json.dumps(update), qos=1)
    return "", 200


waitress.serve(app, host="127.0.0.1", port=int(os.environ["PORT"]))
