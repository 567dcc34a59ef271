// Sound calls for what nobody has taken, rises, and never mutes a hold-up.

import { describe, expect, it } from "vitest";
import { calling, toneFor } from "../src/sound";
import { AT, condition, incident } from "./fixtures";

const ID = "panel:p-07/zone:3/intrusion";
const now = Date.parse(AT);

describe("calling", () => {
  it("is P1 and P2 that nobody has claimed or wholly acknowledged", () => {
    const open = new Map([[ID, condition(ID)]]);
    const seen = new Map([[ID, condition(ID, { acked: true })]]);
    expect(calling([incident("a")], open)).toHaveLength(1);
    expect(calling([incident("a")], new Map())).toHaveLength(1);
    expect(calling([incident("a")], seen)).toHaveLength(0);
    expect(calling([incident("a", { state: "triage" })], open)).toHaveLength(0);
    expect(calling([incident("a", { priority: 3 })], open)).toHaveLength(0);
  });
});

describe("the tone", () => {
  const p1 = incident("a", { priority: 1, condition: "hold_up" });
  const p2 = incident("b");

  it("tells P1 from P2 and rises after half a minute", () => {
    expect(toneFor([], now, false)).toBeNull();
    const first = toneFor([p2, p1], now, false);
    expect(first?.beats).toBe(3);
    expect(toneFor([p2], now, false)?.beats).toBe(2);
    expect(toneFor([p1], now + 31000, false)?.gain).toBeGreaterThan(first?.gain ?? 1);
  });

  it("muted is silent, but not for hold-up, duress and SOS", () => {
    expect(toneFor([p2], now, true)).toBeNull();
    expect(toneFor([p2, p1], now, true)?.beats).toBe(3);
  });
});
