// What every part of the page shares: how things are, and how to ask for something.

export const $ = id => document.getElementById(id);

export const make = (tag, props = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children.filter(child => child != null));
  return element;
};

/** How the programs say that things are; filled from the event stream. */
export const state = {
  products: [],
  /** Whether the money is in Midtrans' sandbox. Then the phone shows how to pay there. */
  sandbox: false,
  view: { frame: 0, power: true, driven: false, pulses: 0, bill: null, online: false, connected: false, faults: [], networks: { broker: true, backend: true, midtrans: true } },
  /** The last order that was not refused: {request_id, item, amount, state, reason, order_id}. */
  order: null,
};

/** An order's number as people read it out. */
export const grouped = number => number.replace(/[a-z0-9]{5}(?=[a-z0-9])/g, "$& ");
export const rupiah = amount => "Rp" + String(amount).replace(/\B(?=(\d{3})+$)/g, ".");

export const product = item => state.products.find(known => known.id === item);

export const ENDS = ["dispensed", "refused", "cancelled", "expired", "denied", "failed", "refund_due", "refunded"];
export const ended = order => !order || ENDS.includes(order.state);

/** Asks the demo for something: {} or its answer, or {error}. */
export async function post(path, body) {
  try {
    const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body ?? {}) });
    if (!answer.ok) return { error: await answer.text() };
    return answer.status === 204 ? {} : await answer.json();
  } catch {
    return { error: "the demo has ended" };
  }
}

/** The drawing of a product; one that nobody drew is a box of chips. */
export function drawing(item, className) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#" + (document.getElementById(item) ? item : "A4"));
  svg.setAttribute("viewBox", "0 0 40 80");
  svg.setAttribute("class", className);
  svg.append(use);
  return svg;
}
