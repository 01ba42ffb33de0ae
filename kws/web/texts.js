/** What the page says, in each language; {name} stands for a value. */

const TEXTS = {
    en: {
        absent: "No microphone was found. Plug one in, then press the button again.",
        blocked: "The browser lets no sound flow. Does this machine have a loudspeaker or headphones?",
        broken: "The model cannot be run: {error}",
        busy: "The microphone cannot be opened. Does another program use it?",
        caption: "Score of the last ten seconds. The keyword is heard where the curve reaches the dashed line.",
        chosen: "The model counts a score from its threshold on, chosen for {rate} false accepts per hour.",
        clear: "Empty the list",
        curve: "Score of the last ten seconds, with the threshold",
        defaults: "As in the model",
        delay: "Delay",
        delayValue: "at most {ms} ms from sound to answer",
        ended: "The microphone went away. Plug it in, then press the button again.",
        figures: "Figures",
        heard: "Heard",
        heardNow: "Heard: {keyword}",
        insecure: "Browsers give the microphone to addresses with https:// and to localhost alone. This page is on neither.",
        level: "Level of the microphone",
        listening: "Listening.",
        lost: "This machine is too slow: {s} s of sound were lost.",
        model: "Model",
        modelValue: "licence {license}",
        none: "Nothing yet.",
        opening: "Opening the microphone. Allow it where the browser asks.",
        other: "The microphone cannot be used: {error}",
        paused: "Playing. What the loudspeaker says is not listened to.",
        play: "Play",
        playThis: "Play the sound before {keyword} at {time}",
        private: "The sound stays in this browser: nothing is sent, nothing is stored.",
        ready: "Ready. Press the button and say: {keywords}",
        refused: "The microphone is not allowed to this page. Allow it in the settings of the browser, beside the address, then press the button again.",
        score: "score {score}",
        sensitivity: "Sensitivity",
        sensitivityValue: "threshold {threshold}",
        share: "Processor",
        shareValue: "{share} % of the time of the sound, {ms} ms for a chunk of {chunk} ms",
        silent: "The microphone gives digital silence. Is it muted?",
        start: "Start listening",
        stop: "Stop",
        stopped: "Stopped.",
        unsupported: "This browser cannot give sound to a page. Take a newer one.",
        update: "Load the new version of this page",
    },
    zh: {
        absent: "没有找到麦克风。请接好后再按一次按钮。",
        blocked: "浏览器没有放行声音。这台设备接了扬声器或耳机吗？",
        broken: "模型无法运行：{error}",
        busy: "打不开麦克风。是否有别的程序在用它？",
        caption: "最近十秒的得分。曲线碰到虚线时，就算听到了唤醒词。",
        chosen: "得分达到阈值才算数，模型的阈值按每小时误唤醒 {rate} 次选定。",
        clear: "清空列表",
        curve: "最近十秒的得分和阈值",
        defaults: "恢复模型的设置",
        delay: "延迟",
        delayValue: "从声音到结果最多 {ms} 毫秒",
        ended: "麦克风断开了。请接好后再按一次按钮。",
        figures: "数据",
        heard: "听到的",
        heardNow: "听到了：{keyword}",
        insecure: "浏览器只把麦克风交给 https:// 地址和 localhost，而这个页面都不是。",
        level: "麦克风音量",
        listening: "正在听。",
        lost: "这台设备太慢，丢了 {s} 秒声音。",
        model: "模型",
        modelValue: "许可证 {license}",
        none: "还没有。",
        opening: "正在打开麦克风。浏览器询问时请允许。",
        other: "麦克风用不了：{error}",
        paused: "正在播放。扬声器的声音不会被识别。",
        play: "播放",
        playThis: "播放 {time} 听到“{keyword}”之前的声音",
        private: "声音只留在这个浏览器里：不发送，也不保存。",
        ready: "准备好了。按下按钮，然后说：{keywords}",
        refused: "这个页面没有得到使用麦克风的许可。请在地址旁边的浏览器设置里允许，再按一次按钮。",
        score: "得分 {score}",
        sensitivity: "灵敏度",
        sensitivityValue: "阈值 {threshold}",
        share: "处理器",
        shareValue: "占声音时长的 {share} %，每 {chunk} 毫秒的一段用 {ms} 毫秒",
        silent: "麦克风送来的是数字静音。它被静音了吗？",
        start: "开始听",
        stop: "停止",
        stopped: "已停止。",
        unsupported: "这个浏览器不能把声音交给页面。请换新一些的浏览器。",
        update: "载入这个页面的新版本",
    },
};

/** The language of the page: Chinese where the browser asks for it, else English. */
export const LANGUAGE = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

/**
 * @param {string} name
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function text(name, values = {}) {
    /** @type {Record<string, string>} */
    const texts = TEXTS[LANGUAGE];
    return texts[name].replace(/\{(\w+)\}/g, (_, key) => String(values[key]));
}

/** Put the texts into the elements that name one. */
export function translate() {
    document.documentElement.lang = LANGUAGE === "zh" ? "zh-Hans" : "en";
    for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-text]"))) {
        element.textContent = text(/** @type {string} */ (element.dataset.text));
    }
    for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-label]"))) {
        element.setAttribute("aria-label", text(/** @type {string} */ (element.dataset.label)));
    }
}
