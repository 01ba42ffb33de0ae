/** The service worker, which keeps the page for when there is no network, and new versions of it. */

/**
 * @param {HTMLButtonElement} button loads a new version; shown when there is one and the page is in use
 * @param {() => boolean} isIdle nothing is lost when the page is loaded anew
 */
export async function keepOffline(button, isIdle) {
    if (navigator.serviceWorker === undefined) {
        return; // not on https or localhost, or a private window; the page works without
    }
    const first = navigator.serviceWorker.controller === null;
    navigator.serviceWorker.addEventListener("controllerchange", () => {
        if (!first) {
            location.reload();
        }
    });
    const registration = await navigator.serviceWorker.register("sw.js").catch(() => null);
    if (registration === null || first) {
        return;
    }
    const offer = () => {
        if (registration.waiting === null) {
            return;
        }
        button.hidden = isIdle();
        if (isIdle()) {
            registration.waiting.postMessage("take over");
        }
    };
    button.addEventListener("click", () => registration.waiting?.postMessage("take over"));
    const follow = () => registration.installing?.addEventListener("statechange", offer);
    registration.addEventListener("updatefound", follow);
    follow(); // it may have been found before
    offer();
}
