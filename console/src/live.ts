// The running desk of this tab: one feed, one model, one connection, shared by all views.

import { desk, incidents, session as sessions } from "./api";
import type { Incident, Session, Trouble } from "./api/types";
import { heardServer, serverNow } from "./clock";
import { applyEntries, applyIncident, applyUnits, type DeskModel, EMPTY, fromSnapshot } from "./desk/model";
import { type Connection, Feed } from "./feed";
import { createStore } from "./store";

export const session = createStore<Session | null>(null);
export const model = createStore<DeskModel>(EMPTY);
export const connection = createStore<Connection>({
  state: "connecting",
  heardAt: null,
  seq: 0,
  head: 0,
  gap: null,
});
/** Entries that came since the page was opened, for whoever needs to look again (the open incident). */
export const arrivals = createStore<readonly string[]>([]);

/** What is wrong with the hub itself. */
export const troubles = createStore<readonly Trouble[]>([]);

let feed: Feed | null = null;

export function startFeed(): void {
  feed?.stop();
  feed = new Feed({
    snapshot: desk.snapshot,
    open: (after, log) => new EventSource(desk.feedUrl(after, log)),
    onSnapshot: (snapshot) => {
      model.set(fromSnapshot(snapshot));
      arrivals.set(snapshot.incidents.map((incident) => `incident:${incident.id}`));
    },
    onEntries: (entries) => {
      model.set(applyEntries(model.get(), entries));
      arrivals.set(entries.flatMap((entry) => [entry.subject, ...named(entry.body)]));
    },
    onUnits: (units) => model.set(applyUnits(model.get(), units)),
    onConnection: (next) => connection.set(next),
    onServerTime: heardServer,
    onTroubles: (told) => troubles.set(told),
    onTrouble: () => void sessions.who(),
    now: serverNow,
    monotonic: () => performance.now(),
    random: Math.random,
    later: (run, ms) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
  });
  feed.start();
}

export function stopFeed(): void {
  feed?.stop();
  feed = null;
  model.set(EMPTY);
  troubles.set([]);
}

/** Incidents an entry's body speaks of besides its subject. */
function named(body: Record<string, unknown>): string[] {
  return typeof body.incident === "string" && body.incident ? [`incident:${body.incident}`] : [];
}

/** Takes an incident from an action's answer, ahead of the feed. */
export function learn(incident: Incident): void {
  model.set(applyIncident(model.get(), incident));
}

const RENDERED_EVERY_MS = 400;
let told = 0;
let wanted = 0;
let telling = false;

/** Tells the hub what stands drawn on this console (T2): the newest number only, not oftener than needed. */
export function rendered(seq: number): void {
  wanted = Math.max(wanted, seq);
  if (telling || wanted <= told) return;
  telling = true;
  const now = wanted;
  void desk.rendered(now).then((result) => {
    if (result.kind === "success") told = Math.max(told, now);
    setTimeout(() => {
      telling = false;
      rendered(wanted);
    }, RENDERED_EVERY_MS);
  });
}

/** Acknowledges every condition of an incident that nobody has acknowledged. */
export async function acknowledge(conditions: readonly string[]): Promise<string> {
  for (const condition of conditions) {
    const result = await incidents.ack(condition);
    if (result.kind === "error") return result.error.message;
  }
  return "";
}
