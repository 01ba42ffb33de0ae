// Step 3: a guided minute of other speech and of the room, sent in pieces as it is recorded.

import { Microphone, showLevel, wav } from "./microphone.js";
import { lengthOf, t } from "./texts.js";
import { pause } from "./voice.js";

const MINUTE_S = 60;
const NOISE_PIECE_S = 10;

export function setup(studio) {
  const recorders = { negatives: "speech-recorder", noise: "noise-recorder" };
  let stop = null;

  async function record(role, place) {
    const prompt = place.querySelector(".prompt");
    const button = place.querySelector(".record");
    const stopped = new Promise((done) => (stop = () => done(true)));
    let held = [];
    const microphone = new Microphone((piece, db) => {
      held.push(piece);
      showLevel(place.querySelector(".level"), db);
    });
    button.textContent = t("record_stop");
    button.classList.add("recording");
    try {
      await microphone.open().catch((error) => {
        throw new Error(t("microphone_none", { error: error.name }));
      });
      const sent = [];
      for (let number = 0, doneS = 0; doneS < MINUTE_S; number++) {
        const { text, seconds } = pieceOf(role, number);
        prompt.textContent = text || t("reading_free");
        held = [];
        const goesOn = await pause(seconds * 1000, stopped);
        doneS += seconds;
        place.querySelector("progress").value = doneS / MINUTE_S;
        if (held.length) sent.push(studio.project.upload(wav(held, microphone.rate), role, speakerOf(role), "", role === "noise" ? "" : text));
        if (!goesOn) break;
      }
      await Promise.all(sent);
      prompt.textContent = t("minute_done");
    } finally {
      stop = null;
      await microphone.close();
      showLevel(place.querySelector(".level"), -60);
      button.textContent = t("record_minute");
      button.classList.remove("recording");
      await studio.refresh();
    }
  }

  /** What is shown while a piece is recorded, and for how long. */
  function pieceOf(role, number) {
    if (role === "noise") return { text: t("noise_now"), seconds: NOISE_PIECE_S };
    const { reading } = studio.state;
    const before = studio.state.takes.filter((take) => take.role === role).length;
    return reading[(before + number) % reading.length];
  }

  const speakerOf = (role) => (role === "noise" ? "" : document.getElementById("speaker").value);

  for (const [role, id] of Object.entries(recorders)) {
    const place = document.getElementById(id);
    place.querySelector(".record").addEventListener("click", () => (stop ? stop() : studio.doing(() => record(role, place))));
  }

  return {
    show(state) {
      for (const role of Object.keys(recorders)) {
        const takes = state.takes.filter((take) => take.role === role);
        const length = lengthOf(takes.reduce((sum, take) => sum + take.length_s, 0));
        document.querySelector(`[data-count=${role}]`).textContent = t("sounds_count", { count: takes.length, length });
      }
    },
    hidden: () => stop?.(),
  };
}
