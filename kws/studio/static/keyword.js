// Step 1: voices that say the keyword, and the ways to say it.

import { play } from "./player.js";
import { element, t } from "./texts.js";

export function setup(studio) {
  const list = document.getElementById("way-list");
  const spelled = document.getElementById("spelled");
  let loaded = false;

  async function load() {
    const query = new URLSearchParams({ spelled: spelled.value });
    const { ways, voices } = await studio.project.call("GET", `/ways?${query}`);
    showVoices(voices);
    showWays(ways);
  }

  function showVoices(voices) {
    const buttons = voices.map((voice) =>
      element(
        "button",
        {
          type: "button",
          "aria-label": t("hear_voice", { voice }),
          onclick: () => studio.doing(() => play(studio.project.address(`/say?${new URLSearchParams({ voice })}`))),
        },
        `▶ ${voice.replace(":", " ")}`,
      ),
    );
    document.getElementById("voices").replaceChildren(...buttons);
  }

  function showWays(ways) {
    const chosen = JSON.stringify(studio.state.lexicon);
    const canPick = ways.some((way) => Object.keys(way.lexicon).length);
    const any = choice(canPick ? t("way_any") : t("way_only"), {}, chosen === "{}");
    const others = canPick ? ways : [];
    list.replaceChildren(
      any,
      ...others.map((way, number) => choice(way.phones, way.lexicon, JSON.stringify(way.lexicon) === chosen, number)),
    );
    document.querySelector("#ways .row").hidden = !canPick;
    document.querySelector("label[for=spelled]").hidden = !canPick;
  }

  function choice(text, lexicon, checked, number) {
    const input = element("input", { type: "radio", name: "way", checked });
    input.addEventListener("change", () =>
      studio.doing(async () => {
        await studio.project.call("PATCH", "", { lexicon, spelled: spelled.value });
        studio.state.lexicon = lexicon;
        studio.say(t("saved"));
      }),
    );
    const row = element("div", { class: "row" }, element("label", { class: "choice" }, input, element("span", {}, text)));
    if (number !== undefined) {
      const address = studio.project.address(`/say?${new URLSearchParams({ way: number, spelled: spelled.value })}`);
      row.append(
        element("button", { type: "button", "aria-label": `${t("play")} ${text}`, onclick: () => studio.doing(() => play(address)) }, "▶"),
      );
    }
    return row;
  }

  document.getElementById("ways").addEventListener("submit", (event) => {
    event.preventDefault();
    studio.doing(load);
  });

  return {
    shown() {
      if (!loaded) studio.doing(load);
      loaded = true;
    },
  };
}
