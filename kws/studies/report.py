"""What a study leaves: tables, picture, page and recommendation, and sentences for the person."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from kws.audio import atomic_write
from kws.config import config_hash, to_dict
from kws.counts import counted
from kws.studies import page, plots, tables
from kws.studies.compare import all_gains, gain_lines, gain_warnings, savings
from kws.studies.kept import write_kept
from kws.studies.recipe import BEFORE, TOGETHER, ChoiceConfig, SettingsConfig, StudyConfig
from kws.studies.recommend import Recommendation, recommend, steps_of, what_counts
from kws.studies.results import NOT_TRAINED, StudyResults
from kws.version import __version__

RESULTS, SUMMARY, TABLE, AGAINST = "results.csv", "summary.csv", "summary.md", "against.md"
MISSES, GAINS, BEHIND = "misses.png", "gains.png", "behind.png"
PROTOCOL = "protocol.yaml"
PAGE, RECOMMENDATION = "study.html", "recommendation.yaml"


def write_report(
    config: StudyConfig,
    results: StudyResults,
    output: Path,
    *,
    notes: Sequence[str],
    command: str,
    num_cells: int,
    against: Sequence[str] = (),
) -> list[str]:
    """Write everything that a study says; see the names above.

    Args:
        config: the recipe.
        results: what is finished.
        output: folder of the study.
        notes: what a reader must know of the audio.
        command: how it was called.
        num_cells: cells of the study, finished or not.
        against: choices that every other one is held against, in a table each.
    Returns:
        Sentences for the person.
    """
    _write(output / "recipe.yaml", yaml.safe_dump(to_dict(config), sort_keys=False))
    _write(output / PROTOCOL, yaml.safe_dump(to_dict(config.protocol), sort_keys=False))
    if not results.cells:
        return [f"{output}: no cell is finished yet, of {num_cells}"]
    write_kept(output, results)
    tables.write_csv(output / RESULTS, list(tables.result_rows(results)))
    tables.write_csv(output / SUMMARY, list(tables.summary_rows(results)))
    _write(output / TABLE, "\n".join(tables.markdown(*tables.summary_table(results))) + "\n")
    misses, gains, behind = plots.misses_by_recordings(results), plots.gains(results), plots.behind(results)
    for name, picture in ((MISSES, misses), (GAINS, gains), (BEHIND, behind)):
        if picture is not None:
            _write(output / name, picture)
    held = [line for other in against for line in _held_against(results, other)]
    if held:
        _write(output / AGAINST, "\n".join(held) + "\n")
    warnings = list(notes)
    if len(results.cells) < num_cells:
        warnings.append(f"{num_cells - len(results.cells)} of {num_cells} cells are not finished")
    trained = Counter(result.precision for result in results.cells.values())
    del trained[NOT_TRAINED]
    if len(trained) > 1:
        told = ", ".join(f"{number} in {precision}" for precision, number in trained.most_common())
        warnings.append(
            f"machines trained {told}; points between cells of different ones hold that difference too"
        )
    if not config.control:
        warnings.append("there is no control: nothing is said about what transfer gains")
    found = _recommendation(config, results, output)
    compared = what_counts(config, results)
    html = page.render(
        results,
        misses,
        gains,
        behind,
        against=against,
        warnings=[*warnings, *gain_warnings(results)],
        recommendation=found,
        compared=compared,
        provenance={
            "command": command,
            "study": config_hash(config),
            "seeds": ", ".join(map(str, config.seeds)),
            "kws": __version__,
            "machine": f"{platform.machine()}, one thread a cell",
            "protocol": config.protocol.told(),
            "settings": _settings_text(config.settings),
            **{f"choice “{name}”": _choice_text(choice) for name, choice in config.all_choices().items()},
        },
    )
    _write(output / PAGE, html)
    done = f"{output / PAGE}: {len(results.cells)} of {num_cells} cells"
    saved = map(str, savings(results))
    shown = [*short_lines(config, results), ""]
    verdicts = [*compared, *_recommended(found, output)]
    return [*shown, *warnings, *gain_lines(results), *saved, *held, *verdicts, done]


def short_lines(config: StudyConfig, results: StudyResults) -> list[str]:
    """Return the misses at the compared rate as a Markdown table, under what was heard and how."""
    hours = next(iter(results.cells.values())).negative_hours
    accepts = "false accept" if results.compared_at == 1 else "false accepts"
    return [
        f"Misses in % at {results.compared_at:g} {accepts} per hour; "
        f"{counted(len(config.keywords), 'keyword')}, {hours:.3g} h of negatives.",
        f"Protocol {config.protocol.told()}.",
        "",
        *tables.markdown(*tables.short_table(results)),
    ]


def _held_against(results: StudyResults, other: str) -> list[str]:
    """Return the lines of a Markdown table of what each choice gains over one."""
    head = f"Points fewer missed than by `{other}`, at {results.compared_at:g} false accepts per hour:"
    return [head, "", *tables.markdown(*tables.points_table(results, all_gains(results, other))), ""]


def _recommendation(config: StudyConfig, results: StudyResults, output: Path) -> Recommendation:
    """Write the recommended policies; where none are, take away those of an earlier call."""
    hours = next(iter(results.cells.values())).negative_hours
    source = (
        f"kws study {config_hash(config)}: {counted(len(config.keywords), 'keyword')}, "
        f"{counted(len(config.seeds), 'seed')}, "
        f"{hours:.3g} h of negatives"
    )
    found = recommend(results, steps_of(config, results), source)
    if found.table is None:
        (output / RECOMMENDATION).unlink(missing_ok=True)
    else:
        _write(output / RECOMMENDATION, yaml.safe_dump(to_dict(found.table), sort_keys=False))
    return found


def _recommended(found: Recommendation, output: Path) -> list[str]:
    """Return what is recommended in sentences."""
    lines = list(map(str, found.verdicts))
    if found.table is None:
        return [
            *lines,
            f"no policy is recommended, and no {RECOMMENDATION} is written: `auto` stays as it is",
        ]
    steps = ", ".join(f"from {step.recordings} {step}" for step in found.table.policies)
    return [*lines, f"policies for `auto`: {steps} ({output / RECOMMENDATION})"]


def _settings_text(settings: SettingsConfig) -> str:
    """Return what differs from the defaults of `kws train`."""
    given = {**settings.given(), **settings.set}
    return ", ".join(f"{name} {value}" for name, value in given.items()) or "the defaults of kws train"


def _choice_text(choice: ChoiceConfig) -> str:
    """Return what a choice does differently from `kws train` as it is, and from the study."""
    if choice.peer is not None:
        return f"{choice.peer}, a detector of others"
    if choice.enroll is not None:
        return f"kws enroll, method {choice.enroll}"
    others = {"": "", TOGETHER: "; all keywords in one detector", BEFORE: "; added to the other keywords"}
    place = f"; brought near {', '.join(map(str, choice.target_audio))}" if choice.target_audio else ""
    return f"{_settings_text(choice)}{others[choice.others or '']}{place}"


def _write(path: Path, content: str | bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
