// Tones for what nobody has taken yet: synthesised, repeated until someone acts, and honest when blocked.

import type { AlarmCondition, Incident } from "./api/types";
import { createStore } from "./store";

export type SoundState = "on" | "blocked" | "muted";

export const sound = createStore<SoundState>("blocked");
/** When the mute ends, monotonic milliseconds. */
export const mutedUntil = createStore(0);

const MUTE_MS = 5 * 60 * 1000;
const REPEAT_MS = 10000;
const RISE_AFTER_MS = 30000;
const NEVER_MUTED = new Set(["hold_up", "duress", "sos"]);

let context: AudioContext | null = null;
let leading = false;

/** Must be called from a click or a key: browsers allow sound only then. */
export async function unlock(): Promise<void> {
  context ??= new AudioContext();
  context.onstatechange = refresh;
  await context.resume().catch(() => undefined);
  refresh();
  if (context.state === "running") lead();
}

/** The short tone heard when signing in. */
export function testTone(): void {
  if (context?.state === "running") beep(context, 660, 0, 0.15, 0.2);
}

export function mute(on: boolean): void {
  mutedUntil.set(on ? performance.now() + MUTE_MS : 0);
  refresh();
}

function refresh(): void {
  if (context?.state !== "running") sound.set("blocked");
  else sound.set(performance.now() < mutedUntil.get() ? "muted" : "on");
}

/** One tab of this browser sounds. Without locks (plain HTTP from afar) every tab does. */
function lead(): void {
  if (leading) return;
  if (!navigator.locks) {
    leading = true;
    return;
  }
  void navigator.locks.request("jifang-sound", async () => {
    leading = true;
    await new Promise(() => undefined);
  });
}

/** What calls for sound: P1 and P2 that nobody has claimed, nor acknowledged every condition of. */
export function calling(
  incidents: Iterable<Incident>,
  conditions: ReadonlyMap<string, AlarmCondition>,
): Incident[] {
  const unseen = (id: string) => !(conditions.get(id)?.acked ?? false);
  return [...incidents].filter((i) => i.state === "new" && i.priority <= 2 && i.conditions.some(unseen));
}

export interface Tone {
  hz: number;
  beats: number;
  gain: number;
}

/** The tone for what is calling; null for silence. It rises after half a minute without an answer. */
export function toneFor(called: readonly Incident[], now: number, muted: boolean): Tone | null {
  const heard = muted ? called.filter((i) => NEVER_MUTED.has(i.condition)) : called;
  if (heard.length === 0) return null;
  const top = Math.min(...heard.map((i) => i.priority));
  const oldest = Math.min(...heard.map((i) => Date.parse(i.opened_at)));
  const risen = now - oldest > RISE_AFTER_MS;
  return top === 1
    ? { hz: risen ? 1175 : 988, beats: 3, gain: risen ? 0.5 : 0.3 }
    : { hz: risen ? 784 : 659, beats: 2, gain: risen ? 0.4 : 0.22 };
}

let lastRing = Number.NEGATIVE_INFINITY;
let lastCalled = new Set<string>();

/** Rings now if it is time to: at once for a new call, then every ten seconds. */
export function ring(called: readonly Incident[], now: number): void {
  refresh();
  const fresh = called.some((i) => !lastCalled.has(i.id));
  lastCalled = new Set(called.map((i) => i.id));
  const monotonic = performance.now();
  const tone = toneFor(called, now, sound.get() === "muted");
  if (!tone || !leading || context?.state !== "running") return;
  if (!fresh && monotonic - lastRing < REPEAT_MS) return;
  lastRing = monotonic;
  for (let n = 0; n < tone.beats; n++) beep(context, tone.hz, n * 0.28, 0.18, tone.gain);
}

function beep(audio: AudioContext, hz: number, delay: number, length: number, gain: number): void {
  const at = audio.currentTime + delay;
  const oscillator = audio.createOscillator();
  const envelope = audio.createGain();
  oscillator.frequency.value = hz;
  oscillator.type = "triangle";
  envelope.gain.setValueAtTime(0, at);
  envelope.gain.linearRampToValueAtTime(gain, at + 0.015);
  envelope.gain.setValueAtTime(gain, at + length - 0.04);
  envelope.gain.linearRampToValueAtTime(0, at + length);
  oscillator.connect(envelope).connect(audio.destination);
  oscillator.start(at);
  oscillator.stop(at + length);
}
