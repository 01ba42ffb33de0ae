"""What a run is asked for: settings from a file and from overrides, of earlier versions too."""

from __future__ import annotations

from kws.decisions import DecisionSettings
from kws.workflows.train.request import read_overrides, read_settings


def test_keys_of_earlier_versions_are_read():
    _, settings = read_settings(["a"], read_overrides(None, ["train.smoothing_frames=3"]))
    assert settings.decision == DecisionSettings(smoothing_frames=3)
    pairs = ["train.refractory_s=0.5", "train.decision.refractory_s=0.7", "train.decision.compete_s=0"]
    _, settings = read_settings(["a"], read_overrides(None, pairs))
    assert settings.decision == DecisionSettings(smoothing_frames=2, refractory_s=0.7, compete_s=0)
