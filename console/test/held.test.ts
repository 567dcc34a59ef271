import { describe, expect, it } from "vitest";
import { HELD_MS, stillMeant } from "../src/desk/held";

describe("keys pressed while an action is on its way", () => {
  const key = (name: string, at: number, incident = "1") => ({ key: name, incident, at });

  it("count in the order they were pressed", () => {
    expect(stillMeant([key("v", 10), key("d", 20)], "1", 100).map((one) => one.key)).toEqual(["v", "d"]);
  });

  it("never count for another incident", () => {
    expect(stillMeant([key("v", 10, "2")], "1", 100)).toEqual([]);
  });

  it("are forgotten after a while", () => {
    expect(stillMeant([key("v", 0)], "1", HELD_MS + 1)).toEqual([]);
    expect(stillMeant([key("v", 0)], "1", HELD_MS)).toHaveLength(1);
  });
});
