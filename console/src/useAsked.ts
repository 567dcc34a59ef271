// A question to the hub whose answer a view shows: asked again when what it depends on changes.

import { useEffect, useState } from "preact/hooks";
import type { Result } from "./api";

export interface Asked<T> {
  value: T | null;
  problem: string;
  busy: boolean;
  again(): void;
}

/** `ask` is called with a signal that ends it when `on` changes; the old answer stands until the new one is there. */
export function useAsked<T>(
  ask: (signal: AbortSignal) => Promise<Result<T>>,
  on: readonly unknown[],
): Asked<T> {
  const [value, setValue] = useState<T | null>(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(true);
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    setBusy(true);
    void ask(abort.signal).then((result) => {
      if (result.kind === "aborted") return;
      setBusy(false);
      setProblem(result.kind === "error" ? result.error.message : "");
      if (result.kind === "success") setValue(result.value);
    });
    return () => abort.abort();
  }, [...on, round]);
  return { value, problem, busy, again: () => setRound((n) => n + 1) };
}
