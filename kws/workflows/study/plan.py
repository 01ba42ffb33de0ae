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
    from kws.workflows.recordings import Synthesis
    from kws.workflows.study.cell import CellRequest, RunRequest
    from kws.workflows.study.data import Drawn, StudyData

OF_THE_FIRST_RUN = ("train.transfer", "train.regularizers", "train.loss_weighting", "train.balance")
"""Keys of ``train`` that say how borrowed layers move, which a keyword that is added leaves as they are."""


def setting_pairs(settings: SettingsConfig, base: Path) -> list[str]:
    """Return settings as ``kws train --set`` takes them."""
    from kws.workflows.train.request import OPTION_KEYS

    given = settings.given()
    if settings.weights is not None:
        given["weights"] = str(base / settings.weights)
    pairs = [f"{OPTION_KEYS[name]}={as_text(value)}" for name, value in given.items() if name in OPTION_KEYS]
    return pairs + [f"{key}={as_text(value)}" for key, value in settings.set.items()]


def as_text(value: Any) -> str:
    """Return a value as ``kws train --set`` takes it."""
    import yaml

    return yaml.safe_dump([value], default_flow_style=True, width=10**6).strip()[1:-1]


def plan(
    config: StudyConfig, grid: Sequence[Cell], data: StudyData, output: Path, cache: Path, keep_runs: bool
) -> dict[Cell, Job]:
    """Return the job of each cell; cells that would train the same share an identity.

    ``auto`` is resolved here, by the number of recordings drawn.
    """
    from kws.config import config_hash
    from kws.studies.pool import Job
    from kws.workflows.study.cell import CellRequest
    from kws.workflows.study.data import clips_name, draw_recordings

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
        spec = _CellSpec(cell, choice, choice.over(config.settings), heard, sources, data.base)
        made = _peer(spec) if choice.peer else _enrolled(spec) if choice.enroll else _trained(spec)
        facts = made.facts | {"test": data.test_hash, "rates": config.rates}
        request = CellRequest(
            folder=str(output),
            identity=config_hash(facts),
            keyword=cell.keyword,
            num_recordings=heard[cell.keyword].num_recordings,
            seed=cell.seed,
            method=choice.enroll,
            policy=made.policy,
            runs=made.runs,
            held_out=all(found.held_out for found in heard.values()),
            negatives=tuple(map(str, sources.negatives)),
            noise=tuple(map(str, sources.noise)),
            target_audio=tuple(str(data.base / path) for path in choice.target_audio),
            synthetic=made.spoken.keyword,
            confusables=made.spoken.confusables,
            language=made.spoken.language,
            cache=str(cache),
            test=str(data.test),
            clips=clips_name(cell.keyword),
            rates=config.rates,
            peer=choice.peer,
            peer_files=None if choice.peer_files is None else str(data.base / choice.peer_files),
            keep_run=keep_runs,
        )
        planned[cell] = Job(cell.name, request.identity, asdict(request))
    return planned


@dataclass(frozen=True)
class _Sources:
    """What every choice hears beside the keyword, and hashes of what that holds."""

    negatives: tuple[Path, ...]
    noise: tuple[Path, ...]
    fingerprints: dict[str, str]

    @classmethod
    def of(cls, config: StudyConfig, base: Path) -> _Sources:
        """Read the sources of a recipe, whose paths are relative to ``base``."""
        from kws.workflows.study.data import sources_fingerprint

        named = {
            name: tuple(base / path for path in paths)
            for name, paths in (("negatives", config.negatives), ("noise", config.noise))
        }
        return cls(**named, fingerprints={name: sources_fingerprint(paths) for name, paths in named.items()})


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
    """

    cell: Cell
    choice: ChoiceConfig
    settings: SettingsConfig
    heard: Mapping[str, Drawn]
    sources: _Sources
    base: Path


@dataclass(frozen=True)
class _Task:
    """What is made in a cell.

    Attributes:
        facts: all that determines it, but for the audio that it is read on.
        policy: as resolved, or the method of enrolling.
        runs: calls of `kws train` or of `kws enroll`.
        spoken: what synthetic voices shall say.
    """

    facts: dict[str, Any]
    policy: str
    runs: tuple[RunRequest, ...]
    spoken: Synthesis


def _trained(spec: _CellSpec) -> _Task:
    """Return what `kws train` makes of a keyword's recordings, and of others' where the choice says so."""
    from kws.version import __version__
    from kws.workflows.recordings import Synthesis
    from kws.workflows.study.cell import RunRequest
    from kws.workflows.study.data import sources_fingerprint, weights_fingerprint
    from kws.workflows.train.request import read_overrides, read_settings

    cell, choice, settings, heard = spec.cell, spec.choice, spec.settings, spec.heard
    positives = heard[cell.keyword]
    pairs = setting_pairs(settings, spec.base)
    model, training = read_settings([cell.keyword], read_overrides(None, pairs))
    resolved, _ = training.resolved(positives.num_recordings)
    if resolved.regularizers != training.regularizers:  # those that `auto` brings
        pairs.append(f"train.regularizers={as_text(resolved.regularizers)}")
    spoken = Synthesis(settings.synthetic, settings.confusables or 0, settings.language or "en")
    facts = {
        "kws": __version__,
        "encoder": weights_fingerprint(model.encoder, model.weights),
        "keyword": cell.keyword,
        "seed": cell.seed,
        "settings": cell_settings(model, resolved, positives.num_recordings, spoken),
        "positives": positives.fingerprint,
        **spec.sources.fingerprints,
    }

    def run(keywords: Sequence[str], overrides: Sequence[str]) -> RunRequest:
        manifests = [heard[keyword].manifest for keyword in keywords]
        return RunRequest(tuple(keywords), tuple(str(path) for path in manifests if path), tuple(overrides))

    others = [keyword for keyword in heard if keyword != cell.keyword]
    runs = [run(list(heard), pairs)]
    if choice.others == BEFORE:
        later = [p for p in pairs if p.startswith("train.") and not p.startswith(OF_THE_FIRST_RUN)]
        runs = [run(others, pairs), run([cell.keyword], later)]
    if choice.target_audio:
        facts["target_audio"] = sources_fingerprint(spec.base / path for path in choice.target_audio)
    if others:
        facts["others"] = {choice.others: {keyword: heard[keyword].fingerprint for keyword in others}}
    return _Task(facts, resolved.transfer.policy, tuple(runs), spoken)


def _enrolled(spec: _CellSpec) -> _Task:
    """Return what `kws enroll` makes of a keyword; the draw alone depends on the seed."""
    from kws.config import config_hash
    from kws.encoders.sources.embedded_weights import ASSETS
    from kws.enrollment.methods import EXAMPLES
    from kws.version import __version__
    from kws.workflows.enroll.config import EnrollConfig
    from kws.workflows.recordings import Synthesis
    from kws.workflows.study.cell import RunRequest
    from kws.workflows.study.data import weights_fingerprint

    keyword, method = spec.cell.keyword, spec.choice.enroll
    assert method is not None
    positives = spec.heard[keyword]
    spoken = Synthesis(language=spec.settings.language or "en")
    facts = {
        "kws": __version__,
        "ships": [weights_fingerprint("embedded", path) for path in sorted(ASSETS.glob("*.safetensors"))],
        "keyword": keyword,
        "enroll": method,
        "config": config_hash(EnrollConfig()),
        "language": spoken.language,
        "positives": positives.fingerprint,
    }
    if method == EXAMPLES:
        facts["noise"] = spec.sources.fingerprints["noise"]
    manifests = () if positives.manifest is None else (str(positives.manifest),)
    return _Task(facts, f"enroll {method}", (RunRequest((keyword,), manifests, ()),), spoken)


def _peer(spec: _CellSpec) -> _Task:
    """Return what a detector of others is given."""
    from kws.studies.peers import peer_fingerprint
    from kws.version import __version__
    from kws.workflows.recordings import Synthesis
    from kws.workflows.study.cell import RunRequest

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
    manifests = () if positives.manifest is None else (str(positives.manifest),)
    policy = f"peer {spec.choice.peer.partition(':')[2]}"
    return _Task(facts, policy, (RunRequest((spec.cell.keyword,), manifests, ()),), Synthesis())


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
    from kws.workflows.recordings import Synthesis
    from kws.workflows.study.cell import CellRequest
    from kws.workflows.study.data import decode, speak

    requests = [load_config(CellRequest, job.values, job.name) for job in jobs]
    requests = [request for request in requests if request.method is None and request.peer is None]
    largest: dict[tuple[str, ...], tuple[CellRequest, RunRequest]] = {}
    for request in requests:
        for run in request.runs:
            other, _ = largest.get(run.keywords, (request, run))
            if request.num_recordings >= other.num_recordings:
                largest[run.keywords] = (request, run)
    for request, run in largest.values():
        positives, negatives, noise = (
            [Path(path) for path in paths] for paths in (run.positives, request.negatives, request.noise)
        )
        decode(run.keywords, positives, negatives, noise, cache, num_workers)
    spoken = dict.fromkeys(
        (keyword, o.num_recordings, o.seed, Synthesis(o.synthetic, o.confusables, o.language))
        for o in requests
        for run in o.runs
        for keyword in run.keywords
    )
    for keyword, number, seed, synthesis in spoken:
        speak(keyword, synthesis, cache, num_recordings=number, seed=seed, num_workers=num_workers)
