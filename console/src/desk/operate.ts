// Carrying out an action on an incident: one at a time, on the version that was seen, and honest when refused.

import { useRef, useState } from "preact/hooks";
import { incidents as api, type Result, type Verb } from "../api";
import type { Incident } from "../api/types";
import { t } from "../i18n";
import { acknowledge, learn } from "../live";

export interface Operation {
  busy: boolean;
  /** What went wrong last; empty where nothing did. */
  problem: string;
  act(incident: Incident, verb: Verb, more?: Record<string, string>): Promise<boolean>;
  ack(conditions: readonly string[]): Promise<boolean>;
  /** Says why a key that was pressed did nothing. */
  refuse(why: string): void;
}

export function useOperation(): Operation {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const running = useRef(false);

  const once = async (run: () => Promise<string>): Promise<boolean> => {
    if (running.current) return false;
    running.current = true;
    setBusy(true);
    setProblem("");
    const why = await run();
    running.current = false;
    setBusy(false);
    setProblem(why);
    return why === "";
  };

  return {
    busy,
    problem,
    act: (incident, verb, more = {}) =>
      once(async () => outcome(await api.act(incident.id, verb, { version: incident.version, ...more }))),
    ack: (conditions) => once(() => acknowledge(conditions)),
    refuse: setProblem,
  };
}

/** Takes the incident from the answer; the reason where there was a refusal. */
function outcome(result: Result<Incident>): string {
  if (result.kind === "success") {
    learn(result.value);
    return "";
  }
  if (result.kind === "aborted") return "";
  if (result.error.current) {
    learn(result.error.current);
    return `${t("act.conflict")}（${result.error.message}）`;
  }
  return t("act.failed", { why: result.error.message });
}
