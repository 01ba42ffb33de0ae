"""A pretraining recipe, as YAML gives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kws.encoders.sources.embedded import EmbeddedConfig
from kws.errors import ConfigError
from kws.pretraining.sources import Outputs, SpeechSourceConfig
from kws.pretraining.teachers import TeacherConfig
from kws.training.precision import Precision


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """A pretraining recipe."""

    train: tuple[SpeechSourceConfig, ...]
    """Speech to learn from."""
    dev: tuple[SpeechSourceConfig, ...]
    """Real speech of other speakers: the phone error rate that the curve shows."""
    test: tuple[SpeechSourceConfig, ...] = ()
    """Read once, at the end, for the model card."""
    max_left_out: float = 0.5
    """Largest share of the lines of train, dev or test that may be left out, their text or audio unusable."""
    noise: Path | None = None
    """Manifest or folder of noise recordings to mix in."""
    init: Path | None = None
    """Output of an earlier run, whose weights are the start; of the same encoder, but for its stem and for
    layers that are missing on top. None starts at random."""
    teacher: TeacherConfig | None = None
    """A better informed model whose embeddings are learnt beside phones; None: phones alone."""
    consistency: float = 0.0
    """Weight of the agreement of two masked copies of each utterance, whose phones may be unknown, so that a
    step hears ``2 * batch_s``; 0: one copy. Needs ``spec_augment``."""
    encoder: EmbeddedConfig = field(default_factory=EmbeddedConfig)
    """Shape of the encoder."""
    outputs: Outputs = "shared"
    """``shared``: one phone inventory, ARPAbet, for all speech. ``per_language``: sources of a `language`
    other than English teach an output of their own, in eSpeak's symbols of that language without tones;
    ``per_language_with_tones`` keeps tones, as symbols after the vowel."""
    inventories: dict[str, list[str]] = field(default_factory=dict)
    """Phone symbols of each such output; one that is missing is collected from the training texts."""
    middle: int = 5
    """Layers below the middle CTC output."""
    middle_weight: float = 0.3
    """Weight of the middle CTC loss."""
    steps: int = 20_000
    """Optimiser steps."""
    batch_s: float = 80.0
    """Seconds of audio per step."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW, for outputs, filters, norms and biases."""
    matrix_rate: float = 0.03
    """Peak rate of Muon, for the matrices of the encoder."""
    warmup: float = 0.03
    """Share of the steps over which the rate rises; then it falls to zero on a cosine."""
    weight_decay: float = 0.02
    """Weight decay of both."""
    ema_decay: float = 0.999
    """Decay per step of the averaged weights that are evaluated and saved."""
    augment_strength: float = 1.0
    """Strength of the waveform augmentation, 0 (none) to 1.4."""
    spec_augment: bool = True
    """Mask random mel bands and frames."""
    time_masks: int = 2
    """Stretches of at most a fifth of an utterance, and 0.4 s, that ``spec_augment`` masks; more with
    ``consistency`` (Yao et al., arXiv:2410.05101, mask two and a half times as much)."""
    warp: float = 0.0
    """Largest change of the length of the vocal tract, as a share; drawn anew for every utterance."""
    ramp: float = 0.12
    """Share of the steps over which augmentation and masking come in."""
    words: int = 0
    """Utterances from which the maps of ``kws enroll --method`` are learnt at the end; 0 learns none."""
    evaluate_every: int = 1000
    """Steps between two readings of the dev phone error rate and checkpoints."""
    num_workers: int = 1
    """Processes that make batches, for each device."""
    devices: int = 0
    """Processors to train on, each with batches of its own; 0 takes every GPU, or one CPU process."""
    seed: int = 1
    """Seed of weights, draws and augmentation."""
    precision: Precision = "bf16-mixed"
    """Lightning precision; ``bf16-mixed`` is ``32-true`` where a machine only emulates bfloat16."""

    def __post_init__(self) -> None:
        if not self.train or not self.dev:
            raise ConfigError("train and dev: got none, give at least one manifest for each")
        if any(source.unlabeled for source in self.dev + self.test):
            raise ConfigError("dev and test: `unlabeled` has no phone error rate; leave it out there")
        learned = self.teacher is not None or self.consistency
        if not learned and any(source.unlabeled for source in self.train):
            raise ConfigError("train: an `unlabeled` source needs a `teacher` or `consistency` to learn from")
        if self.consistency < 0 or (self.consistency and not self.spec_augment):
            raise ConfigError(
                f"consistency: got {self.consistency:g}, allowed: 0 or more, above 0 with `spec_augment`"
            )
        if self.teacher is not None and self.teacher.layer > self.encoder.num_layers:
            raise ConfigError(
                f"teacher.layer: got {self.teacher.layer}, allowed: 1 to {self.encoder.num_layers} "
                "(encoder.num_layers)"
            )
        self._check_outputs()
        for name in (
            "devices",
            "num_workers",
            "words",
            "seed",
            "weight_decay",
            "middle_weight",
            "time_masks",
        ):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}: got {getattr(self, name)}, allowed: 0 or more")
        for name in ("max_left_out", "ramp", "warmup", "ema_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, allowed: 0 to 1")
        for name in ("steps", "batch_s", "learning_rate", "matrix_rate", "evaluate_every"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}: got {getattr(self, name)}, allowed: above 0")
        if not 1 <= self.middle <= self.encoder.num_layers:
            raise ConfigError(
                f"middle: got {self.middle}, allowed: 1 to {self.encoder.num_layers} (encoder.num_layers)"
            )

    def _check_outputs(self) -> None:
        """Refuse outputs of languages that cannot be trained, read or evaluated."""
        own = {source.own_output(self.outputs) for source in self.train}
        if self.outputs != "shared" and own == {""}:
            raise ConfigError(
                f"outputs: got {self.outputs}, but no source of train names a `language` other than English; "
                "name it there, or set outputs to shared"
            )
        if "" not in own:
            raise ConfigError(
                f"train: with outputs {self.outputs} no source teaches the main output, which everything but "
                "pretraining reads; add speech in English, or set outputs to shared"
            )
        for source in self.train + self.dev + self.test:
            language = source.own_output(self.outputs)
            if language not in own:
                raise ConfigError(
                    f"{source.manifest}: language {language!r} has no output, allowed: "
                    f"{', '.join(sorted(own - {''}))} and English; add a source of it to train"
                )
            if language and source.lexicon is not None:
                raise ConfigError(
                    f"{source.manifest}: a lexicon holds ARPAbet, which the output of {language!r} does not "
                    "have; leave the lexicon out, or set outputs to shared"
                )
        for language, symbols in self.inventories.items():
            if language not in own - {""}:
                raise ConfigError(f"inventories: {language!r} has no output; remove it, or name it in train")
            if not symbols or len(set(symbols)) < len(symbols) or any(not s or " " in s for s in symbols):
                raise ConfigError(
                    f"inventories.{language}: expected different symbols without spaces, got {symbols!r}"
                )
