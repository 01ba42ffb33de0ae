"""The benchmark: what it measures is there and adds up, and openWakeWord's chain hears every frame once."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export import benchmark, limits, peers
from export.benchmark import bench
from export.contenders import Contender
from export.quantize import to_int8
from kws import detector
from kws.errors import CheckpointError, ConfigError
from tests.export.conftest import Exported

FRAME_SAMPLES, HOP_SAMPLES, MELS, EMBEDDING = 512, 160, 32, 96


def write_graph(path: Path, nodes: list, weights: dict[str, np.ndarray], inputs: list, outputs: list) -> None:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, outputs)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "mel": (generator.normal(size=(MELS, 1, FRAME_SAMPLES)) / 1e4).astype(np.float32),
        "embedding": (generator.normal(size=(76 * MELS, EMBEDDING)) / 50).astype(np.float32),
        "score": (generator.normal(size=(16 * EMBEDDING, 1)) / 50).astype(np.float32),
    }


@pytest.fixture
def peer_folder(tmp_path: Path, weights: dict[str, np.ndarray]) -> Path:
    """Linear stand-ins with the file names, inputs and outputs of openWakeWord's three graphs."""
    folder = tmp_path / "peer"
    folder.mkdir()

    def shape(*sizes: int) -> np.ndarray:
        return np.array(sizes, np.int64)

    node = helper.make_node
    write_graph(
        folder / "melspectrogram.onnx",
        [
            node("Unsqueeze", ["input", "one"], ["channel"]),
            node("Conv", ["channel", "mel"], ["by_mel"], strides=[HOP_SAMPLES]),
            node("Transpose", ["by_mel"], ["by_frame"], perm=[0, 2, 1]),
            node("Unsqueeze", ["by_frame", "one"], ["output"]),
        ],
        {"mel": weights["mel"], "one": shape(1)},
        [1, "samples"],
        [1, 1, "frames", MELS],
    )
    write_graph(
        folder / "embedding_model.onnx",
        [
            node("Reshape", ["input", "flat"], ["row"]),
            node("MatMul", ["row", "embedding"], ["values"]),
            node("Reshape", ["values", "full"], ["output"]),
        ],
        {"embedding": weights["embedding"], "flat": shape(1, -1), "full": shape(1, 1, 1, EMBEDDING)},
        [1, 76, MELS, 1],
        [1, 1, 1, EMBEDDING],
    )
    write_graph(
        folder / "some_phrase.onnx",
        [node("Reshape", ["input", "flat"], ["row"]), node("MatMul", ["row", "score"], ["output"])],
        {"score": weights["score"], "flat": shape(1, -1)},
        [1, 16, EMBEDDING],
        [1, 1],
    )
    return folder


def test_the_chain_of_files_scores_the_stream_as_the_whole_signal(
    peer_folder: Path, weights: dict[str, np.ndarray]
):
    chunks = np.random.default_rng(1).integers(-20_000, 20_000, (40, 1280)).astype(np.int16)
    chain = peers.OpenWakeWordFiles(peer_folder)
    heard = [chain.push(chunk) for chunk in chunks]
    signal = np.concatenate([np.zeros(480), chunks.ravel().astype(np.float64)])
    frames = np.lib.stride_tricks.sliding_window_view(signal, FRAME_SAMPLES)[::HOP_SAMPLES]
    mels = frames @ weights["mel"][:, 0].T / 10 + 2  # (frame, mel)
    ends = [8 * (number + 1) for number in range(24, 40)]
    embeddings = np.stack([mels[end - 76 : end].ravel() @ weights["embedding"] for end in ends])
    assert heard[-1] == pytest.approx(float((embeddings.ravel() @ weights["score"])[0]), abs=1e-3)
    assert np.std(heard[20:]) > 0.01


def test_a_folder_without_the_files_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"expected openWakeWord's melspectrogram\.onnx"):
        peers.find_files(tmp_path)


def test_measures_both_in_one_run(exported: Exported, peer_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(peers, "installed", lambda package: False)
    report = bench([exported("conv")], peer_folder, seconds=0.8, rounds=2)
    assert [cost.name for cost in report.costs] == ["kws model.onnx, fp32", "openWakeWord files"]
    ours, theirs = report.costs
    assert ours.size_bytes == exported("conv").stat().st_size
    assert theirs.size_bytes == sum(file.stat().st_size for file in peer_folder.iterdir())
    for cost in report.costs:
        assert 0 < cost.push_p50_ms <= cost.push_p95_ms <= cost.push_p99_ms
        assert 0 < cost.cpu_s_per_hour < 3600
        assert 20e6 < cost.peak_memory_bytes < 400e6, "a process without torch"
    ratio = np.median(np.divide(ours.cpu_s_per_hour_of_rounds, theirs.cpu_s_per_hour_of_rounds))
    assert report.ratios == {"kws model.onnx, fp32 / openWakeWord files": pytest.approx(ratio)}
    assert theirs.limit is None and ours.limit is not None
    assert 0 < ours.limit.least_ms < ours.push_p50_ms
    assert (report.threads, report.rounds, report.num_cores >= 1) == (1, 2, True)
    assert report.processor


def test_counts_processor_time_per_hour_and_time_on_the_clock_per_push(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def busy(chunk: np.ndarray) -> None:
        assert chunk.shape == (1280,) and chunk.dtype == np.int16
        end = time.process_time() + 0.004
        while time.process_time() < end:
            pass
        time.sleep(0.004)

    monkeypatch.setattr(Contender, "open", lambda self, threads: busy)
    monkeypatch.setattr(Contender, "size_bytes", 1)
    monkeypatch.setattr(benchmark, "_peak_memory_bytes", lambda contender, threads: 1)
    monkeypatch.setattr(benchmark, "find_limit", lambda path, chunk_samples: None)
    (cost,) = benchmark._time([Contender("kws", tmp_path / "m.onnx")], seconds=0.8, rounds=3, threads=1)
    assert 180 <= cost.cpu_s_per_hour < 300, "4 ms of every 80 ms are 180 s an hour"
    assert cost.push_p50_ms >= 8
    assert cost.real_time_factor >= 0.1


def test_small_differences_are_timed_on_files_opened_anew_each_round(monkeypatch: pytest.MonkeyPatch):
    opened = []

    class Busy:
        def __init__(self, path: Path, num_threads: int, chunk_ms: float) -> None:
            opened.append((path.name, num_threads))
            self.seconds = {"fast": 0.001, "slow": 0.003}[path.name]

        def process(self, chunk: np.ndarray) -> None:
            end = time.process_time() + self.seconds
            while time.process_time() < end:
                pass

    monkeypatch.setattr(detector, "Detector", Busy)
    contenders = [Contender("kws", Path(name)) for name in ("fast", "slow")]
    fast, slow = benchmark.cpu_ms_per_push(contenders, seconds=0.8, rounds=3)
    assert opened == [(name, 1) for name in ("fast", "slow", "slow", "fast", "fast", "slow")]
    assert [len(fast), len(slow)] == [3, 3]
    assert 1 <= min(fast) < 2 and 3 <= min(slow) < 4, "a busy machine may add to some, not to all"


def test_the_signal_is_no_silence():
    chunks = np.stack(benchmark._chunks(4.0, 1280))
    assert chunks.shape == (50, 1280)
    loud = np.abs(chunks.astype(np.int64)).max(axis=1)
    assert (loud > 0).all() and (loud > 1000).sum() > 20


@pytest.mark.parametrize(("name", "value"), [("seconds", 0.01), ("rounds", 0), ("threads", 0)])
def test_arguments_out_of_range_are_named(name: str, value: float):
    with pytest.raises(ConfigError, match=f"{name}: got {value}, allowed"):
        bench(["m.onnx"], **{name: value})


def test_a_missing_model_is_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"none\.onnx: no such file"):
        bench([tmp_path / "none.onnx"])


@pytest.mark.slow
def test_without_a_model_the_default_detector_is_timed(
    default_detector: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(peers, "installed", lambda package: False)
    monkeypatch.setattr(benchmark, "default_detector", lambda path: shutil.copy(default_detector, path))
    (cost,) = bench(seconds=0.4, rounds=1).costs
    assert cost.name == "kws default.onnx, fp32"
    assert cost.size_bytes == default_detector.stat().st_size


def test_files_of_one_name_are_told_apart_by_the_folders_that_differ(tmp_path: Path):
    names = ["a/run/model.onnx", "b/run/model.onnx", "b/run/model.int8.onnx", "a/run/model.onnx"]
    assert benchmark.distinct_names([tmp_path / name for name in names]) == [
        "a/run/model.onnx",
        "b/run/model.onnx",
        "model.int8.onnx",
        "a/run/model.onnx (2)",
    ]
    assert benchmark.distinct_names([Path("x/model.onnx"), Path("y/model.onnx")]) == [
        "x/model.onnx",
        "y/model.onnx",
    ]


def test_the_int8_form_is_told_from_the_float_one(exported: Exported, tmp_path: Path):
    small, _ = to_int8(exported("conv"), tmp_path / "model.onnx")  # of the same name
    assert (benchmark.precision(exported("conv")), benchmark.precision(small)) == ("fp32", "int8")
    assert benchmark.precision(tmp_path / "gone.onnx") == "fp32"


def test_forms_and_lengths_of_a_push_are_timed_side_by_side(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(peers, "installed", lambda package: False)
    monkeypatch.setattr(benchmark, "_peak_memory_bytes", lambda contender, threads: 1)
    costs = bench([exported("conv")], seconds=0.8, rounds=1, int8=True, chunk_ms=[80, 160]).costs
    assert [(cost.name, cost.chunk_ms) for cost in costs] == [
        (f"kws model.onnx, {form}, {length} ms", length) for form in ("fp32", "int8") for length in (80, 160)
    ]
    fp32, longer, int8, _ = (cost.limit for cost in costs)
    assert fp32 is not None and longer is not None and int8 is not None
    assert int8.weight_bytes < fp32.weight_bytes == longer.weight_bytes
    assert fp32.multiply_adds < longer.multiply_adds <= 2 * fp32.multiply_adds


def test_products_are_counted_by_hand():
    weight = numpy_helper.from_array(np.zeros((6, 5), np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["waveform", "rows"], ["x"]),
            helper.make_node("MatMul", ["x", "w"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weight, numpy_helper.from_array(np.array([0, -1, 6], np.int64), "rows")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    assert limits.multiply_adds(model, 24) == 4 * 6 * 5


def test_the_time_of_a_chunk_is_told_by_operator(exported: Exported):
    rows = limits.operator_times(exported("conv"), runs=20)
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert [row.us_per_run for row in rows] == sorted((row.us_per_run for row in rows), reverse=True)
    assert {"MatMul", "Concat", "Gather"} <= {row.operator for row in rows}
    assert next(row.nodes for row in rows if row.operator == "Sigmoid") == 1


def test_pymicro_wakeword_is_timed_where_it_is_installed():
    pytest.importorskip("pymicro_wakeword", reason="pip install pymicro-wakeword")
    peer = Contender("microwakeword")
    assert 20_000 < peer.size_bytes < 200_000
    push = peer.open(1)
    assert isinstance(push(np.zeros(1280, np.int16)), list)


def test_peers_that_are_installed_are_timed_unless_they_are_not_wished(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
):
    path = exported("conv")
    monkeypatch.setattr(benchmark, "installed_peers", lambda _: [Contender("kws", path, "a peer")])
    assert len(bench([path], seconds=0.2, rounds=1).costs) == 2
    assert len(bench([path], seconds=0.2, rounds=1, peers=False).costs) == 1
