/** Rate of the audio that every model takes, in Hz. */
export const SAMPLE_RATE: 16000;

/** What the model file says about itself; model.json beside model.onnx. */
export interface ModelMetadata {
    format: 1;
    /** Names of the keywords, in the order of the scores. */
    keywords: string[];
    /** Score from which each keyword counts, within [0, 1]. */
    thresholds: Record<string, number>;
    /** Rate that the thresholds were chosen for, in false accepts per hour; null where the file does not say. */
    falseAcceptsPerHour: number | null;
    sampleRate: number;
    /** Samples that one run takes, or the step of it where `chunkDynamic`. */
    chunkSamples: number;
    chunkDynamic: boolean;
    /** Samples from one frame of scores to the next. */
    hopSamples: number;
    /** How far a score lags behind the sound that it is about, in samples. */
    lookaheadSamples: number;
    /** Length of the moving average over scores, in frames. */
    smoothingFrames: number;
    /** Shortest time between two detections of one keyword, in seconds. */
    refractoryS: number;
    /** Shortest time between detections of two keywords, in seconds. */
    competeS: number;
    /** Of the weights. */
    license: string;
}

/** One event: a keyword was heard. */
export interface Detection {
    keyword: string;
    /** Smoothed score of the frame that fired. */
    score: number;
    /** End of that frame, in seconds from the start of the stream. */
    timeS: number;
    /** Its index, from the start of the stream. */
    frame: number;
}

/** What one push brought. */
export interface Heard {
    /** Frames × keywords, row by row, in [0, 1]; empty where no chunk is full yet. */
    scores: Float32Array;
    /** The same after the moving average: what thresholds are compared with. */
    smoothed: Float64Array;
    detections: Detection[];
}

/** A model that is in memory already. */
export interface LoadedModel {
    onnx: ArrayBuffer | Uint8Array;
    metadata: ModelMetadata;
}

export interface DetectorOptions {
    /** Another threshold within [0, 1], for all keywords or by keyword. */
    threshold?: number | Record<string, number>;
    /** Another shortest time between two detections of one keyword, in seconds. */
    refractoryS?: number;
    /** Another shortest time between detections of two keywords, in seconds. */
    competeS?: number;
    /** Content of ort-wasm-simd-threaded.wasm, where it cannot be fetched from beside this module. */
    wasm?: ArrayBuffer | Uint8Array;
}

/** Listens to one stream of audio. Calls are done one after the other, in the order in which they were made. */
export interface Detector {
    readonly keywords: readonly string[];
    readonly metadata: Readonly<ModelMetadata>;
    /** The threshold in use for each keyword. */
    readonly thresholds: Record<string, number>;
    /** Scores of the newest frame, one per keyword, before smoothing; zeros at the start of a stream. */
    readonly scores: Float32Array;
    /** Seconds of audio that were scored since the detector was made, and seconds that this took. */
    readonly timing: { audioS: number; busyS: number };
    /** Count a keyword from another score on, within [0, 1]; for all keywords, or by keyword. */
    setThreshold(threshold: number | Record<string, number>): void;
    /** Be told of each detection, or of each piece of scores; returns what stops it. */
    on(type: "detection", listener: (detection: Detection) => void): () => void;
    on(type: "scores", listener: (heard: Heard) => void): () => void;
    /** Take the next audio: mono at 16 kHz, floats in [-1, 1] or 16-bit integers, of any length. */
    push(pcm: Float32Array | Int16Array): Promise<Heard>;
    /** End the stream, so that a phrase at its very end is heard, and start a new one. */
    finish(): Promise<Detection[]>;
    /** Forget all audio: the next push starts a new stream. */
    reset(): Promise<void>;
    /** Free the memory of the model. */
    close(): Promise<void>;
}

/**
 * Load a model and start a stream.
 *
 * @param model address of the .onnx file, beside which lies a .json of the same name, or the contents of both;
 *     without it, the model of this folder
 */
export function createDetector(model?: string | URL | LoadedModel, options?: DetectorOptions): Promise<Detector>;

/** `insecure`: the page is neither on https nor on localhost. `absent`: there is no microphone. `refused`: by the
 * person or the system. `busy`: another program has it. `blocked`: the browser let no sound flow. `unsupported`:
 * the browser lacks what is needed. */
export type MicrophoneErrorKind = "insecure" | "absent" | "refused" | "busy" | "blocked" | "unsupported" | "other";

export class MicrophoneError extends Error {
    constructor(kind: MicrophoneErrorKind, message: string, options?: { cause?: unknown });
    readonly kind: MicrophoneErrorKind;
}

export interface MicrophoneOptions {
    /** Of `navigator.mediaDevices.enumerateDevices()`; without it, the one that the browser takes. */
    deviceId?: string;
    /** The microphone went away. */
    onEnd?: () => void;
    /** So many seconds were lost, as the listener is too slow. */
    onLost?: (seconds: number) => void;
    /** The listener threw, or its promise was rejected. */
    onError?: (error: unknown) => void;
}

export interface Microphone {
    /** What the browser calls it. */
    readonly label: string;
    /** Its own rate, in Hz. */
    readonly sampleRate: number;
    /** Stop it; settled once the listener is done with what came before. */
    close(): Promise<void>;
}

/**
 * Open the person's microphone; call it when a person has pressed a button.
 *
 * @param onAudio is given mono audio at 16 kHz, piece by piece; where it returns a promise, the next piece waits
 */
export function openMicrophone(
    onAudio: (pcm: Float32Array) => unknown,
    options?: MicrophoneOptions,
): Promise<Microphone>;

/** Another sample rate for a stream that comes in pieces: any cut gives the same samples as the whole at once. */
export class Resampler {
    constructor(sourceHz: number, targetHz: number);
    push(waveform: Float32Array): Float32Array;
}
