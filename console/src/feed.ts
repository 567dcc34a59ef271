// The live feed: snapshot, then entries from its number on; a hole or a silence is never passed over.

import type { Result } from "./api";
import type { Beat, FeedEntry, Gap, Snapshot, Trouble, Unit } from "./api/types";

export type ConnectionState = "connecting" | "live" | "reconnecting" | "stale" | "offline";

export interface Connection {
  state: ConnectionState;
  /** When the hub was last heard, by the hub's clock, milliseconds; null before the first word. */
  heardAt: number | null;
  /** Last entry taken in. */
  seq: number;
  /** Last entry of the whole log that the hub spoke of. */
  head: number;
  /** Numbers that could not be had, where the feed had to start over. */
  gap: { from: number; to: number } | null;
}

/** What an `EventSource` is to the feed; tests bring their own. */
export interface Stream {
  onopen: ((event: Event) => void) | null;
  onerror: ((event: Event) => void) | null;
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

export interface FeedParts {
  snapshot(signal: AbortSignal): Promise<Result<Snapshot>>;
  open(after: number, log: string): Stream;
  onSnapshot(snapshot: Snapshot): void;
  onEntries(entries: FeedEntry[]): void;
  onUnits(units: Unit[]): void;
  onConnection(connection: Connection): void;
  onServerTime(serverNow: string): void;
  /** What is wrong with the hub itself, at every beat and snapshot. */
  onTroubles(troubles: Trouble[]): void;
  /** The stream keeps failing: is anyone still signed in? */
  onTrouble(): void;
  /** The hub's clock, milliseconds. */
  now(): number;
  monotonic(): number;
  random(): number;
  later(run: () => void, ms: number): () => void;
}

export const SILENCE_MS = 12000;
export const BACKOFF_MS = { first: 500, most: 15000 };
const WATCH_MS = 1000;
const GATHER_MS = 40;
export const GATHER_MOST = 1000;

/** Wait before attempt `n` (from 0): doubles up to the most, anywhere in its upper half. */
export function backoff(attempt: number, random: number): number {
  const ceiling = Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** attempt);
  return Math.max(BACKOFF_MS.first, ceiling / 2 + (ceiling / 2) * random);
}

export class Feed {
  private stream: Stream | null = null;
  private loading: AbortController | null = null;
  private cancelRetry: (() => void) | null = null;
  private cancelWatch: (() => void) | null = null;
  private cancelGather: (() => void) | null = null;
  private gathered: FeedEntry[] = [];
  private attempt = 0;
  private heard = Number.NEGATIVE_INFINITY;
  private seq: number | null = null;
  private log = "";
  private losses = 0;
  private tried = 0;
  private stopped = false;
  private connection: Connection = { state: "connecting", heardAt: null, seq: 0, head: 0, gap: null };

  constructor(private readonly parts: FeedParts) {}

  start(): void {
    this.stopped = false;
    void this.reload();
    this.watch();
  }

  stop(): void {
    this.stopped = true;
    this.drop();
    this.cancelWatch?.();
    this.cancelGather?.();
  }

  private drop(): void {
    this.loading?.abort();
    this.loading = null;
    this.stream?.close();
    this.stream = null;
    this.cancelRetry?.();
    this.cancelRetry = null;
  }

  private async reload(): Promise<void> {
    this.drop();
    this.seq = null;
    this.gathered = [];
    const loading = new AbortController();
    this.loading = loading;
    const result = await this.parts.snapshot(loading.signal);
    if (this.stopped || this.loading !== loading || result.kind === "aborted") return;
    this.loading = null;
    if (result.kind === "error") {
      this.retry();
      return;
    }
    this.take(result.value);
  }

  private take(snapshot: Snapshot): void {
    this.seq = snapshot.seq;
    this.log = snapshot.log;
    this.parts.onServerTime(snapshot.server_now);
    this.parts.onTroubles(snapshot.troubles);
    this.parts.onSnapshot(snapshot);
    this.tell({ seq: snapshot.seq, head: Math.max(snapshot.seq, this.connection.head) });
    this.follow();
  }

  private follow(): void {
    if (this.seq === null) return;
    this.tried = this.parts.monotonic();
    const stream = this.parts.open(this.seq, this.log);
    this.stream = stream;
    const on = <T>(type: string, take: (value: T) => void) =>
      stream.addEventListener(type, (event) => {
        if (this.stream !== stream) return;
        this.hear();
        take(JSON.parse(event.data) as T);
      });
    stream.onopen = () => {
      if (this.stream === stream) this.hear();
    };
    stream.onerror = () => {
      if (this.stream === stream) this.broken();
    };
    on<FeedEntry>("entry", (entry) => this.entry(entry));
    on<Unit[]>("units", (units) => this.parts.onUnits(units));
    on<Beat>("beat", (beat) => this.beat(beat));
    on<Gap>("gap", (gap) => this.lost(gap.from, gap.to));
    on<unknown>("resume", () => this.broken());
  }

  private hear(): void {
    this.heard = this.parts.monotonic();
    this.attempt = 0;
    this.tell({ state: "live", heardAt: this.parts.now() });
  }

  private entry(entry: FeedEntry): void {
    if (this.seq === null || entry.seq <= this.seq) return;
    if (entry.prev > this.seq) {
      this.lost(this.seq + 1, entry.prev);
      return;
    }
    this.seq = entry.seq;
    this.losses = 0;
    this.gathered.push(entry);
    // A tab in the background gets its timers late: what waits for one stays bounded.
    if (this.gathered.length >= GATHER_MOST) this.flush();
    else this.cancelGather ??= this.parts.later(() => this.flush(), GATHER_MS);
  }

  private flush(): void {
    this.cancelGather?.();
    this.cancelGather = null;
    const entries = this.gathered;
    this.gathered = [];
    const last = entries.at(-1);
    if (!last) return;
    this.parts.onEntries(entries);
    this.tell({ seq: last.seq, head: Math.max(this.connection.head, last.seq) });
  }

  private beat(beat: Beat): void {
    this.parts.onServerTime(beat.server_now);
    this.parts.onTroubles(beat.troubles);
    if (this.log && beat.log && beat.log !== this.log) this.lost(1, beat.head);
    else if (this.seq !== null && beat.head > this.seq) this.lost(this.seq + 1, beat.head);
    else this.tell({ head: beat.log_head });
  }

  /** Numbers are missing: said so, and the whole state is fetched anew. */
  private lost(from: number, to: number): void {
    this.tell({ state: "reconnecting", gap: { from, to } });
    this.losses += 1;
    if (this.losses === 1) void this.reload();
    else {
      this.drop();
      this.seq = null;
      this.again(backoff(this.losses, this.parts.random()));
    }
  }

  private broken(): void {
    this.drop();
    this.retry();
  }

  private retry(): void {
    this.tell({ state: this.silent() ? "offline" : "reconnecting" });
    this.attempt += 1;
    if (this.attempt > 1) this.parts.onTrouble();
    this.again(backoff(this.attempt - 1, this.parts.random()));
  }

  private again(wait: number): void {
    this.cancelRetry = this.parts.later(() => {
      this.cancelRetry = null;
      if (this.seq === null) void this.reload();
      else this.follow();
    }, wait);
  }

  private silent(): boolean {
    return this.parts.monotonic() - this.heard > SILENCE_MS;
  }

  private watch(): void {
    this.cancelWatch = this.parts.later(() => {
      if (this.stopped) return;
      if (this.silent() && this.connection.heardAt !== null) this.silence();
      this.watch();
    }, WATCH_MS);
  }

  /** Nothing heard for too long: an open stream that says nothing is as bad as none. */
  private silence(): void {
    const hung = this.stream !== null && this.parts.monotonic() - this.tried > SILENCE_MS;
    if (this.connection.state === "live") this.tell({ state: "stale" });
    else if (hung || this.stream === null) this.tell({ state: "offline" });
    if (hung) {
      this.drop();
      this.follow();
    }
  }

  private tell(change: Partial<Connection>): void {
    const next = { ...this.connection, ...change };
    const same = (Object.keys(change) as (keyof Connection)[]).every(
      (key) => this.connection[key] === next[key],
    );
    if (same) return;
    this.connection = next;
    this.parts.onConnection(next);
  }
}
