"""Names that options take, written out so that a command can refuse a wrong one before it loads anything.

A test holds each list against the registry that it stands for.
"""

from __future__ import annotations


class KnownNames(tuple[str, ...]):
    """``choices`` of an option: they are listed in its help, and :mod:`kws.cli.parser` refuses others."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        """Take any value when the words are read; what is wrong is said once all of them are."""
        return True


POLICIES = KnownNames(
    (
        "head",
        "early",
        "late",
        "all",
        "discriminative",
        "gradual",
        "surgical",
        "adapters",
        "scratch",
        "auto",
    )
)
"""Those of :mod:`kws.transfer`, and ``auto``."""

HEADS = KnownNames(("attention", "conv", "cross_stitch", "gru", "linear", "window"))
"""Those of :mod:`kws.heads` that are trained."""

METHODS = KnownNames(("phones", "examples", "attributes", "words"))
"""Those of :mod:`kws.enrollment.methods`."""

CORPORA = KnownNames(
    (
        "but_reverb_db",
        "esc50",
        "esc50_all",
        "fleurs",
        "librispeech",
        "musan",
        "rirs_noises",
        "speech_commands",
    )
)
"""Those of :mod:`data_prep.corpora`."""

ENCODERS = KnownNames(
    (
        "embedded",
        "emformer_rnnt_base_librispeech",
        "hubert_asr_large",
        "hubert_asr_xlarge",
        "hubert_base",
        "hubert_large",
        "hubert_xlarge",
        "voxpopuli_asr_base_10k_de",
        "voxpopuli_asr_base_10k_en",
        "voxpopuli_asr_base_10k_es",
        "voxpopuli_asr_base_10k_fr",
        "voxpopuli_asr_base_10k_it",
        "wav2vec2_asr_base_100h",
        "wav2vec2_asr_base_10m",
        "wav2vec2_asr_base_960h",
        "wav2vec2_asr_large_100h",
        "wav2vec2_asr_large_10m",
        "wav2vec2_asr_large_960h",
        "wav2vec2_asr_large_lv60k_100h",
        "wav2vec2_asr_large_lv60k_10m",
        "wav2vec2_asr_large_lv60k_960h",
        "wav2vec2_base",
        "wav2vec2_large",
        "wav2vec2_large_lv60k",
        "wav2vec2_xlsr53",
        "wav2vec2_xlsr_1b",
        "wav2vec2_xlsr_2b",
        "wav2vec2_xlsr_300m",
        "wavlm_base",
        "wavlm_base_plus",
        "wavlm_large",
        "whisper_base",
        "whisper_base_en",
        "whisper_large_v2",
        "whisper_large_v3",
        "whisper_large_v3_turbo",
        "whisper_medium",
        "whisper_medium_en",
        "whisper_small",
        "whisper_small_en",
        "whisper_tiny",
        "whisper_tiny_en",
    )
)
"""Those of :mod:`kws.encoders.registry`."""
