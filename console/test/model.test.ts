// The desk follows the feed: whole states, newest version wins, and what is over is forgotten in time.

import { describe, expect, it } from "vitest";
import { applyEntries, applyIncident, applyUnits, fromSnapshot, isOpen, trouble } from "../src/desk/model";
import { at, condition, entry, incident, snapshot, told, unit } from "./fixtures";

describe("entries", () => {
  it("add, change and count", () => {
    const model = applyEntries(fromSnapshot(snapshot(10)), [
      told(11, incident("a")),
      told(12, incident("a", { version: 2, state: "triage" }), "claim"),
    ]);
    expect(model.seq).toBe(12);
    expect(model.incidents.get("a")?.state).toBe("triage");
    expect(model.touched.get("a")).toBe(12);
  });

  it("never go back to an older version", () => {
    const after = applyIncident(fromSnapshot(snapshot(10)), incident("a", { version: 5, state: "pending" }));
    const model = applyEntries(after, [told(11, incident("a", { version: 4, state: "triage" }))]);
    expect(model.incidents.get("a")?.state).toBe("pending");
    expect(applyIncident(model, incident("a", { version: 5, state: "new" }))).toBe(model);
  });

  it("leave untouched maps the same objects, so that views rest", () => {
    const before = fromSnapshot(snapshot(10, [incident("a")]));
    const after = applyEntries(before, [entry(11, "unit", unit("u-1"))]);
    expect(after.incidents).toBe(before.incidents);
    expect(after.units).not.toBe(before.units);
    expect(before.units.size).toBe(0);
  });

  it("of our own parts replace what is known of them", () => {
    const part = { name: "broker", up: false, since: at(0), reason: "gone" };
    const model = applyEntries(fromSnapshot(snapshot(1)), [entry(2, "hub", { parts: [part] })]);
    expect(model.hub.parts).toEqual([part]);
  });

  it("of the register take removed devices away", () => {
    const start = applyEntries(fromSnapshot(snapshot(1)), [
      entry(2, "camera", { id: "c-1", health: "online" }),
    ]);
    const gone = entry(
      3,
      "register",
      { what: "cameras", id: "c-1", action: "removed" },
      { subject: "camera:c-1" },
    );
    expect(applyEntries(start, [gone]).cameras.size).toBe(0);
  });

  it("forget conditions that are over, seen and of no open incident; keep the others", () => {
    const over = { active: false, acked: true };
    const model = applyEntries(fromSnapshot(snapshot(1, [incident("a")])), [
      entry(2, "condition", condition("x", over)),
      entry(3, "condition", condition("y", { active: false })),
      entry(4, "condition", condition("z", { ...over, incident: "a" })),
    ]);
    expect([...model.conditions.keys()]).toEqual(["y", "z"]);
  });

  it("keep memory flat: ended incidents are dropped, the oldest first", () => {
    const ended = Array.from({ length: 60 }, (_, n) =>
      told(n + 2, incident(`e-${n}`, { state: "closed", state_since: at(n) }), "close"),
    );
    const model = applyEntries(fromSnapshot(snapshot(1, [incident("open")])), ended);
    expect(model.incidents.size).toBe(41);
    expect(model.incidents.has("e-0")).toBe(false);
    expect(model.incidents.has("e-59")).toBe(true);
    expect([...model.incidents.values()].filter(isOpen).map((i) => i.id)).toEqual(["open"]);
  });
});

describe("positions and trouble", () => {
  it("positions replace units and touch no number", () => {
    const model = applyUnits(fromSnapshot(snapshot(7)), [unit("u-1", { lat: 1 })]);
    expect(model.units.get("u-1")?.lat).toBe(1);
    expect(model.seq).toBe(7);
  });

  it("counts what is lost or faulty, cars off duty not", () => {
    const model = applyEntries(fromSnapshot(snapshot(1)), [
      entry(2, "camera", { id: "c-1", health: "faulty" }),
      entry(3, "camera", { id: "c-2", health: "unknown" }),
      entry(4, "panel", { id: "p-1", health: "lost" }),
      entry(5, "unit", unit("u-1", { link: "lost" })),
      entry(6, "unit", unit("u-2", { link: "lost", status: "off_duty" })),
    ]);
    expect(trouble(model)).toEqual({ cameras: 1, panels: 1, units: 1 });
  });
});
