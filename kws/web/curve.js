/** The curve of the scores over the last seconds, with the thresholds and a mark at each hit. */

const SHOWN_S = 10;
const MARGIN = 4;

export class Curve {
    /**
     * @param {HTMLCanvasElement} canvas
     * @param {number} numKeywords
     * @param {number} hopS seconds from one frame of scores to the next
     */
    constructor(canvas, numKeywords, hopS) {
        this.canvas = canvas;
        this.numKeywords = numKeywords;
        this.length = Math.round(SHOWN_S / hopS);
        /** @type {Float64Array[]} newest last */
        this.frames = [];
        /** @type {{frame: number, column: number}[]} */
        this.hits = [];
        this.total = 0;
        /** @type {number[]} */
        this.thresholds = [];
        this.planned = false;
        new ResizeObserver(() => this.plan()).observe(canvas);
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plan());
    }

    /** @param {Float64Array} scores frames × keywords, smoothed */
    add(scores) {
        for (let start = 0; start < scores.length; start += this.numKeywords) {
            this.frames.push(scores.slice(start, start + this.numKeywords));
            this.total += 1;
        }
        this.frames.splice(0, this.frames.length - this.length);
        this.hits = this.hits.filter(({ frame }) => frame >= this.total - this.length);
        this.plan();
    }

    /**
     * @param {number} frame of the stream
     * @param {number} column which keyword
     */
    mark(frame, column) {
        this.hits.push({ frame, column });
        this.plan();
    }

    clear() {
        this.frames = [];
        this.hits = [];
        this.total = 0;
        this.plan();
    }

    /** Draw at the next chance. */
    plan() {
        if (!this.planned) {
            this.planned = true;
            requestAnimationFrame(() => {
                this.planned = false;
                this.draw();
            });
        }
    }

    draw() {
        const { canvas } = this;
        const ratio = devicePixelRatio;
        const [width, height] = [canvas.clientWidth, canvas.clientHeight];
        const context = canvas.getContext("2d");
        if (width === 0 || context === null) {
            return;
        }
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
        context.scale(ratio, ratio);
        const style = getComputedStyle(canvas);
        const color = (/** @type {number} */ column) => style.getPropertyValue(`--curve-${column % 4}`);
        const x = (/** @type {number} */ place) => (width * place) / (this.length - 1);
        const y = (/** @type {number} */ score) => MARGIN + (height - 2 * MARGIN) * (1 - score);

        context.strokeStyle = style.getPropertyValue("--line");
        for (const score of [0, 0.25, 0.5, 0.75, 1]) {
            line(context, [0, y(score)], [width, y(score)]);
        }
        const empty = this.length - this.frames.length;
        for (const { frame, column } of this.hits) {
            const place = x(this.length - this.total + frame);
            context.strokeStyle = color(column);
            context.lineWidth = 3;
            line(context, [place, 0], [place, height]);
        }
        for (let column = 0; column < this.numKeywords; column++) {
            context.strokeStyle = color(column);
            context.lineWidth = 1.5;
            context.setLineDash([6, 4]);
            const level = y(this.thresholds[column] ?? 1);
            line(context, [0, level], [width, level]);
            context.setLineDash([]);
            context.lineWidth = 2;
            context.beginPath();
            for (const [index, scores] of this.frames.entries()) {
                context.lineTo(x(empty + index), y(scores[column]));
            }
            context.stroke();
        }
    }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {[number, number]} from
 * @param {[number, number]} to
 */
function line(context, from, to) {
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
}
