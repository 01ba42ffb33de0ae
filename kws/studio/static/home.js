// The first page: make a project and go there.

import { call } from "./api.js";

const form = document.getElementById("create");
const wrong = document.getElementById("wrong");

// The browser knows the names of languages in the language of the page.
const names = new Intl.DisplayNames([document.documentElement.lang], { type: "language" });
for (const option of form.language.options) {
  try {
    const name = names.of(option.value.replace(/-(?![a-z]{2}$).*/, ""));
    if (name !== option.value) option.textContent = `${name} (${option.value})`;
  } catch {
    // A code of eSpeak that no browser knows stays as it is.
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  wrong.hidden = true;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const { name } = await call("POST", "/api/projects", {
      keyword: form.keyword.value,
      language: form.language.value,
    });
    location.href = `/projects/${encodeURIComponent(name)}`;
  } catch (error) {
    wrong.textContent = error.message;
    wrong.hidden = false;
    form.keyword.setAttribute("aria-invalid", "true");
    form.keyword.focus();
    button.disabled = false;
  }
});
