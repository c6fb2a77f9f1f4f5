// Drives a Midtrans through every call of Midtrans' own client for Node.
//
//     NODE_PATH=…/node_modules node drive.js URL SERVER_KEY
//
// URL is that of the simulated Midtrans; its controls play the customers. The client has no setting for another address,
// but its addresses are static fields of its classes of settings. Its files stay as they were installed.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const http = require('node:http');
const midtrans = require('midtrans-client');

const [URL, KEY] = process.argv.slice(2);
const CLIENT_KEY = 'SB-Mid-client-test';
const RUN = process.hrtime.bigint().toString();
const called = new Set();
let orders = 0;

async function main() {
  pointAtSimulator();
  const core = client(midtrans.CoreApi);
  await qr(core);
  await overTheCounter(core);
  await bankTransfer(core);
  await cards(core);
  await refunds(core);
  await notifications(core);
  await idempotency(core);
  await accounts(core);
  await subscriptions(core);
  await snapPages(client(midtrans.Snap));
  await refusals(core);
  await payouts(client(midtrans.Iris));
  await biSnap();
  everyCallWasMade(core);
}

function pointAtSimulator() {
  const settings = new midtrans.CoreApi().apiConfig.constructor;
  settings.CORE_SANDBOX_BASE_URL = URL;
  settings.SNAP_SANDBOX_BASE_URL = URL + '/snap/v1';
  settings.IRIS_SANDBOX_BASE_URL = URL + '/iris/api/v1';
  midtrans.SnapBiConfig.SNAP_BI_SANDBOX_BASE_URL = URL;
}

function client(Kind, serverKey = KEY) {
  const made = new Kind({ isProduction: false, serverKey, clientKey: CLIENT_KEY });
  noteCalls(made);
  noteCalls(made.transaction);
  return made;
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

async function bankTransfer(core) {
  const charged = await core.charge(charge('bank_transfer', { bank_transfer: { bank: 'bca' } }));
  same(charged, { status_code: '201', transaction_status: 'pending' });
  assert.equal(charged.va_numbers[0].bank, 'bca');
  // 407 is no error for this client.
  same(await core.transaction.expire(charged.order_id), { status_code: '407', transaction_status: 'expire' });
  same(await core.transaction.status(charged.order_id), { status_code: '407', transaction_status: 'expire' });
}

async function cards(core) {
  const { token_id: token } = await core.cardToken(card('5264 2210 3887 4659'));
  same(await core.cardPointInquiry(token), { status_code: '200' });
  const { saved_token_id: saved } = await core.cardRegister(card('4811 1111 1111 1114'));
  await fails('402', () => core.cardPointInquiry(saved));
  for (const token_id of [token, saved]) {
    const charged = await core.charge(charge('credit_card', { credit_card: { token_id } }));
    same(charged, { status_code: '200', transaction_status: 'capture', fraud_status: 'accept' });
    await fails('412', () => core.transaction.approve(charged.order_id));
    await fails('412', () => core.transaction.deny(charged.order_id));
    same(await core.transaction.cancel(charged.order_id), { status_code: '200', transaction_status: 'cancel' });
  }
  await fails('411', () => core.charge(charge('credit_card', { credit_card: { token_id: 'none' } })));
  const reserved = await core.charge(charge('credit_card', { credit_card: { token_id: token, type: 'authorize' } }));
  same(reserved, { transaction_status: 'authorize' });
  const captured = await core.capture({ transaction_id: reserved.transaction_id, gross_amount: 9000 });
  same(captured, { status_code: '200', transaction_status: 'capture', gross_amount: '9000.00' });
  const { token_id: suspect } = await core.cardToken(card('4511 1111 1111 1117'));
  for (const [review, transaction_status] of [['approve', 'capture'], ['deny', 'deny']]) {
    const charged = await core.charge(charge('credit_card', { credit_card: { token_id: suspect } }));
    same(charged, { transaction_status: 'capture', fraud_status: 'challenge' });
    same(await core.transaction[review](charged.order_id), { status_code: '200', transaction_status });
  }
}

async function refunds(core) {
  const { order_id } = await core.charge(charge('gopay'));
  await fails('412', () => core.transaction.refundDirect(order_id, { refund_key: 'early', amount: 5000, reason: 'none' }));
  await control(`pay/${order_id}?via=gopay`);
  const part = { refund_key: 'part', amount: 4000, reason: 'the drink jammed' };
  same(await core.transaction.refundDirect(order_id, part),
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

// --- what else there is ---------------------------------------------------------------------------------------------

async function accounts(core) {
  const wanted = number => ({ payment_type: 'gopay', gopay_partner: { phone_number: number, country_code: '62', redirect_url: 'app://x' } });
  const { account_id, ...linked } = await core.linkPaymentAccount(wanted('81234567891'));
  same(linked, { status_code: '201', account_status: 'PENDING' });
  same(await core.getPaymentAccount(account_id), { status_code: '201', account_status: 'PENDING' });
  // The body's codes are texts, those of HTTP numbers: the official tests look at the difference.
  await fails('412', () => core.unlinkPaymentAccount(account_id), '412');
  await control(`link/${account_id}`);
  same(await core.unlinkPaymentAccount(account_id), { status_code: '204', account_status: 'DISABLED' });
  await fails('404', () => core.getPaymentAccount('dummy'), '404');
  await fails('404', () => core.unlinkPaymentAccount('dummy'), '404');
}

async function subscriptions(core) {
  const wanted = { name: 'MONTHLY', amount: '14000', currency: 'IDR', payment_type: 'credit_card', token: 't',
    schedule: { interval: 1, interval_unit: 'month', max_interval: 12, start_time: '2030-01-01 10:00:00 +0700' } };
  const { id, status } = await core.createSubscription(wanted);
  assert.equal(status, 'active');
  const updated = { status_message: 'Subscription is updated.' };
  same(await core.disableSubscription(id), updated);
  same(await core.getSubscription(id), { id, status: 'inactive' });
  same(await core.enableSubscription(id), updated);
  same(await core.updateSubscription(id, { name: 'MONTHLY', amount: '300000', currency: 'IDR', token: 't', schedule: { interval: 1 } }), updated);
  same(await core.getSubscription(id), { status: 'active', amount: '300000' });
  for (const call of ['getSubscription', 'disableSubscription', 'enableSubscription', 'updateSubscription']) {
    await fails("Subscription doesn't exist.", () => core[call]('dummy'), 404);
  }
}

async function snapPages(snap) {
  const wanted = (gross_amount = 200000) =>
    ({ transaction_details: { order_id: `node ${RUN}:${orders++}`, gross_amount }, credit_card: { secure: true } });
  const made = await snap.createTransaction(wanted());
  assert.ok(made.redirect_url.endsWith(made.token));
  assert.match(await (await fetch(await snap.createTransactionRedirectUrl(wanted()))).text(), /Snap/);
  assert.equal((await snap.createTransactionToken(wanted())).length, 36);
  const error = await fails('400', () => snap.createTransaction(), 400);
  assert.ok(Array.isArray(error.ApiResponse.error_messages));
  await fails('400', () => snap.createTransaction(wanted(0)), 400);
  // A path that no id can have: 401 without a key, 404 with one.
  await fails('404', () => snap.transaction.status('non exists order_id'), 404);
  await fails('401', () => client(midtrans.Snap, '').transaction.status('non exists order_id'), 401);
  await fails('401', () => client(midtrans.Snap, '').createTransaction(wanted()), 401);
}

async function refusals(core) {
  await fails('404', () => core.transaction.status('nothing'), '404');
  await fails('404', () => core.transaction.statusb2b('nothing'), '404');
  await fails('402', async () => core.transaction.statusb2b((await core.charge(charge('qris'))).order_id), '402');
  await fails('unexpected', () => core.charge(null), 500);
  const error = await fails('400', () => core.charge(charge('gopay', { transaction_details: { order_id: 'o', gross_amount: 0 } })), 400);
  assert.ok(Array.isArray(error.ApiResponse.validation_messages));
  await fails('400', () => core.charge(), 400);
  await fails('402', () => core.charge(charge('echannel')), '402');
  await fails('401', () => client(midtrans.CoreApi, 'another key').charge(charge('gopay')), 401);
}

// A merchant has another key for payouts; a Server Key opens nothing but the ping.
async function payouts(iris) {
  assert.equal(await iris.ping(), 'pong');
  const calls = [
    ['createBeneficiaries', {}], ['updateBeneficiaries', 'budi', {}], ['getBeneficiaries'], ['createPayouts', { payouts: [] }],
    ['approvePayouts', { reference_nos: [] }], ['rejectPayouts', { reference_nos: [] }], ['getPayoutDetails', '1'],
    ['getTransactionHistory', { from_date: '2026-01-01', to_date: '2026-01-02' }], ['getTopupChannels'], ['getBalance'],
    ['getFacilitatorBankAccounts'], ['getFacilitatorBalance', '1'], ['getBeneficiaryBanks'], ['validateBankAccount', { bank: 'bca', account: '1' }],
  ];
  for (const [name, ...parameters] of calls) await fails('denied', () => iris[name](...parameters), 401);
}

// Nor is the merchant known to the national interface. This part of the client does not raise: it returns the refusal.
async function biSnap() {
  const { SnapBi, SnapBiConfig } = midtrans;
  const { privateKey, publicKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } });
  Object.assign(SnapBiConfig, { snapBiClientId: 'id', snapBiPrivateKey: privateKey, snapBiClientSecret: 'secret', snapBiPartnerId: 'p',
    snapBiChannelId: '1', snapBiPublicKey: publicKey });
  const rows = {
    directDebit: { createPayment: '4015401', getStatus: '4015501', cancel: '4015701', refund: '4015801' },
    va: { createPayment: '4012701', getStatus: '4012601', cancel: '4013101' },
    qris: { createPayment: '4014701', getStatus: '4015101', cancel: '4017701', refund: '4017801' },
  };
  for (const [kind, calls] of Object.entries(rows)) {
    assert.equal((await noteCalls(SnapBi[kind]()).getAccessToken()).responseCode, '4017300');
    for (const [call, responseCode] of Object.entries(calls)) {
      const body = { partnerReferenceNo: 'o-1' };
      assert.equal((await noteCalls(SnapBi[kind]().withBody(body))[call]('e-1')).responseCode, '4017300', 'without a token');
      same(await noteCalls(SnapBi[kind]().withAccessToken('old').withBody(body))[call]('e-1'), { responseCode });
    }
  }
  const payload = { latestTransactionStatus: '00' };
  const digest = crypto.createHash('sha256').update(JSON.stringify(payload)).digest('hex');
  const signature = crypto.sign('SHA256', Buffer.from(`POST:/notify:${digest}:now`), privateKey).toString('base64');
  const told = SnapBi.notification().withNotificationPayload(payload).withNotificationUrlPath('/notify').withTimeStamp('now');
  assert.equal(noteCalls(told.withSignature(signature)).isWebhookNotificationVerified(), true);
}

// --- helpers --------------------------------------------------------------------------------------------------------

function charge(payment_type, section = {}, order_id = `node-${RUN}-${orders++}`) {
  return { payment_type, transaction_details: { order_id, gross_amount: 10000 }, ...section };
}

function card(card_number) {
  return { card_number, card_exp_month: '12', card_exp_year: '2030', card_cvv: '123', client_key: CLIENT_KEY };
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

const callsOf = Kind => Object.getOwnPropertyNames(Kind.prototype).filter(name => name !== 'constructor');

function noteCalls(thing) {
  const Kind = thing.constructor;
  for (const name of callsOf(Kind)) {
    const method = thing[name];
    thing[name] = function (...parameters) {
      called.add(`${Kind.name}.${name}`);
      return method.apply(thing, parameters);
    };
  }
  return thing;
}

function everyCallWasMade(core) {
  // What only prepares a call of BI SNAP is no call.
  const prepares = name => /^(with|build|setup)|^createConnection$/.test(name);
  const all = [midtrans.CoreApi, midtrans.Snap, midtrans.Iris, midtrans.SnapBi, core.transaction.constructor]
    .flatMap(Kind => callsOf(Kind).filter(name => !prepares(name)).map(name => `${Kind.name}.${name}`));
  assert.deepEqual(all.filter(name => !called.has(name)), [], 'never called');
  console.log(`midtrans-client ${require('midtrans-client/package.json').version}: ${all.length} calls made`);
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
