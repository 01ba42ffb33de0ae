"""The look of reports, the words that explain their numbers, and the parts that pages are made of."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

STYLE = """
:root{color-scheme:light}
body{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:#1c2733;
background:#f4f6f8;margin:0}
main{max-width:1120px;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.7rem;margin:0 0 .25rem}h2{font-size:1.35rem;margin:2.5rem 0 .5rem}
h3{font-size:1.05rem;margin:1.75rem 0 .4rem}
p{margin:.4rem 0;max-width:48rem}.dim{color:#52606d}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(215px,1fr));gap:.8rem;margin:1rem 0}
.card,figure,.box{background:#fff;border:1px solid #d8dde2;border-radius:8px}
.card{padding:.8rem 1rem}.card b{display:block;font-size:1.35rem;line-height:1.25}
.card span{display:block;font-size:.86rem}
.card.stored{border-color:#d55e00;border-width:2px}
figure{margin:0;padding:.75rem;display:flex;flex-direction:column;gap:.4rem}figure img{width:100%;height:auto}
figure.det{max-width:780px}
figcaption{font-size:.86rem;overflow-wrap:anywhere}audio{width:100%;height:36px}
.examples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,430px),1fr));gap:.8rem}
.box{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
th,td{padding:.45rem .7rem;text-align:right;border-bottom:1px solid #e6eaed;white-space:nowrap}
th{font-weight:600;background:#f8fafb}tr:last-child td{border-bottom:0}
td:first-child,th:first-child,table.facts td{text-align:left}
table.facts td{white-space:normal;overflow-wrap:anywhere}
table.facts td:first-child{white-space:nowrap}
.note{background:#fff6e5;border-left:4px solid #d55e00;padding:.5rem .8rem;border-radius:4px;max-width:48rem}
small{color:#52606d}
"""

READING = """
<h2>How to read this</h2>
<p><b>Missed</b>: a clip of the keyword in which nothing fired once the phrase had begun (by energy, unless
the manifest says when). <b>False accept</b>: a detection in audio without it; one long burst is one. Both are
counted by the rule that runs on the device: smoothing, threshold, refractory time.</p>
<p><b>Stored threshold</b>: the one in the model, chosen on other recordings; it is what a device does. The
other points show what the same scores allow: each is the lowest threshold that keeps to the rate on
<i>these</i> negatives, so they are for comparing models and a little too good for a forecast.</p>
<p><b>Intervals</b> are exact (Clopper-Pearson, Garwood) at 95 % and suppose that clips are independent.
Many clips of one speaker are not, and the truth is then less certain than the interval says. No false
accept in T hours does not mean never: it means fewer than 3/T per hour at 95 %.</p>
<p><b>Latency</b> runs from the end of the phrase, given by the manifest or else found by energy, to the end
of the frame that fired. A device adds up to one chunk of audio and its own computing time.</p>
<p><b>Conditions</b> change the keyword clips only; the threshold stays, as on a device.</p>
"""


def image(png: bytes, text: str) -> str:
    """Return a picture that the page holds itself; ``text`` says what it shows."""
    return (
        f"<img alt='{escape(text, quote=True)}' src='data:image/png;base64,{base64.b64encode(png).decode()}'>"
    )


def table(header: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "") -> str:
    """Return a table in a box; ``kind`` is a class of :data:`STYLE`."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=box><table class='{kind}'>{f'<tr>{head}</tr>' if head else ''}{body}</table></div>"
