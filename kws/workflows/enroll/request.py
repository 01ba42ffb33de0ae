"""Which detector ``kws enroll`` is asked for: its request, what that comes to, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws.enrollment.methods import EXAMPLES, PHONES, TEXT_ALONE
from kws.errors import ConfigError
from kws.workflows.enroll.config import EnrollConfig

if TYPE_CHECKING:
    from data_prep.synthesis.engines import VoiceChoice
    from kws.model import ModelConfig, WakeWordModel
    from kws.workflows.train.add_keywords import EarlierRun


@dataclass(frozen=True)
class EnrollRequest:
    """One call of ``kws enroll``; :func:`kws.workflows.enroll.enroll` says what the fields are."""

    keywords: tuple[str, ...]
    output: Path
    recordings: tuple[Path, ...] = ()
    method: str | None = None
    language: str = "en"
    lexicon: tuple[str, ...] = ()
    """Lines of a word in upper case and its phones."""
    negatives: tuple[Path, ...] = ()
    noise: tuple[Path, ...] = ()
    weights: Path | None = None
    ensemble: Path | None = None
    voices: tuple[str, ...] = ()
    """Synthesizers that say examples, or voices of them; none is eSpeak and the best that is installed."""
    config: EnrollConfig = field(default_factory=EnrollConfig)
    num_workers: int = 2
    overwrite: bool = False

    def pronunciations(self) -> dict[str, list[str]] | None:
        """Return the lexicon as synthesis takes it; None where there is none."""
        return {word: phones for word, *phones in map(str.split, self.lexicon)} or None

    def sources(self) -> dict[str, Sequence[Path | None]]:
        """Return all that is read, by option."""
        return {
            "recordings": self.recordings,
            "negatives": self.negatives,
            "noise": self.noise,
            "weights": (self.weights,),
            "ensemble": (self.ensemble,),
        }


@dataclass(frozen=True)
class ResolvedEnrollment:
    """What a request comes to.

    Attributes:
        request: with the method, negatives and noise that are used.
        spoken: pronunciations of each phrase.
        model: as text alone makes it; None where examples do.
        model_config: what that is made of.
        trained: the run of the ensemble.
        split: of the negatives, where they are those of a trained run.
        voices: who says examples.
        notes: what the person should know.
    """

    request: EnrollRequest
    spoken: tuple[tuple[str, ...], ...]
    model: WakeWordModel | None
    model_config: ModelConfig
    trained: EarlierRun | None
    split: str | None
    voices: VoiceChoice
    notes: tuple[str, ...]

    @property
    def method(self) -> str:
        """How phrases are found."""
        assert self.request.method is not None
        return self.request.method

    def identity(self) -> str:
        """Return a hash of all that determines the detector, its sources by their paths."""
        from kws.config import config_hash, to_dict

        request = self.request
        facts: dict[str, Any] = {
            "model": to_dict(self.model_config),
            "enroll": config_hash(request.config),
            "language": request.language,
            "lexicon": list(request.lexicon),
            "sources": {
                name: [str(path.absolute()) for path in paths]
                for name, paths in (
                    ("recordings", request.recordings),
                    ("negatives", request.negatives),
                    ("noise", request.noise),
                )
            },
        }
        if self.method == EXAMPLES:
            facts["voices"] = self.voices.names if self.voices.speakers else ()
        if request.ensemble is not None:
            facts["ensemble"] = str(request.ensemble.absolute())
        return config_hash(facts)


def read_config(config: Path | None, overrides: Sequence[str], rate: float | None = None) -> EnrollConfig:
    """Return what a YAML file and ``key=value`` changes of it ask for.

    Args:
        config: the file; None is all defaults.
        overrides: such as ``examples.num_voices=100``.
        rate: of false accepts per hour, over all of them.
    Raises:
        ConfigError: a key is unknown or a value out of range.
    """
    from kws.config import load_config, merge, parse_overrides, read_yaml

    values = merge(read_yaml(config) if config else {}, parse_overrides(list(overrides)))
    if rate is not None:
        values = merge(values, {"decision": {"false_accepts_per_hour": float(rate)}})
    return load_config(EnrollConfig, values, "enroll")


def lexicon_lines(lexicon: Mapping[str, Sequence[str]] | Path | None) -> tuple[str, ...]:
    """Return a lexicon as lines of a word and its phones, from a file where one is named.

    Raises:
        ManifestError: the file is missing, or a line of it is no pronunciation.
    """
    from data_prep.synthesis.phones import read_lexicon

    words = read_lexicon(lexicon) if isinstance(lexicon, Path) else lexicon or {}
    return tuple(" ".join([word, *phones]) for word, phones in words.items())


def resolve(request: EnrollRequest) -> ResolvedEnrollment:
    """Choose the method and the audio, and refuse what does not fit; nothing is written.

    Raises:
        KwsError: a phrase cannot be said or is too short, or sources do not fit the method.
    """
    from data_prep.synthesis.engines import choose
    from data_prep.synthesis.phones import pronunciations
    from kws.enrollment.notes import background_language, said_alike
    from kws.workflows.enroll.ensemble import noise_of, open_trained, speech_of

    trained, split = None, None
    if request.ensemble is not None:
        trained = open_trained(request.ensemble, request.keywords)
        check_ensemble(request.method, request.recordings, request.weights)
        request = replace(request, method=EXAMPLES, noise=request.noise or noise_of(trained))
        if not request.negatives:
            request, split = replace(request, negatives=(speech_of(trained),)), "dev"
    voices = choose(request.voices or None, request.language)
    method, notes = choose_method(
        request.method, bool(request.recordings), voices, shipped=request.weights is None
    )
    request = replace(request, method=method)
    check_sources(request)
    lexicon = request.pronunciations()
    spoken = tuple(
        tuple(map(" ".join, pronunciations(phrase, request.language, lexicon))) for phrase in request.keywords
    )
    model, model_config = _typed_model(request, spoken)
    notes += said_alike(request.keywords, spoken)
    notes += background_language(request.language, bool(request.negatives))
    return ResolvedEnrollment(request, spoken, model, model_config, trained, split, voices, tuple(notes))


def choose_method(
    method: str | None, recorded: bool, voices: VoiceChoice, *, shipped: bool
) -> tuple[str, list[str]]:
    """Return how phrases are found, and what would miss less.

    Args:
        method: as asked for; None takes the one that misses least of those that are possible.
        recorded: there are recordings.
        voices: who can say examples.
        shipped: the shipped recogniser is used, of which the frames of other speech are known.
    Raises:
        ConfigError: a layer is asked for, and there is nothing to fit it to.
    """
    if method == EXAMPLES and not (recorded or voices.speakers):
        raise ConfigError(
            f"`method` {EXAMPLES}: needs `recordings` (three to ten), or synthetic voices, but "
            f"{voices.lacking}; or leave `method` out"
        )
    if method is not None:
        return method, []
    english = voices.language.lower().split("-")[0] == "en"  # elsewhere nothing was measured
    if recorded or (voices.speakers and shipped and english):
        return EXAMPLES, []
    if english and shipped:
        return PHONES, [f"with voices less than half as much is missed in noise, but {voices.lacking}"]
    return PHONES, []


def check_ensemble(method: str | None, recordings: Sequence[Path], weights: Path | None) -> None:
    """Refuse what does not go into an ensemble with a trained run.

    Raises:
        ConfigError: the message names the option.
    """
    if method not in (None, EXAMPLES):
        raise ConfigError(f"`method` {method}: with `ensemble` only {EXAMPLES} is possible; leave it out")
    if recordings:
        raise ConfigError("`recordings`: the run of `ensemble` has heard recordings; leave them out")
    if weights is not None:
        raise ConfigError("`weights`: an ensemble needs the recogniser that ships; leave it out")


def check_sources(request: EnrollRequest) -> None:
    """Refuse audio that a method does not take, and a method without the audio that it needs.

    Raises:
        ConfigError: the message names the option.
    """
    method, recordings, negatives = request.method, request.recordings, request.negatives
    if request.weights is not None and not negatives:
        raise ConfigError("`weights`: what ships fits the shipped recogniser alone; give `negatives` as well")
    if request.noise and method != EXAMPLES and not negatives:
        raise ConfigError(
            f"`noise`: is mixed into examples, which `method` {method} has none of, and into `negatives`; "
            "leave it out, or give those"
        )
    if method in TEXT_ALONE and (recordings or not negatives):
        raise ConfigError(f"`method` {method}: takes `negatives` for the threshold, and no `recordings`")
    if recordings and len(recordings) != len(request.keywords):
        raise ConfigError(
            f"got {len(request.keywords)} phrases and {len(recordings)} `recordings`; give one for each"
        )


def _typed_model(
    request: EnrollRequest, spoken: Sequence[tuple[str, ...]]
) -> tuple[WakeWordModel | None, ModelConfig]:
    """Return the model as text alone makes it, None where examples do, and what it is made of.

    Raises:
        ConfigError: a phrase is too short.
    """
    from kws.enrollment.typed import check_phrases, phrase_model, word_space_model
    from kws.workflows.enroll.examples import examples_config

    phrases, weights = request.keywords, request.weights
    if request.method == EXAMPLES:
        check_phrases(phrases, spoken)
        return None, examples_config(phrases, spoken, weights)
    if request.method == PHONES:
        return phrase_model(phrases, spoken, weights=weights)
    assert request.method is not None
    return word_space_model(phrases, spoken, request.method, weights)
