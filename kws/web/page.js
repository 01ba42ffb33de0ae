/** The page for a person: start, stop, the curve, sensitivity, what was heard, and figures. */

import { Curve } from "./curve.js";
import { createDetector, MicrophoneError, openMicrophone, SAMPLE_RATE } from "./index.js";
import { RecentAudio } from "./recent.js";
import { text, translate } from "./texts.js";
import { keepOffline } from "./offline.js";

/** Sound that is played for a hit, in seconds before it. */
const CLIP_S = 2;
/** Hits that are kept; older ones go, and their sound with them. */
const MOST_HITS = 50;
/** Digital silence of this length means that the microphone is muted; no room is so quiet. */
const SILENCE_S = 3;
/** Sound from which figures are taken, in seconds: they tell how it goes now. */
const FIGURES_S = 2;
/** Sound that the browser hands on at once, in milliseconds: about as much as microphone-worklet.js collects. */
const PIECE_MS = 20;
/** Lowest level that the meter shows, in decibels below full scale. */
const FLOOR_DB = -60;

/** @param {string} id */
const $ = (id) => /** @type {any} */ (document.getElementById(id));

/** @type {import("./index.js").Detector} */
let detector;
/** @type {Curve} */
let curve;
/** @type {import("./index.js").Microphone | null} */
let microphone = null;
let opening = false;
let recent = new RecentAudio((CLIP_S + 2) * SAMPLE_RATE);
let playing = 0;
let lostS = 0;
let silentS = 0;
/** What figures are counted from. */
let before = { audioS: 0, busyS: 0 };
/** @type {AudioContext | null} */
let player = null;

translate();
begin()
    .catch((error) => say("broken", { error: error.message }, true))
    .then(() => keepOffline($("update"), () => microphone === null && !opening));

async function begin() {
    detector = await createDetector();
    const { metadata, keywords } = detector;
    $("keywords").textContent = document.title = keywords.join(" · ");
    curve = new Curve($("curve"), keywords.length, metadata.hopSamples / SAMPLE_RATE);
    if (metadata.falseAcceptsPerHour !== null) {
        $("chosen").textContent = text("chosen", { rate: metadata.falseAcceptsPerHour });
    }
    $("model").textContent = text("modelValue", { license: metadata.license });
    keywords.forEach(addSlider);
    detector.on("scores", showScores);
    detector.on("detection", showHit);
    $("start").addEventListener("click", () => (microphone === null ? start() : stop("stopped")));
    $("defaults").addEventListener("click", () => {
        detector.setThreshold(metadata.thresholds);
        showThresholds();
    });
    $("clear").addEventListener("click", () => {
        $("hits").replaceChildren();
        $("none").hidden = false;
        $("clear").hidden = true;
        $("start").focus();
    });
    showThresholds();
    $("live").hidden = false;
    say("ready", { keywords: keywords.join(", ") });
}

async function start() {
    if (opening) {
        return;
    }
    opening = true;
    $("start").disabled = true;
    say("opening");
    try {
        await detector.reset();
        curve.clear();
        recent = new RecentAudio((CLIP_S + 2) * SAMPLE_RATE);
        lostS = silentS = 0;
        before = detector.timing;
        microphone = await openMicrophone(listen, {
            onEnd: () => stop("ended", true),
            onError: (error) => stop("broken", true, { error: /** @type {Error} */ (error).message }),
            onLost: (seconds) => {
                lostS += seconds;
                say("lost", { s: lostS.toFixed(1) }, true);
            },
        });
        $("microphone").textContent = `${microphone.label}, ${microphone.sampleRate} Hz`;
        $("start").textContent = text("stop");
        $("start").className = "recording";
        say("listening");
    } catch (error) {
        const kind = error instanceof MicrophoneError ? error.kind : "other";
        say(kind, { error: /** @type {Error} */ (error).message }, true);
    } finally {
        opening = false;
        $("start").disabled = false;
    }
}

/**
 * @param {string} why a text
 * @param {boolean} [wrong]
 * @param {Record<string, string>} [values]
 */
async function stop(why, wrong = false, values = {}) {
    const open = microphone;
    if (open === null) {
        return;
    }
    microphone = null;
    $("start").textContent = text("start");
    $("start").className = "primary";
    say(why, values, wrong);
    await open.close();
    await detector.finish();
    showLevel(new Float32Array(1));
    $("microphone").textContent = "";
}

/** @param {Float32Array} pcm */
async function listen(pcm) {
    showLevel(pcm);
    if (playing > 0) {
        return;
    }
    recent.add(pcm);
    await detector.push(pcm);
}

/** @param {Float32Array} pcm */
function showLevel(pcm) {
    const power = pcm.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, pcm.length);
    const db = Math.max(FLOOR_DB, 10 * Math.log10(power + 1e-12));
    $("level").setAttribute("aria-valuenow", db.toFixed(0));
    $("level").firstElementChild.style.width = `${100 * (1 - db / FLOOR_DB)}%`;
    $("level").classList.toggle("loud", pcm.some((sample) => Math.abs(sample) >= 0.99));
    if (microphone === null) {
        return;
    }
    const wasSilent = silentS >= SILENCE_S;
    silentS = power === 0 ? silentS + pcm.length / SAMPLE_RATE : 0;
    if (silentS >= SILENCE_S && !wasSilent) {
        say("silent", {}, true);
    } else if (silentS === 0 && wasSilent) {
        say("listening");
    }
}

/** @param {import("./index.js").Heard} heard */
function showScores({ smoothed }) {
    curve.add(smoothed);
    const now = detector.timing;
    if (now.audioS - before.audioS < FIGURES_S) {
        return;
    }
    const share = (now.busyS - before.busyS) / (now.audioS - before.audioS);
    before = now;
    const { chunkSamples, lookaheadSamples } = detector.metadata;
    const chunkMs = (1000 * chunkSamples) / SAMPLE_RATE;
    const busyMs = share * chunkMs;
    $("share").textContent = text("shareValue", {
        share: (100 * share).toFixed(1),
        ms: busyMs.toFixed(1),
        chunk: chunkMs,
    });
    const delayMs = (1000 * lookaheadSamples) / SAMPLE_RATE + PIECE_MS + chunkMs + busyMs;
    $("delay").textContent = text("delayValue", { ms: Math.ceil(delayMs) });
}

/** @param {import("./index.js").Detection} detection */
function showHit({ keyword, score, timeS, frame }) {
    curve.mark(frame, detector.keywords.indexOf(keyword));
    const time = new Date().toLocaleTimeString();
    const clip = recent.before(Math.round(timeS * SAMPLE_RATE), CLIP_S * SAMPLE_RATE);
    const item = document.createElement("li");
    const row = item.appendChild(document.createElement("div"));
    for (const [name, content] of [
        ["b", keyword],
        ["span", time],
        ["span", text("score", { score: score.toFixed(2) })],
    ]) {
        row.appendChild(document.createElement(name)).textContent = content;
    }
    const button = row.appendChild(document.createElement("button"));
    button.type = "button";
    button.textContent = text("play");
    button.setAttribute("aria-label", text("playThis", { keyword, time }));
    button.addEventListener("click", () => play(clip));
    $("hits").prepend(item);
    while ($("hits").children.length > MOST_HITS) {
        $("hits").lastElementChild.remove();
    }
    $("none").hidden = true;
    $("clear").hidden = false;
    say("heardNow", { keyword });
}

/** @param {Float32Array} clip at 16 kHz */
async function play(clip) {
    player ??= new AudioContext();
    await player.resume();
    const buffer = player.createBuffer(1, Math.max(1, clip.length), SAMPLE_RATE);
    buffer.copyToChannel(/** @type {Float32Array<ArrayBuffer>} */ (clip), 0);
    const source = new AudioBufferSourceNode(player, { buffer });
    source.connect(player.destination);
    playing += 1;
    source.onended = () => {
        playing -= 1;
        if (playing === 0 && microphone !== null) {
            say("listening");
        }
    };
    source.start();
    if (microphone !== null) {
        say("paused");
    }
}

/**
 * @param {string} keyword
 * @param {number} column
 */
function addSlider(keyword, column) {
    const part = document.createElement("div");
    part.className = "keyword";
    const label = part.appendChild(document.createElement("label"));
    label.htmlFor = `slider-${column}`;
    const name = label.appendChild(document.createElement("span"));
    const swatch = name.appendChild(document.createElement("span"));
    swatch.className = "swatch";
    swatch.style.background = `var(--curve-${column % 4})`;
    name.append(keyword);
    const output = label.appendChild(document.createElement("output"));
    output.id = `threshold-${column}`;
    output.htmlFor.add(label.htmlFor);
    const slider = part.appendChild(document.createElement("input"));
    Object.assign(slider, { type: "range", id: label.htmlFor, min: "0", max: "1", step: "0.005" });
    slider.addEventListener("input", () => {
        detector.setThreshold({ [keyword]: Number((1 - slider.valueAsNumber).toFixed(3)) });
        showThresholds();
    });
    $("sliders").append(part);
}

/** Show the thresholds in use; a slider to the right is a lower one. */
function showThresholds() {
    curve.thresholds = detector.keywords.map((keyword) => detector.thresholds[keyword]);
    for (const [column, threshold] of curve.thresholds.entries()) {
        const told = text("sensitivityValue", { threshold: threshold.toFixed(3) });
        $(`threshold-${column}`).textContent = told;
        $(`slider-${column}`).value = String(1 - threshold);
        $(`slider-${column}`).setAttribute("aria-valuetext", told);
    }
    curve.plan();
}

/**
 * Say how it goes; screen readers read it out.
 *
 * @param {string} name of a text
 * @param {Record<string, string | number>} [values]
 * @param {boolean} [wrong]
 */
function say(name, values = {}, wrong = false) {
    $("message").textContent = text(name, values);
    $("message").dataset.state = name;
    $("message").classList.toggle("wrong", wrong);
}
