// Response targets and how an incident stands against the one that applies now (DISPATCH.md section 1).

import type { Incident } from "../api/types";
import type { Key } from "../i18n";

export type Standing = "neutral" | "near" | "over";

export interface Target {
  seconds: number;
  /** The figure as its source states it. */
  figure: Key;
  source: string;
}

const AMBER_AT = 0.7;

export const TARGETS = {
  ackTop: { seconds: 30, figure: "target.ack1", source: "EN 50518" },
  ack: { seconds: 90, figure: "target.ack", source: "EN 50518" },
  dispatch: { seconds: 60, figure: "target.dispatch", source: "NFPA 1225" },
  arrive: { seconds: 300, figure: "target.arrive", source: "110" },
} as const satisfies Record<string, Target>;

export interface Running {
  target: Target;
  /** When the target's time began, milliseconds. */
  from: number;
}

export const ackTarget = (priority: number): Target => (priority === 1 ? TARGETS.ackTop : TARGETS.ack);

/** The target that runs for `incident` now; null where none does. */
export function running(incident: Incident): Running | null {
  const clocks = incident.clocks;
  const from = (at: string | null) => Date.parse(at ?? incident.state_since);
  switch (incident.state) {
    case "new":
      return {
        target: ackTarget(incident.priority),
        from: Date.parse(clocks.t1_received ?? incident.opened_at),
      };
    case "triage":
    case "pending":
      return { target: TARGETS.dispatch, from: from(clocks.t3_acked) };
    case "active":
      return clocks.t8_on_scene ? null : { target: TARGETS.arrive, from: from(clocks.t5_dispatched) };
    default:
      return null;
  }
}

export function standing(incident: Incident, now: number): Standing {
  const run = running(incident);
  if (!run) return "neutral";
  return against((now - run.from) / 1000, run.target.seconds);
}

export function against(seconds: number, target: number): Standing {
  if (seconds > target) return "over";
  return seconds >= target * AMBER_AT ? "near" : "neutral";
}
