// A frozen picture never passes as live.

import { describe, expect, it } from "vitest";
import { judge, STALE_MS } from "../src/video/whep";

describe("how live a picture is", () => {
  it("is live only while frames keep coming", () => {
    expect(judge(true, null, 5000)).toBe("connecting");
    expect(judge(true, 5000, 5000)).toBe("live");
    expect(judge(true, 5000, 5000 + STALE_MS)).toBe("live");
    expect(judge(true, 5000, 5001 + STALE_MS)).toBe("stale");
  });

  it("is stopped where the connection is gone, however new the last frame", () => {
    expect(judge(false, 5000, 5001)).toBe("stopped");
    expect(judge(false, null, 5001)).toBe("stopped");
  });

  it("is judged stale within two seconds", () => {
    expect(STALE_MS).toBeLessThanOrEqual(2000);
  });
});
