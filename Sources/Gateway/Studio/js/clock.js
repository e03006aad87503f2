// This browser's clock beside a node's.

/** Looks at the node's clock; the one with the shortest way counts. */
const LOOKS = 5;

/** Milliseconds since 1970 by this browser's clock; the same in a page and in its workers. */
export const now = () => performance.timeOrigin + performance.now();

/**
 * @param look asks a node: `GET /api/v1/time`
 * @returns {offset, uncertainty, node}: the node's clock less ours, microseconds, by how many that may be off, and whose clock it was
 */
export async function measureClock(look) {
  let best = null;
  for (let count = 0; count < LOOKS; count += 1) {
    const sent = now();
    const { time_us: time, node } = await look();
    const round = now() - sent;
    if (!best || round < best.round) best = { round, offset: time - (sent + round / 2) * 1000, uncertainty: Math.ceil(round * 500), node };
  }
  return best;
}
