// Stories that press the page's own buttons while the visitor watches.

import { $, make, state, ended, post } from "./common.js";
import { t, onLanguage, called } from "./words.js";
import { payUnderWay } from "./phone.js";
import { turn } from "./owner.js";

/** How long a button is pointed at before it is pressed, and how long a sentence stands before the next. */
const POINT_MS = 900;
const READ_MS = 1600;
/** Nothing that a story waits for takes longer: a machine that was cut off asks its backend again after 30 s at most. */
const WAIT_MS = 60000;

const key = item => () => document.querySelector(`#keys [data-item="${item}"]`);
const act = name => () => document.querySelector(`#glass [data-act="${name}"]`);
const wire = network => () => document.querySelector(`#links [data-network="${network}"]`);
const power = () => $("power");
const orderIs = (...states) => () => states.includes(state.order?.state);
/** The order has this end, and the books say the same. */
const closed = end => () => orderIs(end)() && $("verdict").className === "good";
const name = item => called(state.products.find(product => product.id === item));
const pause = ms => () => new Promise(done => setTimeout(done, ms));

const whole = () => state.view.power && state.view.online && state.view.connected && Object.values(state.view.networks).every(Boolean) && ended(state.order) && !state.view.bill;

/** A step says what is done, presses a button, or does what no button does, and waits for what comes of it. */
const press = item => ({ say: () => t("t_press", name(item)), press: key(item), until: () => act("pay_gopay")() && state.view.bill });
/** The last step: what the owner sees of it. Without her pages the story ends before. */
const hers = words => ($("turn").hidden ? [] : [{ say: () => t(words), press: () => $("turn") }]);
const stories = {
  t_sale: () => [press("A1"), { say: () => t("t_pay"), press: act("pay_gopay"), until: closed("dispensed") }, { say: () => t("t_dropped") }, ...hers("t_hers_sold")],
  t_power: () => [
    press("A3"),
    { say: () => t("t_cut_power"), press: power, until: () => !state.view.power },
    { say: () => t("t_pay_photo"), press: act("pay_gopay"), until: act("close") },
    { say: () => t("t_dark") },
    { say: () => t("t_power_back"), press: power, until: closed("dispensed") },
    ...hers("t_hers_sold"),
  ],
  t_late: () => [
    press("A2"),
    { say: () => t("t_cancel"), press: () => $("cancel"), until: orderIs("cancelled") },
    { say: () => t("t_under_way"), act: payUnderWay, until: closed("refund_due") },
    { say: () => t("t_owed") },
    ...hers("t_hers_owed"),
  ],
  t_again: () => [
    press("A2"),
    { say: () => t("t_cancel"), press: () => $("cancel"), until: orderIs("cancelled") },
    { say: () => t("t_under_way"), act: payUnderWay, until: closed("refund_due") },
    { say: () => t("t_try_again"), press: key("A2"), until: closed("dispensed") },
    { say: () => t("t_in_place") },
    ...hers("t_hers_sold"),
  ],
  t_network: () => [
    press("A3"),
    { say: () => t("t_cut_broker"), press: wire("broker"), until: () => !state.view.networks.broker },
    { say: () => t("t_cut_backend"), press: wire("backend"), until: () => !state.view.networks.backend },
    { say: () => t("t_pay"), press: act("pay_gopay"), until: act("close") },
    { say: () => t("t_nothing") },
    { say: () => t("t_mend"), press: wire("backend"), until: closed("dispensed") },
    // The machine redials when its wait is over. Nothing is left to see, so the story does not wait for it.
    { say: () => t("t_mend_broker"), press: wire("broker"), until: () => state.view.networks.broker },
    ...hers("t_hers_sold"),
  ],
};

/** The story that is told now. */
let running = null;

export function setUp() {
  const nav = $("tour");
  for (const story of Object.keys(stories)) {
    const button = make("button", { type: "button", onclick: () => tell(story) });
    button.dataset.story = story;
    nav.append(button);
  }
  const stop = make("button", { type: "button", id: "stop", className: "quiet", hidden: true, onclick: () => { if (running) running.stopped = true; } });
  // It stays in sight with the caption.
  $("caption").after(stop);
  onLanguage(() => {
    for (const button of nav.querySelectorAll("[data-story]")) button.textContent = t(button.dataset.story);
    stop.textContent = t("t_stop");
  });
}

class Stopped extends Error {}

async function tell(story) {
  if (running) return;
  const run = (running = { stopped: false });
  enable(story);
  turn(false);
  try {
    await makeWhole(run);
    // Where the machine still offers another try, it would take the first press for that, and for no new sale.
    await post("/decline");
    const steps = stories[story]();
    for (const [n, step] of steps.entries()) {
      $("caption").textContent = t("t_step", n + 1, steps.length) + step.say();
      if (step.press) await pressed(run, step.press);
      await step.act?.();
      if (step.until) await until(run, step.until);
      await rest(run, READ_MS);
    }
    $("caption").textContent = t("t_over");
  } catch (error) {
    $("caption").textContent = t(error instanceof Stopped ? "t_stopped" : "t_stuck");
  }
  unpoint();
  running = null;
  enable(null);
}

function enable(story) {
  for (const button of $("tour").querySelectorAll("[data-story]")) {
    button.disabled = story !== null;
    button.classList.toggle("now", button.dataset.story === story);
  }
  $("stop").hidden = story === null;
  $("caption").hidden = false;
  document.body.dataset.story = story ?? "";
}

/** Mends what is cut, and ends what is under way. */
async function makeWhole(run) {
  if (whole()) return;
  $("caption").textContent = t("t_ready");
  for (const [network, up] of Object.entries(state.view.networks)) if (!up) await pressed(run, wire(network));
  if (!state.view.power) await pressed(run, power);
  await until(run, () => state.view.power && state.view.online && state.view.connected);
  // The button is not there yet while the machine starts.
  await until(run, () => ended(state.order) || !$("cancel").disabled);
  if (!ended(state.order)) await pressed(run, () => $("cancel"));
  await until(run, whole);
}

/** Points at a button that is there and can be pressed, and presses it. */
async function pressed(run, find) {
  await until(run, () => find() && !find().disabled);
  find().scrollIntoView({ block: "nearest" });
  find().classList.add("pointed");
  await rest(run, POINT_MS);
  // The page may have drawn it anew meanwhile.
  const button = find();
  unpoint();
  if (!button) throw new Error("the button has gone");
  button.click();
}

const unpoint = () => document.querySelectorAll(".pointed").forEach(element => element.classList.remove("pointed"));

async function rest(run, ms) {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    if (run.stopped) throw new Stopped();
    await pause(50)();
  }
}

async function until(run, condition) {
  const end = performance.now() + WAIT_MS;
  for (;;) {
    if (run.stopped) throw new Stopped();
    const done = condition();
    if (done instanceof Promise ? (await done, true) : done) return;
    if (performance.now() > end) throw new Error("it did not happen");
    await pause(50)();
  }
}
