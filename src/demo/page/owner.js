// The owner's phone: her own pages (qris-desk), in a frame. The machine's customer and she have one place on this page, in turns.

import { $ } from "./common.js";
import { t, spoken, onLanguage } from "./words.js";

/** Where her pages are; null: there are none here. */
let root = null;
/** So many orders wanted her when her phone was drawn last. */
let drawn = 0;
let wanting = 0;

export async function setUp() {
  // The answer makes this browser her phone, too.
  const port = await (await fetch("/owner")).json();
  if (port !== null) root = `http://${location.hostname}:${port}/`;
  $("turn").hidden = root === null;
  $("turn").onclick = () => turn(!isHers());
  onLanguage(() => {
    if (isHers()) draw();
    name();
  });
}

const isHers = () => !$("hers").hidden;

/** Shows her phone, or the customer's. */
export function turn(toHers) {
  if (root === null || toHers === isHers()) return;
  $("hers").hidden = !toHers;
  $("glass").hidden = toHers;
  document.body.classList.toggle("owner", toHers);
  if (toHers) draw();
  name();
}

async function draw() {
  drawn = wanting;
  // Somebody may have logged out there, and nobody has her password: with this answer she is in again, and reads this page's language.
  await fetch(`/owner?language=${spoken()}`).catch(() => {});
  $("owner").src = root;
}

/** What the books say: an order that wants her is news on her phone. What she has settled she sees by herself. */
export function hear({ refund_due, uncertain }) {
  wanting = refund_due + uncertain;
  if (isHers() && wanting > drawn) draw();
  name();
}

function name() {
  $("phone-title").textContent = t(isHers() ? "owner" : "phone");
  $("owner").title = t("owner");
  $("turn").textContent = isHers() ? t("phone") : t("to_owner", wanting);
}
