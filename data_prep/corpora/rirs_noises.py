"""RIRS_NOISES: room impulse responses, measured and simulated, with point-source and isotropic noises."""

from __future__ import annotations

from pathlib import Path

from data_prep.corpora.base import PublicCorpus, finish, require, rows, run_recipe, to_recording

LABELS = {"point_noise": "noise", "iso_noise": "noise", "real_rir": "rir", "sim_rir": "rir"}
"""Lhotse's names of the parts, and our labels."""

FOLDERS = {
    "point_noise": "pointsource_noises",
    "iso_noise": "real_rirs_isotropic_noises",
    "real_rir": "real_rirs_isotropic_noises",
    "sim_rir": "simulated_rirs",
}
"""Where each part lies."""

LAYOUT = "at least one of pointsource_noises, real_rirs_isotropic_noises and simulated_rirs"


def prepare_rirs_noises(corpus_dir: str | Path, output: str | Path) -> Path:
    """Write a manifest with ``label`` rir or noise, and the part in ``part``.

    Measured responses have up to eight channels, counted in ``channels``: take one channel to reverberate
    speech, since the mean of several is no room. Responses are shorter than speech and begin with silence, so
    they are not meant for ``data_prep.checks`` with its limits for speech.

    Args:
        corpus_dir: the folder ``RIRS_NOISES`` of the archive.
        output: manifest to write (``.jsonl``).
    Raises:
        ManifestError: none of the parts is there, or one is damaged.
        DependencyError: lhotse is not installed.
    """
    folder = require(corpus_dir, sorted(set(FOLDERS.values())), LAYOUT, any_of=True)
    found = [part for part, place in FOLDERS.items() if (folder / place).is_dir()]
    parts = run_recipe("prepare_rir_noise", folder, folder, parts=found)
    recordings = [
        to_recording(
            audio, "rirs_noises", label=LABELS[part], extra={"part": part, "channels": audio.num_channels}
        )
        for part in found
        for audio, _ in rows(parts[part])
    ]
    return finish(recordings, output, folder)


CORPUS = PublicCorpus(
    name="rirs_noises",
    url="https://www.openslr.org/28",
    license="Apache License 2.0",
    citation=(
        "T. Ko, V. Peddinti, D. Povey, M. L. Seltzer, S. Khudanpur, A study on data augmentation of "
        "reverberant speech for robust speech recognition, ICASSP 2017"
    ),
    layout=LAYOUT,
    prepare=prepare_rirs_noises,
)
