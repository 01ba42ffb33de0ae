// The page of a project: shows one step at a time, and keeps what all steps know.

import { Project } from "./api.js";
import * as exporting from "./export.js";
import * as keyword from "./keyword.js";
import * as live from "./live.js";
import * as report from "./report.js";
import * as sounds from "./sounds.js";
import * as takes from "./takes.js";
import { element, t } from "./texts.js";
import * as train from "./train.js";
import * as voice from "./voice.js";

const wrongPlace = document.getElementById("wrong");
const steps = [...document.querySelectorAll("[data-step]")].map((link) => link.dataset.step);

const studio = {
  project: new Project(document.getElementById("project").dataset.name),
  state: null,

  /** Say something to people who hear the page. */
  say(text) {
    document.getElementById("said").textContent = text;
  },

  /** Show what is wrong. */
  wrong(text) {
    wrongPlace.textContent = text;
    wrongPlace.hidden = !text;
    if (text) wrongPlace.scrollIntoView({ block: "nearest" });
  },

  /** Do something that may be refused, and show why it was. */
  async doing(action) {
    studio.wrong("");
    try {
      await action();
    } catch (error) {
      studio.wrong(error.message);
    }
  },

  /** Read the state of the project again and show it in every step. */
  async refresh() {
    studio.state = await studio.project.call("GET", "");
    for (const part of parts) part.show?.(studio.state);
    showMarks(studio.state);
  },

  redo() {
    byStep.voice.redo();
  },
};

const byStep = {
  keyword: keyword.setup(studio),
  voice: voice.setup(studio),
  sounds: sounds.setup(studio),
  train: train.setup(studio),
  report: report.setup(studio),
  live: live.setup(studio),
  export: exporting.setup(studio),
};
const parts = [takes.setup(studio), ...Object.values(byStep)];
let current = null;

function showStep(isFirst) {
  const wished = location.hash.slice(1);
  if (wished === "content") return; // the link that skips to the content
  const step = steps.includes(wished) ? wished : steps[0];
  if (step === current) return;
  byStep[current]?.hidden?.();
  current = step;
  for (const name of steps) document.getElementById(name).hidden = name !== step;
  for (const link of document.querySelectorAll("[data-step]")) {
    if (link.dataset.step === step) {
      link.setAttribute("aria-current", "step");
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else link.removeAttribute("aria-current");
  }
  studio.wrong("");
  byStep[step].shown?.();
  window.scrollTo(0, 0);
  if (!isFirst) document.querySelector(`#${step} h2`).focus({ preventScroll: true });
}

function showMarks(state) {
  const has = (role) => state.takes.some((take) => take.role === role && !take.is_set_aside);
  const done = {
    keyword: has("positives") || state.model,
    voice: has("positives"),
    sounds: has("negatives") && has("noise"),
    train: state.model,
    report: state.report && !state.report.lacking.length,
  };
  for (const link of document.querySelectorAll("[data-step]")) {
    const isDone = Boolean(done[link.dataset.step]);
    link.dataset.done = isDone ? "yes" : "no";
    const mark = isDone ? [element("span", { "aria-hidden": "true" }, "✓"), element("span", { class: "visually-hidden" }, t("step_done"))] : [];
    link.querySelector(".mark").replaceChildren(...mark);
  }
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select");
  if (!isTyping && !event.ctrlKey && !event.metaKey && !event.altKey && !event.repeat) byStep[current]?.key?.(event);
});
window.addEventListener("hashchange", () => showStep(false));
await studio.doing(() => studio.refresh());
showStep(true);
document.body.dataset.ready = "yes";
