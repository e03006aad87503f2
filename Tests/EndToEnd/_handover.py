"""What a person notices of a change of nodes: the longest time without a frame, and whether anybody seemed to leave."""

# Every video tile but one's own: the times between frames, from now on.
SAMPLE = """() => {
  window.gaps = {};
  const watch = (video, name) => {
    let last = performance.now();
    const gap = window.gaps[name] = { longest: 0, frames: 0, intervals: [], last };
    const next = () => {
      const now = performance.now();
      gap.longest = Math.max(gap.longest, now - last);
      gap.intervals.push(now - last);
      gap.frames += 1;
      gap.last = last = now;
      video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
  };
  for (const tile of document.querySelectorAll(".tile:not(.me)")) watch(tile.querySelector("video"), tile.dataset.participant ?? tile.textContent.trim());
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
