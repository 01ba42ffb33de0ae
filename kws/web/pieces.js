/** Pieces of audio on their way to a listener who may be slower than the sound. */

import { SAMPLE_RATE } from "./resampler.js";

/** Most audio that may wait for the listener, in seconds; what comes then is lost, and is said to be. */
const MAX_WAITING_S = 5;

/** Hands pieces on in order; those that come while too much waits are lost. */
export class Pieces {
    /**
     * @param {(pcm: Float32Array) => unknown} onAudio
     * @param {import("./index.js").MicrophoneOptions} options
     */
    constructor(onAudio, options) {
        this.onAudio = onAudio;
        this.options = options;
        this.waitingS = 0;
        /** Is settled once all pieces so far are done. */
        this.last = Promise.resolve();
    }

    /** @param {Float32Array} pcm */
    take(pcm) {
        const lengthS = pcm.length / SAMPLE_RATE;
        if (this.waitingS + lengthS > MAX_WAITING_S) {
            this.options.onLost?.(lengthS);
            return;
        }
        this.waitingS += lengthS;
        this.last = this.last
            .then(() => this.onAudio(pcm))
            .then(
                () => undefined,
                (error) => {
                    if (this.options.onError === undefined) {
                        throw error;
                    }
                    this.options.onError(error);
                },
            )
            .finally(() => {
                this.waitingS -= lengthS;
            });
    }
}
