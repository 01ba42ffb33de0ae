// One player for the whole page: a new sound ends the one before.

const player = new Audio();

/** Play what an address answers with, from a moment on. */
export async function play(address, startS = 0) {
  player.pause();
  player.src = address;
  if (startS) {
    await new Promise((done) => player.addEventListener("loadedmetadata", done, { once: true }));
    player.currentTime = startS;
  }
  await player.play();
}
