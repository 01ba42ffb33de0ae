// Lists of recordings with what is wrong with each, and files that are dropped.

import { play } from "./player.js";
import { element, t } from "./texts.js";

/** What is wrong with a recording, and what to do, in the language of the page. */
export function faultText(found) {
  const note = document.documentElement.lang === "en" && found.note ? found.note : t(`note_${found.fault}`);
  return `${t(`fault_${found.fault}`)}. ${note}`;
}

export function setup(studio) {
  for (const place of document.querySelectorAll(".drop")) {
    const input = place.querySelector("input");
    input.addEventListener("change", () => studio.doing(() => uploadAll([...input.files], place.dataset.role).finally(() => (input.value = ""))));
    place.addEventListener("dragover", (event) => {
      event.preventDefault();
      place.classList.add("over");
    });
    place.addEventListener("dragleave", () => place.classList.remove("over"));
    place.addEventListener("drop", (event) => {
      event.preventDefault();
      place.classList.remove("over");
      studio.doing(() => uploadAll([...event.dataTransfer.files], place.dataset.role));
    });
  }

  /** Upload files one after the other; those that cannot be used are named at the end. */
  async function uploadAll(files, role) {
    const speaker = role === "noise" ? "" : document.getElementById("speaker").value;
    const wrong = [];
    for (const [number, file] of files.entries()) {
      studio.say(t("uploading", { name: file.name, number: number + 1, count: files.length }));
      await studio.project.upload(file, role, speaker, file.name).catch((error) => wrong.push(`${file.name}: ${error.message}`));
    }
    await studio.refresh();
    studio.say(t("uploaded", { count: files.length - wrong.length }));
    if (wrong.length) throw new Error(wrong.join("\n"));
  }

  function row(take) {
    const name = take.found.origin || take.name.split("/").slice(1).join("/");
    const address = studio.project.takeAddress(take.name);
    const remove = () => studio.doing(async () => {
      await studio.project.call("DELETE", address.slice(studio.project.base.length));
      await studio.refresh();
    });
    const buttons = [
      element("button", { type: "button", "aria-label": t("take_play", { name }), onclick: () => studio.doing(() => play(address)) }, "▶"),
    ];
    if (take.is_set_aside) {
      const keep = () => studio.doing(async () => {
        await studio.project.call("PUT", address.slice(studio.project.base.length));
        await studio.refresh();
      });
      const redo = async () => {
        await remove();
        studio.redo();
      };
      buttons.push(element("button", { type: "button", "data-keep": take.name, onclick: keep }, t("take_keep")));
      if (!take.found.origin && take.role === "positives") {
        buttons.push(element("button", { type: "button", onclick: redo }, t("take_redo")));
      }
    }
    buttons.push(
      element("button", { type: "button", class: "danger", "aria-label": t("take_delete_name", { name }), onclick: remove }, t("take_delete")),
    );
    const text = element("span", {}, name, " ", element("small", {}, t("seconds", { count: take.length_s.toFixed(1) })));
    const shown = element("li", { "data-take": take.name, "data-fault": take.found.fault }, text, element("span", { class: "buttons" }, ...buttons));
    if (take.found.fault) shown.append(element("p", { class: take.is_set_aside ? "note wrong fault" : "note fault" }, faultText(take.found)));
    return shown;
  }

  return {
    show(state) {
      for (const list of document.querySelectorAll("[data-list]")) {
        const takes = state.takes.filter((take) => take.role === list.dataset.list).reverse();
        takes.sort((one, other) => Number(other.is_set_aside) - Number(one.is_set_aside));
        list.replaceChildren(...(takes.length ? takes.map(row) : [element("li", { class: "dim" }, t("takes_none"))]));
      }
    },
  };
}
