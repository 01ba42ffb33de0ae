// Step 2: record the keyword, one utterance after the other, each checked at once.

import { Microphone, showLevel, wav } from "./microphone.js";
import { faultText } from "./takes.js";
import { t } from "./texts.js";
import { Utterance } from "./utterance.js";

const COUNTDOWN = 3;
const AGAIN_COUNTDOWN = 1;
const COUNT_MS = 700;
const BETWEEN_MS = 1200; // so long what was found is shown before the next begins

export function setup(studio) {
  const place = document.getElementById("take-recorder");
  const prompt = place.querySelector(".prompt");
  const meter = place.querySelector(".level");
  const button = place.querySelector(".record");
  const again = document.getElementById("again");
  const speaker = document.getElementById("speaker");
  speaker.value = localStorage.getItem("speaker") ?? speaker.value;
  speaker.addEventListener("change", () => localStorage.setItem("speaker", speaker.value));
  let stop = null;

  async function record() {
    const stopped = new Promise((done) => (stop = () => done(true)));
    button.classList.add("recording");
    label(t("record_stop"));
    let onPiece = () => {};
    const microphone = new Microphone((piece, db) => {
      showLevel(meter, db);
      onPiece(piece, db);
    });
    const listen = (heard) => (onPiece = heard);
    try {
      await microphone.open().catch((error) => {
        throw new Error(t("microphone_none", { error: error.name }));
      });
      let countdown = COUNTDOWN;
      do {
        const take = await recordOne(microphone, listen, countdown, stopped);
        if (!take) break;
        prompt.textContent = t("take_checking");
        const found = await studio.project.upload(take, "positives", speaker.value, "");
        await studio.refresh();
        prompt.textContent = found.found.fault ? `${t("take_set_aside")} ${faultText(found.found)}` : t("take_good");
        studio.say(prompt.textContent);
        countdown = AGAIN_COUNTDOWN;
      } while (again.checked && (await pause(BETWEEN_MS, stopped)));
    } catch (error) {
      prompt.textContent = t("take_ready");
      throw error;
    } finally {
      stop = null;
      await microphone.close();
      showLevel(meter, -60);
      button.classList.remove("recording");
      label(t("record_take"));
    }
  }

  function label(text) {
    button.firstChild.textContent = `${text} `;
  }

  /** Count down, and return a WAV of the utterance that follows; null where the person stops before. */
  async function recordOne(microphone, listen, countdown, stopped) {
    const floor = [];
    listen((piece, db) => floor.push(db));
    for (let count = countdown; count > 0; count--) {
      prompt.textContent = t("take_wait", { count });
      if (!(await pause(COUNT_MS, stopped))) {
        prompt.textContent = t("take_ready");
        return null;
      }
    }
    floor.sort((one, other) => one - other);
    const utterance = new Utterance(microphone.rate, floor[Math.floor(floor.length / 4)] ?? -60);
    prompt.textContent = t("take_now", { keyword: studio.state.keyword });
    const ended = new Promise((done) =>
      listen((piece, db) => {
        if (utterance.push(piece, db)) done(false);
        else if (utterance.isHeard) prompt.textContent = t("take_heard");
      }),
    );
    const byHand = await Promise.race([ended, stopped]);
    listen(() => {});
    if (!byHand || utterance.isHeard) return wav(utterance.pieces, microphone.rate);
    prompt.textContent = t("take_ready");
    return null;
  }

  button.addEventListener("click", () => (stop ? stop() : studio.doing(record)));

  return {
    redo: () => !stop && studio.doing(record),
    key(event) {
      if (event.key === "r" || event.key === "R") button.click();
    },
    show(state) {
      const takes = state.takes.filter((take) => take.role === "positives");
      const kept = takes.filter((take) => !take.is_set_aside).length;
      const aside = takes.length - kept;
      const told = [t("takes_count", { count: kept, wanted: Math.max(kept, state.limits.wanted_takes) })];
      if (aside) told.push(t("takes_aside", { count: aside }));
      place.querySelector(".count").textContent = told.join(" · ");
    },
    hidden: () => stop?.(),
  };
}

/** Wait; returns false where the person stops before. */
export async function pause(ms, stopped) {
  return !(await Promise.race([stopped, new Promise((done) => setTimeout(() => done(false), ms))]));
}
