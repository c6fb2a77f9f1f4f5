// What just happened, in plain words. Each sentence follows from what the programs told, and from what was cut while the
// order was under way.

import { $, state, product, rupiah, ended } from "./common.js";
import { t, choice, called, onLanguage } from "./words.js";

/** What was cut since the order began. */
let during = fresh();
/** Whether the last sentence told how an order ended. */
let resulted = false;
/** Says the sentence again, in whatever language is spoken then. */
let again = ready;

/** Nothing has happened yet. */
function ready() {
  return t(state.sandbox ? "x_ready" : "ready");
}

function fresh() {
  return { power: false, powerAfterPay: false, paid: false, networks: new Set() };
}

export function setUp() {
  onLanguage(() => { $("just").textContent = again(); });
}

/** Shows a sentence that came from elsewhere. */
export function headline(text) {
  resulted = false;
  say(() => text);
}

function say(sentence) {
  again = sentence;
  const text = sentence();
  if ($("just").textContent !== text) $("just").textContent = text;
}

/** Takes the next thing that happened. */
export function tell(entry) {
  // Of an earlier order only its money is news: "this QR" would be taken for the one on the screen.
  if (entry.earlier && !["refund_due", "refunded"].includes((entry.event ?? entry).state)) return;
  const sentence = sentenceOf(entry);
  if (!sentence) return;
  resulted = ["vend", "order"].includes(entry.kind) && ended(entry.event ?? entry);
  say(sentence);
}

function sentenceOf(entry) {
  switch (entry.kind) {
    case "vend": return entry.replayed ? null : ofOrder(entry.event);
    case "order": return ofOrder(entry);
    case "payment":
      if (entry.paid) return ofPayment();
      // A second payment of what is paid is refused, and changes nothing.
      return during.paid ? null : ended(state.order) ? () => t("s_void") : () => t("s_wrong_pin");
    case "filled": return () => t("s_filled", called(product(entry.item)));
    case "leave": return ofLeaving();
    case "power":
      if (entry.on) return during.power ? () => t("s_power_on") : ready;
      during.power = true;
      during.powerAfterPay ||= during.paid;
      return ofDarkness();
    case "network":
      // How an order ended says more.
      if (entry.up) return resulted ? null : () => t("s_mended");
      during.networks.add(entry.network);
      // What is told of one way to the machine is wrong where the other is cut, too.
      const alone = entry.network !== "midtrans" && !now.networks.broker && !now.networks.backend;
      return () => t("s_cut")[alone ? "machine" : entry.network];
    default: return null;
  }
}

/** What the power took away. */
function ofDarkness() {
  const when = ended(state.order) ? "idle" : state.order.state === "awaiting_payment" && !during.paid ? "waiting" : "working";
  return () => t("s_power_off")[when];
}

/** Cancel has nothing to do for what is over, and no power without any. */
function ofLeaving() {
  if (state.order?.state !== "awaiting_payment") return () => t("s_left");
  return now.power ? () => t("s_walked") : () => t("s_walked_dark");
}

function ofPayment() {
  during.paid = true;
  // What the machine does with it may have been told before.
  if (["paid", "dispensing"].includes(state.order?.state) || ended(state.order)) return null;
  const { power, networks } = now;
  if (!power) return () => t("s_paid_dark");
  if (!networks.midtrans) return () => t("s_paid_midtrans");
  if (!networks.broker && !networks.backend) return () => t("s_paid_both");
  if (!networks.broker) return () => t("s_paid_broker");
  if (!networks.backend) return () => t("s_paid_backend");
  return () => t("s_paid_app");
}

function ofOrder(event) {
  const { state: what, reason } = event;
  const item = event.item ?? state.order?.item;
  const amount = event.gross_amount ?? event.amount ?? product(item)?.rupiah;
  const name = () => called(product(item));
  switch (what) {
    case "requested":
      during = fresh();
      for (const [network, up] of Object.entries(now.networks)) if (!up) during.networks.add(network);
      {
        const cut = ["backend", "midtrans"].find(network => !now.networks[network]);
        return () => (cut ? t("s_tries")[cut](name().toLowerCase()) : t("s_requested", name().toLowerCase()));
      }
    case "awaiting_payment": return during.power ? () => t("s_offered_again") : () => t("s_offered", rupiah(amount), name().toLowerCase());
    case "cancelling": return now.networks.midtrans && now.networks.backend ? () => choice("s_cancelling", reason) : () => t("s_cancelling_cut");
    case "cancelled": return () => t("s_cancelled");
    case "paid": return () => t("s_paid");
    case "dispensing": return () => t("s_dispensing");
    case "trying_again": return () => t("s_trying_again", name().toLowerCase());
    case "dispensed": return ofDispensed(name);
    case "refund_due": return () => choice("s_refund", reason);
    case "refused": return () => choice("s_refused", reason, reason);
    case "failed": return () => t("s_failed", reason);
    case "expired": return () => t("s_expired");
    case "denied": return () => t("s_denied");
    case "refunded": return () => t("s_refunded");
    default: return null;
  }
}

function ofDispensed(name) {
  const { power, powerAfterPay, networks } = during;
  const thing = () => name().toLowerCase();
  if (powerAfterPay) return () => t("s_done_power_paid", thing());
  if (power) return () => t("s_done_power", thing());
  if (networks.size > 1 || networks.has("midtrans")) return () => t("s_done_network", thing());
  if (networks.has("broker")) return () => t("s_done_broker", thing());
  if (networks.has("backend")) return () => t("s_done_backend", thing());
  return () => t("s_done", name());
}

/** Power and networks as the entries told them so far: the view may be ahead of an entry that is told again. */
const now = { power: true, networks: { broker: true, backend: true, midtrans: true } };

/** Keeps {@link now}; called with each entry before it is told. */
export function note(entry) {
  if (entry.kind === "power") now.power = entry.on;
  if (entry.kind === "network") now.networks[entry.network] = entry.up;
}

/** The stream begins anew, with everything that happened. */
export function restart() {
  during = fresh();
  now.power = true;
  now.networks = { broker: true, backend: true, midtrans: true };
}

/** The QR that was on the screen before a power cut is back. */
export function cameBack() {
  if (during.power && !during.paid && now.power) say(() => t("s_offered_again"));
}
