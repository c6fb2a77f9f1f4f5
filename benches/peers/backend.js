// A merchant's backend as a user would write it with Express: one process, one commit and one publish a notification. It
// believes a notification by its signature alone, and does not ask Midtrans again.
"use strict";

const crypto = require("node:crypto");
const Database = require("better-sqlite3");
const express = require("express");
const mqtt = require("mqtt");

const env = process.env;
const database = new Database(env.DATABASE);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
database.exec(`CREATE TABLE IF NOT EXISTS orders (order_id TEXT PRIMARY KEY, request_id TEXT UNIQUE, device TEXT, item TEXT,
  amount INTEGER, status TEXT, settled_at TEXT)`);
const insert = database.prepare("INSERT INTO orders VALUES (?, ?, ?, ?, ?, 'pending', NULL)");
const settle = database.prepare("UPDATE orders SET status = 'settlement', settled_at = ? WHERE order_id = ? RETURNING device");
const client = mqtt.connect(`mqtt://127.0.0.1:${env.MQTT_PORT}`, { username: "backend", password: env.MQTT_PASSWORD });
const app = express();
app.disable("x-powered-by");
app.use(express.json({ limit: "16kb" }));

app.post("/v1/orders", (request, response) => {
  if (request.get("authorization") !== `Bearer ${env.BACKEND_TOKEN}`) return response.sendStatus(401);
  const { request_id, item, amount } = request.body;
  const order_id = crypto.randomUUID();
  insert.run(order_id, request_id, env.DEVICE, item, amount);
  response.status(201).json({ order_id, request_id, item, amount, status: "pending" });
});

app.post("/midtrans/notifications", (request, response) => {
  const { order_id, status_code, gross_amount, signature_key, settlement_time } = request.body;
  const ours = crypto.createHash("sha512").update(order_id + status_code + gross_amount + env.SERVER_KEY).digest();
  const theirs = Buffer.from(signature_key, "hex");
  if (ours.length !== theirs.length || !crypto.timingSafeEqual(ours, theirs)) return response.sendStatus(403);
  const order = settle.get(settlement_time, order_id);
  if (!order) return response.sendStatus(404);
  const update = { order_id, rev: 2, status: "settlement", receipt: env.RECEIPT };
  client.publish(`qrisd/v1/${order.device}/payment/update`, JSON.stringify(update), { qos: 1 });
  response.sendStatus(200);
});

client.once("connect", () => app.listen(Number(env.PORT), "127.0.0.1"));
