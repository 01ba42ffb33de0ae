// Runs beside the page, where audio arrives: joins the small blocks of the microphone and hands them on.

const SAMPLES = 2048;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.held = new Float32Array(SAMPLES);
    this.count = 0;
  }

  process(inputs) {
    const channels = inputs[0];
    if (!channels.length) return true;
    for (let index = 0; index < channels[0].length; index++) {
      let sum = 0;
      for (const channel of channels) sum += channel[index];
      this.held[this.count++] = sum / channels.length;
      if (this.count === SAMPLES) {
        this.port.postMessage(this.held);
        this.held = new Float32Array(SAMPLES);
        this.count = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
