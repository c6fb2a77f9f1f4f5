// What is connected with what, which programs run, and a switch on each network that can be cut.

import { state, post } from "./common.js";
import { t, onLanguage } from "./words.js";
import { headline } from "./story.js";

const switches = () => document.querySelectorAll("#links [data-network]");

export function setUp() {
  for (const element of switches()) {
    const { network } = element.dataset;
    element.onclick = async () => {
      const done = await post("/network", { network, up: !state.view.networks[network] });
      if (done.error) headline(done.error);
    };
  }
  onLanguage(show);
}

export function show() {
  for (const element of switches()) {
    const { network } = element.dataset;
    const up = state.view.networks[network];
    element.setAttribute("aria-checked", up);
    element.setAttribute("aria-label", t("wire_label")[network]);
    // A machine without power is no reason to call a network slow.
    const waits = up && network === "broker" && state.view.power && !state.view.connected;
    element.textContent = t(waits ? "wire_waits" : up ? "wire_up" : "wire_cut");
    element.parentElement.classList.toggle("cut", !up);
    element.parentElement.classList.toggle("waits", waits);
  }
  document.querySelector("#links .box.machine").classList.toggle("off", !state.view.power);
}
