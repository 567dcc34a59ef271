// Order of the queue, and the promise that no row moves under the pointer.

import type { Incident } from "../api/types";
import { isOpen } from "./model";

export type Tab = "all" | "new" | "working" | "mine";

export function inTab(incident: Incident, tab: Tab, me: string): boolean {
  if (tab === "new") return incident.state === "new";
  if (tab === "working") return incident.state !== "new";
  if (tab === "mine") return incident.claimed_by === me;
  return true;
}

/** Unclaimed first, then priority, then the one that waits longest. */
export function byUrgency(a: Incident, b: Incident): number {
  return (
    Number(a.state !== "new") - Number(b.state !== "new") ||
    a.priority - b.priority ||
    a.opened_at.localeCompare(b.opened_at) ||
    a.id.localeCompare(b.id)
  );
}

export interface Arrangement {
  /** Ids as they stand on screen. */
  rows: readonly string[];
  /** New ones that wait for the pointer to leave, most urgent first; P1 is never among them. */
  waiting: readonly string[];
  /** New P1s while the list is held: they stand in the slot above the list, which is always there. */
  slot: readonly string[];
}

export const NOTHING: Arrangement = { rows: [], waiting: [], slot: [] };

/**
 * The list as it should stand. While `held` (pointer or cursor is in it) rows keep their places, ended ones
 * too; new ones wait aside, P1 in the slot on top.
 */
export function arrange(
  before: Arrangement,
  incidents: ReadonlyMap<string, Incident>,
  held: boolean,
  matches: (incident: Incident) => boolean,
): Arrangement {
  const open = [...incidents.values()].filter((i) => isOpen(i) && matches(i)).sort(byUrgency);
  if (!held) return { rows: open.map((i) => i.id), waiting: [], slot: [] };
  const rows = before.rows.filter((id) => incidents.has(id));
  const shown = new Set(rows);
  const fresh = open.filter((i) => !shown.has(i.id));
  return {
    rows,
    waiting: fresh.filter((i) => i.priority !== 1).map((i) => i.id),
    slot: fresh.filter((i) => i.priority === 1).map((i) => i.id),
  };
}

/** Highest entry number up to which no new incident stays undrawn. */
export function renderedUpTo(
  seq: number,
  drawn: ReadonlySet<string>,
  incidents: ReadonlyMap<string, Incident>,
  touched: ReadonlyMap<string, number>,
): number {
  let upTo = seq;
  for (const incident of incidents.values())
    if (incident.state === "new" && !drawn.has(incident.id))
      upTo = Math.min(upTo, (touched.get(incident.id) ?? 0) - 1);
  return Math.max(0, upTo);
}

/** The row `steps` from `current` in the list as it stands; the first one where nothing is chosen. */
export function step(rows: readonly string[], current: string | null, steps: 1 | -1): string | null {
  const at = current === null ? -1 : rows.indexOf(current);
  if (at < 0) return rows[0] ?? null;
  return rows[Math.max(0, Math.min(rows.length - 1, at + steps))] ?? null;
}
