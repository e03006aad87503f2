// Plays all previews of a recording on one clock: the position is this object's, every video follows it.
import { makeLane } from "./lane.js";

const TICK_MS = 100;
/** A video may be off by this before its speed is changed, and by that before it jumps: seconds. */
const DRIFT_S = 0.03;
const JUMP_S = 0.3;
const SPEED_CHANGE = 0.1;
/** Nobody waits longer for one stream that does not come. */
const PATIENCE_MS = 8000;
/** The last picture of a stream may stand a little before the end. */
const END_S = 0.3;

/** Events: `tick` at every look at the clock and after every seek, `state` when playing, waiting or paused. */
export class PreviewPlayer extends EventTarget {
  /**
   * @param duration seconds
   * @param skip position → where to go on, in seconds, where something is cut out; else undefined
   */
  constructor(duration, skip) {
    super();
    Object.assign(this, { duration, skip, lanes: [], isPlaying: false, isWaiting: false, at: 0, since: null, patienceEnds: 0 });
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }
  /** @param fresh gives the variant again, its URLs signed anew */
  add(video, variant, fresh) {
    this.lanes.push(makeLane(video, variant, fresh));
    video.preload = "auto";
  }
  /** Seconds from the recording's beginning. */
  get position() { return this.since === null ? this.at : Math.min(this.duration, this.at + (performance.now() - this.since) / 1000); }
  get mistake() { return this.lanes.find((lane) => lane.mistake)?.mistake; }

  play() {
    if (this.isPlaying) return;
    if (this.position >= this.duration - 0.05) this.move(0);
    this.isPlaying = true;
    this.wait();
    this.tick();
  }
  pause() {
    if (!this.isPlaying) return;
    this.freeze();
    this.isPlaying = this.isWaiting = false;
    for (const { video } of this.lanes) video.currentTime = this.at;
    this.tell();
  }
  seek(position) {
    this.move(Math.max(0, Math.min(this.duration, position)));
    if (this.isPlaying) this.wait();
    this.dispatchEvent(new Event("tick"));
  }
  close() {
    clearInterval(this.timer);
    for (const lane of this.lanes) lane.close();
  }

  // The clock

  move(position) {
    this.freeze();
    this.at = position;
    for (const lane of this.lanes) {
      lane.video.playbackRate = 1;
      lane.seek(position);
    }
  }
  /** The clock stands, and so does every video. */
  freeze() {
    this.at = this.position;
    this.since = null;
    for (const { video } of this.lanes) video.pause();
  }
  wait() {
    this.freeze();
    this.isWaiting = true;
    this.patienceEnds = performance.now() + PATIENCE_MS;
    this.tell();
  }
  /** All videos start, then the clock does. */
  async run() {
    if (this.starting) return;
    this.starting = true;
    await Promise.allSettled(this.lanes.filter((lane) => this.isReady(lane)).map(({ video }) => video.play()));
    this.starting = false;
    if (!this.isPlaying || !this.isWaiting) return this.freeze();
    this.isWaiting = false;
    this.since = performance.now();
    this.tell();
  }
  isReady({ video, mistake }) {
    return mistake !== undefined || (!video.seeking && video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) || this.position > this.duration - END_S;
  }

  tick() {
    for (const lane of this.lanes) lane.tend();
    if (this.isPlaying) this.follow();
    this.dispatchEvent(new Event("tick"));
  }
  follow() {
    const position = this.position;
    const target = this.skip(position);
    if (target !== undefined) {
      if (target < this.duration - 0.05) return this.seek(target);
      this.move(this.duration);
      return this.pause();
    }
    if (position >= this.duration) return this.pause();
    for (const lane of this.lanes) if (this.isReady(lane)) lane.isGivenUp = false;
    const missing = this.lanes.filter((lane) => !lane.isGivenUp && !this.isReady(lane));
    if (!this.isWaiting) {
      if (missing.length) return this.wait();
    } else {
      if (missing.length && performance.now() < this.patienceEnds) return;
      for (const lane of missing) lane.isGivenUp = true;
      return this.run();
    }
    for (const lane of this.lanes) this.correct(lane, position);
  }
  correct(lane, position) {
    const { video } = lane;
    const drift = video.currentTime - position;
    if (video.seeking || lane.mistake) return;
    if (video.paused) video.play().catch(() => { /* looked at again at the next tick */ });
    if (Math.abs(drift) > JUMP_S) {
      video.playbackRate = 1;
      return lane.seek(position);
    }
    const speed = Math.abs(drift) > DRIFT_S ? 1 - Math.max(-SPEED_CHANGE, Math.min(SPEED_CHANGE, drift)) : 1;
    if (video.playbackRate !== speed) video.playbackRate = speed;
  }
  tell() { this.dispatchEvent(new Event("state")); }
}
