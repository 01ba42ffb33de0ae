// Step 6: the model on the microphone, its score as a curve, and what a threshold costs.

import { Microphone, showLevel, toInt16 } from "./microphone.js";
import { countedIn, expected } from "./sensitivity.js";
import { element, t } from "./texts.js";

const SHOWN_S = 10;
const HITS = 20;
const MOST_WAITING = 1e6; // bytes; of a server that is slower, audio is left out

export function setup(studio) {
  const canvas = document.getElementById("curve");
  const slider = document.getElementById("threshold");
  const button = document.getElementById("listen");
  const meter = document.querySelector("#live .level");
  const hits = document.getElementById("hits");
  let session = null;
  let scores = [];
  let marks = [];
  let hopS = 0.04;

  async function start() {
    let isReady = false;
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${studio.project.address("/live")}`);
    const microphone = new Microphone((piece, db) => {
      showLevel(meter, db);
      if (isReady && socket.readyState === WebSocket.OPEN && socket.bufferedAmount < MOST_WAITING) socket.send(toInt16(piece));
    });
    session = { socket, microphone };
    scores = [];
    marks = [];
    button.textContent = t("live_stop");
    button.classList.add("recording");
    try {
      await new Promise((done, fail) => {
        socket.onopen = done;
        socket.onerror = () => fail(new Error(t("live_gone")));
      });
      await microphone.open().catch((error) => {
        throw new Error(t("microphone_none", { error: error.name }));
      });
      socket.onmessage = (event) => heard(JSON.parse(event.data));
      socket.onclose = () => session?.socket === socket && stop(t("live_gone"));
      socket.send(JSON.stringify({ rate: microphone.rate, threshold: Number(slider.value) }));
      isReady = true;
    } catch (error) {
      await stop();
      throw error;
    }
  }

  async function stop(told = "") {
    const ended = session;
    session = null;
    button.textContent = t("live_start");
    button.classList.remove("recording");
    showLevel(meter, -60);
    if (told) studio.wrong(told);
    ended?.socket.close();
    await ended?.microphone.close();
  }

  function heard(message) {
    hopS = message.hop_s ?? hopS;
    if (!message.scores) return;
    scores.push(...message.scores);
    for (const found of message.detections) {
      marks.push(Math.round(found.time_s / hopS));
      const time = `${found.time_s.toFixed(1)} s`;
      hits.prepend(element("li", {}, t("hit", { time, score: found.score.toFixed(2) })));
      while (hits.children.length > HITS) hits.lastElementChild.remove();
    }
    requestAnimationFrame(draw);
  }

  function draw() {
    const context = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const { width, height } = canvas;
    const count = Math.round(SHOWN_S / hopS);
    const first = Math.max(0, scores.length - count);
    const x = (index) => ((index - first) / count) * width;
    const y = (score) => height - 8 - score * (height - 16);
    context.clearRect(0, 0, width, height);
    context.fillStyle = color("--mark");
    for (const mark of marks) if (mark >= first) context.fillRect(x(mark) - 1.5, 0, 3, height);
    context.strokeStyle = color("--dim");
    context.setLineDash([8, 6]);
    context.lineWidth = 2;
    line(context, [[0, y(Number(slider.value))], [width, y(Number(slider.value))]]);
    context.setLineDash([]);
    context.strokeStyle = color("--accent");
    context.lineWidth = 3;
    line(context, scores.slice(first).map((score, index) => [x(first + index), y(score)]));
  }

  function line(context, points) {
    context.beginPath();
    for (const point of points) context.lineTo(...point);
    context.stroke();
  }

  /** Say how often the model wakes by mistake at the threshold that is set. */
  function showExpected() {
    const threshold = Number(slider.value);
    document.getElementById("threshold-value").textContent = threshold.toFixed(3);
    const curve = studio.state.sensitivity;
    document.getElementById("expected").textContent = expected(curve, threshold);
    document.getElementById("expected-from").textContent = countedIn(curve);
    draw();
  }

  slider.addEventListener("input", () => {
    showExpected();
    if (session?.socket.readyState === WebSocket.OPEN && session.microphone.rate) {
      session.socket.send(JSON.stringify({ threshold: Number(slider.value) }));
    }
  });
  button.addEventListener("click", () => (session ? stop() : studio.doing(start)));
  document.getElementById("keep-threshold").addEventListener("click", () => studio.doing(() => keep(Number(slider.value))));
  document.getElementById("own-threshold").addEventListener("click", () => studio.doing(() => keep(null)));

  async function keep(threshold) {
    await studio.project.call("PATCH", "", { threshold });
    shownFor = "";
    await studio.refresh();
    studio.say(t("threshold_kept", { threshold: Number(slider.value).toFixed(3) }));
  }

  let shownFor = "";
  return {
    show(state) {
      document.getElementById("live-body").hidden = !state.model;
      document.getElementById("live-none").hidden = Boolean(state.model);
      if (!state.model || shownFor === String(state.job.ended)) return;
      shownFor = String(state.job.ended);
      slider.value = state.threshold ?? state.sensitivity?.chosen ?? 0.5;
      showExpected();
    },
    hidden: () => session && stop(),
  };
}
