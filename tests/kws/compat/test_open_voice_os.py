"""The plugin of Open Voice OS: what its base class asks for, and how it is found."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest

from kws.compat.open_voice_os import KwsHotWord
from kws.errors import ConfigError
from tests.support.onnx_models import silence, tone, write_tone_model

CALL = (np.concatenate([silence(0.5), tone(1000, 0.4), silence(0.5)]) * 32767).astype(np.int16).tobytes()


@pytest.fixture
def plugin(tmp_path: Path) -> KwsHotWord:
    return KwsHotWord("hey_tone", {"model": str(write_tone_model(tmp_path / "m.onnx"))}, "en-us")


@pytest.mark.parametrize("step", [2560, 1024, 777])
def test_it_tells_once_that_the_keyword_was_heard(plugin: KwsHotWord, step: int):
    told = []
    for start in range(0, len(CALL), step):
        plugin.update(CALL[start : start + step])
        told.append(plugin.found_wake_word())
    assert sum(told) == 1
    plugin.update(CALL)
    plugin.reset()
    assert not plugin.found_wake_word(b"frame")
    plugin.stop()
    plugin.shutdown()


def test_a_model_must_be_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="hotwords.hey_tone.model: is not given"):
        KwsHotWord("hey_tone", {"threshold": 0.5})
    path = write_tone_model(tmp_path / "m.onnx")
    deaf = KwsHotWord("hey_tone", {"model": str(path), "threshold": 1.0, "refractory_s": 2.0})
    deaf.update(np.zeros(16_000, np.int16).tobytes())
    assert not deaf.found_wake_word() and deaf.key_phrase == "hey_tone"


def test_it_is_found_by_its_entry_points():
    for group in ("opm.wake_word", "mycroft.plugin.wake_word"):
        found = entry_points(group=group)
        if "ovos-ww-plugin-kws" not in found.names:
            pytest.skip("kws is not installed, or was before the plugin: pip install -e .")
        assert found["ovos-ww-plugin-kws"].load() is KwsHotWord
