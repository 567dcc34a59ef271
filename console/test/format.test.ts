// Times are Shanghai's on screen whatever the machine's zone; figures never flatter.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { forgetServer, heardServer, serverNow } from "../src/clock";
import { dateTime, delta, distance, elapsed, since, span, timeOfDay } from "../src/format";

describe("instants", () => {
  it("are shown in Asia/Shanghai", () => {
    expect(timeOfDay("2026-11-21T18:53:07Z")).toBe("02:53:07");
    expect(dateTime("2026-11-21T18:53:07Z")).toBe("2026-11-22 02:53:07 +08:00");
    expect(timeOfDay("2026-11-21T16:00:00Z")).toBe("00:00:00");
  });

  it("carry their date when it isn't today's", () => {
    const now = Date.parse("2026-11-22T03:00:00Z");
    expect(since("2026-11-21T18:53:07Z", now)).toBe("02:53:07");
    expect(since("2026-11-21T10:53:07Z", now)).toBe("2026-11-21 18:53:07");
  });
});

describe("figures", () => {
  it.each([
    [0, "00:00"],
    [-5000, "00:00"],
    [271_000, "04:31"],
    [3_871_000, "1:04:31"],
    [90_000_000, "1 天 01:00:00"],
  ])("elapsed %i ms is %s", (ms, text) => expect(elapsed(ms)).toBe(text));

  it.each([
    [6, "6 秒"],
    [130, "2 分 10 秒"],
    [120, "2 分"],
    [3840, "1 小时 04 分"],
    [100_000, "1 天 3 小时"],
  ])("span %i s is %s", (s, text) => expect(span(s)).toBe(text));

  it.each([
    [347, "350 米"],
    [1400, "1.4 公里"],
    [12_340, "12 公里"],
  ])("distance %i m is %s", (m, text) => expect(distance(m)).toBe(text));

  it("says steps between clock points with their sign", () => {
    expect(delta(312)).toBe("+0.3 秒");
    expect(delta(-1500)).toBe("−1.5 秒");
    expect(delta(42_400)).toBe("+42 秒");
    expect(delta(130_000)).toBe("+2:10");
  });
});

describe("the hub's clock", () => {
  beforeEach(forgetServer);
  afterEach(forgetServer);
  const HUB = "2026-11-21T18:00:00.000Z";

  it("runs with the monotonic clock, not the PC's", () => {
    heardServer(HUB, 1000);
    expect(serverNow(4000)).toBe(Date.parse(HUB) + 3000);
  });

  it("is not set back by a late answer", () => {
    heardServer(HUB, 1000);
    heardServer("2026-11-21T18:00:01.000Z", 2400);
    expect(serverNow(2400)).toBeGreaterThan(Date.parse(HUB) + 1370);
  });

  it("follows a jump of the hub's clock", () => {
    heardServer(HUB, 1000);
    heardServer("2026-11-21T17:59:00.000Z", 2000);
    expect(serverNow(2000)).toBe(Date.parse("2026-11-21T17:59:00.000Z"));
  });

  it("takes no nonsense", () => {
    heardServer(HUB, 1000);
    heardServer("soon", 2000);
    expect(serverNow(2000)).toBe(Date.parse(HUB) + 1000);
  });
});
