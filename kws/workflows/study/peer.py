"""A cell of a study in which a detector of others is tested in place of one that is trained here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kws.studies.results import CellResult
    from kws.workflows.study.request import CellRequest


def run_peer(request: CellRequest) -> CellResult:
    """Test a peer on the audio of a cell, after it has had the same recordings.

    Args:
        request: of a cell with a ``peer``.
    Raises:
        KwsError: there is no such peer, or it lacks what it needs.
    """
    from kws.decisions import DecisionConfig
    from kws.studies.held_out import load_test_audio
    from kws.studies.peers import PeerRequest, load_peer
    from kws.studies.results import NOT_TRAINED, CellResult, write_cell

    started = time.monotonic()
    test = load_test_audio(request.test, request.clips)
    peer = request.peer
    assert peer is not None
    scores = load_peer(peer.name)(
        PeerRequest(
            keyword=request.keyword,
            seed=request.seed,
            positives=peer.positives,
            negatives=peer.negatives,
            noise=peer.noise,
            test=test,
            files=peer.files,
            cache=peer.cache,
        )
    )
    found = scores.misses(test, request.rates, DecisionConfig((1.0,)))
    result = CellResult(
        identity=request.identity,
        keyword=request.keyword,
        num_recordings=request.num_recordings,
        seed=request.seed,
        policy=request.policy,
        miss_counts={name: {f"{r:g}": count for r, count in rates.items()} for name, rates in found.items()},
        negative_hours=round(test.hours, 3),
        original_hours=round(test.original_hours, 3),
        stored_threshold=1.0,
        moving_parameters=0,
        parameters=0,
        train_s=0.0,
        wall_s=round(time.monotonic() - started, 1),
        precision=NOT_TRAINED,
        config_hash="",
        protocol=test.protocol.hash,
    )
    write_cell(request.folder, result)
    return result
