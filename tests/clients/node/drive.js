// Drives a Midtrans through the calls that a seller of this kind makes, by Midtrans' own client for Node.
//
//     NODE_PATH=…/node_modules node drive.js URL SERVER_KEY
//
// URL is that of the simulated Midtrans; its controls play the customers. The client has no setting for another address,
// but its address is a static field of its class of settings. Its files stay as they were installed.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const midtrans = require('midtrans-client');

const [URL, KEY] = process.argv.slice(2);
const RUN = process.hrtime.bigint().toString();
let orders = 0;

async function main() {
  pointAtSimulator();
  const core = client(KEY);
  await qr(core);
  await overTheCounter(core);
  await refunds(core);
  await notifications(core);
  await idempotency(core);
  await refusals(core);
  console.log(`midtrans-client ${require('midtrans-client/package.json').version}: all as wanted`);
}

function pointAtSimulator() {
  new midtrans.CoreApi().apiConfig.constructor.CORE_SANDBOX_BASE_URL = URL;
}

function client(serverKey) {
  return new midtrans.CoreApi({ isProduction: false, serverKey, clientKey: '' });
}

// --- what is sold ---------------------------------------------------------------------------------------------------

async function qr(core) {
  let charged = await core.charge(charge('gopay', { gopay: { enable_callback: true, callback_url: 'app://finish' } }));
  same(charged, { status_code: '201', transaction_status: 'pending', payment_type: 'gopay', gross_amount: '10000.00' });
  const actions = Object.fromEntries(charged.actions.map(action => [action.name, action]));
  const picture = await fetch(actions['generate-qr-code'].url);
  assert.equal(picture.headers.get('content-type'), 'image/png');
  assert.match(await (await fetch(actions['deeplink-redirect'].url)).text(), /simulated/);
  same(await core.transaction.status(charged.order_id), { status_code: '201', transaction_status: 'pending' });

  // Scanned with another app it comes back as qris.
  await control(`pay/${charged.order_id}?via=qris`);
  for (const name of [charged.order_id, charged.transaction_id]) {
    same(await core.transaction.status(name), { status_code: '200', transaction_status: 'settlement', payment_type: 'qris' });
  }
  await fails('412', () => core.transaction.cancel(charged.order_id));
  await fails('406', () => core.charge(charge('gopay', {}, charged.order_id)));

  for (const acquirer of ['gopay', 'airpay shopee']) {
    charged = await core.charge(charge('qris', { qris: { acquirer } }));
    same(charged, { status_code: '201', acquirer });
    assert.match(charged.qr_string, /^000201010212/);
    same(await core.transaction.cancel(charged.transaction_id), { status_code: '200', transaction_status: 'cancel' });
  }
  // What was cancelled frees its order_id.
  same(await core.charge(charge('qris', {}, charged.order_id)), { status_code: '201' });
  // 407 is no error for this client.
  await control(`expire/${charged.order_id}`);
  same(await core.transaction.status(charged.order_id), { status_code: '407', transaction_status: 'expire' });
}

async function overTheCounter(core) {
  let charged;
  for (const store of ['alfamart', 'Indomaret']) {
    charged = await core.charge(charge('cstore', { cstore: { store, message: 'Tea', alfamart_free_text_1: 'one' } }));
    same(charged, { status_code: '201', store: store.toLowerCase(), transaction_status: 'pending' });
    assert.equal('fraud_status' in charged, store === 'alfamart');
    await control(`pay/${charged.payment_code}`);
    same(await core.transaction.status(charged.order_id), { status_code: '200', transaction_status: 'settlement' });
    await fails('412', () => core.transaction.refund(charged.order_id, { amount: 10000 }));
  }
  await control(`reverse/${charged.order_id}`);
  same(await core.transaction.status(charged.order_id), { status_code: '202', transaction_status: 'deny' });
}

async function refunds(core) {
  const { order_id } = await core.charge(charge('gopay'));
  await fails('412', () => core.transaction.refund(order_id, { refund_key: 'early', amount: 5000, reason: 'none' }));
  await control(`pay/${order_id}?via=gopay`);
  const part = { refund_key: 'part', amount: 4000, reason: 'the drink jammed' };
  same(await core.transaction.refund(order_id, part),
    { status_code: '200', transaction_status: 'partial_refund', refund_amount: '4000.00', refund_key: 'part' });
  await fails('406', () => core.transaction.refund(order_id, part));
  await fails('414', () => core.transaction.refund(order_id, { refund_key: 'much', amount: 6001 }));
  same(await core.transaction.refund(order_id), { status_code: '200', transaction_status: 'refund', refund_amount: '6000.00' });
  same(await core.transaction.status(order_id), { status_code: '200', transaction_status: 'refund', refund_amount: '10000.00' });
}

// --- what is told ---------------------------------------------------------------------------------------------------

async function notifications(core) {
  const merchant = await Merchant.start();
  await withHeader(core, 'X-Override-Notification', merchant.url, async () => {
    const charged = await core.charge(charge('gopay'));
    same(JSON.parse(await merchant.next()), { transaction_status: 'pending', status_code: '201' });
    await control(`pay/${charged.order_id}?via=qris`);
    const settled = await merchant.next();
    same(JSON.parse(settled), { transaction_status: 'settlement', status_code: '200', payment_type: 'qris' });
    // As text and as an object; either way the client asks for the status.
    for (const body of [settled, JSON.parse(settled)]) {
      same(await core.transaction.notification(body), { transaction_status: 'settlement', order_id: charged.order_id });
    }
    await assert.rejects(core.transaction.notification(''), /fail to parse/);
  });
  merchant.stop();
}

async function idempotency(core) {
  const wanted = charge('qris');
  await withHeader(core, 'Idempotency-Key', 'node-' + RUN, async () => {
    const first = await core.charge(wanted);
    assert.deepEqual(await core.charge(wanted), first);
    assert.deepEqual(await core.charge(charge('qris')), first, 'whatever the body');
  });
  await withHeader(core, 'Idempotency-Key', 'k'.repeat(47), () => fails('406', () => core.charge(wanted)));
}

async function refusals(core) {
  await fails('404', () => core.transaction.status('nothing'), '404');
  await fails('unexpected', () => core.charge(null), 500);
  const error = await fails('400', () => core.charge(charge('gopay', { transaction_details: { order_id: 'o', gross_amount: 0 } })), 400);
  assert.ok(Array.isArray(error.ApiResponse.validation_messages));
  await fails('400', () => core.charge(), 400);
  await fails('402', () => core.charge(charge('echannel')), '402');
  await fails('401', () => client('another key').charge(charge('gopay')), 401);
}

// --- helpers --------------------------------------------------------------------------------------------------------

function charge(payment_type, section = {}, order_id = `node-${RUN}-${orders++}`) {
  return { payment_type, transaction_details: { order_id, gross_amount: 10000 }, ...section };
}

/** What customers and shops do. */
async function control(path) {
  const answer = await fetch(`${URL}/sim/${path}`, { method: 'POST' });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
}

function same(answer, expected) {
  const seen = Object.fromEntries(Object.keys(expected).map(name => [name, answer[name]]));
  assert.deepEqual(seen, expected, JSON.stringify(answer));
}

/** The client's own error: its text, and what it calls the HTTP status. */
async function fails(text, call, status) {
  try {
    assert.fail(`${text} was expected, not ${JSON.stringify(await call())}`);
  } catch (error) {
    if (!(error instanceof midtrans.MidtransError)) throw error;
    assert.ok(error.message.includes(text), error.message);
    if (status !== undefined) assert.strictEqual(error.httpStatusCode, status);
    return error;
  }
}

async function withHeader(core, name, value, work) {
  const headers = core.httpClient.http_client.defaults.headers.common;
  headers[name] = value;
  try {
    await work();
  } finally {
    delete headers[name];
  }
}

/** Takes notifications. */
class Merchant {
  static async start() {
    const merchant = new Merchant();
    merchant.bodies = [];
    merchant.waiting = [];
    merchant.server = http.createServer(async (request, response) => {
      let body = '';
      for await (const part of request) body += part;
      response.end();
      const waiting = merchant.waiting.shift();
      if (waiting) waiting(body); else merchant.bodies.push(body);
    });
    await new Promise(resolve => merchant.server.listen(0, '127.0.0.1', resolve));
    merchant.url = `http://127.0.0.1:${merchant.server.address().port}/notifications`;
    return merchant;
  }

  next() {
    const body = this.bodies.shift();
    return body ? Promise.resolve(body) : new Promise(resolve => this.waiting.push(resolve));
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
