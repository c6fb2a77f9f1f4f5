// The phone: it knows what its camera has read off the screen, and what its app says.

import { $, make, state, rupiah, grouped, post, product, ended } from "./common.js";
import { t, onLanguage, called } from "./words.js";

/** What was read: {payload, merchant, amount}, and the request that was on the machine then. */
let photo = null;
/** What was paid: {amount, merchant, via, request_id}. */
let receipt = null;
/** A QR that was dealt with and is not read again. */
let left = null;
let wrong = null;

export function setUp() {
  document.addEventListener("screen-drawn", viewfinder);
  onLanguage(show);
}

/** The camera has seen what there is to see. */
export function look() {
  const { bill } = state.view;
  if (bill && bill.payload !== left && bill.payload !== photo?.payload) {
    [photo, receipt, wrong, left] = [bill, null, null, null];
  }
  show();
}

/** What becomes of what was paid, also when the machine serves somebody else by then. */
export function hear(order) {
  // In the sandbox nobody pays here: the machine says that it was paid.
  if (state.sandbox && photo?.request_id === order.request_id && order.order_id) {
    if (PAID.includes(order.state)) [left, receipt, photo] = [photo.payload, { amount: photo.amount, merchant: photo.merchant, via: "sandbox", request_id: order.request_id }, null];
    else if (ended(order)) [left, photo] = [photo.payload, null];
    else askPicture(order.order_id);
  }
  if (receipt?.request_id === order.request_id) receipt.order = order;
}
const PAID = ["paid", "dispensing", "dispensed", "refund_due", "refunded"];

/** The address that Midtrans' simulator asks for, of one order. */
let picture = null;
async function askPicture(order_id) {
  if (picture?.order_id === order_id) return;
  picture = { order_id, url: "" };
  const answer = await fetch(`/picture/${order_id}`);
  picture = answer.ok ? { order_id, url: await answer.text() } : null;
  show();
}

export function show() {
  // The QR may be seen before the order is heard of.
  const mine = photo ?? receipt;
  if (mine && !mine.request_id && !ended(state.order)) {
    mine.request_id = state.order.request_id;
    hear(state.order);
  }
  $("to-phone").hidden = !photo;
  const here = $("glass").contains(document.activeElement);
  const kept = document.activeElement?.dataset?.act;
  const screen = photo ? billScreen() : receipt ? receiptScreen() : cameraScreen();
  const told = JSON.stringify(screen.map(element => element.outerHTML ?? element));
  if ($("glass").dataset.told === told) return;
  $("glass").dataset.told = told;
  $("glass").replaceChildren(...screen);
  if (here) ($("glass").querySelector(`[data-act="${kept}"]`) ?? $("glass").querySelector("button"))?.focus();
  viewfinder();
}

const button = (act, work, className = "") => {
  const element = make("button", { type: "button", textContent: t(act), className, onclick: work });
  element.dataset.act = act;
  return element;
};

function cameraScreen() {
  return [
    make("div", { className: "finder" }, make("canvas", { width: 200, height: 240 }), make("span", { className: "corners" })),
    make("p", { className: "title", textContent: t("camera") }),
    make("p", { className: "note", textContent: t("camera_hint") }),
  ];
}

/** Midtrans' page that plays the app. */
const SIMULATOR = "https://simulator.sandbox.midtrans.com/v2/qris/index";

function sandboxScreen() {
  const url = picture?.url ?? "";
  return [
    make("p", { className: "brand", textContent: "SANDBOX" }),
    make("p", { className: "amount", textContent: rupiah(photo.amount) }),
    make("p", { className: "note", textContent: t("x_steps") }),
    make("code", { className: "whole", textContent: url }),
    make("p", { className: "note gone", textContent: t("x_never") }),
    make("div", { className: "spring" }),
    button("x_copy", () => navigator.clipboard.writeText(url)),
    make("a", { className: "button", href: SIMULATOR, target: "_blank", rel: "noopener", textContent: t("x_open") }),
    button("leave", leave),
  ];
}

function billScreen() {
  if (state.sandbox) return sandboxScreen();
  const here = state.view.bill?.payload === photo.payload;
  return [
    make("p", { className: "brand", textContent: "QRIS" }),
    make("p", { className: "to", textContent: t("pay_to", photo.merchant) }),
    make("p", { className: "amount", textContent: rupiah(photo.amount) }),
    make("p", { className: here ? "note" : "note gone", textContent: t(here ? "here" : "photo") }),
    make("code", { textContent: photo.payload }),
    wrong && make("p", { className: "said bad", textContent: wrong }),
    make("div", { className: "spring" }),
    button("pay_gopay", () => pay("gopay"), "main"),
    button("pay_qris", () => pay("qris")),
    make("div", { className: "pair" }, button("pay_fail", fail), button("leave", leave)),
  ].filter(Boolean);
}

function receiptScreen() {
  const { order } = state;
  if (order && order.request_id === receipt.request_id) receipt.order = order;
  const mine = receipt.order;
  const [word, kind] = {
    dispensed: [t("r_dispensed", called(product(mine?.item))), "good"],
    refund_due: [t(mine?.reason === "uncertain" ? "r_uncertain" : "r_refund", grouped(mine?.order_id ?? "")), "bad"],
    refunded: [t("r_refunded"), "good"],
    paid: [t("r_paid"), "wait"],
    dispensing: [t("r_paid"), "wait"],
  }[mine?.state] ?? [t("r_wait"), "wait"];
  return [
    make("p", { className: "tick", textContent: "✓" }),
    make("p", { className: "title", textContent: t("paid") }),
    make("p", { className: "amount", textContent: rupiah(receipt.amount) }),
    make("p", { className: "to", textContent: `${receipt.merchant}, ${t("with", receipt.via)}` }),
    make("p", { className: `said ${kind}`, textContent: word }),
    make("div", { className: "spring" }),
    button("close", () => { receipt = null; show(); }),
  ];
}

/** What the camera sees: the machine's screen, whatever it shows. */
function viewfinder() {
  const canvas = $("glass").querySelector("canvas");
  if (canvas) canvas.getContext("2d").drawImage($("screen"), 0, 120, 480, 576, 0, 0, canvas.width, canvas.height);
}

const bill = () => ({ payload: photo.payload, merchant: photo.merchant, amount: photo.amount });

/** The PIN was typed before the charge was cancelled: Midtrans takes the payment all the same. */
export const payUnderWay = () => pay("gopay", true);

async function pay(via, under_way = false) {
  const paid = photo;
  const done = await post("/pay", { bill: bill(), via, under_way });
  if (done.error) wrong = t("not_paid", done.error);
  else [left, photo, receipt, wrong] = [paid.payload, null, { amount: paid.amount, merchant: paid.merchant, via, request_id: paid.request_id, order: null }, null];
  show();
}

async function fail() {
  const done = await post("/fail", bill());
  wrong = done.error ? t("not_paid", done.error) : t("wrong_pin");
  show();
}

async function leave() {
  [left, photo, wrong] = [photo.payload, null, null];
  show();
  await post("/leave");
}
