// Step 7: the model as a file, and the commands that use it.

import { t } from "./texts.js";

/** A path or a word as a shell takes it. */
const quoted = (text) => (/^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export function setup() {
  return {
    show(state) {
      document.getElementById("export-body").hidden = !state.model;
      document.getElementById("export-none").hidden = Boolean(state.model);
      if (!state.model) return;
      const threshold = state.threshold ?? state.sensitivity?.chosen;
      document.getElementById("export-threshold").textContent = threshold ? t("export_threshold", { threshold: threshold.toFixed(3) }) : "";
      const folder = quoted(state.folder);
      document.getElementById("command-listen").textContent = `kws listen ${quoted(state.exported)}`;
      document.getElementById("command-serve").textContent = `kws serve ${folder}/export --uri tcp://0.0.0.0:10400`;
      document.getElementById("command-train").textContent = [
        `kws train --keyword ${quoted(state.keyword)} --positives ${folder}/positives --negatives ${folder}/negatives --output RUN`,
        `kws eval ${folder}/run --positives ${folder}/positives --negatives ${folder}/negatives --output REPORT`,
      ].join("\n");
    },
  };
}
