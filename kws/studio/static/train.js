// Step 4: start, watch, cancel and go on with the training; its state lies with the server.

import { element, lengthOf, t } from "./texts.js";

const EVERY_MS = 700;

export function setup(studio) {
  const form = document.getElementById("train-form");
  const [start, resume, cancel] = ["start", "resume", "cancel"].map((id) => document.getElementById(id));
  const rate = document.getElementById("rate");
  let timer = null;
  let picked = false;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    studio.doing(() => begin(false));
  });
  resume.addEventListener("click", () => studio.doing(() => begin(true)));
  cancel.addEventListener("click", () => studio.doing(async () => showJob(await studio.project.call("DELETE", "/job"))));
  form.addEventListener("change", (event) => (picked ||= event.target.name === "method"));
  rate.addEventListener("change", () =>
    studio.doing(() => studio.project.call("PATCH", "", { false_accepts_per_hour: Number(rate.value) })),
  );

  async function begin(isResumed) {
    const method = isResumed ? studio.state.job.method : form.elements.method.value;
    showJob(await studio.project.call("POST", "/job", { method, resume: isResumed }));
  }

  async function look() {
    timer = null;
    const job = await studio.project.call("GET", "/job").catch(() => null);
    if (job && job.status === "running") showJob(job);
    else if (job) await studio.refresh();
    else watch();
  }

  function watch() {
    timer ??= setTimeout(look, EVERY_MS);
  }

  function showJob(job) {
    studio.state.job = job;
    const runs = job.status === "running";
    document.getElementById("job").hidden = job.status === "none";
    document.getElementById("job").dataset.status = job.status;
    start.hidden = cancel.hidden = false;
    start.hidden = runs;
    cancel.hidden = !runs;
    resume.hidden = job.status !== "stopped";
    start.classList.toggle("primary", job.status !== "stopped");
    start.textContent = t(job.status === "none" ? "start" : "start_again");
    for (const input of form.elements) if (input.type === "radio" || input === rate) input.disabled = runs || input.dataset.lacks === "yes";
    showStages(job);
    const bar = document.getElementById("bar");
    bar.hidden = !runs;
    if (job.total && job.done < job.total) {
      bar.max = job.total;
      bar.value = job.done;
    } else bar.removeAttribute("value");
    document.getElementById("job-what").textContent = runs && job.what ? `${job.what} ${job.done}/${job.total}` : "";
    const time = lengthOf(Math.max(0, (job.ended || Date.now() / 1000) - job.began));
    const state = document.getElementById("job-state");
    const text = job.status === "none" ? "" : t(`job_${job.status}`, { time, error: job.error });
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle("note", job.status === "failed");
    document.getElementById("job-notes").replaceChildren(...job.notes.map((note) => element("li", {}, note)));
    if (runs) watch();
  }

  function showStages(job) {
    const stages = [...document.querySelectorAll("#job [data-stage]")].filter((stage) => {
      stage.hidden = stage.dataset.stage === "export" && job.method === "typed";
      return !stage.hidden;
    });
    const now = stages.findIndex((stage) => stage.dataset.stage === job.stage);
    stages.forEach((stage, number) => {
      stage.classList.toggle("done", number < now || job.status === "done");
      stage.classList.toggle("now", number === now && job.status === "running");
    });
  }

  function showPlan(state) {
    const { plan, limits } = state;
    document.getElementById("plan").textContent = plan.num_takes
      ? t("plan_some", { takes: plan.num_takes, held: plan.num_held_out, speech: lengthOf(plan.speech_s), noise: lengthOf(plan.noise_s) })
      : t("plan_none", { keyword: state.keyword });
    const trained = form.querySelector("[value=trained]");
    trained.dataset.lacks = plan.can_train ? "no" : "yes";
    trained.disabled = !plan.can_train;
    document.getElementById("trained-why").textContent = plan.can_train
      ? t("method_trained_lead")
      : t("method_trained_lacks", { takes: limits.trained_from, seconds: limits.least_speech_s });
    for (const input of form.querySelectorAll("[name=method]")) {
      const title = input.parentElement.querySelector("b");
      const name = t(`method_${input.value}`);
      title.textContent = input.value === plan.method ? `${name} (${t("recommended")})` : name;
      const wanted = state.job.status === "none" && !picked ? plan.method : state.job.method;
      if (!picked) input.checked = input.value === (wanted === "trained" && !plan.can_train ? "typed" : wanted);
    }
    const wished = String(state.false_accepts_per_hour);
    if (![...rate.options].some((option) => option.value === wished)) rate.append(element("option", { value: wished }, wished));
    rate.value = wished;
  }

  return {
    show(state) {
      showPlan(state);
      showJob(state.job);
    },
  };
}
