// A value that views watch: get, set, subscribe, and the hook that redraws on change.

import { useEffect, useRef, useState } from "preact/hooks";

export interface Store<T> {
  get(): T;
  set(next: T): void;
  subscribe(listener: () => void): () => void;
}

export function createStore<T>(initial: T): Store<T> {
  let value = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

const same = <T>(value: T): T => value;

/** The store's value, or what `select` takes of it; redraws only when that changes. */
export function useStore<T>(store: Store<T>): T;
export function useStore<T, S>(store: Store<T>, select: (value: T) => S): S;
export function useStore<T, S>(store: Store<T>, select: (value: T) => T | S = same): T | S {
  const [, redraw] = useState(0);
  const shown = select(store.get());
  // What is on screen, and how it was selected: a view that now shows another id must follow that one.
  const latest = useRef({ select, shown });
  latest.current = { select, shown };
  useEffect(() => {
    const update = () => {
      if (!Object.is(latest.current.select(store.get()), latest.current.shown)) redraw((n) => n + 1);
    };
    update();
    return store.subscribe(update);
  }, [store]);
  return shown;
}

/** Redraws every `everyMs` and on the full second of nothing in particular: for counters on screen. */
export function useTick(everyMs: number): number {
  const [count, setCount] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setCount((n) => n + 1), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return count;
}
