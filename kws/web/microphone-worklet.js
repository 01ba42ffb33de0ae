/** Runs beside the sound: hands on what the microphone gives, in pieces of about 20 ms. */

const PIECE_S = 0.02;

class MicrophoneProcessor extends AudioWorkletProcessor {
    constructor() {
        super();
        this.piece = new Float32Array(Math.ceil((sampleRate * PIECE_S) / 128) * 128);
        this.filled = 0;
        this.open = true;
        this.port.onmessage = () => {
            this.open = false;
        };
    }

    /** @param {Float32Array[][]} inputs */
    process([[samples]]) {
        if (samples === undefined) {
            return this.open; // the microphone is not connected yet
        }
        let taken = 0;
        while (taken < samples.length) {
            const count = Math.min(this.piece.length - this.filled, samples.length - taken);
            this.piece.set(samples.subarray(taken, taken + count), this.filled);
            this.filled += count;
            taken += count;
            if (this.filled === this.piece.length) {
                this.port.postMessage(this.piece.slice());
                this.filled = 0;
            }
        }
        return this.open;
    }
}

registerProcessor("kws-microphone", MicrophoneProcessor);
