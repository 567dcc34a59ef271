// What is drawn: a new incident is told at once, a moving screen seldom, and nothing while nothing is painted.

import { beforeEach, describe, expect, it } from "vitest";
import { CALM_MS, Drawn, SOON_MS } from "../src/drawn";

let time: number;
let timers: { at: number; run: () => void }[];
let sent: [number, number, number][];
let takes: boolean;
let drawn: Drawn;

beforeEach(() => {
  time = 0;
  timers = [];
  sent = [];
  takes = true;
  drawn = new Drawn({
    send: async (rows, painted) => {
      sent.push([time, rows, painted]);
      return takes;
    },
    monotonic: () => time,
    later: (run, ms) => {
      const timer = { at: time + ms, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((each) => each !== timer);
      };
    },
  });
});

async function pass(ms: number): Promise<void> {
  const end = time + ms;
  for (;;) {
    const next = timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
    if (!next) break;
    time = Math.max(time, next.at);
    timers = timers.filter((timer) => timer !== next);
    next.run();
    for (let n = 0; n < 4; n++) await Promise.resolve();
  }
  time = end;
}

describe("what is drawn", () => {
  it("is told at once where an incident is new, however lately the hub was told of something else", async () => {
    drawn.painted(5);
    await pass(100);
    drawn.painted(9);
    drawn.shown(9, true);
    await pass(SOON_MS);
    expect(sent).toEqual([
      [0, 0, 5],
      [SOON_MS, 9, 9],
    ]);
  });

  it("is told seldom where only the screen moves", async () => {
    for (let seq = 1; seq <= 200; seq++) {
      drawn.painted(seq);
      drawn.shown(seq, false);
      await pass(100);
    }
    expect(sent.length).toBeLessThanOrEqual(20000 / CALM_MS + 1);
    expect(sent.at(-1)?.[2]).toBeGreaterThan(100);
  });

  it("is not told again while nothing was painted", async () => {
    drawn.painted(5);
    await pass(60000);
    expect(sent).toHaveLength(1);
    drawn.painted(5);
    await pass(60000);
    expect(sent).toHaveLength(1);
  });

  it("is told again where the hub could not take it", async () => {
    takes = false;
    drawn.shown(7, true);
    await pass(CALM_MS - 1);
    expect(sent).toHaveLength(1);
    takes = true;
    await pass(CALM_MS);
    expect(sent.at(-1)).toEqual([CALM_MS, 7, 0]);
    await pass(60000);
    expect(sent).toHaveLength(2);
  });

  it("begins anew with a snapshot, as another log's numbers may be lower", async () => {
    drawn.shown(900, true);
    await pass(10);
    drawn.reset();
    drawn.shown(3, true);
    await pass(SOON_MS);
    expect(sent.at(-1)).toEqual([SOON_MS, 3, 0]);
  });
});
