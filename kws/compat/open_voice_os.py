"""A wake-word plugin for Open Voice OS: the entry point ``ovos-ww-plugin-kws``.

In ``mycroft.conf``::

    "hotwords": {"hey_computer": {"module": "ovos-ww-plugin-kws", "model": "/path/hey_computer.onnx"}}

Source of the interface: ``templates/hotwords.py`` of https://github.com/OpenVoiceOS/ovos-plugin-manager.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kws.detector import Detector
from kws.errors import ConfigError

try:
    from ovos_plugin_manager.templates.hotwords import HotWordEngine  # type: ignore
except ModuleNotFoundError:  # without Open Voice OS the class is there for tests and other programs

    class HotWordEngine:  # type: ignore
        """What the class of Open Voice OS keeps."""

        def __init__(self, key_phrase: str, config: dict[str, Any] | None = None) -> None:
            self.key_phrase, self.config = str(key_phrase).lower(), config or {}


class KwsHotWord(HotWordEngine):  # type: ignore
    """Hears the keyword of one exported file.

    Args:
        key_phrase: name of the wake word in the configuration.
        config: ``model``, path of the exported file; ``threshold`` and ``refractory_s`` as
            :class:`kws.Detector` takes them, where others than those in the file are wished.
        lang: taken and not used: the file knows its language.
    Raises:
        ConfigError: ``model`` is not given.
        CheckpointError: it is no exported file.
    """

    def __init__(
        self, key_phrase: str = "hey computer", config: dict[str, Any] | None = None, lang: str = "en-us"
    ) -> None:
        super().__init__(key_phrase, config)
        if "model" not in self.config:
            raise ConfigError(
                f"hotwords.{key_phrase}.model: is not given; give the path of an exported .onnx file of kws"
            )
        self._detector = Detector(
            self.config["model"], self.config.get("threshold"), refractory_s=self.config.get("refractory_s")
        )
        self._found = False
        self._odd = b""

    def update(self, chunk: bytes) -> None:
        """Take the next 16-bit mono samples at 16 kHz, of any length."""
        data = self._odd + bytes(chunk)
        whole = len(data) - len(data) % 2
        self._odd = data[whole:]
        self._found |= bool(self._detector.process(np.frombuffer(data[:whole], np.int16)))

    def found_wake_word(self, frame_data: bytes | None = None) -> bool:
        """Return whether the keyword was heard since the last call; earlier versions give a frame."""
        found, self._found = self._found, False
        return found

    def reset(self) -> None:
        """Forget all audio."""
        self._detector.reset()
        self._found, self._odd = False, b""

    def stop(self) -> None:
        """Keep nothing running: there is nothing to stop."""

    def shutdown(self) -> None:
        """Do what :meth:`stop` does."""
        self.stop()
