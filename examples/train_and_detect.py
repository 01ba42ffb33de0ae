"""From a folder of recordings to detections, with figures: KEYWORD RECORDINGS SPEECH TEST OUTPUT."""

import sys
from pathlib import Path

from kws import Detection, evaluate, export, listen, train


def tell(found: Detection) -> None:
    print(f"{found.keyword} at {found.time_s:.2f} s, score {found.score:.2f}")


recordings, speech, test, output = map(Path, sys.argv[2:])
run = train([sys.argv[1]], [recordings], [speech], output)
model = export(run.run).model
found = evaluate(model, [test], [speech], false_accepts_per_hour=[1.0], split="all").keywords[0].operating[0]
print(f"misses {found.misses}, false accepts {found.false_accepts}, threshold {found.threshold:.3f}")
for clip in sorted(test.iterdir()):
    listen(model, file=clip, on_detection=tell)
