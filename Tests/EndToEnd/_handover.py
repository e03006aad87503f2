"""What a person notices of a change of nodes: the longest time without a frame, and whether anybody seemed to leave."""

# Every video tile but one's own: the times between frames, from now on. A tile may change its video element.
SAMPLE = """() => {
  window.gaps = {};
  const watch = (tile, name) => {
    const gap = window.gaps[name] = { longest: 0, frames: 0, intervals: [], last: performance.now() };
    const follow = (video) => {
      const next = () => {
        const now = performance.now();
        // What comes beneath the picture that shows is not seen yet.
        if (video.isConnected && video === [...tile.querySelectorAll("video")].at(-1)) {
          gap.longest = Math.max(gap.longest, now - gap.last);
          gap.intervals.push(now - gap.last);
          gap.frames += 1;
          gap.last = now;
        }
        video.requestVideoFrameCallback(next);
      };
      video.requestVideoFrameCallback(next);
    };
    tile.querySelectorAll("video").forEach(follow);
    new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((node) => { if (node.tagName === "VIDEO") follow(node); })))
      .observe(tile, { childList: true });
  };
  for (const tile of document.querySelectorAll(".tile:not(.me)")) watch(tile, tile.dataset.participant ?? tile.textContent.trim());
}"""

GAPS = """() => Object.entries(window.gaps).map(([name, gap]) => {
  const sorted = [...gap.intervals].sort((a, b) => a - b);
  const usual = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return { name, frames: gap.frames, gap: Math.max(gap.longest, performance.now() - gap.last) - usual };
})"""


def sample(*people):
    for person in people:
        person.page.evaluate(SAMPLE)


def gaps(person):
    """Milliseconds without a frame beyond the usual interval, the worst of the tiles."""
    found = person.page.evaluate(GAPS)
    assert found and all(entry["frames"] > 0 for entry in found), f"{person.name} saw no frame: {found}"
    return max(entry["gap"] for entry in found)


def data(person):
    return person.page.evaluate("({...document.body.dataset})")


def notes(person):
    """The lines about people coming and going that the page wrote into its chat."""
    return person.page.evaluate("[...document.querySelectorAll('#messages > li.who')].map((line) => line.textContent)")
