// Step 5: what the model misses and what it wakes on, with what can be listened to.

import { play } from "./player.js";
import { countedIn, expected } from "./sensitivity.js";
import { element, lengthOf, t } from "./texts.js";

const SHORT_H = 0.5; // less audio tells next to nothing about false wakes per hour

export function setup(studio) {
  const body = document.getElementById("report-body");

  function places(found, none) {
    if (!found.length) return element("p", {}, t(none));
    const rows = found.map((place) => {
      const name = place.name.split("/").slice(1).join("/");
      const listen = () => studio.doing(() => play(studio.project.takeAddress(place.name), place.start_s));
      return element(
        "li",
        { "data-place": place.name },
        element("span", {}, name, " ", element("small", {}, t("report_score", { score: place.score.toFixed(2) }))),
        element("span", { class: "buttons" }, element("button", { type: "button", "aria-label": t("take_play", { name }), onclick: listen }, "▶")),
      );
    });
    return element("ul", { class: "takes" }, ...rows);
  }

  function cards(state) {
    const { report } = state;
    const seconds = report.hours * 3600;
    const share = Math.round((100 * report.num_missed) / report.num_clips);
    const isShort = report.hours < SHORT_H;
    return element(
      "div",
      { class: "cards" },
      card(`${share} % ${t("report_missed")}`, t("report_missed_of", { missed: report.num_missed, count: report.num_clips })),
      card(`${report.num_false} ${t("report_false")}`, t("report_false_in", { length: lengthOf(seconds) }), isShort ? t("report_false_short") : ""),
      card(expected(state.sensitivity, report.threshold), countedIn(state.sensitivity)),
    );
  }

  const card = (title, ...lines) => element("div", { class: "card" }, element("b", {}, title), ...lines.map((line) => element("span", {}, line)));

  function doubts(report, limits) {
    const told = [];
    if (!report.held_out) told.push(t("report_trained_on", { count: limits.held_out_from }));
    else told.push(t("report_one_voice"));
    if (report.num_clips < limits.few_takes) {
      const [low, high] = [report.miss_low, report.miss_high].map((share) => Math.round(100 * share));
      told.push(t("report_few", { count: report.num_clips, low, high }));
    }
    return told.map((text) => element("p", { class: "note" }, text));
  }

  function whole(state) {
    const { report } = state;
    // A new address for each report, so that no earlier picture is shown.
    const stamp = `?${state.job.ended}`;
    const picture = studio.project.address(`/report/det.png${stamp}`);
    return [
      cards(state),
      ...doubts(report, state.limits),
      element("h3", {}, t("report_play_missed")),
      places(report.missed, "report_none_missed"),
      element("h3", {}, t("report_play_false")),
      places(report.fired_on, "report_none_false"),
      element("h3", {}, t("report_det")),
      element("figure", { class: "det" }, element("img", { src: picture, alt: t("report_det_alt") }), element("figcaption", {}, t("report_det_lead"))),
      element("h3", {}, t("report_notes")),
      element("ul", {}, ...report.notes.map((note) => element("li", {}, note))),
      element("p", {}, element("a", { class: "button", target: "_blank", href: studio.project.address("/report/report.html") }, t("report_full"))),
    ];
  }

  return {
    show(state) {
      if (!state.report) body.replaceChildren(element("p", { class: "dim" }, t("report_none")));
      else if (state.report.lacking.length) {
        const what = state.report.lacking.map((name) => t(`lacking_${name}`)).join(", ");
        body.replaceChildren(element("p", { class: "note" }, t("report_lacking", { what })));
      } else body.replaceChildren(...whole(state));
    },
  };
}
