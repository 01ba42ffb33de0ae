// The microphone at the rate of the device: pieces of samples, their level, and files of them.

const WANTED = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

export class Microphone {
  /** @param {(piece: Float32Array, levelDb: number) => void} onPiece called about every 40 ms */
  constructor(onPiece) {
    this.onPiece = onPiece;
  }

  /** Open the microphone; the browser may ask the person. */
  async open() {
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: WANTED });
    this.context = new AudioContext();
    try {
      await this.context.audioWorklet.addModule("/static/capture.js");
      await this.context.resume();
      this.rate = this.context.sampleRate;
      this.node = new AudioWorkletNode(this.context, "capture", { numberOfOutputs: 0 });
      this.node.port.onmessage = (event) => this.onPiece(event.data, levelDb(event.data));
      this.context.createMediaStreamSource(this.stream).connect(this.node);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Close it; the browser shows that nothing is recorded any more. */
  async close() {
    if (this.node) this.node.port.onmessage = null;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    if (this.context && this.context.state !== "closed") await this.context.close();
  }
}

/** Root mean square of samples against full scale, in decibels, at least -100. */
export function levelDb(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.max(-100, 10 * Math.log10(sum / samples.length + 1e-12));
}

/** Samples in [-1, 1] as 16-bit integers. */
export function toInt16(samples) {
  const found = new Int16Array(samples.length);
  for (let index = 0; index < samples.length; index++) {
    found[index] = Math.max(-32768, Math.min(32767, Math.round(samples[index] * 32768)));
  }
  return found;
}

/** Pieces of samples as a WAV file of 16 bits. */
export function wav(pieces, rate) {
  const parts = pieces.map(toInt16);
  const bytes = 2 * parts.reduce((sum, part) => sum + part.length, 0);
  const head = new DataView(new ArrayBuffer(44));
  const text = (place, letters) => [...letters].forEach((letter, at) => head.setUint8(place + at, letter.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, bytes, true);
  return new Blob([head, ...parts], { type: "audio/wav" });
}

/** Show a level in a meter of the page. */
export function showLevel(meter, db) {
  const shown = Math.max(-60, Math.min(0, db));
  meter.firstElementChild.style.width = `${((shown + 60) / 60) * 100}%`;
  meter.setAttribute("aria-valuenow", String(Math.round(shown)));
  meter.classList.toggle("loud", db > -6);
}
