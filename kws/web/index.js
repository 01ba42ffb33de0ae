/** What other pages use; index.d.ts has the types. */

export { createDetector } from "./detector.js";
export { MicrophoneError, openMicrophone } from "./microphone.js";
export { Resampler, SAMPLE_RATE } from "./resampler.js";
