"""What tests of pages stand on: the browsers are driven, hear the given sound, and tell what they did."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kws import audio
from tests.support.browser import axe, chromium, complaints, firefox, requested, serving, shown_on
from tests.support.onnx_models import tone
from tests.support.rooms import room

pytestmark = pytest.mark.slow

PAGE = """<!doctype html><html lang="en"><title>A page</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="style.css">
<main><h1>A page</h1><img src="missing.png"><p id="width"></p></main></html>"""

LOUDEST_HZ = """(async () => {
    const stream = await navigator.mediaDevices.getUserMedia({audio: {
        echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
    const context = new AudioContext();
    await context.resume();
    const analyser = new AnalyserNode(context, {fftSize: 8192});
    context.createMediaStreamSource(stream).connect(analyser);
    const levels = new Float32Array(analyser.frequencyBinCount);
    for (let tries = 0; tries < 100; tries++) {
        await new Promise((done) => setTimeout(done, 50));
        analyser.getFloatFrequencyData(levels);
        if (Math.max(...levels) > -40) break;
    }
    return levels.indexOf(Math.max(...levels)) * context.sampleRate / analyser.fftSize;
})()"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "style.css").write_text("body { color: black }")
    return tmp_path


def test_chromium_hears_the_recording_and_tells_what_it_asked_for(folder: Path, tmp_path: Path):
    audio.save(tmp_path / "tone.wav", tone(1000, 3))
    with serving(folder) as address, chromium(tmp_path / "tone.wav", loop=True) as driver:
        driver.get(address)
        assert requested(driver) == [address, f"{address}style.css", f"{address}missing.png"]
        assert ["404" in line for line in complaints(driver)] == [True]
        assert axe(driver) == ["critical image-alt: Images must have alternative text: [['img']]"]
        assert abs(driver.execute_script(f"return {LOUDEST_HZ}") - 1000) < 20
        assert driver.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches") is False
        shown_on(driver, dark=True, width=360)
        assert driver.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches") is True


def test_firefox_opens_pages_and_hears_what_is_played_in_a_room(folder: Path, tmp_path: Path):
    audio.save(tmp_path / "tone.wav", tone(1000, 20))
    with room(tmp_path / "pulse") as environment, serving(folder) as address, firefox(environment) as browser:
        browser.get(address)
        assert browser.evaluate("document.title") == "A page"
        with pytest.raises(RuntimeError, match="nothing here"):
            browser.evaluate("(() => { throw new Error('nothing here'); })()")
        player = subprocess.Popen(["paplay", str(tmp_path / "tone.wav")], env=environment)
        try:
            assert abs(browser.evaluate(LOUDEST_HZ) - 1000) < 20
        finally:
            player.kill()
            player.wait()
