// One person's or screen's preview in one video element: HLS where the browser plays it, else its segments through Media Source Extensions.

/** Seconds that are fetched before they are needed, and kept after. */
const AHEAD_S = 20;
const BEHIND_S = 20;
/** Signed URLs are replaced this long before they end; they live five to fifteen minutes, whatever this machine's clock says. */
const RENEW_S = 90;
const LIFE_S = [300, 900];
const RETRY_MS = 1000;

const hasNativeHLS = document.createElement("video").canPlayType("application/vnd.apple.mpegurl") !== "";
/** When a URL that was signed just now is to be replaced, by `performance.now()`. */
function renewalOf(url) {
  const life = Number(new URL(url, location.href).searchParams.get("exp")) - Date.now() / 1000;
  return performance.now() + (Math.max(LIFE_S[0], Math.min(LIFE_S[1], life)) - RENEW_S) * 1000;
}

/** @param fresh gives this lane's variant with URLs signed now */
export const makeLane = (video, variant, fresh) => (hasNativeHLS ? new PlaylistLane(video, variant, fresh) : new SegmentLane(video, variant, fresh));

class PlaylistLane {
  constructor(video, variant, fresh) {
    Object.assign(this, { video, fresh, renewal: renewalOf(variant.playlist) });
    video.src = variant.playlist;
    video.addEventListener("error", () => { this.mistake = video.error?.message || "The preview could not be played."; });
  }
  seek(position) { this.video.currentTime = position; }
  /** Called a few times a second. The browser fetches by itself, but only with the URLs it was given. */
  async tend() {
    if (this.renewing || performance.now() < this.renewal) return;
    this.renewing = true;
    try {
      const { playlist } = await this.fresh();
      const { currentTime, paused } = this.video;
      this.renewal = renewalOf(playlist);
      this.video.src = playlist;
      this.video.currentTime = currentTime;
      if (!paused) await this.video.play();
    } catch { this.renewal = performance.now() + RETRY_MS; }
    this.renewing = false;
  }
  close() {
    this.video.removeAttribute("src");
    this.video.load();
  }
}

/** RFC 8216 §4, as much of it as previews use. @returns {head, segments: [{url, from, to}]} with the playlist's own URLs */
export function parsePlaylist(text) {
  const playlist = { head: "", segments: [] };
  let at = 0;
  let duration = 0;
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#EXT-X-MAP:")) playlist.head = /URI="([^"]+)"/.exec(line)?.[1] ?? "";
    else if (line.startsWith("#EXTINF:")) duration = parseFloat(line.slice(8)) || 0;
    else if (line && !line.startsWith("#")) {
      playlist.segments.push({ url: line, from: at, to: at + duration });
      at += duration;
    }
  }
  return playlist;
}

class SegmentLane {
  constructor(video, variant, fresh) {
    Object.assign(this, { video, fresh, variant, segments: [], /** Segments that hold nothing the browser takes. */ empty: new Set() });
    this.media = new MediaSource();
    video.src = URL.createObjectURL(this.media);
    this.media.addEventListener("sourceopen", () => this.open(), { once: true });
  }
  async open() {
    URL.revokeObjectURL(this.video.src);
    try {
      this.buffer = this.media.addSourceBuffer(`video/mp4; codecs="${this.variant.codecs}"`);
      const head = await this.load();
      await this.append(await this.bytes(head));
      this.media.duration = this.segments.at(-1)?.to ?? 0;
      this.isOpen = true;
      this.tend();
    } catch (error) { this.mistake = `This browser cannot play the preview: ${error.message}`; }
  }
  /** Fetches the playlist. @returns the head's URL */
  async load() {
    const { head, segments } = parsePlaylist(new TextDecoder().decode(await this.bytes(this.variant.playlist)));
    this.segments = segments;
    this.renewal = renewalOf(segments[0]?.url ?? this.variant.playlist);
    return head;
  }
  async bytes(url, signal) {
    const response = await fetch(url, { signal });
    if (!response.ok) throw new Error(`the node answered ${response.status}`);
    return response.arrayBuffer();
  }

  seek(position) {
    this.video.currentTime = position;
    // What was being fetched may be of no use any more.
    if (this.fetching && (this.fetching.to < position || this.fetching.from > position + AHEAD_S)) this.abort.abort();
    this.tend();
  }
  /** Fetches and appends until enough is there. One at a time; called again and again. */
  async tend() {
    if (this.tending || !this.isOpen || performance.now() < this.notBefore) return;
    this.tending = true;
    try {
      if (performance.now() > this.renewal) {
        this.variant = await this.fresh();
        await this.load();
      }
      await this.forget();
      for (let segment = this.next(); segment && this.media.readyState === "open"; segment = this.next()) {
        this.fetching = segment;
        this.abort = new AbortController();
        await this.append(await this.bytes(segment.url, this.abort.signal));
        if (!this.holds(segment)) this.empty.add(segment.from);
      }
    } catch (error) {
      if (error.name !== "AbortError") this.notBefore = performance.now() + RETRY_MS;
    }
    this.fetching = null;
    this.tending = false;
  }
  /** The first segment from the position on that is not there; undefined where all is that is wanted now. */
  next() {
    const position = this.video.currentTime;
    return this.segments.find((segment) => segment.to > position && segment.from < position + AHEAD_S && !this.holds(segment) && !this.empty.has(segment.from));
  }
  holds({ from, to }) {
    const middle = (from + to) / 2;
    const { buffered } = this.buffer;
    for (let range = 0; range < buffered.length; range += 1) if (buffered.start(range) <= middle && buffered.end(range) >= middle) return true;
    return false;
  }
  /** Lets go of what is far from the position: the buffer stays small, however long the recording. */
  async forget() {
    const { buffered } = this.buffer;
    if (!buffered.length) return;
    const position = this.video.currentTime;
    const [first, last] = [buffered.start(0), buffered.end(buffered.length - 1)];
    if (first < position - 2 * BEHIND_S) await this.change(() => this.buffer.remove(0, position - BEHIND_S));
    if (last > position + 3 * AHEAD_S) await this.change(() => this.buffer.remove(position + 2 * AHEAD_S, Infinity));
  }
  append(bytes) { return this.change(() => this.buffer.appendBuffer(bytes)); }
  change(work) {
    const done = new AbortController();
    const { signal } = done;
    return new Promise((resolve, reject) => {
      this.buffer.addEventListener("updateend", resolve, { signal });
      this.buffer.addEventListener("error", () => reject(new Error("a segment is damaged")), { signal });
      work();
    }).finally(() => done.abort());
  }
  close() {
    this.abort?.abort();
    this.isOpen = false;
    this.video.removeAttribute("src");
    this.video.load();
  }
}
