"""Compare ways to train over numbers of recordings, keywords and seeds; what ``kws study`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from kws.workflows import folders
from kws.workflows.notices import quiet_libraries
from kws.workflows.written_files import STUDY

if TYPE_CHECKING:
    from kws.studies.grid import Cell
    from kws.studies.pool import Failure, Job
    from kws.studies.recipe import StudyConfig
    from kws.studies.results import StudyResults
    from kws.workflows.study.data import StudyData


@dataclass(frozen=True)
class StudySummary:
    """What a study found.

    Attributes:
        output: its folder.
        lines: sentences for the person.
        failures: cells that did not finish.
        num_finished: cells that did.
        num_cells: all cells.
    """

    output: Path
    lines: tuple[str, ...]
    failures: tuple[Failure, ...]
    num_finished: int
    num_cells: int


@folders.leaves_nothing(STUDY)
@quiet_libraries()
def study(
    recipe: Path,
    output: Path,
    *,
    root: Path | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    only: Sequence[str] | None = None,
    cache: Path | None = None,
    overrides: Sequence[str] = (),
    keep_runs: bool = False,
    report: bool = False,
    against: Sequence[str] = (),
    progress: bool = False,
    command: str = "kws.study",
) -> StudySummary:
    """Run what is missing of a study and write its tables, plot and page.

    Args:
        recipe: YAML of :class:`kws.studies.recipe.StudyConfig`.
        output: folder of the study; finished cells in it are kept.
        root: what relative paths of the recipe start from; None is the recipe's folder.
        jobs: cells at once on this machine; None is one for each core.
        dask: address of a Dask scheduler, whose workers run the cells instead.
        only: run cells whose name holds one of these patterns (``*`` is anything); None runs all.
        cache: folder for decoded audio and synthetic voices; None is ``output/cache``.
        overrides: ``key=value`` changes of the recipe.
        keep_runs: keep the folders of the training runs.
        report: run nothing; a folder that holds ``results.jsonl`` alone is told without any audio.
        against: choices that every other one is held against, with intervals.
        progress: show bars.
        command: what was called, for the report.
    Raises:
        KwsError: the recipe, its audio or the folder cannot be used; the message names it and the remedy.
    """
    from joblib import cpu_count

    from kws.config import parse_overrides
    from kws.errors import ConfigError
    from kws.studies.grid import cell_path, cells
    from kws.studies.kept import only_kept, read_kept, restore
    from kws.studies.pool import run_jobs
    from kws.studies.recipe import load_study
    from kws.studies.report import short_lines, write_report
    from kws.workflows.study.cell import PROGRAM
    from kws.workflows.study.data import read_data
    from kws.workflows.study.plan import plan, share_work

    if jobs is not None and jobs < 1:
        raise ConfigError(f"`jobs`: got {jobs}, allowed: 1 or more")
    num_jobs = jobs or cpu_count()
    recipe, output = recipe.absolute(), output.absolute()
    config = load_study(recipe, parse_overrides(list(overrides)))
    base = (root or recipe.parent).absolute()
    check_choices(config, base)
    check_against(config, against)
    folders.keep_apart(output, sources_of(config, base))
    if report and only_kept(output):
        kept = read_kept(output, config)
        num_cells = len(cells(config))
        return StudySummary(output, tuple(short_lines(config, kept)), (), len(kept.cells), num_cells)
    claim(output, config)
    if not report:
        restore(output)
    cache = (cache or output / "cache").absolute()
    grid = cells(config)
    wanted = [cell for cell in grid if not only or any(fnmatchcase(cell.name, f"*{word}*") for word in only)]
    if not wanted:
        raise ConfigError(f"`only`: no cell is called like {', '.join(only or ())}; one is {grid[0].name}")
    data = read_data(config, base, output, progress=progress)
    planned = plan(config, grid, data, output, cache, keep_runs)
    missing: dict[str, Job] = {}
    for cell in wanted:
        job = planned[cell]
        if not report and not cell_path(output, job.identity).is_file():
            missing.setdefault(job.identity, job)
    share_work(list(missing.values()), cache, num_jobs)
    num_finished = len({planned[cell].identity for cell in wanted} - set(missing))
    failures = run_jobs(
        list(missing.values()),
        output,
        PROGRAM,
        num_jobs=num_jobs,
        dask=dask,
        num_finished=num_finished,
        progress=progress,
    )
    results = collect(config, planned, data, output)
    lines = write_report(
        config,
        results,
        output,
        notes=data.notes,
        command=command,
        num_cells=len(grid),
        against=against,
    )
    return StudySummary(output, tuple(lines), tuple(failures), len(results.cells), len(grid))


def check_choices(config: StudyConfig, base: Path) -> None:
    """Refuse a choice with a key or value that ``kws train`` would refuse; before anything is run.

    Raises:
        ConfigError: the message names the choice and the key.
    """
    from kws.errors import ConfigError
    from kws.regularizers import need_domains
    from kws.workflows.study.plan import given_settings
    from kws.workflows.train.request import read_settings

    for name, choice in config.all_choices().items():
        try:
            overrides = given_settings(choice.over(config.settings), base)
            _, training = read_settings([config.keywords[0].keyword], overrides)
            if choice.target_audio and not need_domains(training.regularizers):
                raise ConfigError(
                    "target_audio: nothing compares it; add `set: {train.regularizers: {dann: 0.1}}`, or "
                    "leave it out"
                )
        except ConfigError as error:
            raise ConfigError(f"choices.{name}: {error}") from error


def sources_of(config: StudyConfig, base: Path) -> dict[str, list[Path]]:
    """Return the audio that a recipe names, by its keys."""
    named = {
        "negatives": config.negatives,
        "noise": config.noise,
        "test_negatives": config.test_negatives,
        "test_noise": config.test_noise,
        "rooms": config.rooms,
        "test_rooms": config.test_rooms,
        "target_audio": [path for choice in config.all_choices().values() for path in choice.target_audio],
    }
    for entry in config.keywords:
        named[entry.keyword] = [*entry.train, *entry.test, *entry.test_conditions.values()]
    return {name: [base / path for path in paths] for name, paths in named.items()}


def check_against(config: StudyConfig, against: Sequence[str]) -> None:
    """Refuse to hold choices against one that the recipe does not have.

    Raises:
        ConfigError: naming those that it has.
    """
    from kws.errors import ConfigError

    names = list(config.all_choices())
    for name in against:
        if name not in names:
            raise ConfigError(f"`against`: got {name}, allowed: {', '.join(names)}")


def claim(output: Path, config: StudyConfig) -> None:
    """Mark a folder as that of a study; refuse one that holds something else.

    Raises:
        ConfigError: it holds files and no study.
    """
    from kws.config import config_hash
    from kws.errors import ConfigError
    from kws.studies.kept import only_kept
    from kws.studies.pool import MARKER
    from kws.weights import write_json

    known = (output / MARKER).is_file() or only_kept(output)
    if output.is_dir() and any(output.iterdir()) and not known:
        raise ConfigError(f"{output}: holds something else than a study; choose another `output`")
    write_json(output / MARKER, {"study": config_hash(config)})


def collect(config: StudyConfig, planned: dict[Cell, Job], data: StudyData, output: Path) -> StudyResults:
    """Read the finished cells."""
    from kws.studies.results import StudyResults, read_cell

    found = {cell: read_cell(output, job.identity) for cell, job in planned.items()}
    return StudyResults(
        choices=tuple(config.all_choices()),
        conditions=config.condition_names(),
        rates=config.rates,
        compared_at=config.compared_at,
        cells={cell: result for cell, result in found.items() if result is not None},
        num_runs=len(config.keywords) * len(config.seeds),
        units=data.units,
        labels=config.labels,
    )
