"""Texts that eSpeak NG reads in a process of its own first: some crash the library, which must not end ours.

Greenlandic (``kl``) crashes on every number that ends in 8. Run as a program, this file is that process.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence

_CHARS_UTF8, _READ_PHONEMES, _IPA = 1, 0x100, 2
_RATE, _FASTEST_WPM = 1, 450
_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000

_crashes: dict[str, dict[str, bool]] = defaultdict(dict)
"""Of each voice, whether a text that was tried crashed."""


def crashing(texts: Sequence[str], voice_name: str, library: str, data: str) -> set[str]:
    """Return the texts that make the library crash; each is tried once in the life of this process.

    Args:
        texts: what is to be read, in the form that engines get.
        voice_name: eSpeak's name of the language's voice.
        library: path of the shared library.
        data: path of its data.
    Raises:
        DependencyError: the process does not start.
    """
    from kws.errors import DependencyError

    tried = _crashes[voice_name]
    untried = [text for text in dict.fromkeys(texts) if text not in tried]
    while untried:
        command = [sys.executable, "-S", "-I", __file__, library, data, voice_name]
        child = subprocess.run(command, input=json.dumps(untried).encode(), capture_output=True, check=False)
        if child.returncode == 1:  # an exception, not a crash
            said = child.stderr.decode(errors="replace")[-300:]
            raise DependencyError(f"eSpeak NG does not start in a process of its own: {said}")
        num_read = child.stdout.count(b".")
        tried.update((text, False) for text in untried[:num_read])
        tried.update((text, True) for text in untried[num_read : num_read + 1])
        untried = untried[num_read + 1 :]
    return {text for text in texts if tried[text]}


def _read_all(library: str, data: str, voice_name: str) -> None:
    """Read and speak the texts of standard input, and write a full stop after each."""
    handle = ctypes.CDLL(library)
    handle.espeak_TextToPhonemes.restype = ctypes.c_char_p
    handle.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
        ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    handle.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _DONT_EXIT)
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)(
        lambda samples, num_samples, events: 0
    )
    handle.espeak_SetSynthCallback(callback)
    handle.espeak_SetVoiceByName(voice_name.encode())
    handle.espeak_SetParameter(_RATE, _FASTEST_WPM, 0)
    for text in json.loads(sys.stdin.buffer.read()):
        encoded = text.encode(errors="replace")
        rest = ctypes.c_char_p(encoded)
        while rest.value is not None:
            handle.espeak_TextToPhonemes(ctypes.byref(rest), _CHARS_UTF8, _IPA)
        size = len(encoded) + 1
        handle.espeak_Synth(encoded, size, 0, 1, 0, _CHARS_UTF8 | _READ_PHONEMES, None, None)
        handle.espeak_Synchronize()
        sys.stdout.buffer.write(b".")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _read_all(*sys.argv[1:])
