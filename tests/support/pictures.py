"""The pictures of the guide, taken in Chromium of what is told there.

``python -m tests.support.pictures MODEL`` takes them anew; MODEL is a detector of one keyword, such as
``runs/quickstart/detector``. It needs Chromium and its driver, and ``make web``.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.synthesis.espeak import speak, voices
from kws import Detector, audio
from kws.workflows.web import web
from tests.support.browser import chromium, serving
from tests.support.studio import running_studio

PICTURES = Path(__file__).parents[2] / "docs" / "guide" / "pictures"
SIZE = (1000, 1150)
"""Width and height of the window, in pixels."""
COLORS = 64
LONGEST_S = 60.0


def main() -> None:
    """Take every picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="exported detector of one keyword")
    model = parser.parse_args().model
    keyword = next(iter(Detector(model).thresholds))
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "said.wav"
        pause = np.zeros(2 * audio.SAMPLE_RATE, np.float32)
        said = [part for voice in voices(3, seed=3) for part in (pause, 0.7 * speak(keyword, voice))]
        audio.save(sound, np.concatenate([*said, pause]))
        browser(model, sound, Path(folder) / "page")
        studio(keyword, Path(folder) / "projects")


def browser(model: Path, sound: Path, folder: Path) -> None:
    """Show the page of ``kws web`` when it has heard the keyword."""
    web(model, folder)
    with serving(folder) as address, chromium(sound, loop=True, size=SIZE) as driver:
        driver.get(address)
        wait(lambda: driver.find_element("id", "start").is_enabled())
        driver.find_element("id", "start").click()
        wait(lambda: len(driver.find_elements("css selector", "#hits b")) > 1)
        keep(driver.get_screenshot_as_png(), "browser")


def studio(keyword: str, folder: Path) -> None:
    """Show the first step of the studio, when it knows how the keyword may be said."""
    with running_studio(folder) as address, chromium(size=SIZE) as driver:
        driver.get(address)
        driver.find_element("id", "keyword").send_keys(keyword)
        driver.find_element("css selector", "#create button").click()
        wait(lambda: len(driver.find_elements("css selector", "#way-list input")) > 1)
        wait(lambda: len(driver.find_elements("css selector", "#voices button")) > 0)
        keep(driver.get_screenshot_as_png(), "studio")


def wait(done: Callable[[], bool]) -> None:
    """Wait until something is shown.

    Raises:
        TimeoutError: it is not shown.
    """
    end = time.monotonic() + LONGEST_S
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("a page does not show what the picture is of")
        time.sleep(0.2)


def keep(png: bytes, name: str) -> None:
    """Write a picture in few colors, without the empty part below."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    values = np.asarray(picture)
    filled = np.nonzero((values != values[-1, -1]).any(axis=(1, 2)))[0]
    height = min(len(values), int(filled[-1]) + 24)
    small = picture.crop((0, 0, picture.width, height)).quantize(COLORS)
    PICTURES.mkdir(exist_ok=True)
    with audio.atomic_write(PICTURES / f"{name}.png") as temporary:
        small.save(temporary, format="PNG", optimize=True)
    print(f"{PICTURES / name}.png: {(PICTURES / name).with_suffix('.png').stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
