// Order of the queue, rows that stay put, what counts as drawn, and targets.

import { describe, expect, it } from "vitest";
import type { Incident } from "../src/api/types";
import { arrange, byUrgency, inTab, NOTHING, renderedUpTo, step } from "../src/desk/queue";
import { running, standing } from "../src/desk/targets";
import { AT, assignment, at, clocks, incident } from "./fixtures";

const all = () => true;
const mapOf = (...incidents: Incident[]) => new Map(incidents.map((i) => [i.id, i]));

describe("order", () => {
  it("is unclaimed, then priority, then the longest wait", () => {
    const list = [
      incident("claimed-1", { state: "triage", priority: 1 }),
      incident("p2-young", { opened_at: at(9) }),
      incident("p2-old", { opened_at: at(1) }),
      incident("p4", { priority: 4, opened_at: at(-99) }),
      incident("p1", { priority: 1, opened_at: at(50) }),
    ];
    expect(list.sort(byUrgency).map((i) => i.id)).toEqual(["p1", "p2-old", "p2-young", "p4", "claimed-1"]);
  });

  it("tabs filter", () => {
    const mine = incident("a", { state: "active", claimed_by: "li" });
    expect(inTab(mine, "mine", "li")).toBe(true);
    expect(inTab(mine, "mine", "wang")).toBe(false);
    expect(inTab(mine, "new", "li")).toBe(false);
    expect(inTab(mine, "working", "li")).toBe(true);
  });
});

describe("arrangement", () => {
  const start = arrange(
    NOTHING,
    mapOf(incident("a", { opened_at: at(0) }), incident("b", { opened_at: at(5) })),
    false,
    all,
  );

  it("sorts while nobody is in the list", () => {
    expect(start).toEqual({ rows: ["a", "b"], waiting: [], slot: [] });
  });

  it("keeps every row in place while the pointer is in it; new ones wait, P1 in its slot", () => {
    const now = mapOf(
      incident("a", { state: "triage" }),
      incident("b", { state: "closed" }),
      incident("c", { priority: 3 }),
      incident("d", { priority: 2 }),
      incident("e", { priority: 1 }),
    );
    expect(arrange(start, now, true, all)).toEqual({ rows: ["a", "b"], waiting: ["d", "c"], slot: ["e"] });
    expect(arrange(start, now, false, all).rows).toEqual(["e", "d", "c", "a"]);
  });

  it("leaves out what is no longer known at all", () => {
    expect(arrange(start, mapOf(incident("a")), true, all).rows).toEqual(["a"]);
  });
});

describe("drawn", () => {
  const incidents = mapOf(incident("a"), incident("b"), incident("c", { state: "triage" }));
  const touched = new Map([
    ["a", 5],
    ["b", 8],
    ["c", 9],
  ]);

  it("reaches the newest entry when every new incident has a row", () => {
    expect(renderedUpTo(12, new Set(["a", "b"]), incidents, touched)).toBe(12);
  });

  it("stops before the first new incident without a row", () => {
    expect(renderedUpTo(12, new Set(["a"]), incidents, touched)).toBe(7);
  });
});

describe("cursor", () => {
  it("moves within the rows and stays at the ends", () => {
    expect(step(["a", "b"], null, 1)).toBe("a");
    expect(step(["a", "b"], "a", 1)).toBe("b");
    expect(step(["a", "b"], "b", 1)).toBe("b");
    expect(step(["a", "b"], "a", -1)).toBe("a");
    expect(step(["a", "b"], "gone", 1)).toBe("a");
    expect(step([], "a", 1)).toBeNull();
  });
});

describe("targets", () => {
  const later = (seconds: number) => Date.parse(AT) + seconds * 1000;

  it("turn amber at 70 % and red past the target", () => {
    const p1 = incident("a", { priority: 1 });
    expect(standing(p1, later(20.9))).toBe("neutral");
    expect(standing(p1, later(21))).toBe("near");
    expect(standing(p1, later(30))).toBe("near");
    expect(standing(p1, later(30.1))).toBe("over");
    expect(standing(incident("b"), later(62))).toBe("neutral");
    expect(standing(incident("b"), later(63))).toBe("near");
  });

  it("run from the acknowledgement to the dispatch, through triage and pending", () => {
    const claimed = incident("a", {
      state: "pending",
      clocks: clocks({ t3_acked: at(10) }),
      state_since: at(40),
    });
    expect(running(claimed)?.from).toBe(later(10));
    expect(standing(claimed, later(71))).toBe("over");
  });

  it("run from dispatch until someone is on the scene", () => {
    const sent = incident("a", {
      state: "active",
      clocks: clocks({ t5_dispatched: at(0) }),
      assignments: [assignment("1", "en_route")],
    });
    expect(standing(sent, later(299))).toBe("near");
    expect(
      standing({ ...sent, clocks: clocks({ t5_dispatched: at(0), t8_on_scene: at(200) }) }, later(999)),
    ).toBe("neutral");
    expect(running(incident("a", { state: "handled" }))).toBeNull();
  });
});
