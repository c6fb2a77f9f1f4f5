// A machine as a user would write it for Node.js; the same work as machine.c.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const Database = require("better-sqlite3");
const dbus = require("dbus-next");
const mqtt = require("mqtt");
const QRCode = require("qrcode");

const [WIDTH, HEIGHT, QUIET, PRICE] = [480, 800, 4, 5000];
const env = process.env;
const topic = `qrisd/v1/${env.DEVICE}`;

const database = new Database(env.DATABASE);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
database.exec(`CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, request_id TEXT UNIQUE, order_id TEXT, item TEXT,
  amount INTEGER, qr TEXT, receipt TEXT, state TEXT)`);
// Each statement is a commit.
const taken = database.prepare("INSERT INTO orders (request_id, item, amount, state) VALUES (?, 'A1', ?, 'requested')");
const known = database.prepare("UPDATE orders SET order_id = ?, qr = ?, state = 'awaiting_payment' WHERE id = ?");
const paid = database.prepare("UPDATE orders SET receipt = ?, state = 'paid' WHERE id = ?");
const ended = database.prepare("UPDATE orders SET state = ? WHERE id = ?");

const screen = fs.openSync(env.SCREEN, "r+");
const bus = dbus.systemBus();
const client = mqtt.connect(`mqtt://127.0.0.1:${env.MQTT_PORT}`, {
  clientId: env.DEVICE,
  username: env.DEVICE,
  password: env.MQTT_PASSWORD,
});

// The order on the screen, and the rows that its QR takes.
let order = null;

function publish(state) {
  const event = { request_id: order.request_id, order_id: order.order_id ?? null, state, item: "A1", amount: PRICE };
  client.publish(`${topic}/vend/event`, JSON.stringify(event), { qos: 1 });
}

// Node's own fetch keeps its connections.
function post(path, key, body) {
  const headers = { "Authorization": `Bearer ${env.BACKEND_TOKEN}`, "Content-Type": "application/json", "Idempotency-Key": key };
  return fetch(env.BACKEND + path, { method: "POST", headers, body: JSON.stringify(body) });
}

function draw(payload) {
  const { modules } = QRCode.create(payload, { errorCorrectionLevel: "M" });
  const size = Math.floor(WIDTH / (modules.size + 2 * QUIET));
  order.side = (modules.size + 2 * QUIET) * size;
  order.top = Math.floor((HEIGHT - order.side) / 2);
  const left = Math.floor((WIDTH - order.side) / 2);
  const pixels = new Uint16Array(WIDTH * order.side);
  for (let y = 0; y < order.side; y++) {
    pixels.fill(0xffff, y * WIDTH + left, y * WIDTH + left + order.side);
  }
  for (let y = 0; y < modules.size * size; y++) {
    const start = (QUIET * size + y) * WIDTH + left + QUIET * size;
    for (let column = 0; column < modules.size; column++) {
      if (modules.get(Math.floor(y / size), column)) pixels.fill(0, start + column * size, start + (column + 1) * size);
    }
  }
  fs.writeSync(screen, pixels, 0, pixels.byteLength, order.top * WIDTH * 2);
}

function blank() {
  const black = Buffer.alloc(order.side * WIDTH * 2);
  fs.writeSync(screen, black, 0, black.length, order.top * WIDTH * 2);
}

async function sell(request) {
  order = { request_id: request.request_id };
  order.row = taken.run(order.request_id, PRICE).lastInsertRowid;
  const answer = await post("/v1/orders", order.request_id, {
    request_id: order.request_id,
    ticket: crypto.randomBytes(16).toString("base64url"),
    kids: [env.KID],
    item: "A1",
    description: "Teh botol 350 ml",
    amount: PRICE,
    payment: "gopay",
    timeout_s: 120,
  });
  if (answer.status !== 201) return publish("failed");
  const { order_id, qr_payload } = await answer.json();
  order.order_id = order_id;
  known.run(order_id, qr_payload, order.row);
  draw(qr_payload);
  publish("awaiting_payment");
}

async function dispense(update) {
  if (update.status !== "settlement" || !order || update.order_id !== order.order_id) return;
  paid.run(update.receipt, order.row);
  const reply = await bus.call(new dbus.Message({
    destination: "io.qrisd.Relay1",
    path: "/io/qrisd/Relay1",
    interface: "io.qrisd.Relay1",
    member: "Dispense",
    signature: "s",
    body: [update.receipt],
  }));
  const outcome = reply.body[0];
  ended.run(outcome, order.row);
  publish(outcome);
  const told = await post(`/v1/orders/${order.order_id}/outcome`, order.order_id, { outcome, reason: null, detail: null });
  // A body that nobody reads would hold the connection.
  await told.text();
  blank();
  order = null;
}

client.on("connect", async () => {
  await client.subscribeAsync([`${topic}/vend/request`, `${topic}/payment/update`], { qos: 1 });
  client.publish(`${topic}/status`, '{"state":"online"}', { qos: 1, retain: true });
});
client.on("message", (name, payload) => {
  const body = JSON.parse(payload);
  return name.endsWith("/vend/request") ? sell(body) : dispense(body);
});
