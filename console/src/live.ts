// The running desk of this tab: one feed, one model, one connection, shared by all views.

import { desk, incidents, session as sessions } from "./api";
import type { Incident, Session, Trouble } from "./api/types";
import { heardServer, serverNow } from "./clock";
import { applyEntries, applyIncident, applyUnits, type DeskModel, EMPTY, fromSnapshot } from "./desk/model";
import { Drawn } from "./drawn";
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

/** This tab's name for itself: the hub notices a console that is connected and draws nothing. */
const TAB = [...crypto.getRandomValues(new Uint8Array(8))]
  .map((n) => n.toString(16).padStart(2, "0"))
  .join("");
/** A tab that slept through more entries than this takes a new snapshot rather than replaying them. */
const REPLAY_MOST = 5000;
const later = (run: () => void, ms: number) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};
const drawn = new Drawn({
  send: async (rows, painted) => (await desk.rendered(rows, painted, TAB)).kind === "success",
  monotonic: () => performance.now(),
  later,
});
let painting = false;

export function startFeed(): void {
  feed?.stop();
  feed = new Feed({
    snapshot: desk.snapshot,
    open: (after, log) => new EventSource(desk.feedUrl(after, log, TAB, REPLAY_MOST)),
    onSnapshot: (snapshot) => {
      drawn.reset();
      model.set(fromSnapshot(snapshot));
      paintedSoon();
      arrivals.set(snapshot.incidents.map((incident) => `incident:${incident.id}`));
    },
    onEntries: (entries) => {
      model.set(applyEntries(model.get(), entries));
      paintedSoon();
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
    later,
  });
  feed.start();
}

export function stopFeed(): void {
  feed?.stop();
  feed = null;
  drawn.stop();
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

/** Tells the hub that every incident up to entry `seq` has its row (T2); `news`: one of them is not told yet. */
export function rendered(seq: number, news: boolean): void {
  drawn.shown(seq, news);
}

/** After two animation frames, which a tab that nobody can see doesn't get: this much is on the screen. */
function paintedSoon(): void {
  if (painting) return;
  painting = true;
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      painting = false;
      drawn.painted(model.get().seq);
    }),
  );
}

/** Acknowledges every condition of an incident that nobody has acknowledged. */
export async function acknowledge(conditions: readonly string[]): Promise<string> {
  for (const condition of conditions) {
    const result = await incidents.ack(condition);
    if (result.kind === "error") return result.error.message;
  }
  return "";
}
