// The hub's clock, kept by the monotonic clock: the PC's own time of day is never trusted.

const JUMP_MS = 5000;
const DRIFT_MS = 20;

let offset: number | null = null;

/** Takes in the hub's `server_now`. A late sample can only make the hub look older, so the newest wins at once. */
export function heardServer(serverNow: string, monotonic = performance.now()): void {
  const candidate = Date.parse(serverNow) - monotonic;
  if (Number.isNaN(candidate)) return;
  if (offset === null || candidate > offset || offset - candidate > JUMP_MS) offset = candidate;
  else offset -= Math.min(offset - candidate, DRIFT_MS);
}

/** Milliseconds since 1970 by the hub's clock; by this machine's until the hub has spoken. */
export function serverNow(monotonic = performance.now()): number {
  return offset === null ? Date.now() : offset + monotonic;
}

export function forgetServer(): void {
  offset = null;
}
