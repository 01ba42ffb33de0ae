"""Train a wake word from recordings of it and recordings without it; what ``kws train`` does."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws.errors import ConfigError
from kws.text import normalize
from kws.workflows import folders, written_files
from kws.workflows.notices import quiet_libraries

if TYPE_CHECKING:
    from kws.training.config import TrainConfig
    from kws.workflows.train.request import TrainRequest


FEW_STEPS = 80
"""Half of the steps of the shortest run that is made where nothing is asked for."""


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
        from kws.training.copies import hours_text
        from kws.workflows.summary import summary_lines

        metrics = self.metrics
        held = "held-out" if metrics["held_out"] else "augmented training"
        if not metrics["recordings"]:
            held = "held-out synthetic"
        rate = metrics["false_accepts_per_hour"]
        hours = hours_text(metrics["dev_hours"], metrics.get("dev_copies", 0))
        taken = f"takes {folders.size_mb(self.run):.0f} MB on disk"
        made = [f"{self.run}: trained in {metrics['wall_s']:.0f} s, {taken}"]
        for keyword, threshold in metrics["thresholds"].items():
            misses = 100 * metrics["dev_miss"][keyword]
            raised = ", raised, wished" if keyword in metrics.get("floored", ()) else ""
            made.append(
                f"{keyword}: threshold {threshold:.3f}{raised} for {rate:g} false accepts/h, from {hours}; "
                f"misses {misses:.1f} % of the {held} recordings there"
            )
        if unusable := metrics.get("unusable"):
            return summary_lines(
                made, self.notes, [f"{self.run}: is kept, but of no use for {', '.join(unusable)}"]
            )
        return summary_lines(made, self.notes, [f"next: kws export {self.run}"])


@folders.leaves_nothing(written_files.RUN)
@quiet_libraries()
def train(
    keywords: Sequence[str],
    positives: Sequence[Path],
    negatives: Sequence[Path] | None,
    output: Path,
    *,
    noise: Sequence[Path] | None = None,
    rooms: Sequence[Path] = (),
    target_audio: Sequence[Path] = (),
    config: Path | None = None,
    overrides: Sequence[str] = (),
    cache: Path | None = None,
    num_workers: int = 2,
    num_synthetic: int | None = None,
    num_confusables: int | None = None,
    language: str = "en",
    voices: Sequence[str] | None = None,
    add_to: Path | None = None,
    control: bool = False,
    overwrite: bool = False,
) -> TrainSummary:
    """Train a keyword model and save it with its thresholds.

    Args:
        keywords: the phrases.
        positives: recordings of each, in the same order; or none at all, for synthetic voices alone.
        negatives: speech without any keyword; None or none takes what :func:`kws.fetch_data` brought.
        output: folder of the run; a stopped run in it goes on.
        noise: recordings to mix in; None takes fetched noise where there is some. Without any, noise is made.
        rooms: recorded room impulse responses, folders or manifests, in place of simulated rooms.
        target_audio: recordings without labels of where the detector will be used, for the regularisers that
            compare domains.
        config: YAML with ``model`` (:class:`kws.model.ModelConfig`) and ``train``
            (:class:`kws.training.config.TrainConfig`).
        overrides: ``key=value`` changes, such as ``train.transfer.policy=all``.
        cache: folder for decoded audio; None is ``output/cache``, of which synthetic voices alone stay when
            the run is finished.
        num_workers: processes that read audio.
        num_synthetic: synthetic recordings of each keyword, as further positives; None decides by the
            number of recordings.
        num_confusables: synthetic recordings, for each keyword, of what sounds like it or like a part of it;
            None takes 300 for a keyword of several words, and none for one word.
        language: eSpeak language code of the keywords.
        voices: synthesizers that say them, or voices of them as ``ENGINE:VOICE``; None takes eSpeak and the
            best that is installed.
        add_to: finished run whose model gets the keywords as well, in a new column beside what it has; its
            own scores and thresholds stay the same.
        control: also train from random weights, into ``output/control``, and note what transfer gained.
        overwrite: start anew when ``output`` holds a finished run, or one of other settings.
    Raises:
        KwsError: a file, key or source cannot be used; the message names it and the remedy.
    """
    from kws.workflows.train.fetched import take, with_taken

    keywords = tuple(map(normalize, keywords))
    if not positives and num_synthetic is not None and num_synthetic < 1:
        raise ConfigError(
            f"got `num_synthetic` {num_synthetic} and no `positives`: nothing would say the keyword; "
            "give recordings of it, or leave `num_synthetic` out"
        )
    if add_to is not None and (control or add_to.absolute() == output.absolute()):
        raise ConfigError(
            "`control`: not with `add_to`, whose borrowed layers stay; leave one out"
            if control
            else f"`output` {output}: is the run of `add_to`, which stays as it is; choose another folder"
        )
    taken = take(negatives, noise)
    folders.keep_apart(output, {"config": (config,)})

    from kws.workflows.recordings import Synthesis, with_voices
    from kws.workflows.train.request import TrainRequest, read_overrides, read_settings

    given = read_overrides(config, overrides)
    model, settings = read_settings(keywords, given)
    request = TrainRequest(
        keywords, tuple(positives), with_taken(negatives, taken, "negatives"), output, model, settings,
        given.given(), noise=with_taken(noise, taken, "noise"), taken=taken, rooms=tuple(rooms),
        target_audio=tuple(target_audio), cache=cache, num_workers=num_workers,
        synthesis=with_voices(Synthesis(num_synthetic, num_confusables, language), voices), add_to=add_to,
        overwrite=overwrite,
    )  # fmt: skip
    summary = _train_once(request)
    if not control or summary.metrics["policy"] == "scratch":
        _tidy(output)
        return summary
    scratch = replace(settings, transfer=replace(settings.transfer, policy="scratch"))
    decoded = cache or output / "cache"
    from_scratch = _train_once(replace(request, output=output / "control", cache=decoded, train=scratch))
    _tidy(output)
    _tidy(output / "control")
    misses, scratch_misses = summary.metrics["dev_miss"], from_scratch.metrics["dev_miss"]
    gains = [gain_note(keyword, misses[keyword], scratch_misses[keyword]) for keyword in keywords]
    return replace(summary, notes=(*summary.notes, *gains))


@folders.leaves_nothing(written_files.RUN)
@quiet_libraries()
def train_request(request: TrainRequest) -> TrainSummary:
    """Train the model that a request asks for; see :func:`train`."""
    summary = _train_once(request)
    _tidy(request.output)
    return summary


def _tidy(run: Path) -> None:
    """Remove what only a run that goes on needs: checkpoints, and decoded audio that lies in its folder."""
    folders.clear(run, names=[*written_files.CHECKPOINTS, *written_files.DECODED])


def _train_once(request: TrainRequest) -> TrainSummary:
    """Train one model; see :func:`train`."""
    from kws.checkpoint import load_model, save_model
    from kws.config import to_dict
    from kws.evaluation.thresholds import choose_operating_point, false_accept_counts, unusable
    from kws.model import build_model
    from kws.regularizers import load_phones
    from kws.training.dev import dev_copies, read_dev_copies
    from kws.training.loop import fit, seed_everything
    from kws.training.provenance import provenance
    from kws.transfer import describe
    from kws.weights import METRICS
    from kws.workflows.train.audio import gather
    from kws.workflows.train.request import claim_folder, resolve

    started = time.monotonic()
    resolved = resolve(request)
    output, model_config, settings, earlier = request.output, resolved.model, resolved.train, resolved.earlier
    claim_folder(output, resolved.identity, request.overwrite, request.sources())
    if (output / METRICS).exists():
        load_model(output)  # raises when the folder is damaged
        note = "this run was finished before; add `overwrite=True` to train it anew"
        return TrainSummary(output, (note,), json.loads((output / METRICS).read_text("utf-8")))

    recognizer = load_phones(settings.regularizers, model_config.encoder, model_config.weights)
    seed_everything(settings.seed)
    if earlier is not None:
        model, model_config = earlier.extended(request.keywords)
    else:
        model = build_model(model_config, pretrained=settings.transfer.policy != "scratch")
    heard = gather(request, settings)
    num_recordings = heard.prepared.num_recordings
    settings, reason = settings.resolved(num_recordings)
    policy = settings.transfer.policy

    outcome = fit(model, settings, heard.data, output, heard.augment, recognizer)
    scores = read_dev_copies(model, heard.data, heard.augment, settings)
    point, misses, doubts = choose_operating_point(
        scores,
        request.keywords,
        hop_samples=model.hop_samples,
        settings=settings.decision,
        given_hours=heard.data.negatives.hours + heard.data.dev_negatives.hours,
    )
    metrics = {
        "thresholds": point.thresholds,
        "floored": point.floored,
        "unusable": unusable(misses),
        "false_accepts_per_hour": point.decision.false_accepts_per_hour,
        "false_accepts": false_accept_counts(
            scores, request.keywords, hop_samples=model.hop_samples, settings=settings.decision
        ),
        "dev_hours": round(point.dev_hours, 3),
        "dev_copies": round(dev_copies(heard.data.dev_negatives.hours, settings), 3),
        "dev_miss": misses,
        "held_out": heard.data.held_out,
        "policy": policy,
        "policy_reason": reason,
        "regularizers": settings.regularizers,
        "recordings": num_recordings,
        "synthetic_recordings": heard.spoken.num_recordings(request.keywords),
        "negative_hours": round(heard.data.negatives.hours, 3),
        "wall_s": round(time.monotonic() - started, 1),
        **outcome,
    }
    origin = provenance(model, list(heard.manifests), resolved.identity, [request.synthesis.language])
    chosen = describe(policy, settings.regularizers)
    moving = f"policy {chosen}: {reason}; moved: {', '.join(outcome['moving'])}"
    if request.taken:
        origin["fetched"] = [each.facts() for each in request.taken]
    notes = [
        *(each.note for each in request.taken),
        *heard.prepared.notes,
        *heard.spoken.notes,
        moving,
        *resolved.notes,
        *doubts,
    ]
    notes += hardly_trained(outcome, settings)
    if earlier is not None:
        model, point = earlier.joined(model, point)
        origin = earlier.origin(origin)
        notes.append(f"{', '.join(earlier.config.keywords)}: as in {request.add_to}, thresholds too")
    save_model(
        output, model, model_config, point, training=to_dict(settings), metrics=metrics, provenance=origin
    )
    if outcome["resumed"]:
        notes.append("this run was stopped before and went on from its last checkpoint")
    return TrainSummary(output, tuple(notes), metrics)


def hardly_trained(outcome: Mapping[str, Any], settings: TrainConfig) -> list[str]:
    """Warn of a run that was ended before its scores mean much.

    Args:
        outcome: of :func:`kws.training.loop.fit`.
        settings: of the run.
    """
    from kws.evaluation.thresholds import WARNING

    steps = outcome["epochs"] * settings.steps_per_epoch
    if steps >= FEW_STEPS or outcome["early_stop"]:
        return []
    return [
        f"{WARNING}trained for {steps} steps: fewer than {FEW_STEPS} hardly teach it the keyword; "
        "leave out train.epochs and train.steps_per_epoch"
    ]


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
