/**
 * Another sample rate for a stream that comes in pieces: any cut gives the same samples as the whole at once.
 *
 * Band-limited interpolation with a windowed sinc, with the filter of kws/resampling.py: the pass band ends at
 * 0.87 of the lower rate's Nyquist frequency, and aliases are 100 dB down.
 * Source: J. O. Smith, Digital Audio Resampling, ccrma.stanford.edu/~jos/resample.
 */

/** Rate of the audio that every model takes, in Hz. */
export const SAMPLE_RATE = 16000;

/** Zero crossings of the filter on either side, at the lower of the two rates. */
const ZERO_CROSSINGS = 48;
/** Shape of the Kaiser window over the filter. */
const KAISER_BETA = 9.5;

export class Resampler {
    /**
     * @param {number} sourceHz samples per second of what is pushed, a whole number
     * @param {number} targetHz samples per second of what comes back, a whole number
     */
    constructor(sourceHz, targetHz) {
        for (const rate of [sourceHz, targetHz]) {
            if (!Number.isInteger(rate) || rate < 1) {
                throw new RangeError(`sample rate: got ${rate}, expected a whole number of hertz`);
            }
        }
        const common = greatestCommonDivisor(sourceHz, targetHz);
        this.up = targetHz / common;
        this.down = sourceHz / common;
        const scale = Math.min(1, targetHz / sourceHz);
        this.half = Math.ceil(ZERO_CROSSINGS / scale);
        this.taps = filterTable(this.half, scale, this.up);
        /** Input that outputs to come still need; the silence before the start is counted. */
        this.waiting = new Float32Array(this.half - 1);
        /** Index of its first sample. */
        this.first = 0;
        this.numOut = 0;
    }

    /**
     * Return what can be said so far.
     *
     * @param {Float32Array} waveform at the source rate, of any length
     * @returns {Float32Array} at the target rate
     */
    push(waveform) {
        if (this.up === this.down) {
            return waveform;
        }
        const { up, down, half, taps } = this;
        const heard = joined(this.waiting, waveform);
        const complete = this.first + heard.length - 2 * half; // the last window that is complete begins here
        const stop = Math.max(this.numOut, Math.ceil(((complete + 1) * up) / down));
        const made = new Float32Array(stop - this.numOut);
        for (let index = 0; index < made.length; index++) {
            const place = (this.numOut + index) * down;
            const start = Math.floor(place / up) - this.first;
            const row = (place % up) * 2 * half;
            let total = 0;
            for (let tap = 0; tap < 2 * half; tap++) {
                total += heard[start + tap] * taps[row + tap];
            }
            made[index] = total;
        }
        this.numOut = stop;
        const used = Math.min(Math.floor((stop * down) / up) - this.first, heard.length);
        this.waiting = heard.slice(used);
        this.first += used;
        return made;
    }
}

/**
 * @param {Float32Array} before
 * @param {Float32Array} after
 * @returns {Float32Array} both, one after the other
 */
export function joined(before, after) {
    const both = new Float32Array(before.length + after.length);
    both.set(before);
    both.set(after, before.length);
    return both;
}

/**
 * @param {number} half taps on either side
 * @param {number} scale lower rate ÷ source rate, at most 1
 * @param {number} phases places between two samples
 * @returns {Float32Array} phases × 2 half taps, row by row; each row sums to one
 */
function filterTable(half, scale, phases) {
    const rejectionDb = KAISER_BETA / 0.1102 + 8.7; // Kaiser's formulas for a window of this shape
    const transition = (rejectionDb - 7.95) / (14.36 * 2 * half); // in cycles per sample of the source
    const cutoff = scale / 2 - transition / 2; // so that nothing passes above the lower Nyquist frequency
    const table = new Float32Array(phases * 2 * half);
    const row = new Float64Array(2 * half);
    for (let phase = 0; phase < phases; phase++) {
        let sum = 0;
        for (let tap = 0; tap < 2 * half; tap++) {
            const place = tap + 1 - half - phase / phases;
            const inside = Math.max(0, 1 - (place / half) ** 2);
            row[tap] = sinc(2 * cutoff * place) * bessel0(KAISER_BETA * Math.sqrt(inside));
            sum += row[tap];
        }
        table.set(row.map((tap) => tap / sum), phase * 2 * half);
    }
    return table;
}

/** @param {number} x */
function sinc(x) {
    return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * @param {number} x
 * @returns {number} modified Bessel function of the first kind and order 0, by its series
 */
function bessel0(x) {
    let term = 1;
    let sum = 1;
    for (let order = 1; term > sum * 1e-17; order++) {
        term *= (x / (2 * order)) ** 2;
        sum += term;
    }
    return sum;
}

/**
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
function greatestCommonDivisor(a, b) {
    return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
