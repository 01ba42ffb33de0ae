// Finds one utterance in a stream of pieces: waits for quiet, then for a voice, then for its end.

const ABOVE_FLOOR_DB = 12;
const LEAST_DB = -52;
const END_BELOW_DB = 6;
const QUIET_S = 0.2;
const BEFORE_S = 0.4;
const END_S = 0.6;
const WAIT_S = 8;
const LONGEST_S = 6;

export class Utterance {
  /**
   * @param {number} rate samples per second
   * @param {number} floorDb level of the room, heard during the countdown
   */
  constructor(rate, floorDb) {
    this.rate = rate;
    this.threshold = Math.max(LEAST_DB, Math.min(-25, floorDb + ABOVE_FLOOR_DB));
    this.pieces = [];
    this.quietS = this.waitedS = this.spokenS = this.silentS = 0;
    this.isHeard = false;
  }

  /** Take a piece; returns true when the utterance is over, or nobody spoke for long. */
  push(piece, db) {
    const lengthS = piece.length / this.rate;
    this.pieces.push(piece);
    if (!this.isHeard) {
      this.waitedS += lengthS;
      if (db >= this.threshold && this.quietS >= QUIET_S) this.isHeard = true;
      else {
        this.quietS = db < this.threshold ? this.quietS + lengthS : 0;
        if (this.waitedS < WAIT_S) this.forget(Math.max(BEFORE_S, piece.length / this.rate));
        return this.waitedS >= WAIT_S;
      }
    }
    this.spokenS += lengthS;
    this.silentS = db < this.threshold - END_BELOW_DB ? this.silentS + lengthS : 0;
    return this.silentS >= END_S || this.spokenS >= LONGEST_S;
  }

  /** Drop what lies longer ago than is kept before a voice. */
  forget(keptS) {
    let length = this.pieces.reduce((sum, piece) => sum + piece.length, 0);
    while (this.pieces.length > 1 && length - this.pieces[0].length >= keptS * this.rate) {
      length -= this.pieces.shift().length;
    }
  }
}
