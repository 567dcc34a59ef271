// The one door: success, aborted or error; the hub's own reason reaches the person.

import { afterEach, describe, expect, it, vi } from "vitest";
import { coverage, desk, incidents, onSignedOut, session, video } from "../src/api";
import { setLanguage } from "../src/i18n";
import { incident } from "./fixtures";

interface Sent {
  url: string;
  init: RequestInit;
}

/** Answers every call alike and keeps what was sent. */
function hub(answer: () => Promise<Response>): Sent[] {
  const sent: Sent[] = [];
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    sent.push({ url, init });
    return answer();
  });
  return sent;
}

const says =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  async () =>
    new Response(status === 204 ? null : JSON.stringify(body), { status, headers });
const headersOf = (sent: Sent | undefined) => sent?.init.headers as Record<string, string>;

afterEach(() => {
  vi.unstubAllGlobals();
  setLanguage("zh-CN");
});

describe("answers", () => {
  it("are values", async () => {
    hub(says(200, { seq: 7 }));
    expect(await desk.snapshot()).toEqual({ kind: "success", value: { seq: 7 } });
  });

  it("that are refusals carry the hub's reason, field and the incident as it stands", async () => {
    const current = incident("a", { version: 9 });
    hub(
      says(409, { title: "状态已变化", detail: "已由王认领", code: "conflict", field: "version", current }),
    );
    const result = await incidents.act("a", "claim", { version: 3 });
    expect(result).toMatchObject({
      kind: "error",
      error: { status: 409, message: "已由王认领", field: "version", current },
    });
  });

  it("that make no sense are errors too", async () => {
    hub(async () => new Response("<html>", { status: 502 }));
    expect(await desk.snapshot()).toMatchObject({
      kind: "error",
      error: { status: 502, message: "中心出错（502）" },
    });
  });

  it("that never come are network errors", async () => {
    hub(async () => {
      throw new TypeError("fetch failed");
    });
    expect(await session.who()).toMatchObject({ kind: "error", error: { status: 0, code: "network" } });
  });

  it("nobody waits for any more are aborted", async () => {
    const abort = new AbortController();
    hub(async () => {
      abort.abort();
      throw new DOMException("", "AbortError");
    });
    expect(await desk.snapshot(abort.signal)).toEqual({ kind: "aborted" });
  });

  it("of 401 tell the console that nobody is signed in", async () => {
    const told = vi.fn();
    onSignedOut(told);
    hub(says(401, { detail: "请先登录。" }));
    await desk.snapshot();
    expect(told).toHaveBeenCalledOnce();
  });
});

describe("requests", () => {
  it("that change something are JSON with the version they were based on", async () => {
    const sent = hub(says(200, incident("a")));
    await incidents.act("2026-1121-0001", "dispatch", { version: 4, unit: "u-1" });
    expect(sent[0]?.url).toBe("/api/v1/incidents/2026-1121-0001/dispatch");
    expect(sent[0]?.init.method).toBe("POST");
    expect(headersOf(sent[0])["Content-Type"]).toBe("application/json");
    expect(sent[0]?.init.body).toBe('{"version":4,"unit":"u-1"}');
  });

  it("ask for reasons in the person's language", async () => {
    const sent = hub(says(200, {}));
    await desk.snapshot();
    setLanguage("en");
    await desk.snapshot();
    expect(sent.map((each) => headersOf(each)["Accept-Language"])).toEqual(["zh-CN", "en"]);
  });

  it("escape what stands in addresses", async () => {
    const sent = hub(says(200, {}));
    await incidents.ack("panel:p-07/zone:3/intrusion");
    await coverage.all("accepted", "2007-12-31T23:59:59+08:00");
    await video.whep("c 1", "警情 1", "v=0");
    expect(sent.map((each) => each.url)).toEqual([
      "/api/v1/conditions/panel%3Ap-07%2Fzone%3A3%2Fintrusion/ack",
      "/api/v1/coverage?rung=accepted&as_of=2007-12-31T23%3A59%3A59%2B08%3A00",
      "/api/v1/cameras/c%201/whep?reason=%E8%AD%A6%E6%83%85%201",
    ]);
    expect(headersOf(sent[2])["Content-Type"]).toBe("application/sdp");
  });

  it("for a still bring its age", async () => {
    hub(says(200, {}, { "Jifang-Picture-Age": "3.5" }));
    expect(await video.still("c-1", "警情")).toMatchObject({ kind: "success", value: { ageS: 3.5 } });
  });
});
