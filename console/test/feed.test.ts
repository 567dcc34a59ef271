// The feed: resumes from its cursor, passes over no hole, and calls silence silence.

import { beforeEach, describe, expect, it } from "vitest";
import type { Result } from "../src/api";
import type { FeedEntry, Snapshot, Trouble, Unit } from "../src/api/types";
import {
  BACKOFF_MS,
  backoff,
  type Connection,
  Feed,
  GATHER_MOST,
  SILENCE_MS,
  type Stream,
} from "../src/feed";
import { AT, incident, snapshot, told } from "./fixtures";

class FakeStream implements Stream {
  onopen: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  closed = false;
  private readonly listeners = new Map<string, (event: MessageEvent<string>) => void>();

  constructor(
    readonly after: number,
    readonly log: string,
  ) {}

  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void {
    this.listeners.set(type, listener);
  }

  close(): void {
    this.closed = true;
  }

  say(type: string, data: unknown): void {
    this.listeners.get(type)?.({ data: JSON.stringify(data) } as MessageEvent<string>);
  }

  open(): void {
    this.onopen?.({} as Event);
  }

  fail(): void {
    this.onerror?.({} as Event);
  }
}

/** A world whose time is moved by hand. */
class World {
  time = 0;
  timers: { at: number; run: () => void }[] = [];
  streams: FakeStream[] = [];
  snapshots: Result<Snapshot>[] = [];
  asked = 0;
  entries: FeedEntry[] = [];
  units: Unit[] = [];
  connections: Connection[] = [];
  troubles = 0;
  hubTroubles: Trouble[] = [];
  feed = new Feed({
    snapshot: async () => {
      this.asked += 1;
      return this.snapshots.shift() ?? { kind: "success", value: snapshot(10) };
    },
    open: (after, log) => {
      const stream = new FakeStream(after, log);
      this.streams.push(stream);
      return stream;
    },
    onSnapshot: () => undefined,
    onEntries: (entries) => this.entries.push(...entries),
    onUnits: (units) => this.units.push(...units),
    onConnection: (connection) => this.connections.push(connection),
    onServerTime: () => undefined,
    onTroubles: (told) => {
      this.hubTroubles = told;
    },
    onTrouble: () => {
      this.troubles += 1;
    },
    now: () => Date.parse(AT) + this.time,
    monotonic: () => this.time,
    random: () => 0.5,
    later: (run, ms) => {
      const timer = { at: this.time + ms, run };
      this.timers.push(timer);
      return () => {
        this.timers = this.timers.filter((each) => each !== timer);
      };
    },
  });

  get stream(): FakeStream {
    const last = this.streams.at(-1);
    if (!last) throw new Error("no stream yet");
    return last;
  }

  get state(): Connection | undefined {
    return this.connections.at(-1);
  }

  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      const next = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.time = next.at;
      this.timers = this.timers.filter((timer) => timer !== next);
      next.run();
      await settle();
    }
    this.time = end;
  }

  async started(): Promise<this> {
    this.feed.start();
    await settle();
    this.stream.open();
    return this;
  }
}

const settle = async (): Promise<void> => {
  for (let n = 0; n < 5; n++) await Promise.resolve();
};
const beat = (head: number, log = "log-1", troubles: Trouble[] = []) => ({
  head,
  log_head: head + 100,
  log,
  server_now: AT,
  troubles,
});
const one = (seq: number, prev = seq - 1): FeedEntry => ({ ...told(seq, incident(`i-${seq}`)), prev });

let world: World;
beforeEach(async () => {
  world = await new World().started();
});

describe("following", () => {
  it("takes a snapshot, then the stream from its number and log", () => {
    expect(world.stream.after).toBe(10);
    expect(world.stream.log).toBe("log-1");
    expect(world.state?.state).toBe("live");
  });

  it("hands entries on together, in order, once each", async () => {
    world.stream.say("entry", one(11));
    world.stream.say("entry", one(12));
    world.stream.say("entry", one(12));
    world.stream.say("entry", one(9));
    expect(world.entries).toEqual([]);
    await world.pass(50);
    expect(world.entries.map((entry) => entry.seq)).toEqual([11, 12]);
    expect(world.state?.seq).toBe(12);
  });

  it("accepts numbers left out by jurisdiction, as `prev` says nothing is missing", async () => {
    world.stream.say("entry", one(15, 10));
    world.stream.say("entry", one(40, 15));
    await world.pass(50);
    expect(world.entries.map((entry) => entry.seq)).toEqual([15, 40]);
    expect(world.asked).toBe(1);
  });

  it("hands on what a throttled tab has gathered before its timer comes, and loses none of it", async () => {
    for (let seq = 11; seq < 11 + 2 * GATHER_MOST + 5; seq++) world.stream.say("entry", one(seq));
    expect(world.entries).toHaveLength(2 * GATHER_MOST);
    await world.pass(50);
    expect(world.entries.map((entry) => entry.seq)).toEqual(
      Array.from({ length: 2 * GATHER_MOST + 5 }, (_, n) => 11 + n),
    );
  });

  it("passes positions on at once", () => {
    world.stream.say("units", [{ id: "u-1" }]);
    expect(world.units).toHaveLength(1);
  });
});

describe("a hole", () => {
  it("is never passed over: what follows it waits for a new snapshot", async () => {
    world.snapshots = [{ kind: "success", value: snapshot(20) }];
    world.stream.say("entry", one(11));
    world.stream.say("entry", one(14, 13));
    await settle();
    expect(world.asked).toBe(2);
    expect(world.stream.after).toBe(20);
    expect(world.state?.gap).toEqual({ from: 12, to: 13 });
  });

  it("told by the hub gives a new snapshot", async () => {
    world.stream.say("gap", { from: 11, to: 40, reason: "pruned" });
    await settle();
    expect(world.asked).toBe(2);
    expect(world.state?.gap).toEqual({ from: 11, to: 40 });
  });

  it.each(["pruned", "ahead", "other_log", "too_far", "jurisdiction"])(
    "of reason %s takes the new snapshot's number and log as its cursor",
    async (reason) => {
      world.snapshots = [{ kind: "success", value: { ...snapshot(77), log: "log-9" } }];
      world.stream.say("entry", one(11));
      world.stream.say("gap", { from: 12, to: 70, reason });
      world.stream.say("entry", one(71, 70));
      await settle();
      expect(world.asked).toBe(2);
      expect([world.stream.after, world.stream.log]).toEqual([77, "log-9"]);
      await world.pass(50);
      expect(world.entries.map((entry) => entry.seq)).not.toContain(71);
    },
  );

  it("seen by the heartbeat's head gives a new snapshot", async () => {
    world.stream.say("beat", beat(10));
    expect(world.asked).toBe(1);
    world.stream.say("beat", beat(11));
    await settle();
    expect(world.asked).toBe(2);
  });

  it("in another log gives a new snapshot", async () => {
    world.stream.say("beat", beat(10, "log-2"));
    await settle();
    expect(world.asked).toBe(2);
  });

  it("that comes again and again does not become a storm of snapshots", async () => {
    for (let n = 0; n < 20; n++) {
      world.stream.say("gap", { from: 11, to: 40, reason: "pruned" });
      await settle();
      await world.pass(100);
      if (!world.stream.closed) world.stream.open();
    }
    expect(world.asked).toBeLessThan(5);
  });
});

describe("a broken stream", () => {
  it("is opened again from the last entry taken, not from the snapshot", async () => {
    world.stream.say("entry", one(11));
    world.stream.fail();
    expect(world.state?.state).toBe("reconnecting");
    await world.pass(1000);
    expect(world.streams).toHaveLength(2);
    expect(world.stream.after).toBe(11);
    expect(world.asked).toBe(1);
  });

  it("is tried ever less often, asks who is signed in, and ends as offline", async () => {
    for (let n = 0; n < 8; n++) {
      world.stream.fail();
      await world.pass(BACKOFF_MS.most);
    }
    expect(world.troubles).toBeGreaterThan(3);
    expect(world.state?.state).toBe("offline");
    expect(world.state?.heardAt).toBe(Date.parse(AT));
    world.stream.open();
    expect(world.state?.state).toBe("live");
  });

  it("closes on the hub's word and resumes from its cursor", async () => {
    world.stream.say("entry", one(11));
    world.stream.say("resume", { after: 11 });
    await world.pass(1000);
    expect(world.stream.after).toBe(11);
    expect(world.streams[0]?.closed).toBe(true);
  });

  it("backs off with jitter between half a second and fifteen", () => {
    expect(backoff(0, 0)).toBe(500);
    expect(backoff(0, 1)).toBe(500);
    expect(backoff(3, 0)).toBe(2000);
    expect(backoff(3, 1)).toBe(4000);
    expect(backoff(30, 1)).toBe(15000);
    expect(backoff(30, 0)).toBe(7500);
  });
});

describe("silence", () => {
  it("on an open stream is stale, and the stream is opened anew", async () => {
    await world.pass(SILENCE_MS + 2000);
    expect(world.state?.state).toBe("stale");
    expect(world.streams).toHaveLength(2);
    expect(world.streams[0]?.closed).toBe(true);
    world.stream.open();
    expect(world.state?.state).toBe("live");
  });

  it("is broken by a heartbeat alone", async () => {
    for (let n = 0; n < 6; n++) {
      await world.pass(5000);
      world.stream.say("beat", beat(10));
    }
    expect(world.state?.state).toBe("live");
    expect(world.streams).toHaveLength(1);
    expect(world.state?.head).toBe(110);
  });

  it("that outlasts the second stream as well is offline", async () => {
    await world.pass(3 * SILENCE_MS);
    expect(world.state?.state).toBe("offline");
  });
});

describe("starting", () => {
  it("keeps asking for the snapshot where the hub isn't there yet", async () => {
    const late = new World();
    late.snapshots = [
      { kind: "error", error: { status: 0, code: "network", message: "", field: "", current: null } },
    ];
    late.feed.start();
    await settle();
    expect(late.streams).toHaveLength(0);
    await late.pass(1000);
    expect(late.asked).toBe(2);
    expect(late.streams).toHaveLength(1);
  });

  it("hears what is wrong with the hub itself from every beat, and that it is over", async () => {
    const full: Trouble = {
      part: "store",
      code: "disk_full",
      severity: "failure",
      since: AT,
      figures: {},
    };
    expect(world.hubTroubles).toEqual([]);
    world.stream.say("beat", beat(10, "log-1", [full]));
    expect(world.hubTroubles).toEqual([full]);
    world.stream.say("beat", beat(10));
    expect(world.hubTroubles).toEqual([]);
    expect(world.asked).toBe(1);
  });

  it("stops when told to", async () => {
    world.feed.stop();
    await world.pass(60000);
    expect(world.streams).toHaveLength(1);
    expect(world.stream.closed).toBe(true);
  });
});
