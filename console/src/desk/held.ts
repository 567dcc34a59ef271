// A key pressed while the last action is on its way isn't lost: it counts as soon as the answer is there.

import { useLayoutEffect, useRef } from "preact/hooks";
import type { Bindings } from "../keys";

/** Older than this, nobody remembers having pressed it. */
export const HELD_MS = 3000;

export interface Held {
  key: string;
  incident: string;
  at: number;
}

/** The keys that still count: pressed for this incident, not long ago. */
export const stillMeant = (held: readonly Held[], incident: string, now: number): Held[] =>
  held.filter((one) => one.incident === incident && now - one.at <= HELD_MS);

const HOLDABLE = [..."acvfdtlxn123456"];

/** `bindings`, which while `busy` only remember; what was remembered is carried out in order afterwards. */
export function useHeldKeys(bindings: Bindings, busy: boolean, incident: string): Bindings {
  const held = useRef<Held[]>([]);
  // Before the next key can come: an effect after the paint would let that key overtake the held ones.
  useLayoutEffect(() => {
    if (busy || held.current.length === 0) return;
    const [next, ...rest] = stillMeant(held.current, incident, performance.now());
    held.current = rest;
    if (next) bindings[next.key]?.();
  });
  if (!busy) return bindings;
  const remember = (key: string) => () => void held.current.push({ key, incident, at: performance.now() });
  return {
    ...bindings,
    ...Object.fromEntries(HOLDABLE.map((key) => [key, remember(key)])),
  };
}
