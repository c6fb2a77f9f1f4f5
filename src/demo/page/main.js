// Sets the page up and carries the event stream to its parts.

import { $, state, ended, rupiah, post } from "./common.js";
import { speak, spoken, t, onLanguage } from "./words.js";
import * as machine from "./machine.js";
import * as phone from "./phone.js";
import * as owner from "./owner.js";
import * as links from "./links.js";
import * as timeline from "./timeline.js";
import * as story from "./story.js";
import * as tour from "./tour.js";

/** Entries from this number on are news; what is older is shown, and moves nothing. */
let newsFrom = 0;
let frame = -1;

function view(told) {
  const before = state.view;
  state.view = told;
  const redraw = told.frame !== frame;
  frame = told.frame;
  machine.show();
  links.show();
  // The phone reads what the visitor sees: the picture first.
  Promise.resolve(redraw ? machine.draw() : machine.drawn()).then(() => {
    phone.look();
    if (told.bill && !before.bill && state.view.bill) story.cameBack();
  });
}

function entry(told) {
  story.note(told);
  if (told.kind === "vend") {
    const { event } = told;
    told.replayed = events.has(event.event_id) || (heard.has(event.request_id) && rank(event) <= heard.get(event.request_id));
    events.add(event.event_id);
    told.earlier = isEarlier(event);
    if (event.state !== "refused" && !told.replayed) take(event, told.earlier);
  } else if (told.kind === "order" && told.state !== "refused") {
    told.earlier = isEarlier(told);
    const same = state.order?.request_id === told.request_id ? state.order : { item: pressedItem };
    take({ ...same, request_id: told.request_id, order_id: told.order_id, state: told.state, reason: told.reason }, told.earlier);
    heard.set(told.request_id, rank(told));
  } else if (told.kind === "press") pressedItem = told.item;
  else if (told.kind === "edge" && told.on && told.n >= newsFrom) machine.drive(told.line);
  timeline.add(told);
  story.tell(told);
  if (told.kind !== "log") {
    machine.show();
    phone.show();
    askBooks();
  }
}
let pressedItem = null;
/** Whether this is late news of an order, such as the answer to its cancel, while the machine has gone on to another. */
const isEarlier = order => !ended(state.order) && order.request_id !== state.order.request_id && !["requested", "refused"].includes(order.state);
function take(order, earlier) {
  phone.hear(order);
  if (!earlier) state.order = order;
}
/** What was heard inside the machine while the broker was cut off comes over the broker once more, and later: how far
    each of those orders had come. */
const heard = new Map();
/** What the broker has brought: after a power cut the machine publishes its last events once more. */
const events = new Set();
const COURSE = ["requested", "awaiting_payment", "awaiting_collection", "cancelling", "trying_again", "paid", "dispensing"];
const rank = order => ((order.try ?? 1) - 1) * (COURSE.length + 1) + (ended(order) ? COURSE.length : COURSE.indexOf(order.state));

/** The books are asked so long after something happened, in milliseconds. */
const BOOKS_MS = 250;
/** A side may hear of an order's end after the others. What is wrong for so many milliseconds is said. */
const WRONG_MS = 2000;
let books = null;
let wrong_since = null;
let asking = false;
let stale = false;
async function askBooks() {
  stale = true;
  if (asking) return;
  asking = true;
  let wait = BOOKS_MS;
  while (stale) {
    stale = false;
    await new Promise(done => setTimeout(done, wait));
    try {
      books = await (await fetch("/books")).json();
      wrong_since = books.wrong.length ? (wrong_since ?? performance.now()) : null;
      showBooks();
      stale ||= books.wrong.length > 0;
      wait = BOOKS_MS * (books.wrong.length ? 4 : 1);
    } catch { /* asked again with the next event */ }
  }
  asking = false;
}

function showBooks() {
  if (!books) return;
  const { totals, slots, wrong } = books;
  machine.stand(slots);
  owner.hear(totals);
  $("b-paid").textContent = totals.paid;
  $("b-dispensed").textContent = totals.dispensed;
  $("b-refund").textContent = totals.refund_due;
  const { uncertain, refunded, given } = totals;
  const rest = { uncertain, refunded, given, open: totals.paid - totals.dispensed - totals.refund_due - uncertain - refunded - given };
  for (const [name, count] of Object.entries(rest)) {
    const cell = $(`b-${name}`);
    cell.textContent = count;
    cell.parentElement.hidden = cell.parentElement.previousElementSibling.hidden = count === 0;
  }
  const [kind, text] = totals.under_way ? ["wait", t("under_way", totals.under_way, rupiah(totals.rupiah))]
    : wrong.length && performance.now() - wrong_since < WRONG_MS ? ["wait", t("compared")]
    : wrong.length ? ["bad", wrong.length > 1 ? `${wrong[0]} (+${wrong.length - 1})` : wrong[0]]
    : totals.orders ? ["good", t("balanced", rupiah(totals.rupiah), totals.pulses)] : ["", t("empty")];
  $("verdict").textContent = text;
  $("verdict").title = kind === "bad" ? wrong.join("\n") : "";
  $("verdict").className = kind;
  $("books").className = `card ${kind}`;
}

function follow() {
  const stream = new EventSource("/events");
  const on = (name, work) => stream.addEventListener(name, message => work(JSON.parse(message.data)));
  on("hello", hello => {
    newsFrom = hello.news_from;
    state.order = null;
    heard.clear();
    events.clear();
    timeline.clear();
    story.restart();
  });
  on("view", view);
  on("entry", entry);
  stream.onerror = () => story.headline(t("ended"));
}

state.products = await (await fetch("/products")).json();
state.sandbox = await (await fetch("/sandbox")).json();
document.body.classList.toggle("sandbox", state.sandbox);
if (state.sandbox) $("l-midtrans").dataset.t = "l_sandbox";
for (const part of [story, machine, phone, owner, links, timeline, tour]) part.setUp();
/** The machine's screen follows, when no customer is there. */
function speakAll(language) {
  speak(language);
  post("/language", { language });
}
speakAll(/^id\b/.test(navigator.language) ? "id" : "en");
$("language").onclick = () => speakAll(spoken() === "id" ? "en" : "id");
onLanguage(() => {
  $("language").textContent = t("language");
  $("language").title = t("language_hint");
  $("language").lang = spoken() === "id" ? "en" : "id";
  showBooks();
});
// What the owner settles on her phone need not be news to any other program.
$("owner").onload = askBooks;
askBooks();
follow();
