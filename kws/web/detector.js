/** The exported model in a browser: audio in, detections out. What kws/detector.py does on a device. */

import * as ort from "./onnxruntime/ort.js";
import { Decider } from "./decisions.js";
import { joined, SAMPLE_RATE } from "./resampler.js";

const FORMAT = 1;
const INT16_SCALE = 32768;
/** Floats beyond it are no audio in [-1, 1], such as 16-bit integers that were turned into floats. */
const FLOAT_PEAK_MAX = INT16_SCALE * 10 ** (-60 / 20);
/** Longest piece that is run at once, in seconds: the page stays responsive between pieces. */
const MAX_RUN_S = 1;
/** Silence after the end of a stream: some models are surest a few frames after the phrase. */
const END_SILENCE_S = 0.5;

const OWN_MODEL = new URL("./model.onnx", import.meta.url);
const OWN_WASM = new URL("./onnxruntime/ort-wasm-simd-threaded.wasm", import.meta.url);

/**
 * Load a model and start a stream.
 *
 * @param {string | URL | import("./index.js").LoadedModel} [model] address of the .onnx file, beside which lies a
 *     .json of the same name, or the contents of both; without it, the model in the folder of this file
 * @param {import("./index.js").DetectorOptions} [options]
 * @returns {Promise<Detector>}
 */
export async function createDetector(model = OWN_MODEL, options = {}) {
    const isAddress = typeof model === "string" || model instanceof URL;
    const { onnx, metadata } = isAddress ? await load(new URL(model, globalThis.location?.href)) : model;
    checkMetadata(metadata);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = { wasm: OWN_WASM.href };
    if (options.wasm !== undefined) {
        ort.env.wasm.wasmBinary = options.wasm;
    }
    const bytes = onnx instanceof Uint8Array ? onnx : new Uint8Array(onnx);
    const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    return new Detector(session, metadata, options);
}

/**
 * @param {URL} address of the .onnx file
 * @returns {Promise<import("./index.js").LoadedModel>}
 */
async function load(address) {
    const beside = new URL(address);
    beside.pathname = beside.pathname.replace(/\.onnx$/, ".json");
    if (beside.pathname === address.pathname) {
        throw new TypeError(`${address}: expected the address of a file that ends with .onnx`);
    }
    const [model, metadata] = await Promise.all([address, beside].map(fetched));
    return { onnx: await model.arrayBuffer(), metadata: await metadata.json() };
}

/** @param {URL} address */
async function fetched(address) {
    const answer = await fetch(address);
    if (!answer.ok) {
        throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
    }
    return answer;
}

/** @param {import("./index.js").ModelMetadata} metadata */
function checkMetadata(metadata) {
    if (metadata?.format !== FORMAT) {
        throw new Error(`model.json has format ${metadata?.format}, expected ${FORMAT}; make the folder again`);
    }
    if (metadata.sampleRate !== SAMPLE_RATE) {
        throw new Error(`the model takes ${metadata.sampleRate} Hz, expected ${SAMPLE_RATE}`);
    }
}

/**
 * Listens to one stream of audio for the keywords of one model.
 *
 * Calls are done one after the other, in the order in which they were made.
 */
export class Detector {
    /** @type {Map<string, Set<(event: any) => void>>} */
    #listeners = new Map([
        ["detection", new Set()],
        ["scores", new Set()],
    ]);
    /** @type {Promise<unknown>} */
    #last = Promise.resolve();
    #session;
    #metadata;
    #decider;
    /** @type {{name: string, shape: readonly number[]}[]} */
    #stateShapes;
    /** @type {Record<string, ort.Tensor>} */
    #states = {};
    #pending = new Float32Array(0);
    #numSamples = 0;
    #newest;
    #timing = { audioS: 0, busyS: 0 };

    /**
     * @param {ort.InferenceSession} session
     * @param {import("./index.js").ModelMetadata} metadata
     * @param {import("./index.js").DetectorOptions} options
     */
    constructor(session, metadata, options) {
        this.#session = session;
        this.#metadata = metadata;
        this.#stateShapes = stateShapes(session);
        const settings = {
            smoothingFrames: metadata.smoothingFrames,
            refractoryS: options.refractoryS ?? metadata.refractoryS,
            competeS: options.competeS ?? metadata.competeS,
        };
        const thresholds = metadata.keywords.map((keyword) => metadata.thresholds[keyword]);
        this.#decider = new Decider(metadata.keywords, thresholds, settings, metadata.hopSamples / SAMPLE_RATE);
        this.#newest = new Float32Array(metadata.keywords.length);
        if (options.threshold !== undefined) {
            this.setThreshold(options.threshold);
        }
        this.#clear();
    }

    /** Names of the keywords, in the order of the scores. */
    get keywords() {
        return this.#metadata.keywords;
    }

    /** What the model file says about itself. */
    get metadata() {
        return this.#metadata;
    }

    /** Scores of the newest frame, one per keyword, before smoothing; zeros at the start of a stream. */
    get scores() {
        return this.#newest;
    }

    /** The threshold in use for each keyword. */
    get thresholds() {
        return Object.fromEntries(this.keywords.map((keyword, column) => [keyword, this.#decider.thresholds[column]]));
    }

    /** Seconds of audio that were scored since the detector was made, and seconds that this took. */
    get timing() {
        return { ...this.#timing };
    }

    /**
     * Count a keyword from another score on; it holds from the next frame that is scored.
     *
     * @param {number | Record<string, number>} threshold within [0, 1], for all keywords or by keyword
     */
    setThreshold(threshold) {
        const wished =
            typeof threshold === "number"
                ? this.keywords.map((keyword) => /** @type {[string, number]} */ ([keyword, threshold]))
                : Object.entries(threshold);
        for (const [keyword, value] of wished) {
            if (!this.keywords.includes(keyword)) {
                throw new RangeError(`threshold: unknown keyword ${keyword}; there is ${this.keywords.join(", ")}`);
            }
            if (!(value >= 0 && value <= 1)) {
                throw new RangeError(`threshold of ${keyword}: got ${value}, expected a number within [0, 1]`);
            }
        }
        for (const [keyword, value] of wished) {
            this.#decider.thresholds[this.keywords.indexOf(keyword)] = value;
        }
    }

    /**
     * Be told of each detection, or of each piece of scores.
     *
     * @param {"detection" | "scores"} type
     * @param {(event: any) => void} listener
     * @returns {() => void} stops it
     */
    on(type, listener) {
        const listeners = this.#listeners.get(type);
        if (listeners === undefined) {
            throw new TypeError(`unknown event ${type}; there are ${[...this.#listeners.keys()].join(" and ")}`);
        }
        listeners.add(listener);
        return () => listeners.delete(listener);
    }

    /**
     * Take the next audio of the stream.
     *
     * @param {Float32Array | Int16Array} pcm mono at 16 kHz, floats in [-1, 1]; any length. What does not fill
     *     a chunk is held for the next call
     * @returns {Promise<import("./index.js").Heard>}
     */
    async push(pcm) {
        const waveform = toFloat32(pcm);
        return this.#inOrder(() => this.#take(waveform));
    }

    /**
     * End the stream, so that a phrase at its very end is heard, and start a new one.
     *
     * @returns {Promise<import("./index.js").Detection[]>} what was heard in that end
     */
    finish() {
        return this.#inOrder(async () => {
            if (this.#numSamples === 0) {
                return [];
            }
            const { lookaheadSamples, chunkSamples } = this.#metadata;
            const lastS = (this.#numSamples + lookaheadSamples) / SAMPLE_RATE;
            const silence = END_SILENCE_S * SAMPLE_RATE + lookaheadSamples + chunkSamples;
            const { detections } = await this.#take(new Float32Array(silence), lastS);
            this.#clear();
            return detections;
        });
    }

    /** Forget all audio: the next push starts a new stream, exactly as in a new detector. */
    reset() {
        return this.#inOrder(async () => this.#clear());
    }

    /** Free the memory of the model; the detector is of no use any more. */
    close() {
        return this.#inOrder(() => this.#session.release());
    }

    /**
     * @template T
     * @param {() => Promise<T>} task
     * @returns {Promise<T>} what it returns, once all that came before is done
     */
    #inOrder(task) {
        const done = this.#last.then(task);
        this.#last = done.catch(() => undefined); // its caller is told; what follows goes on
        return done;
    }

    #clear() {
        this.#numSamples = 0;
        this.#pending = new Float32Array(0);
        this.#newest = new Float32Array(this.keywords.length);
        this.#decider.reset();
        this.#states = Object.fromEntries(
            this.#stateShapes.map(({ name, shape }) => [name, new ort.Tensor("float32", zeros(shape), shape)]),
        );
    }

    /**
     * @param {Float32Array} pcm
     * @param {number} lastS no detection is later, in seconds of the stream
     * @returns {Promise<import("./index.js").Heard>}
     */
    async #take(pcm, lastS = Infinity) {
        const { chunkSamples, chunkDynamic } = this.#metadata;
        this.#numSamples += pcm.length;
        const waveform = joined(this.#pending, pcm);
        const usable = waveform.length - (waveform.length % chunkSamples);
        this.#pending = waveform.slice(usable);
        const longest = Math.max(1, Math.floor((MAX_RUN_S * SAMPLE_RATE) / chunkSamples));
        const step = chunkSamples * (chunkDynamic ? longest : 1);
        /** @type {Float32Array} */
        let scores = new Float32Array(0);
        for (let start = 0; start < usable; start += step) {
            scores = joined(scores, await this.#run(waveform.slice(start, Math.min(start + step, usable))));
        }
        const { smoothed, detections } = this.#decider.push(scores);
        for (const detection of detections) {
            detection.timeS = Math.min(detection.timeS, lastS);
        }
        const heard = { scores, smoothed, detections };
        if (scores.length > 0) {
            this.#newest = scores.slice(-this.keywords.length);
            this.#tell("scores", heard);
        }
        for (const detection of detections) {
            this.#tell("detection", detection);
        }
        return heard;
    }

    /**
     * @param {Float32Array} waveform a multiple of the chunk
     * @returns {Promise<Float32Array>} frames × keywords
     */
    async #run(waveform) {
        const begun = performance.now();
        const inputs = { waveform: new ort.Tensor("float32", waveform, [1, waveform.length]), ...this.#states };
        const { scores, ...states } = await this.#session.run(inputs);
        this.#timing.busyS += (performance.now() - begun) / 1000;
        this.#timing.audioS += waveform.length / SAMPLE_RATE;
        const expected = [1, waveform.length / this.#metadata.hopSamples, this.keywords.length];
        if (String(scores.dims) !== String(expected)) {
            throw new Error(`the model gave scores of shape ${scores.dims}, expected ${expected}`);
        }
        const values = /** @type {Float32Array} */ (scores.data);
        if (!values.every(Number.isFinite)) {
            throw new Error("scores hold NaN or infinite values; the model is damaged, export it again");
        }
        this.#states = Object.fromEntries(
            this.#stateShapes.map(({ name }) => [name, states[`next_${name}`]]),
        );
        return values;
    }

    /**
     * @param {string} type
     * @param {unknown} event
     */
    #tell(type, event) {
        for (const listener of this.#listeners.get(type) ?? []) {
            try {
                listener(event);
            } catch (error) {
                queueMicrotask(() => {
                    throw error; // is reported as any error of a page, and stops nothing here
                });
            }
        }
    }
}

/**
 * For one stream: the axis that counts streams has a name in files since format version 2.
 *
 * @param {ort.InferenceSession} session
 * @returns {{name: string, shape: readonly number[]}[]}
 */
function stateShapes(session) {
    return session.inputMetadata
        .filter(({ name }) => name !== "waveform")
        .map((input) => {
            const shape = input.isTensor ? input.shape.map((size) => (size === "batch" ? 1 : size)) : [];
            if (!/^state_\d+$/.test(input.name) || !shape.every((size) => typeof size === "number")) {
                throw new Error(`the model has an input ${input.name} that this detector does not know`);
            }
            return { name: input.name, shape: /** @type {number[]} */ (shape) };
        });
}

/** @param {readonly number[]} shape */
function zeros(shape) {
    return new Float32Array(shape.reduce((count, size) => count * size, 1));
}

/**
 * @param {Float32Array | Int16Array} pcm
 * @returns {Float32Array} a copy in [-1, 1]
 */
function toFloat32(pcm) {
    if (pcm instanceof Int16Array) {
        return Float32Array.from(pcm, (sample) => sample / INT16_SCALE);
    }
    if (!(pcm instanceof Float32Array)) {
        throw new TypeError("audio: expected a Float32Array in [-1, 1], or an Int16Array");
    }
    let peak = 0;
    for (const sample of pcm) {
        if (!Number.isFinite(sample)) {
            throw new RangeError("audio holds NaN or infinite values");
        }
        peak = Math.max(peak, Math.abs(sample));
    }
    if (peak > FLOAT_PEAK_MAX) {
        throw new RangeError(`float audio reaches ${peak}, expected [-1, 1]; give 16-bit integers as an Int16Array`);
    }
    return pcm.slice();
}
