// The words of the page, which the server puts into it in the language of the person.

const texts = JSON.parse(document.getElementById("texts")?.textContent ?? "{}");

/** The text of a key, with values in the place of {names}. */
export function t(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Seconds as a person says them. */
export function lengthOf(seconds) {
  if (seconds < 90) return t("seconds", { count: Math.round(seconds) });
  if (seconds < 5400) return t("minutes", { count: Math.round(seconds / 60) });
  return t("hours", { count: (seconds / 3600).toFixed(1) });
}

/** A rate with as many digits as it is worth. */
export function rateOf(rate) {
  return rate >= 10 ? String(Math.round(rate)) : rate >= 1 ? rate.toFixed(1) : rate.toPrecision(1);
}

/** An element with text or children; nothing is read as HTML. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}
