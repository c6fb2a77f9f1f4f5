// The timeline: a lane for each who takes part, and arrows for what goes from one to another; the newest at the bottom.

import { $, make } from "./common.js";
import { t, spoken, onLanguage } from "./words.js";

const LANES = ["customer", "machine", "relay", "backend", "midtrans"];
/** So many rows are kept. */
const ROWS_MAX = 600;
/** A silence of so many milliseconds gets a line of its own. */
const GAP_MS = 5000;

let last = null;
let following = true;

export function setUp() {
  const list = $("list");
  list.addEventListener("scroll", () => { following = list.scrollHeight - list.scrollTop - list.clientHeight < 40; });
  new ResizeObserver(follow).observe(list);
  onLanguage(() => { for (const words of list.querySelectorAll(".text, .gap")) words.say?.(); });
  $("logs").onchange = () => { list.classList.toggle("with-logs", $("logs").checked); follow(); };
}

export function clear() {
  $("list").replaceChildren();
  last = null;
}

export function add(entry) {
  const list = $("list");
  const quiet = isLog(entry);
  if (!quiet) {
    if (last !== null && entry.at_ms - last >= GAP_MS) list.append(gap(Math.round((entry.at_ms - last) / 1000)));
    last = entry.at_ms;
  }
  list.append(row(entry, quiet));
  while (list.children.length > ROWS_MAX) list.firstChild.remove();
  follow();
}

/** An element that says itself again when another language is spoken. */
function saying(element, sentence) {
  element.say = () => { element.textContent = element.title = sentence(); };
  element.say();
  return element;
}

const gap = seconds => saying(make("li", { className: "gap" }), () => t("gap", seconds));

function follow() {
  if (following) $("list").scrollTop = $("list").scrollHeight;
}

const isLog = entry => entry.kind === "log" || (entry.who === "broker" && entry.kind !== "program") || entry.to === "broker";

function row(entry, quiet) {
  const time = make("time", { textContent: (entry.at_ms / 1000).toFixed(entry.at_ms < 100_000 ? 2 : 1) });
  const words = saying(make("span", { className: "text" }), () => (spoken() === "id" ? entry.text_id ?? entry.text : entry.text));
  if (entry.kind === "power" || entry.kind === "network") {
    const up = entry.on ?? entry.up;
    return make("li", { className: `mark ${up ? "up" : "down"}` }, time, words);
  }
  const from = LANES.indexOf(entry.who);
  if (quiet || from < 0) return make("li", { className: `log ${entry.who}` }, time, make("b", { textContent: entry.who }), words);
  const to = LANES.indexOf(entry.to);
  const item = make("li", { className: `${entry.who} ${entry.kind}${entry.replayed ? " again" : ""}` }, time, make("span", { className: "sr", textContent: entry.to ? `${entry.who} → ${entry.to}:` : `${entry.who}:` }));
  const track = make("span", { className: "track" }, ...LANES.map(() => make("i")));
  const low = to < 0 ? from : Math.min(from, to);
  words.classList.add(`at${low}`);
  if (to >= 0) track.append(make("span", { className: `arrow at${low} span${Math.abs(to - from)} ${to > from ? "right" : "left"}` }));
  else track.append(make("span", { className: `dot at${from}` }));
  if (low >= 3) words.classList.add("before");
  track.append(words);
  item.append(track);
  return item;
}
