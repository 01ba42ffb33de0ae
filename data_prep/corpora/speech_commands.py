"""Google Speech Commands: one-second recordings of 35 words by many speakers, with the official splits."""

from __future__ import annotations

from pathlib import Path

from data_prep.corpora.base import PublicCorpus, finish, require, rows, run_recipe, to_recording

SPLITS = {"train": "train", "valid": "dev", "test": "test"}
"""Lhotse's names of the parts, and ours."""

LAYOUT = (
    "the unpacked archives `speech_commands_v0.02` (with validation_list.txt and testing_list.txt) and "
    "`speech_commands_test_set_v0.02`, or both of version v0.01"
)


def prepare_speech_commands(corpus_dir: str | Path, output: str | Path) -> Path:
    """Write a manifest with ``label`` and ``text`` the word, or ``label`` ``background_noise`` for noise.

    The official test set holds ten words, a share of other words, and ``_silence_`` cut from the background
    recordings. The silence is left out: train and test may not share a noise file.

    Args:
        corpus_dir: holds both archives of one version, unpacked.
        output: manifest to write (``.jsonl``).
    Raises:
        ManifestError: an archive is missing or damaged.
        DependencyError: lhotse is not installed.
    """
    folder = require(corpus_dir, ["."], LAYOUT)
    version = next((v for v in ("2", "1") if (folder / f"speech_commands_v0.0{v}").is_dir()), "2")
    train = f"speech_commands_v0.0{version}"
    test = f"speech_commands_test_set_v0.0{version}"
    require(folder, [train, f"{train}/validation_list.txt", f"{train}/testing_list.txt", test], LAYOUT)
    parts = run_recipe("prepare_speechcommands", folder, version, folder)
    recordings = []
    for part, split in SPLITS.items():
        for audio, supervision in rows(parts[part]):
            place = Path(audio.sources[0].source).parent.name
            if place == "_silence_":
                continue
            is_noise = place == "_background_noise_"
            recordings.append(
                to_recording(
                    audio,
                    "speech_commands",
                    label="background_noise" if is_noise else supervision.text,
                    text=None if is_noise else supervision.text,
                    speaker=None if is_noise else f"sc_{supervision.speaker}",
                    language=None if is_noise else "en",
                    split=split,
                )
            )
    return finish(recordings, output, folder)


CORPUS = PublicCorpus(
    name="speech_commands",
    url="https://www.tensorflow.org/datasets/catalog/speech_commands",
    license="CC BY 4.0",
    citation=(
        "P. Warden, Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition, arXiv:1804.03209"
    ),
    layout=LAYOUT,
    prepare=prepare_speech_commands,
)
