/** The newest seconds of a stream, in memory alone. */
export class RecentAudio {
    /** @param {number} length samples that are kept */
    constructor(length) {
        this.kept = new Float32Array(length);
        /** Samples since the start of the stream. */
        this.total = 0;
    }

    /** @param {Float32Array} pcm shorter than what is kept */
    add(pcm) {
        const place = this.total % this.kept.length;
        const first = pcm.subarray(0, this.kept.length - place);
        this.kept.set(first, place);
        this.kept.set(pcm.subarray(first.length), 0);
        this.total += pcm.length;
    }

    /**
     * @param {number} end sample of the stream that comes after the last one
     * @param {number} length samples that are wished
     * @returns {Float32Array} those of them that are kept
     */
    before(end, length) {
        const last = Math.min(end, this.total);
        const first = Math.max(last - length, this.total - this.kept.length, 0);
        const found = new Float32Array(Math.max(0, last - first));
        for (let index = 0; index < found.length; index++) {
            found[index] = this.kept[(first + index) % this.kept.length];
        }
        return found;
    }
}
