/**
 * Frame scores to detections: smoothing, threshold, refractory time and competition.
 *
 * The rule of kws/decisions.py on the same settings; tests feed both the same scores and compare.
 */

/** Scores nearer to 0 or 1 count as so near: float32 holds no more. */
const SURE = 1e-7;

/**
 * @typedef {object} Settings How scores become detections.
 * @property {number} smoothingFrames length of the causal moving average, in frames; 1 smooths nothing
 * @property {number} refractoryS shortest time between two detections of one keyword, in seconds
 * @property {number} competeS shortest time between detections of two keywords, in seconds; 0: each fires alone
 */

/** Decides on one stream of scores, frame by frame, so that any cut of it gives the same detections. */
export class Decider {
    numFrames = 0;
    /** @type {number[][]} the frames before, oldest first; zeros at the start of a stream */
    recent = [];
    /** @type {boolean[]} per keyword: above its threshold in a rise that fired or was swallowed */
    spent = [];
    /** @type {boolean[]} per keyword: above it in a rise that may fire once no other keyword is ahead */
    waiting = [];
    /** @type {number[]} per keyword: first frame at which a rise may begin that fires */
    ready = [];

    /**
     * @param {readonly string[]} keywords names, in the order of the scores
     * @param {readonly number[]} thresholds one per keyword; a smoothed score at or above it counts
     * @param {Settings} settings
     * @param {number} hopS time from one frame to the next, in seconds
     */
    constructor(keywords, thresholds, settings, hopS) {
        this.keywords = keywords;
        /** Thresholds in use; one that is changed holds from the next frame on. */
        this.thresholds = [...thresholds];
        this.settings = settings;
        this.hopS = hopS;
        this.reset();
    }

    /** Forget all scores. */
    reset() {
        const count = this.keywords.length;
        this.numFrames = 0;
        this.recent = Array.from({ length: this.settings.smoothingFrames - 1 }, () => Array(count).fill(0));
        this.spent = Array(count).fill(false);
        this.waiting = Array(count).fill(false);
        this.ready = Array(count).fill(0);
    }

    /**
     * Take the next frames.
     *
     * @param {Float32Array} scores frames × keywords, in [0, 1], row by row
     * @returns {{smoothed: Float64Array, detections: import("./index.js").Detection[]}}
     *     smoothed scores of the same shape, and what was detected, by frame
     */
    push(scores) {
        const count = this.keywords.length;
        const smoothed = new Float64Array(scores.length);
        const detections = [];
        for (let start = 0; start < scores.length; start += count) {
            const frame = this.smooth(Array.from(scores.subarray(start, start + count)));
            smoothed.set(frame, start);
            for (const column of this.fire(frame)) {
                detections.push({
                    keyword: this.keywords[column],
                    score: frame[column],
                    timeS: (this.numFrames + 1) * this.hopS,
                    frame: this.numFrames,
                });
            }
            this.numFrames += 1;
        }
        return { smoothed, detections };
    }

    /**
     * @private
     * @param {number[]} scores of one frame
     * @returns {number[]} causal moving average, summed from the oldest frame on
     */
    smooth(scores) {
        if (this.settings.smoothingFrames === 1) {
            return scores;
        }
        this.recent.push(scores);
        const mean = scores.map((_, column) => {
            let total = 0;
            for (const row of this.recent) {
                total += row[column];
            }
            return total / this.settings.smoothingFrames;
        });
        this.recent.shift();
        return mean;
    }

    /**
     * @private
     * @param {number[]} scores of one frame, smoothed
     * @returns {number[]} keywords that fire in it, by their place
     */
    fire(scores) {
        const above = scores.map((score, column) => score >= this.thresholds[column]);
        if (!above.includes(true)) {
            this.spent.fill(false);
            this.waiting.fill(false);
            return [];
        }
        const competes = this.keywords.length > 1 && this.settings.competeS > 0;
        return competes ? this.fireOne(scores, above) : this.fireEach(above);
    }

    /**
     * @private
     * @param {boolean[]} above per keyword: at or above its threshold
     */
    fireEach(above) {
        const fired = [];
        for (const [column, isAbove] of above.entries()) {
            if (isAbove && !this.spent[column] && this.numFrames >= this.ready[column]) {
                fired.push(column);
                this.ready[column] = this.numFrames + Math.max(this.frames(this.settings.refractoryS), 1);
            }
            this.spent[column] = isAbove;
        }
        return fired;
    }

    /**
     * @private
     * @param {number[]} scores of one frame, smoothed
     * @param {boolean[]} above per keyword: at or above its threshold
     */
    fireOne(scores, above) {
        for (const [column, isAbove] of above.entries()) {
            const begins = isAbove && !this.spent[column] && !this.waiting[column];
            this.waiting[column] = begins
                ? this.numFrames >= this.ready[column]
                : isAbove && this.waiting[column];
            this.spent[column] = isAbove && !this.waiting[column];
        }
        const margins = scores.map((score, column) =>
            above[column] ? logit(score) - logit(this.thresholds[column]) : -Infinity,
        );
        const leader = margins.indexOf(Math.max(...margins));
        if (!this.waiting[leader]) {
            return [];
        }
        for (let column = 0; column < this.keywords.length; column++) {
            this.spent[column] ||= this.waiting[column];
            this.waiting[column] = false;
            const { refractoryS, competeS } = this.settings;
            const apart = this.frames(column === leader ? refractoryS : competeS);
            this.ready[column] = Math.max(this.ready[column], this.numFrames + apart);
        }
        return [leader];
    }

    /**
     * @private
     * @param {number} seconds
     * @returns {number} how many frames fill a time: 1 s at 40 ms is 25, not 26 by rounding
     */
    frames(seconds) {
        return Math.ceil(seconds / this.hopS - 1e-9);
    }
}

/**
 * @param {number} score
 * @returns {number} the score on the scale on which scores spread evenly, finite for 0 and 1
 */
function logit(score) {
    const inside = Math.min(Math.max(score, SURE), 1 - SURE);
    return Math.log(inside) - Math.log1p(-inside);
}
