/**
 * Keeps the files of this folder in the browser, so that the page works without a network.
 *
 * All files of one version are fetched before any of them is used, and a page is never given files of two.
 * `kws web` writes the two constants: a page with other content is another version.
 */

const VERSION = "";
/** @type {Record<string, string>} name -> checksum, so that a copy that a cache holds is never of another version */
const FILES = {};

const FOLDER = new URL("./", self.location.href);
/** Caches belong to a whole server, on which there may be other folders. */
const OURS = `kws-web ${FOLDER.pathname} `;
const KEPT = new Set(Object.keys(FILES).map((file) => new URL(file, FOLDER).href));

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("message", ({ data }) => {
    if (data === "take over") {
        self.skipWaiting();
    }
});
self.addEventListener("fetch", (event) => {
    const address = new URL(event.request.url);
    address.search = address.hash = "";
    if (address.href === FOLDER.href) {
        address.pathname += "index.html";
    }
    if (event.request.method === "GET" && KEPT.has(address.href)) {
        event.respondWith(answer(address.href, event.request));
    }
});

async function keep() {
    const cache = await caches.open(OURS + VERSION);
    await Promise.all(
        Object.entries(FILES).map(async ([file, integrity]) => {
            const address = new URL(file, FOLDER);
            const answer = await fetch(address, { cache: "no-cache", integrity }).catch(() =>
                fetch(address, { cache: "reload", integrity }),
            );
            if (!answer.ok) {
                throw new Error(`${address}: ${answer.status}`);
            }
            // Some servers send on from index.html; a page may not be given such an answer.
            await cache.put(address, new Response(await answer.blob(), { headers: answer.headers }));
        }),
    );
}

async function takeOver() {
    for (const name of await caches.keys()) {
        if (name.startsWith(OURS) && name !== OURS + VERSION) {
            await caches.delete(name);
        }
    }
    await self.clients.claim();
}

/**
 * @param {string} href
 * @param {Request} request
 */
async function answer(href, request) {
    const cache = await caches.open(OURS + VERSION);
    return (await cache.match(href)) ?? fetch(request);
}
