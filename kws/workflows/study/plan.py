"""How each cell of a study is run: what its process is told, what it is known by, and what cells share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws.studies.recipe import BEFORE

if TYPE_CHECKING:
    from kws.model import ModelConfig
    from kws.studies.grid import Cell
    from kws.studies.pool import Job
    from kws.studies.recipe import ChoiceConfig, SettingsConfig, StudyConfig
    from kws.training.config import TrainConfig
    from kws.workflows.enroll.request import EnrollRequest
    from kws.workflows.recordings import Synthesis
    from kws.workflows.study.data import Drawn, StudyData
    from kws.workflows.study.request import PeerCall
    from kws.workflows.train.request import RunConfig, TrainRequest

OF_THE_FIRST_RUN = ("transfer", "regularizers", "loss_weighting", "balance")
"""What keys of ``train`` begin with that say how borrowed layers move: an added keyword leaves them."""
SHORT_DEV_HOURS = 0.01


def given_settings(settings: SettingsConfig, base: Path) -> RunConfig:
    """Return settings of a recipe as ``kws train`` reads them from a file.

    Args:
        settings: options and keys.
        base: what a relative path starts from.
    """
    from kws.config import load_config, merge, nested
    from kws.workflows.train.options import OPTION_KEYS
    from kws.workflows.train.request import RunConfig, with_decision

    given = settings.given()
    if settings.weights is not None:
        given["weights"] = base / settings.weights
    keys = {OPTION_KEYS[name]: value for name, value in given.items() if name in OPTION_KEYS}
    values: dict[str, Any] = {}
    for key, value in (*keys.items(), *settings.set.items()):
        values = merge(values, nested(key, value))
    found = load_config(RunConfig, values, "config")
    return replace(found, train=with_decision(found.train))


def plan(
    config: StudyConfig, grid: Sequence[Cell], data: StudyData, output: Path, cache: Path, keep_runs: bool
) -> dict[Cell, Job]:
    """Return the job of each cell; cells that would train the same share an identity.

    ``auto`` is resolved here, by the number of recordings drawn.
    """
    from kws.config import config_hash, to_dict
    from kws.studies.pool import Job
    from kws.workflows.study.data import clips_name, draw_recordings
    from kws.workflows.study.request import CellRequest

    sources = _Sources.of(config, data.base)
    choices = config.all_choices()
    drawn: dict[Cell, Drawn] = {}

    def recordings_of(cell: Cell, keyword: str) -> Drawn:
        place = replace(cell, choice="", keyword=keyword)
        if place not in drawn:
            drawn[place] = draw_recordings(data, place, output)
        return drawn[place]

    planned = {}
    for cell in grid:
        choice = choices[cell.choice]
        others = [entry.keyword for entry in config.keywords if entry.keyword != cell.keyword]
        heard = {
            keyword: recordings_of(cell, keyword)
            for keyword in (cell.keyword, *(others if choice.others else ()))
        }
        spec = _CellSpec(cell, choice, choice.over(config.settings), heard, sources, data.base, output, cache)
        made = _peer(spec) if choice.peer else _enrolled(spec) if choice.enroll else _trained(spec)
        facts = made.facts | {"test": data.test_hash, "rates": config.rates}
        request = CellRequest(
            folder=output,
            identity=config_hash(facts),
            keyword=cell.keyword,
            num_recordings=heard[cell.keyword].num_recordings,
            seed=cell.seed,
            policy=made.policy,
            test=data.test,
            clips=clips_name(cell.keyword),
            rates=config.rates,
            keep_run=keep_runs,
            trainings=made.trainings,
            enrollment=made.enrollment,
            peer=made.peer,
        )
        planned[cell] = Job(cell.name, request.identity, to_dict(request))
    return planned


@dataclass(frozen=True)
class _Sources:
    """What every choice hears beside the keyword, and hashes of what that holds."""

    negatives: tuple[Path, ...]
    noise: tuple[Path, ...]
    rooms: tuple[Path, ...]
    fingerprints: dict[str, str]

    @classmethod
    def of(cls, config: StudyConfig, base: Path) -> _Sources:
        """Read the sources of a recipe, whose paths are relative to ``base``."""
        from kws.workflows.study.data import sources_fingerprint

        named = {
            name: tuple(base / path for path in paths)
            for name, paths in (
                ("negatives", config.negatives),
                ("noise", config.noise),
                ("rooms", config.rooms),
            )
        }
        hashes = {
            name: sources_fingerprint(paths) for name, paths in named.items() if paths or name != "rooms"
        }
        return cls(**named, fingerprints=hashes)


@dataclass(frozen=True)
class _CellSpec:
    """What a cell is to be made of.

    Attributes:
        cell: its place in the grid.
        choice: what is peculiar to it.
        settings: its own over common ones.
        heard: recordings of its keyword first, then of others that are trained too.
        sources: beside them.
        base: what relative paths of the recipe start from.
        output: folder of the study.
        cache: folder of decoded audio and synthetic voices.
    """

    cell: Cell
    choice: ChoiceConfig
    settings: SettingsConfig
    heard: Mapping[str, Drawn]
    sources: _Sources
    base: Path
    output: Path
    cache: Path


@dataclass(frozen=True)
class _Task:
    """What is made in a cell.

    Attributes:
        facts: all that determines it, but for the audio that it is read on.
        policy: as resolved, or the method of enrolling.
        trainings, enrollment, peer: as :class:`kws.workflows.study.cell.CellRequest` says.
    """

    facts: dict[str, Any]
    policy: str
    trainings: tuple[TrainRequest, ...] = ()
    enrollment: EnrollRequest | None = None
    peer: PeerCall | None = None


def _trained(spec: _CellSpec) -> _Task:
    """Return what `kws train` makes of a keyword's recordings, and of others' where the choice says so."""
    from kws.version import __version__
    from kws.workflows.recordings import Synthesis, with_voices
    from kws.workflows.study.data import sources_fingerprint, weights_fingerprint
    from kws.workflows.train.request import RunConfig, TrainRequest, read_settings

    cell, choice, settings, heard = spec.cell, spec.choice, spec.settings, spec.heard
    positives = heard[cell.keyword]
    given = given_settings(settings, spec.base)
    model, training = read_settings([cell.keyword], given)
    resolved, _ = training.resolved(positives.num_recordings)
    spoken = with_voices(Synthesis(settings.synthetic, settings.confusables, settings.language or "en"))
    facts = {
        "kws": __version__,
        "encoder": weights_fingerprint(model.encoder, model.weights),
        "keyword": cell.keyword,
        "seed": cell.seed,
        "settings": cell_settings(model, resolved, positives.num_recordings, spoken),
        "positives": positives.fingerprint,
        **spec.sources.fingerprints,
    }

    transfer = replace(training.transfer, policy=resolved.transfer.policy)
    first = replace(training, transfer=transfer, regularizers=resolved.regularizers)
    held_out = all(found.held_out for found in heard.values())

    def train(keywords: Sequence[str], settings: TrainConfig, given: RunConfig) -> TrainRequest:
        manifests = [heard[keyword].manifest for keyword in keywords]
        return TrainRequest(
            tuple(keywords),
            tuple(path for path in manifests if path),
            spec.sources.negatives,
            spec.output,
            read_settings(keywords, RunConfig(given.model))[0],
            of_a_cell(settings, cell.seed, held_out),
            noise=spec.sources.noise,
            rooms=spec.sources.rooms,
            synthesis=spoken,
            cache=spec.cache,
            num_workers=1,
        )

    others = [keyword for keyword in heard if keyword != cell.keyword]
    runs = [train(list(heard), first, given)]
    if choice.others == BEFORE:
        kept = {key: value for key, value in given.train.items() if not key.startswith(OF_THE_FIRST_RUN)}
        later = RunConfig(train=kept)
        added = replace(train([cell.keyword], read_settings(["a"], later)[1], later), given=later.given())
        runs = [train(others, first, given), added]
    runs[0] = replace(runs[0], target_audio=tuple(spec.base / path for path in choice.target_audio))
    if choice.target_audio:
        facts["target_audio"] = sources_fingerprint(spec.base / path for path in choice.target_audio)
    if others:
        facts["others"] = {choice.others: {keyword: heard[keyword].fingerprint for keyword in others}}
    return _Task(facts, resolved.transfer.policy, tuple(runs))


def _enrolled(spec: _CellSpec) -> _Task:
    """Return what `kws enroll` makes of a keyword; the draw alone depends on the seed."""
    from data_prep.synthesis.engines import choose
    from kws.config import config_hash
    from kws.encoders.sources.embedded_weights import ASSETS
    from kws.enrollment.methods import EXAMPLES, TEXT_ALONE
    from kws.version import __version__
    from kws.workflows.enroll.config import EnrollConfig
    from kws.workflows.enroll.request import EnrollRequest
    from kws.workflows.study.data import weights_fingerprint

    keyword, method = spec.cell.keyword, spec.choice.enroll
    assert method is not None
    positives = spec.heard[keyword]
    request = EnrollRequest(
        (keyword,),
        spec.output,
        recordings=() if positives.manifest is None else (positives.manifest,),
        method=method,
        language=spec.settings.language or "en",
        negatives=spec.sources.negatives if method in TEXT_ALONE else (),
        noise=spec.sources.noise if method == EXAMPLES else (),
        config=EnrollConfig(),
        num_workers=1,
    )
    facts = {
        "kws": __version__,
        "ships": [weights_fingerprint("embedded", path) for path in sorted(ASSETS.glob("*.safetensors"))],
        "keyword": keyword,
        "enroll": method,
        "config": config_hash(request.config),
        "language": request.language,
        "positives": positives.fingerprint,
    }
    if method == EXAMPLES:
        facts["noise"] = spec.sources.fingerprints["noise"]
        facts["voices"] = choose(request.voices or None, request.language).names
    return _Task(facts, f"enroll {method}", enrollment=request)


def _peer(spec: _CellSpec) -> _Task:
    """Return what a detector of others is given."""
    from kws.studies.peers import peer_fingerprint
    from kws.version import __version__
    from kws.workflows.study.request import PeerCall

    assert spec.choice.peer is not None
    positives = spec.heard[spec.cell.keyword]
    facts = {
        "kws": __version__,
        "peer": {spec.choice.peer: peer_fingerprint(spec.choice.peer)},
        "keyword": spec.cell.keyword,
        "seed": spec.cell.seed,
        "positives": positives.fingerprint,
        **spec.sources.fingerprints,
    }
    files = None if spec.choice.peer_files is None else spec.base / spec.choice.peer_files
    sources = spec.sources
    call = PeerCall(spec.choice.peer, positives.manifest, sources.negatives, sources.noise, files, spec.cache)
    return _Task(facts, f"peer {call.name.partition(':')[2]}", peer=call)


def of_a_cell(settings: TrainConfig, seed: int, held_out: bool) -> TrainConfig:
    """Return settings with what holds in every cell.

    Args:
        settings: of its choice.
        seed: of the cell.
        held_out: recordings are held out, which decides when training stops. Where none are, dev is read
            after each epoch for the log alone and the last epoch is kept, so little of it is read.
    """
    # misses are read at rates on the test audio, not at the stored threshold: no copies of dev
    changed = replace(settings, seed=seed, num_workers=0, dev_copies=0)
    return changed if held_out else replace(changed, dev_hours=SHORT_DEV_HOURS)


def cell_settings(
    model: ModelConfig, training: TrainConfig, num_recordings: int, synthesis: Synthesis
) -> dict[str, Any]:
    """Return all settings of a cell, defaults included, so that a changed default makes it another cell.

    Args:
        model: of the detector.
        training: as resolved; the table of ``auto`` then has said what it had to say.
        num_recordings: how many are trained on.
        synthesis: what synthetic voices shall say.
    """
    from kws.config import to_dict

    return {
        "model": to_dict(replace(model, weights=None)),  # weights by content
        "train": to_dict(replace(training, transfer=replace(training.transfer, auto_table=None))),
        "synthesis": asdict(replace(synthesis, keyword=synthesis.count(num_recordings))),
    }


def share_work(jobs: Sequence[Job], cache: Path, num_workers: int) -> None:
    """Decode audio and make synthetic voices once, before the cells that need them are run side by side."""
    from kws.config import load_config
    from kws.workflows.study.data import decode, speak
    from kws.workflows.study.request import CellRequest

    cells = [load_config(CellRequest, job.values, job.name) for job in jobs]
    runs = [(cell, training) for cell in cells for training in cell.trainings]
    largest: dict[tuple[str, ...], tuple[int, TrainRequest]] = {}
    for cell, run in runs:
        if cell.num_recordings >= largest.get(run.keywords, (0, run))[0]:
            largest[run.keywords] = (cell.num_recordings, run)
    for _, run in largest.values():
        decode(run.keywords, run.positives, run.negatives, run.noise, cache, num_workers)
    spoken = dict.fromkeys(
        (keyword, cell.num_recordings, cell.seed, run.synthesis)
        for cell, run in runs
        for keyword in run.keywords
    )
    for keyword, number, seed, synthesis in spoken:
        speak(keyword, synthesis, cache, num_recordings=number, seed=seed, num_workers=num_workers)
