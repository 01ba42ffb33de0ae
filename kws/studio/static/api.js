// Calls of the studio's addresses. What the server refuses is thrown with its sentence for the person.

import { t } from "./texts.js";

/** Send a request and return what is answered as JSON. */
export async function call(method, path, body) {
  const options = { method };
  if (body instanceof Blob) options.body = body;
  else if (body !== undefined) options.body = JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error(t("offline"));
  }
  const found = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(found.error ?? `${response.status}`);
  return found;
}

/** The addresses of one project. */
export class Project {
  constructor(name) {
    this.base = `/api/projects/${encodeURIComponent(name)}`;
  }

  address(path) {
    return this.base + path;
  }

  takeAddress(name) {
    return this.address(`/takes/${name.split("/").map(encodeURIComponent).join("/")}`);
  }

  call(method, path, body) {
    return call(method, this.address(path), body);
  }

  /** Upload one recording; returns it with what is wrong with it. */
  upload(blob, role, speaker, name, text = "") {
    const query = new URLSearchParams({ role, speaker, name, text });
    return this.call("POST", `/takes?${query}`, blob);
  }
}
