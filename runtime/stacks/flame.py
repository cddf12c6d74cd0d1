"""A flame graph as one SVG file: a picture in every viewer, and in a browser with details, zoom and search.

    flame_graph(paths, "calls", "count")  ->  b'<?xml version="1.0"...'

The root lies at the bottom; a box is as wide as its weight. The colour says in which file a function is. Names come from binaries that
nobody vouches for: they stand in the picture as escaped text only, and the script (flame.js, the same in all) never makes markup of
them.
"""

from __future__ import annotations

import colorsys
import os
import re
import zlib
from collections.abc import Iterator
from html import escape
from pathlib import Path

from probelang.runtime.stacks.flamelayout import Box, Layout, lay_out
from probelang.runtime.stacks.profile import Paths, Step

WIDTH, PAD = 1200, 10
ROW, HEAD, FOOT = 17, 44, 34
CHARACTER = 7.22  # of a monospaced font of 12 pixels
LEAST_LABEL = 3
_UNSHOWN = re.compile(
    "[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""No character of XML 1.0 (section 2.2), a control character, or one that turns the direction of what is around it."""
STYLE = """
text { font: 12px monospace; fill: #000; }
.box text { pointer-events: none; }
.box rect { stroke: #fff; stroke-width: .3; cursor: pointer; }
.box:hover rect { stroke: #000; stroke-width: 1; }
.beneath { opacity: .5; }
.hit rect { fill: #e600e6; }
.button { cursor: pointer; text-decoration: underline; }
#title { font-size: 15px; text-anchor: middle; }
"""


def flame_graph(paths: Paths, title: str, measure: str) -> bytes:
    """`measure`: what the weights count."""
    layout = lay_out(paths)
    height = HEAD + max(layout.depth, 1) * ROW + FOOT
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
            f' data-width="{WIDTH}" data-pad="{PAD}" data-total="{layout.total}" data-char-width="{CHARACTER}">\n'
        ),
        f"<style>{STYLE}</style>\n",
        f'<rect width="{WIDTH}" height="{height}" fill="#f8f8f4"/>\n',
        f'<text id="title" x="{WIDTH // 2}" y="22">{shown(title)}</text>\n',
        _button("reset", PAD, "reset zoom"),
        _button("search", WIDTH - 110, "search"),
        *_boxes(layout, height, measure),
        f'<text id="details" x="{PAD}" y="{height - 12}">{_summary(layout, measure)}</text>\n',
        f'<text id="matched" x="{WIDTH - 160}" y="{height - 12}"> </text>\n',
        "<script><![CDATA[\n",
        Path(__file__).with_name("flame.js").read_text(),
        "]]></script>\n</svg>\n",
    ]
    return "".join(parts).encode()


def shown(name: str) -> str:
    """Text that is nothing but text, in an element or a quoted attribute."""
    return escape(_UNSHOWN.sub("\ufffd", name), quote=True)


def _button(name: str, x: int, text: str) -> str:
    """Shown by the script."""
    return f'<text id="{name}" class="button" x="{x}" y="22" style="display:none">{text}</text>\n'


def _summary(layout: Layout, measure: str) -> str:
    if not layout.boxes:
        return "nothing was counted"
    left_out = f", {layout.left_out:,} boxes are too narrow to be seen" if layout.left_out else ""
    return f"{layout.total:,} {shown(measure)}{left_out}"


def _boxes(layout: Layout, height: int, measure: str) -> Iterator[str]:
    scale = (WIDTH - 2 * PAD) / layout.total if layout.total else 0.0
    for box in layout.boxes:
        x, width = PAD + box.start * scale, box.weight * scale
        y = height - FOOT - (box.depth + 1) * ROW
        name = shown(box.step.name)
        text = _label(box.step.name, width)
        yield (
            f'<g class="box" data-name="{name}" data-start="{box.start}" data-weight="{box.weight}" data-depth="{box.depth}">'
            f"<title>{_details(box, layout.total, measure)}</title>"
            f'<rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{ROW - 1}" fill="{colour(box.step)}"/>'
        )
        if text:
            yield f'<text x="{x + 3:.2f}" y="{y + 12}">{shown(text)}</text>'
        yield "</g>\n"


def _label(name: str, width: float) -> str:
    """As much of a name as fits."""
    room = int((width - 6) / CHARACTER)
    if room < LEAST_LABEL:
        return ""
    return name if len(name) <= room else name[: room - 2] + ".."


def _details(box: Box, total: int, measure: str) -> str:
    step = box.step
    where = f" [{shown(os.path.basename(step.module))}]" if step.module else ""
    inlined = ", inlined" if step.inlined else ""
    share = 100 * box.weight / total
    return f"{shown(step.name)}{where}{inlined}: {box.weight:,} {shown(measure)}, {share:.2f} %"


def colour(step: Step) -> str:
    """A hue for each file, a shade for each function; the same in every picture. What is no function is grey."""
    if not step.module:
        return "#d0d0c8"
    hue = zlib.crc32(os.path.basename(step.module).encode("utf-8", "backslashreplace")) % 360 / 360
    shade = zlib.crc32(step.name.encode("utf-8", "backslashreplace")) % 100 / 100
    red, green, blue = colorsys.hls_to_rgb(hue, 0.66 + 0.12 * shade, 0.65 if not step.inlined else 0.4)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
