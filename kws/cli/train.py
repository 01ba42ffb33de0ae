"""Train a wake word from recordings of it and recordings without it.

    kws train --keyword computer --positives RECORDINGS --negatives SPEECH --noise NOISE --output RUN
    kws export RUN

RECORDINGS, SPEECH and NOISE are folders, manifests (JSON Lines or CSV with a `path` column) or Lhotse cuts.
Several keywords: give --keyword and --positives once for each, in the same order. Without any --positives,
synthetic voices alone say the keywords. A run that was stopped goes on when the same command is given again.
Another keyword later, with the first left as it is to the last bit:

    kws train --add-to RUN --keyword lights --positives RECORDINGS --negatives SPEECH --output RUN2
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws.cli.known import Known
from kws.errors import ConfigError

if TYPE_CHECKING:
    from data_prep.recording import Recording
    from kws.cli.recordings import PreparedData, Synthesis, SyntheticRecordings
    from kws.data import Augment
    from kws.model import ModelConfig
    from kws.training.loop import TrainConfig, TrainingData

HELP = "recordings to a keyword model"
DEV_SEED = 7_001
"""Added to the seed where training recordings are augmented to stand in for held-out ones."""
DEV_COPIES, DEV_COPIED = 2, 25
"""So many augmented copies of so many recordings stand in for each keyword that has none held out."""
IDENTITY = "run.json"
OPTION_KEYS = {
    "false_accepts_per_hour": "train.false_accepts_per_hour",
    "seed": "train.seed",
    "policy": "train.transfer.policy",
    **{name: f"model.{name}" for name in ("depth", "head", "encoder", "weights")},
}
"""Options that stand for one key of the configuration."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws train``."""
    add = parser.add_argument
    add("--keyword", action="append", required=True, help="the phrase; repeat for several")
    add(
        "--positives",
        action="append",
        type=Path,
        default=[],
        help="recordings of the keyword; one for each --keyword, or none at all: then synthetic voices alone "
        "say it",
    )
    add(
        "--negatives",
        action="append",
        type=Path,
        required=True,
        help="speech without the keyword; may be repeated",
    )
    add(
        "--noise",
        action="append",
        type=Path,
        default=[],
        help="noise to mix in and to ignore; may be repeated",
    )
    add(
        "--target-audio",
        action="append",
        type=Path,
        default=[],
        help="recordings without labels of where the detector will be used, which the regularisers dann and "
        "mmd bring near; may be repeated (default: real speech beside synthetic voices)",
    )
    add("--output", type=Path, required=True, help="folder of the run")
    add(
        "--add-to",
        type=Path,
        metavar="RUN",
        help="finished run whose model gets the keyword as well; its own scores and thresholds stay the same",
    )
    add(
        "--policy",
        choices=Known("kws.transfer", "available_policies"),
        metavar="NAME",
        help="which layers move: %(choices)s or auto (default: auto, by the number of recordings)",
    )
    add("--depth", type=int, help="encoder layers to keep (default: 6)")
    add(
        "--head",
        choices=Known("kws.heads", "available_heads"),
        metavar="NAME",
        help="what is stacked on the encoder: %(choices)s (default: conv)",
    )
    add("--encoder", help="name of the encoder (default: embedded)")
    add("--weights", type=Path, help="local weights of the encoder (default: what ships, or a download)")
    add(
        "--false-accepts-per-hour",
        type=float,
        help="rate that the threshold is chosen for, per hour of audio (default: 0.5)",
    )
    add("--seed", type=int, help="seed of head, draws and augmentation (default: 0)")
    add("--config", type=Path, help="YAML with `model` and `train` keys")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one key, such as train.epochs=12",
    )
    add(
        "--cache",
        type=Path,
        help="folder for decoded audio, shared by runs over the same files (default: RUN/cache)",
    )
    add("--workers", type=int, default=2, help="processes that read audio")
    add(
        "--synthetic",
        type=int,
        metavar="N",
        help="synthetic recordings of each keyword as further positives, with other speech by like voices "
        "(default: 600 without recordings, 200 beside fewer than 25, as less was missed with them, else 0)",
    )
    add(
        "--confusables",
        type=int,
        default=0,
        metavar="N",
        help="synthetic recordings, for each keyword, of words that sound like it, as further negatives; "
        "more was missed with them (RESULTS.md)",
    )
    add("--language", default="en", help="eSpeak language of the keywords, for --synthetic and --confusables")
    add("--control", action="store_true", help="also train from scratch and state what transfer gained")
    add(
        "--overwrite", action="store_true", help="start anew in a folder that holds another or a finished run"
    )


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`train` and print what it chose."""
    values = vars(arguments)
    chosen = [f"{key}={values[name]}" for name, key in OPTION_KEYS.items() if values[name] is not None]
    summary = train(
        arguments.keyword,
        arguments.positives,
        arguments.negatives,
        arguments.output,
        noise=arguments.noise,
        target_audio=arguments.target_audio,
        config=arguments.config,
        overrides=[*arguments.set, *chosen],
        cache=arguments.cache,
        num_workers=arguments.workers,
        synthetic=arguments.synthetic,
        confusables=arguments.confusables,
        language=arguments.language,
        add_to=arguments.add_to,
        control=arguments.control,
        overwrite=arguments.overwrite,
    )
    print("\n".join(summary.lines()))
    return 0


@dataclass(frozen=True)
class RunConfig:
    """Contents of ``--config``, before the command line is laid over it."""

    model: dict[str, Any] = field(default_factory=dict)
    """Keys of :class:`kws.model.ModelConfig`; the keywords come from the command line."""
    train: dict[str, Any] = field(default_factory=dict)
    """Keys of :class:`kws.training.loop.TrainConfig`."""


@dataclass(frozen=True)
class TrainSummary:
    """What a finished run is, for the person.

    Attributes:
        run: its folder.
        notes: what was left out, which policy was chosen and why, and what is doubtful.
        metrics: contents of ``metrics.json``.
    """

    run: Path
    notes: tuple[str, ...]
    metrics: dict[str, Any]

    def lines(self) -> list[str]:
        """Return the sentences to print."""
        metrics = self.metrics
        found = [f"note: {note}" for note in self.notes]
        held = "held-out" if metrics["held_out"] else "augmented training"
        if not metrics["recordings"]:
            held = "held-out synthetic"
        rate, hours = metrics["false_accepts_per_hour"], metrics["dev_hours"]
        for keyword, threshold in metrics["thresholds"].items():
            misses = 100 * metrics["dev_miss"][keyword]
            found.append(
                f"{keyword}: threshold {threshold:.3f} for {rate:g} false accepts/h, from {hours:.2f} h; "
                f"misses {misses:.1f} % of the {held} recordings there"
            )
        return [*found, f"{self.run}: trained in {metrics['wall_s']:.0f} s; next: kws export {self.run}"]


def train(
    keywords: Sequence[str],
    positives: Sequence[Path],
    negatives: Sequence[Path],
    output: Path,
    *,
    noise: Sequence[Path] = (),
    target_audio: Sequence[Path] = (),
    config: Path | None = None,
    overrides: Sequence[str] = (),
    cache: Path | None = None,
    num_workers: int = 2,
    synthetic: int | None = None,
    confusables: int = 0,
    language: str = "en",
    add_to: Path | None = None,
    control: bool = False,
    overwrite: bool = False,
) -> TrainSummary:
    """Train a keyword model and save it with its thresholds.

    Args:
        keywords: the phrases.
        positives: recordings of each, in the same order; or none at all, for synthetic voices alone.
        negatives: speech without any keyword.
        output: folder of the run; a stopped run in it goes on.
        noise: recordings to mix in.
        target_audio: recordings without labels of where the detector will be used, for the regularisers that
            compare domains.
        config: YAML with ``model`` (:class:`kws.model.ModelConfig`) and ``train``
            (:class:`kws.training.loop.TrainConfig`).
        overrides: ``key=value`` changes, such as ``train.transfer.policy=all``.
        cache: folder for decoded audio; None is ``output/cache``.
        num_workers: processes that read audio.
        synthetic: synthetic recordings of each keyword, as further positives; None decides by the number of
            recordings.
        confusables: synthetic recordings, for each keyword, of words that sound like it.
        language: eSpeak language code of the keywords.
        add_to: finished run whose model gets the keywords as well, in a new column beside what it has; its
            own scores and thresholds stay the same.
        control: also train from random weights, into ``output/control``, and note what transfer gained.
        overwrite: start anew when ``output`` holds a finished run, or one of other settings.
    Raises:
        KwsError: a file, key or source cannot be used; the message names it and the remedy.
    """
    from kws.cli.recordings import Synthesis

    if not positives and synthetic is not None and synthetic < 1:
        raise ConfigError(
            f"got --synthetic {synthetic} and no --positives: nothing would say the keyword; give recordings "
            "of it, or leave --synthetic out"
        )
    if add_to is not None and (control or add_to.absolute() == output.absolute()):
        raise ConfigError(
            "--control: not with --add-to, whose borrowed layers stay; leave one out"
            if control
            else f"--output {output}: is the run of --add-to, which stays as it is; choose another folder"
        )
    synthesis = Synthesis(synthetic, confusables, language)

    def train_into(folder: Path, *changes: str) -> TrainSummary:
        return _train_once(
            keywords, positives, negatives, folder,
            noise=noise, target_audio=target_audio, config=config, overrides=[*overrides, *changes],
            cache=cache or output / "cache", num_workers=num_workers, synthesis=synthesis,
            add_to=add_to, overwrite=overwrite,
        )  # fmt: skip

    summary = train_into(output)
    if not control or summary.metrics["policy"] == "scratch":
        return summary
    misses = summary.metrics["dev_miss"]
    from_scratch = train_into(output / "control", "train.transfer.policy=scratch").metrics["dev_miss"]
    gains = [gain_note(keyword, misses[keyword], from_scratch[keyword]) for keyword in keywords]
    return replace(summary, notes=(*summary.notes, *gains))


def _train_once(
    keywords: Sequence[str],
    positives: Sequence[Path],
    negatives: Sequence[Path],
    output: Path,
    *,
    noise: Sequence[Path],
    target_audio: Sequence[Path],
    config: Path | None,
    overrides: Sequence[str],
    cache: Path,
    num_workers: int,
    synthesis: Synthesis,
    add_to: Path | None,
    overwrite: bool,
) -> TrainSummary:
    """Train one model; see :func:`train`."""
    from kws.checkpoint import load_model, save_model
    from kws.cli.earlier import open_earlier
    from kws.cli.recordings import prepare_training, synthesize, transcribed_speech
    from kws.config import config_hash, to_dict
    from kws.data import AudioStore
    from kws.evaluation.thresholds import choose_operating_point
    from kws.model import build_model
    from kws.regularizers import from_scratch, load_phones, need_domains, need_transcripts
    from kws.training.loop import fit, read_dev, seed_everything
    from kws.training.provenance import provenance
    from kws.transfer import choose
    from kws.weights import METRICS

    started = time.monotonic()
    wish = read_wish(config, overrides)
    model_config, settings = read_settings(keywords, wish)
    earlier = None if add_to is None else open_earlier(add_to)
    if earlier is not None:
        settings = earlier.settled(keywords, wish.model, wish.train.keys(), settings)
    given = {"positives": positives, "negatives": negatives, "noise": noise}
    if target_audio:
        given["target"] = target_audio
    sources = {name: [str(path.absolute()) for path in paths] for name, paths in given.items()}
    settled: dict[str, Any] = {
        "model": to_dict(model_config),
        "train": to_dict(settings),
        "sources": sources,
    }
    if earlier is not None:
        settled["add_to"] = earlier.identity()
    if target_audio and not need_domains(settings.regularizers):
        raise ConfigError(
            "--target-audio: nothing compares it; add `--set train.regularizers.dann=0.1`, or leave it out"
        )
    identity = config_hash({**settled, "synthesis": to_dict(synthesis)})
    claim_folder(output, identity, overwrite)
    if (output / METRICS).exists():
        load_model(output)  # raises when the folder is damaged
        note = "this run was finished before; add --overwrite to train it anew"
        return TrainSummary(output, (note,), json.loads((output / METRICS).read_text("utf-8")))

    dropped = []
    if settings.transfer.policy == "scratch":
        kept = from_scratch(settings.regularizers)
        dropped = [
            f"policy scratch: {name} is left out, as there is no source to stay near"
            for name in settings.regularizers
            if name not in kept
        ]
        settings = replace(settings, regularizers=kept)
    recogniser = load_phones(settings.regularizers, model_config.encoder, model_config.weights)
    seed_everything(settings.seed)
    if earlier is not None:
        model, model_config = earlier.extended(keywords)
    else:
        model = build_model(model_config, pretrained=settings.transfer.policy != "scratch")
    prepared = prepare_training(
        keywords, positives, negatives, noise, output / "data",
        target=target_audio, cache=cache, num_workers=num_workers,
    )  # fmt: skip
    transcribed = []
    if need_transcripts(settings.regularizers):
        transcribed = transcribed_speech(prepared.negatives, synthesis.language)
        need_transcripts(settings.regularizers, len(transcribed))
    fewest = prepared.num_recordings
    spoken = synthesize(
        keywords,
        synthesis,
        cache / "synthetic",
        num_recordings=fewest,
        seed=settings.seed,
        num_workers=num_workers,
    )
    manifests = [prepared.positives, prepared.negatives, write_synthetic(spoken, output / "data")]
    augment = augmentation(prepared, settings.seed, settings.augmentation)
    data = load_audio(prepared, keywords, cache, num_workers, settings.seed, augment, spoken)
    if transcribed:
        data = replace(data, transcribed=AudioStore(transcribed, cache, num_workers, "transcribed speech"))
    policy, reason = choose(settings.transfer, fewest)
    settings = replace(settings, transfer=replace(settings.transfer, policy=policy))

    outcome = fit(model, settings, data, output, augment, recogniser)
    point, misses, doubts = choose_operating_point(
        read_dev(model, data),
        keywords,
        hop_samples=model.hop_samples,
        false_accepts_per_hour=settings.false_accepts_per_hour,
        smoothing_frames=settings.smoothing_frames,
        refractory_s=settings.refractory_s,
    )
    metrics = {
        "thresholds": point.thresholds,
        "false_accepts_per_hour": point.false_accepts_per_hour,
        "dev_hours": round(point.dev_hours, 3),
        "dev_miss": misses,
        "held_out": data.held_out,
        "policy": policy,
        "policy_reason": reason,
        "recordings": fewest,
        "synthetic_recordings": spoken.num_recordings(keywords),
        "negative_hours": round(data.negatives.hours, 3),
        "wall_s": round(time.monotonic() - started, 1),
        **outcome,
    }
    origin = provenance(model, [path for path in manifests if path is not None], identity)
    moving = f"policy {policy}: {reason}; moved: {', '.join(outcome['moving'])}"
    notes = [*prepared.notes, *spoken.notes, moving, *dropped, *doubts]
    if earlier is not None:
        model, point = earlier.joined(model, point)
        origin = earlier.origin(origin)
        notes.append(f"{', '.join(earlier.config.keywords)}: as in {add_to}, thresholds too")
    save_model(
        output, model, model_config, point, training=to_dict(settings), metrics=metrics, provenance=origin
    )
    if outcome["resumed"]:
        notes.append("this run was stopped before and went on from its last checkpoint")
    return TrainSummary(output, tuple(notes), metrics)


def read_wish(config: Path | None, overrides: Sequence[str]) -> RunConfig:
    """Return what ``--config`` and ``--set`` ask for, unchecked but for the two sections."""
    from kws.config import load_config, merge, parse_overrides, read_yaml

    values = merge(read_yaml(config) if config else {}, parse_overrides(list(overrides)))
    return load_config(RunConfig, values, "config")


def read_settings(keywords: Sequence[str], wish: RunConfig) -> tuple[ModelConfig, TrainConfig]:
    """Return the settings of a run; see :func:`train`.

    Raises:
        ConfigError: a key is unknown or a value out of range.
    """
    from kws.config import load_config
    from kws.model import ModelConfig
    from kws.training.loop import TrainConfig

    model = load_config(ModelConfig, {**wish.model, "keywords": list(keywords)}, "model")
    return model, load_config(TrainConfig, wish.train, "train")


def gain_note(keyword: str, misses: float, scratch_misses: float) -> str:
    """State what transfer gained over training from scratch, and warn when it gained nothing."""
    gain = scratch_misses - misses
    verdict = (
        ""
        if gain > 0
        else "; WARNING: transfer gained nothing here, compare both with `kws eval` before you use it"
    )
    return (
        f"{keyword}: misses on dev {100 * misses:.1f} %, from scratch {100 * scratch_misses:.1f} %{verdict}"
    )


def claim_folder(output: Path, identity: str, overwrite: bool) -> None:
    """Mark ``output`` as the folder of this run; refuse one that holds what another run has trained.

    Raises:
        ConfigError: the folder holds a run of other settings or sources, or no run at all.
    """
    from kws.weights import METRICS, write_json

    marker, finished = output / IDENTITY, (output / METRICS).exists()
    if finished and not marker.exists():
        raise ConfigError(
            f"{output}: holds something else than a run of `kws train`; choose another --output"
        )
    begun = marker.exists() and (finished or (output / "checkpoints").exists())
    other = begun and json.loads(marker.read_text(encoding="utf-8")).get("identity") != identity
    if other and not overwrite:
        raise ConfigError(
            f"{output}: holds a run of other settings; choose another --output or add --overwrite"
        )
    if other or (finished and overwrite):
        shutil.rmtree(output)
    write_json(marker, {"identity": identity})


def write_synthetic(spoken: SyntheticRecordings, folder: Path) -> Path | None:
    """Write the manifest ``synthetic.jsonl`` of what synthetic voices say; None where they say nothing."""
    from data_prep import manifests

    entries = [*spoken.keywords, *spoken.held_out, *spoken.speech, *spoken.confusables]
    return manifests.write(entries, folder / "synthetic.jsonl") if entries else None


def augmentation(prepared: PreparedData, seed: int, strength: float = 1.0) -> Augment:
    """Return the default augmentation with the run's own noise, at a strength of 0 (none) to 1.4."""
    from data_prep import manifests
    from data_prep.augmentation.banks import NoiseBank
    from data_prep.augmentation.chain import default_chain

    noise = None
    if prepared.noise is not None:
        noise = NoiseBank(tuple(recording.path for recording in manifests.read(prepared.noise)))
        assert noise.recordings  # read once, before worker processes share it
    return default_chain(noise, strength=strength, seed=seed).augment


def load_audio(
    prepared: PreparedData,
    keywords: Sequence[str],
    cache: Path,
    num_workers: int,
    seed: int,
    augment: Augment,
    spoken: SyntheticRecordings,
) -> TrainingData:
    """Read the audio of a run; without recordings, synthetic voices take their place."""
    from kws.data import AudioStore, Synthetic
    from kws.manifest import Utterance, read_manifest
    from kws.training.loop import TrainingData

    def utterances(made: Sequence[Recording]) -> list[Utterance]:
        return [Utterance(entry.path, entry.duration_s or 0.0, label=entry.label) for entry in made]

    def read(entries: Sequence[Utterance], description: str) -> AudioStore:
        return AudioStore(entries, cache, num_workers, description)

    def labels_of(entries: Sequence[Utterance]) -> list[int]:
        return [keywords.index(entry.label or "") for entry in entries]

    other = read_manifest(prepared.negatives)
    recordings = [] if prepared.positives is None else read_manifest(prepared.positives)
    train = [entry for entry in recordings if entry.split == "train"]
    held = [entry for entry in recordings if entry.split == "dev"]
    voices = utterances(spoken.keywords)
    if not recordings:
        train, held, voices = voices, utterances(spoken.held_out), []
    positives, labels = AudioStore(train, None, 1, "positives"), labels_of(train)
    clips, dev_labels = [entry.load() for entry in held], labels_of(held)
    lacking = set(labels) - set(dev_labels)
    for label in sorted(lacking):
        own = [index for index, other in enumerate(labels) if other == label][:DEV_COPIED]
        for number, index in enumerate(index for index in own for _ in range(DEV_COPIES)):
            clips.append(augment(positives.waveform(index), train[index].item_id, seed + DEV_SEED, number))
            dev_labels.append(label)
    return TrainingData(
        positives=positives,
        labels=labels,
        negatives=AudioStore(
            [entry for entry in other if entry.split == "train"], cache, num_workers, "negatives"
        ),
        dev_positives=clips,
        dev_labels=dev_labels,
        held_out=not lacking,
        target=None if prepared.target is None else read(read_manifest(prepared.target), "target audio"),
        dev_negatives=AudioStore(
            [entry for entry in other if entry.split == "dev"], cache, num_workers, "dev negatives"
        ),
        confusables=read(utterances(spoken.confusables), "words alike"),
        synthetic=Synthetic(
            read(voices, "synthetic keywords"),
            labels_of(voices),
            read(utterances(spoken.speech), "synthetic speech"),
        ),
    )
