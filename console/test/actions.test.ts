// What may be done when, said the way the hub's own table has it (hub/domain/handling.py).

import { describe, expect, it } from "vitest";
import type { Incident } from "../src/api/types";
import { type Act, blocked, type Standpoint } from "../src/desk/actions";
import type { Connection } from "../src/feed";
import { assignment, incident } from "./fixtures";

const live: Connection = { state: "live", heardAt: 0, seq: 1, head: 1, gap: null };
const me: Standpoint = { rights: ["incidents.act"], connection: live, busy: false, me: "li" };
const ACTS: Act[] = ["ack", "claim", "verify", "false", "dispatch", "arrived", "clear", "close", "note"];

const able = (state: Incident, from: Standpoint = me): Act[] =>
  ACTS.filter((act) => blocked(act, state, 1, from) === "");

describe("the state table", () => {
  it.each<[string, Partial<Incident>, Act[]]>([
    ["new", { state: "new" }, ["ack", "claim", "note"]],
    ["triage", { state: "triage", claimed_by: "li" }, ["ack", "verify", "false", "dispatch", "note"]],
    [
      "another's triage",
      { state: "triage", claimed_by: "wang" },
      ["ack", "claim", "verify", "false", "dispatch", "note"],
    ],
    ["pending", { state: "pending", claimed_by: "li" }, ["ack", "dispatch", "close", "note"]],
    [
      "active, en route",
      { state: "active", claimed_by: "li", assignments: [assignment("1", "en_route")] },
      ["ack", "dispatch", "arrived", "clear", "note"],
    ],
    [
      "active, on scene",
      { state: "active", claimed_by: "li", assignments: [assignment("1", "on_scene")] },
      ["ack", "dispatch", "clear", "note"],
    ],
    ["handled", { state: "handled", claimed_by: "li" }, ["ack", "dispatch", "close", "note"]],
    ["closed", { state: "closed" }, ["note"]],
    ["merged", { state: "merged" }, ["note"]],
  ])("%s allows exactly its actions", (_name, state, acts) => {
    expect(able(incident("a", state))).toEqual(acts);
  });

  it("asks for no acknowledgement where all is acknowledged", () => {
    expect(blocked("ack", incident("a"), 0, me)).not.toBe("");
  });
});

describe("standing in the way", () => {
  it("no right, no action", () => {
    expect(able(incident("a"), { ...me, rights: ["incidents.see"] })).toEqual([]);
  });

  it("offline, no action, and the reason is said", () => {
    const cut: Standpoint = { ...me, connection: { ...live, state: "offline" } };
    expect(able(incident("a"), cut)).toEqual([]);
    expect(blocked("claim", incident("a"), 1, cut)).toContain("断开");
  });

  it("a stale stream does not take the hands away", () => {
    expect(able(incident("a"), { ...me, connection: { ...live, state: "stale" } })).toContain("claim");
  });

  it("one step at a time", () => {
    expect(able(incident("a"), { ...me, busy: true })).toEqual([]);
  });
});
