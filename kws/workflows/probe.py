"""What each depth of an encoder knows of a keyword and costs, by a linear probe; what ``kws probe`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kws.errors import ConfigError
from kws.workflows import folders
from kws.workflows.notices import quiet_libraries
from kws.workflows.written_files import DECODED, PROBE

if TYPE_CHECKING:
    from kws.model import WakeWordModel
    from kws.training.probe import DepthAdvice, DepthResult


PUSH_S = 0.08


@dataclass(frozen=True)
class ProbeSummary:
    """What a probe found.

    Attributes:
        output: its folder, with ``probe.json``, ``probe.md`` and ``probe.png``.
        advice: which depth is recommended, or why none is.
        depths: of each depth, what it knows.
        push_ms: of each depth, processor milliseconds for 80 ms of audio.
        table: lines of Markdown with the recommendation.
        notes: what was left out of the recordings.
    """

    output: Path
    advice: DepthAdvice
    depths: tuple[DepthResult, ...]
    push_ms: tuple[float, ...]
    table: tuple[str, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the sentences to print."""
        return [
            *self.table,
            *(f"note: {note}" for note in self.notes),
            f"plot: {self.output / 'probe.png'}",
        ]


@folders.leaves_nothing(PROBE)
@quiet_libraries()
def probe(
    keywords: Sequence[str],
    positives: Sequence[Path],
    negatives: Sequence[Path],
    output: Path,
    *,
    noise: Sequence[Path] = (),
    encoder_name: str = "embedded",
    weights: Path | None = None,
    depths: Sequence[int] = (),
    dev_hours: float = 1.0,
    false_accepts_per_hour: float = 1.0,
    seed: int = 0,
    cache: Path | None = None,
    num_workers: int = 2,
) -> ProbeSummary:
    """Probe every depth of an encoder and recommend one, where the recordings tell them apart.

    Args:
        keywords: the phrases.
        positives: recordings of each, in the same order.
        negatives: speech without any keyword.
        output: folder for the manifests, ``probe.json``, ``probe.md`` and ``probe.png``.
        noise: recordings to mix in.
        encoder_name: in the registry.
        weights: local weights of the encoder.
        depths: which to probe; none takes all.
        dev_hours: hours of held-out negatives that are read.
        false_accepts_per_hour: rate at which misses are counted.
        seed: of windows and augmentation.
        cache: folder for decoded audio; None is ``output/cache``, which goes when all is read.
        num_workers: processes that read audio.
    Raises:
        KwsError: a file, name or depth cannot be used.
    """
    from kws.encoders.registry import load_encoder
    from kws.model import ModelConfig
    from kws.text import normalize
    from kws.training.probe import ProbeConfig, recommend
    from kws.training.probe import probe as probe_depths
    from kws.weights import write_json, write_text
    from kws.workflows.recordings import SyntheticRecordings, prepare_training
    from kws.workflows.train.audio import augmentation, load_audio

    keywords = tuple(map(normalize, keywords))
    ModelConfig(keywords)  # refuses those that are empty or named twice
    if not positives:
        raise ConfigError("got no `positives`; give recordings of each keyword")
    config = ProbeConfig(dev_hours=dev_hours, false_accepts_per_hour=false_accepts_per_hour, seed=seed)
    encoder = load_encoder(encoder_name, weights, pretrained=True)
    wrong = [depth for depth in depths if not 1 <= depth <= encoder.info.num_layers]
    if wrong:  # before anything is read
        raise ConfigError(f"`depths`: got {wrong[0]}, allowed: 1 to {encoder.info.num_layers}")
    heard = {"positives": positives, "negatives": negatives, "noise": noise}
    folders.keep_apart(output, {**heard, "weights": (weights,)})
    folders.claim(output, PROBE)
    cache = cache or output / "cache"
    prepared = prepare_training(
        keywords, positives, negatives, noise, output / "data", cache=cache, num_workers=num_workers
    )
    augment = augmentation(prepared, seed)
    data = load_audio(prepared, keywords, cache, num_workers, seed, augment, SyntheticRecordings())
    found = list(probe_depths(encoder, keywords, data, config, augment=augment, depths=depths))
    results = [result for result, _ in found]
    push_ms = cost([model for _, model in found])
    advice = recommend(results, data.held_out)
    held = "held-out" if data.held_out else "augmented training"
    lines = [
        f"Misses of {held} recordings at {false_accepts_per_hour:g} false accepts per hour, from "
        f"{min(dev_hours, data.dev_negatives.hours):.2f} h; a linear probe on frozen `{encoder_name}`.",
        "",
        "| depth | parameters | CPU per 80 ms | misses, 95 % interval | dev loss | |",
        "|---|---|---|---|---|---|",
        *(
            f"| {result.depth} | {result.num_parameters / 1e6:.2f} M | {ms:.2f} ms | {result.misses} | "
            f"{result.dev_loss:.3f} | {'recommended' if result.depth == advice.depth else ''} |"
            for result, ms in zip(results, push_ms, strict=True)
        ),
    ]
    write_json(
        output / "probe.json",
        {
            "recommended": advice.depth,
            "alike": advice.alike,
            "reason": advice.reason,
            "keywords": list(keywords),
            "held_out": data.held_out,
            "false_accepts_per_hour": false_accepts_per_hour,
            "seed": seed,
            "depths": [{**asdict(r), "push_ms": ms} for r, ms in zip(results, push_ms, strict=True)],
        },
    )
    lines += ["", *_sentences(advice, results, push_ms)]
    write_text(output / "probe.md", "\n".join(lines) + "\n")
    plot(results, push_ms, advice.depth, output / "probe.png")
    folders.clear(output, names=DECODED)
    return ProbeSummary(output, advice, tuple(results), tuple(push_ms), tuple(lines), prepared.notes)


def _sentences(advice: DepthAdvice, results: Sequence[DepthResult], push_ms: Sequence[float]) -> list[str]:
    """Return what is recommended in sentences."""
    if advice.depth is not None:
        return [f"recommended: depth {advice.depth}: {advice.reason}"]
    lines = [f"no depth is recommended: {advice.reason}"]
    costs = {result.depth: ms for result, ms in zip(results, push_ms, strict=True)}
    if 1 < len(advice.alike) < len(results):
        cheapest = min(advice.alike, key=costs.__getitem__)
        lines.append(f"every other depth is shown to miss more; {cheapest} costs least of these")
    return lines


def cost(models: Sequence[WakeWordModel]) -> list[float]:
    """Return the processor milliseconds of each model per 80 ms of audio, exported and on one thread."""
    import tempfile

    from tqdm import tqdm

    from export.benchmark import bench
    from export.to_onnx import export_model
    from kws.checkpoint import OperatingPoint
    from kws.decisions import DecisionSettings

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.onnx" for number in range(len(models))]
        for model, path in zip(tqdm(models, "exporting", unit="depth", disable=None), paths, strict=True):
            point = OperatingPoint(dict.fromkeys(model.keywords, 0.5), DecisionSettings(), 0.0)
            export_model(model, point, path)
        costs = bench(paths, seconds=10.0, rounds=3, peers=False).costs
    return [1000 * PUSH_S * entry.cpu_s_per_hour / 3600 for entry in costs]


def plot(results: Sequence[DepthResult], push_ms: Sequence[float], best: int | None, path: Path) -> None:
    """Draw misses with intervals and cost over depth, one above the other, and the recommended one if any."""
    from matplotlib.figure import Figure

    from kws.audio import atomic_write
    from kws.evaluation.pictures import BLUE, DPI, GRAY, GREEN

    depths = [result.depth for result in results]
    rates = [100 * result.misses.rate for result in results]
    below = [100 * (result.misses.rate - result.misses.low) for result in results]
    above = [100 * (result.misses.high - result.misses.rate) for result in results]
    figure = Figure(figsize=(7, 5.5), dpi=DPI, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    top.errorbar(depths, rates, yerr=[below, above], color=BLUE, marker="o", capsize=3)
    top.set(ylabel="misses (%), 95 % interval", ylim=(0, None), title="linear probe by depth")
    bottom.bar(depths, push_ms, color=GRAY)
    bottom.set(ylabel="CPU ms per 80 ms", xlabel="encoder layers kept", xticks=depths)
    for axis in (top, bottom):
        axis.grid(alpha=0.3)
        if best is not None:
            axis.axvline(best, color=GREEN, ls="--", lw=1)
    if best is not None:
        right = best > depths[len(depths) // 2]  # the word stays within the picture
        top.annotate("recommended", (best, top.get_ylim()[1]), color=GREEN, va="top",
                     ha="right" if right else "left", xytext=(-4 if right else 4, -2),
                     textcoords="offset points")  # fmt: skip
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")
