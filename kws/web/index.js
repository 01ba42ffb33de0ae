/** What other pages use; index.d.ts has the types. */

export { createDetector, SAMPLE_RATE } from "./detector.js";
export { MicrophoneError, openMicrophone } from "./microphone.js";
export { Resampler } from "./resampler.js";
