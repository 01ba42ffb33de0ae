// What a threshold costs: false wakes per hour, from the counts that training stored.

import { rateOf, t } from "./texts.js";

const ZERO_EVENTS = 3; // what may be expected where none was counted, with 95 % confidence

/** How often the model wakes by mistake at a threshold, as a sentence. */
export function expected(curve, threshold) {
  if (!curve) return t("expected_unknown");
  const next = curve.thresholds.findIndex((each) => each > threshold);
  if (next === 0) return t("expected_more", { rate: rateOf(curve.events[0] / curve.hours) });
  const events = curve.events[(next < 0 ? curve.events.length : next) - 1];
  return events
    ? t("expected_some", { rate: rateOf(events / curve.hours) })
    : t("expected_none", { rate: rateOf(ZERO_EVENTS / curve.hours) });
}

/** Where that was counted. */
export function countedIn(curve) {
  return curve ? t(`from_${curve.source}`, { hours: curve.hours.toFixed(2) }) : "";
}
