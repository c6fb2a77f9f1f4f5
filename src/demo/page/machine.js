// The machine: its screen's own pixels, the buttons, the motors, what fell, and the plug.

import { $, make, state, rupiah, post, drawing, ended } from "./common.js";
import { t, onLanguage, called } from "./words.js";
import { headline } from "./story.js";

/** In the tray lie at most so many things; the oldest is taken. */
const TRAY_MAX = 4;
/** On a shelf of which the machine keeps no count stand so many: it is a picture. */
const ROW = 5;
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

export function setUp() {
  for (const product of state.products) {
    const items = Array.from({ length: product.capacity ?? ROW }, () => drawing(product.id, "item"));
    const shelf = make("div", { className: "shelf" }, make("div", { className: "row" }, ...items), make("div", { className: "coil" }), make("div", { className: "tag" }, make("b", { textContent: product.id }), rupiah(product.rupiah)));
    shelf.dataset.item = product.id;
    // What one points at first. Its key is for everybody, and says when it cannot be pressed.
    shelf.onclick = () => document.querySelector(`#keys [data-item="${product.id}"]`).click();
    $("shelves").append(shelf);

    const key = make("button", { type: "button" }, drawing(product.id, "icon"), make("span", {}, make("b"), make("small", { textContent: rupiah(product.rupiah) })));
    key.dataset.item = product.id;
    key.onclick = () => ask("/vend", { item: product.id });
    $("keys").append(key);
  }
  const cancel = make("button", { type: "button", id: "cancel", disabled: true });
  cancel.onclick = () => state.order && ask("/cancel", { request_id: state.order.request_id });
  $("keys").append(cancel);
  for (const { id } of state.products.filter(product => product.capacity)) {
    const fill = make("button", { type: "button" });
    fill.dataset.fill = id;
    fill.onclick = () => ask("/fill", { item: id });
    $("keys").append(fill);
  }
  $("power").onclick = () => switchPower();
  // The screen takes no touch, as most machines' do not: the keys are shown.
  $("screen").onclick = () => $("keys").animate({ outline: ["4px solid #ff9d00", "4px solid #ff9d0000"], outlineOffset: ["3px", "3px"] }, 1200);
  $("fallen").onclick = () => $("fallen").replaceChildren();
  onLanguage(() => {
    for (const product of state.products) document.querySelector(`#keys [data-item="${product.id}"] b`).textContent = called(product);
    cancel.textContent = t("cancel");
    for (const fill of document.querySelectorAll("[data-fill]")) fill.textContent = t("fill", fill.dataset.fill);
    for (const element of [$("screen"), $("mini")]) element.setAttribute("aria-label", t("screen"));
    show();
  });
  for (const query of ["(min-width: 1700px) and (min-height: 1000px)", "(max-width: 760px)", "(min-resolution: 1.01dppx)"]) matchMedia(query).addEventListener("change", fit);
  fit();
  draw();
  // Where the machine's screen has been scrolled away, a small picture of it stays.
  new IntersectionObserver(([seen]) => { $("mini").hidden = seen.isIntersecting; }, { threshold: 0.3 }).observe($("screen"));
  $("mini").onclick = () => $("screen").scrollIntoView({ block: "center" });
}

async function ask(path, body) {
  const done = await post(path, body);
  if (done.error) headline(done.error);
}

let switching = false;
async function switchPower() {
  switching = true;
  show();
  await ask("/power", { on: !state.view.power });
  switching = false;
  show();
}

/** Everything that does not move by itself. */
export function show() {
  const { view, order } = state;
  $("machine").classList.toggle("dark", !view.power);
  $("power").setAttribute("aria-checked", view.power);
  $("power").setAttribute("aria-label", t("power_label"));
  $("power").disabled = switching;
  $("power-word").textContent = t(view.power ? "power_on" : "power_off");
  $("lamp").classList.toggle("on", view.driven);
  $("lamp").setAttribute("aria-label", t(view.driven ? "driven" : "rest"));
  $("line").textContent = t(view.driven ? "driven" : "rest");
  $("pulses").textContent = view.pulses;
  $("pulses-word").textContent = t("pulses", view.pulses);
  for (const key of $("keys").children) key.disabled = !view.power || switching || (key.id === "cancel" && ended(order)) || (key.dataset.fill && !ended(order));
  for (const shelf of $("shelves").children) if (!view.driven) shelf.classList.remove("turning");
}

/** What lies in the slots that are counted, as the machine tells it. */
export function stand(slots) {
  for (const { item, count } of slots) {
    const shelf = document.querySelector(`.shelf[data-item="${item}"]`);
    for (const [n, thing] of shelf.querySelectorAll(".item").entries()) thing.classList.toggle("gone", count !== undefined && n >= count);
    document.querySelector(`#keys [data-item="${item}"]`).classList.toggle("empty", count === 0);
  }
}

/** A motor turns, and what stands before it falls. */
export function drive(item) {
  const shelf = document.querySelector(`.shelf[data-item="${item}"]`);
  if (!shelf) return;
  shelf.classList.add("turning");
  const first = [...shelf.querySelectorAll(".item")].findLast(element => !element.classList.contains("gone")) ?? shelf.querySelector(".item");
  const [from, to] = [first, $("fallen")].map(element => element.getBoundingClientRect());
  const thing = drawing(item, "item");
  $("fallen").append(thing);
  while ($("fallen").children.length > TRAY_MAX) $("fallen").firstChild.remove();
  if (stillness.matches || !from.width) return;
  const end = thing.getBoundingClientRect();
  const offset = `translate(${from.left - end.left}px, ${from.top - end.top}px)`;
  thing.animate(
    [{ transform: offset }, { transform: `${offset} translateY(6px)`, offset: 0.25 }, { transform: "none", offset: 0.8, easing: "ease-out" }, { transform: "translateY(-7px) rotate(9deg)", offset: 0.9 }, { transform: "rotate(7deg)" }],
    { duration: 900, easing: "cubic-bezier(.5, 0, .9, .5)", fill: "forwards" });
}

/** The panel is shown with whole pixels of this display for each of its own, or just half as large. */
function fit() {
  const large = matchMedia("(min-width: 1700px) and (min-height: 1000px)").matches;
  const most = large ? 480 : matchMedia("(max-width: 760px)").matches ? 320 : 240;
  const sizes = [3, 2, 1, 0.5].map(pixels => (480 * pixels) / devicePixelRatio).filter(width => width <= most && width >= most * 0.7);
  const width = sizes[0] ?? most;
  $("screen").style.width = `${width}px`;
  $("screen").style.height = `${(width * 800) / 480}px`;
  $("screen").classList.toggle("crisp", width * devicePixelRatio >= 480);
}

// One picture at a time is fetched; the answer comes when one that was begun after the call is on the page.
let drawing_now = null;
let drawing_next = null;
export function draw() {
  if (!drawing_now) return (drawing_now = picture().finally(() => { drawing_now = null; }));
  return (drawing_next ??= drawing_now.then(() => { drawing_next = null; return draw(); }));
}

/** The picture that is being drawn, if any. */
export const drawn = () => drawing_next ?? drawing_now;

async function picture() {
  try {
    const pixels = await createImageBitmap(await (await fetch("/screen.png")).blob());
    for (const canvas of [$("screen"), $("mini").firstElementChild]) canvas.getContext("2d").drawImage(pixels, 0, 0);
    pixels.close();
    document.dispatchEvent(new Event("screen-drawn"));
  } catch { /* the demo has ended; the event stream says so */ }
}
