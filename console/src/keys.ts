// Single keys of the desk: never while someone types or composes Chinese, and only while switched on.

import { useEffect, useRef } from "preact/hooks";
import { createStore } from "./store";

const STORED = "jifang.keys";
export const keysEnabled = createStore(globalThis.localStorage?.getItem(STORED) !== "off");

export function enableKeys(on: boolean): void {
  globalThis.localStorage?.setItem(STORED, on ? "on" : "off");
  keysEnabled.set(on);
}

export type Bindings = Record<string, () => void>;

const COMPOSING = 229;
const TYPING = new Set(["INPUT", "TEXTAREA", "SELECT"]);
const PRESSED_BY_ENTER = new Set(["BUTTON", "A", "SUMMARY"]);

/** What of a key event decides whether it may be a shortcut. */
export interface Pressed {
  key: string;
  keyCode: number;
  isComposing: boolean;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
  repeat: boolean;
  target: EventTarget | null;
}

interface TargetLike {
  tagName?: string;
  isContentEditable?: boolean;
}

/** Whether the key belongs to the text being typed, to the input method, or to the browser. */
export function belongsElsewhere(event: Pressed): boolean {
  if (event.isComposing || event.keyCode === COMPOSING) return true;
  if (event.ctrlKey || event.altKey || event.metaKey) return true;
  const target = event.target as TargetLike | null;
  if (target?.isContentEditable || TYPING.has(target?.tagName ?? "")) return true;
  return event.key === "Enter" && PRESSED_BY_ENTER.has(target?.tagName ?? "");
}

/** The name under which a key is bound: letters in lower case. */
export const nameOf = (event: Pressed): string =>
  event.key.length === 1 ? event.key.toLowerCase() : event.key;

/** Moving may repeat while a key is held down; acting never does. */
const MAY_REPEAT = new Set(["j", "k"]);

/** The binding `event` calls for; null where it calls for none. Escape works even with keys switched off. */
export function called(event: Pressed, bindings: Bindings, enabled: boolean): (() => void) | null {
  if (belongsElsewhere(event)) return null;
  const name = nameOf(event);
  if (!enabled && name !== "Escape") return null;
  if (event.repeat && !MAY_REPEAT.has(name)) return null;
  return bindings[name] ?? null;
}

/** Binds keys while the view stands. */
export function useKeys(bindings: Bindings): void {
  const latest = useRef(bindings);
  latest.current = bindings;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
      const run = called(event, latest.current, keysEnabled.get());
      if (!run) return;
      event.preventDefault();
      run();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}
