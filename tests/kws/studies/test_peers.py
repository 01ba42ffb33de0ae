"""Peers of a study: the function that a recipe names scores the same audio and is counted alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.pocketsphinx import LADDER, rung_score
from kws.config import load_config
from kws.errors import ConfigError
from kws.evaluation.heard import HeardClip, HeardPiece
from kws.evaluation.protocol import TestProtocol
from kws.manifest import Recording
from kws.studies import held_out
from kws.studies.peers import PeerRequest, load_peer, peer_fingerprint
from kws.studies.recipe import ChoiceConfig
from kws.studies.results import read_cell
from kws.studies.scoring import TestScores
from kws.workflows.study.cell import run_cell
from kws.workflows.study.request import CellRequest, PeerCall

PROTOCOL = TestProtocol(conditions={"clean": {}})
asked: list[PeerRequest] = []


def loud(request: PeerRequest) -> TestScores:
    """A peer that scores how loud each tenth of a second is."""

    def levels(samples: np.ndarray) -> np.ndarray:
        return np.abs(samples[: len(samples) // 1600 * 1600].reshape(-1, 1600)).max(axis=1) / 32768

    asked.append(request)
    clips = {name: [levels(clip) for clip in each] for name, each in request.test.positives.items()}
    return TestScores(clips, levels(request.test.negatives), 0.1)


def test_a_peer_is_tested_by_the_protocol_of_the_study(tmp_path: Path):
    def clip(number: int, level: int, at: int) -> HeardClip:
        samples = np.zeros(16_000 * 5, np.int16)
        samples[at : at + 1600] = level
        return HeardClip(Recording(Path(f"{number}.wav"), duration_s=1.0), samples, 16_000, 3.0, 0.5, 1.0)

    heard = [clip(0, 20_000, 16_000 * 4), clip(1, 20_000, 16_000), clip(2, 2_000, 16_000 * 4)]
    held_out.save_clips(tmp_path / "test", "tone", {"clean": heard}, PROTOCOL)
    quiet = np.full(3600 * 1600, 5_000, np.int16)
    stream = HeardPiece(Recording(Path("n.wav"), duration_s=1.0), iter([quiet]), 0, False)
    held_out.save_negatives(tmp_path / "test", [stream])
    request = CellRequest(
        folder=tmp_path,
        identity="0" * 12,
        keyword="tone",
        num_recordings=0,
        seed=3,
        policy="peer loud",
        test=tmp_path / "test",
        clips="tone",
        rates=(5.0,),
        keep_run=False,
        peer=PeerCall(f"{__name__}:loud", None, (Path("n"),), (), tmp_path / "files", tmp_path / "cache"),
    )
    result = run_cell(request)
    assert result.miss_count("clean", 5.0).missed == (1, 2)  # before the keyword, and too faint
    assert (result.policy, result.protocol) == ("peer loud", PROTOCOL.hash)
    assert read_cell(tmp_path, "0" * 12) == result
    (given,) = asked
    assert (given.keyword, given.seed, given.positives) == ("tone", 3, None)
    assert (given.negatives, given.files) == ((Path("n"),), tmp_path / "files")


def test_a_peer_that_is_not_there_is_named():
    assert load_peer(f"{__name__}:loud") is loud and len(peer_fingerprint(f"{__name__}:loud")) == 16
    with pytest.raises(ConfigError, match="peer: got 'loud', expected `module:function`"):
        load_peer("loud")
    with pytest.raises(ConfigError, match="peer: benchmarks.nobody:f: No module named 'benchmarks.nobody'"):
        load_peer("benchmarks.nobody:f")
    for name in (
        "openwakeword:embedding_head",
        "openwakeword:own_model",
        "pocketsphinx:keyphrase_search",
        "microwakeword:own_model",
    ):
        assert callable(load_peer(f"benchmarks.peers.{name}"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"peer": "a:b", "policy": "head"}, "policy: nothing is trained with `peer`"),
        ({"peer": "a:b", "enroll": "phones"}, "enroll: nothing is trained with `peer`"),
        ({"peer_files": "x"}, "peer_files: there is no `peer`"),
    ],
)
def test_a_peer_is_not_trained_here(values: dict[str, str], message: str):
    with pytest.raises(ConfigError, match=message):
        load_config(ChoiceConfig, values)


def test_the_strictest_rung_that_hears_the_word_gives_the_highest_score():
    scores = [rung_score(rung) for rung in range(len(LADDER))]
    assert scores == sorted(scores, reverse=True) and 0 < scores[-1] < scores[0] < 1


def test_the_product_imports_no_peer():
    root = Path(__file__).parents[3]
    for package in ("kws", "data_prep", "export"):
        for path in (root / package).rglob("*.py"):
            assert "import benchmarks" not in path.read_text("utf-8").replace(
                "from benchmarks", "import benchmarks"
            )
