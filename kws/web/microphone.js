/** The person's microphone as a stream of mono audio at 16 kHz. */

import { Pieces } from "./pieces.js";
import { Resampler, SAMPLE_RATE } from "./resampler.js";

const WORKLET = new URL("./microphone-worklet.js", import.meta.url);
/** Time in which sound must begin to flow, in milliseconds. */
const START_MS = 20_000;

/** Name of a browser's error -> kind of ours. */
const KINDS = new Map([
    ["NotAllowedError", "refused"],
    ["SecurityError", "refused"],
    ["NotFoundError", "absent"],
    ["OverconstrainedError", "absent"],
    ["NotReadableError", "busy"],
    ["AbortError", "busy"],
]);

/** The microphone cannot be used. */
export class MicrophoneError extends Error {
    /**
     * @param {import("./index.js").MicrophoneErrorKind} kind
     * @param {string} message
     * @param {ErrorOptions} [options]
     */
    constructor(kind, message, options) {
        super(message, options);
        this.name = "MicrophoneError";
        this.kind = kind;
    }
}

/**
 * Open the microphone; call it when a person has pressed a button, as browsers start no sound before.
 *
 * The browser's own changes of the sound are switched off: models are trained on sound as it is.
 *
 * @param {(pcm: Float32Array) => unknown} onAudio is given (samples,) at 16 kHz, one piece after the other; where
 *     it returns a promise, the next piece waits for it
 * @param {import("./index.js").MicrophoneOptions} [options]
 * @returns {Promise<import("./index.js").Microphone>}
 */
export async function openMicrophone(onAudio, options = {}) {
    if (!globalThis.isSecureContext) {
        throw new MicrophoneError("insecure", "browsers give the microphone to https and localhost alone");
    }
    if (navigator.mediaDevices === undefined || globalThis.AudioWorkletNode === undefined) {
        throw new MicrophoneError("unsupported", "this browser has no microphone for pages, or no AudioWorklet");
    }
    const context = new AudioContext();
    /** @type {MediaStream | undefined} */
    let stream;
    try {
        context.resume().catch(() => undefined); // while the press of the button counts
        stream = await navigator.mediaDevices.getUserMedia({
            audio: {
                autoGainControl: false,
                channelCount: 1,
                echoCancellation: false,
                noiseSuppression: false,
                ...(options.deviceId === undefined ? {} : { deviceId: { exact: options.deviceId } }),
            },
        });
        // A page that may hear may play too: some browsers let the sound flow only now.
        await Promise.all([within(context.resume(), START_MS), context.audioWorklet.addModule(WORKLET)]);
        return connect(context, stream, onAudio, options);
    } catch (error) {
        stop(context, stream);
        throw named(error);
    }
}

/**
 * @param {AudioContext} context
 * @param {MediaStream} stream
 * @param {(pcm: Float32Array) => unknown} onAudio
 * @param {import("./index.js").MicrophoneOptions} options
 * @returns {import("./index.js").Microphone}
 */
function connect(context, stream, onAudio, options) {
    const resampler = new Resampler(context.sampleRate, SAMPLE_RATE);
    const node = new AudioWorkletNode(context, "kws-microphone", {
        channelCount: 1,
        channelCountMode: "explicit",
        numberOfInputs: 1,
        outputChannelCount: [1],
    });
    const pieces = new Pieces(onAudio, options);
    node.port.onmessage = ({ data }) => pieces.take(resampler.push(data));
    context.createMediaStreamSource(stream).connect(node);
    node.connect(context.destination); // it gives silence; without a way out some browsers run no node
    const [track] = stream.getAudioTracks();
    let open = true;
    const close = async () => {
        if (open) {
            open = false;
            node.port.postMessage("end");
            stop(context, stream);
        }
        await pieces.last;
    };
    track.onended = () => {
        close();
        options.onEnd?.();
    };
    return { label: track.label, sampleRate: context.sampleRate, close };
}

/**
 * @param {AudioContext} context
 * @param {MediaStream} [stream]
 */
function stop(context, stream) {
    for (const track of stream?.getTracks() ?? []) {
        track.stop();
    }
    context.close().catch(() => undefined);
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {number} milliseconds
 * @returns {Promise<T>}
 */
async function within(promise, milliseconds) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(
            () => reject(new MicrophoneError("blocked", "the browser let no sound flow; is there a speaker?")),
            milliseconds,
        );
    });
    try {
        return /** @type {T} */ (await Promise.race([promise, late]));
    } finally {
        clearTimeout(timer);
    }
}

/** @param {unknown} error */
function named(error) {
    if (error instanceof MicrophoneError) {
        return error;
    }
    const { name, message } = /** @type {Error} */ (error);
    const kind = /** @type {import("./index.js").MicrophoneErrorKind} */ (KINDS.get(name) ?? "other");
    return new MicrophoneError(kind, message, { cause: error });
}
