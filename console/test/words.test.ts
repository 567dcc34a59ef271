// Incidents, units and entries in words; routes; what forms send.

import { afterEach, describe, expect, it } from "vitest";
import type { Recommended, Trouble } from "../src/api/types";
import { applyEntries, fromSnapshot } from "../src/desk/model";
import { type Names, story } from "../src/desk/timeline";
import { etaOf, reasonsOf, stateOf, titleOf } from "../src/desk/words";
import { cameraFrom, panelFrom } from "../src/devices/payload";
import { setLanguage } from "../src/i18n";
import { carGlyph, groundsOf, waysOf } from "../src/map/placing";
import { instantOf } from "../src/pages/Coverage";
import { hrefOf, parseRoute } from "../src/route";
import { troubleText } from "../src/ui/Banner";
import { AT, assignment, entry, incident, snapshot, told, unit } from "./fixtures";

afterEach(() => setLanguage("zh-CN"));

describe("a trouble of the hub's own", () => {
  const trouble = (code: Trouble["code"], figures: Record<string, number> = {}): Trouble => ({
    part: "store",
    code,
    severity: "failure",
    since: AT,
    figures,
  });

  it("is a sentence with its figures, in both languages", () => {
    expect(troubleText(trouble("disk_full"))).toContain("磁盘已满");
    expect(troubleText(trouble("disk_low", { free_mb: 3481, free_percent: 8.4 }))).toBe(
      "磁盘快满了：剩余 3.4 GB（8.4%），请清理或扩容",
    );
    expect(troubleText(trouble("slow", { p95_s: 1.7 }))).toContain("1.7 秒");
    setLanguage("en");
    expect(troubleText(trouble("clock_jumped", { by_s: -3600 }))).toContain("set back by 1 h");
    expect(troubleText(trouble("no_commit"))).toContain("doesn't answer");
  });
});

describe("an incident", () => {
  it("is named by what, where and point, in both languages", () => {
    expect(titleOf(incident("a"))).toBe("入侵 · 云龙集贸市场 防区 3");
    expect(titleOf(incident("a", { site: "", site_name: "", site_name_en: "", point_label: "front" }))).toBe(
      "入侵 · 未登记来源 front",
    );
    expect(titleOf(incident("a", { point_label: "云龙集贸市场大厅" }))).toBe("入侵 · 云龙集贸市场大厅");
    expect(titleOf(incident("a", { point_label: "入侵" }))).toBe("入侵 · 云龙集贸市场");
    setLanguage("en");
    expect(titleOf(incident("a"))).toBe("Intrusion · Yunlong market 防区 3");
  });

  it("says who does what with it", () => {
    expect(stateOf(incident("a"))).toBe("待认领");
    expect(stateOf(incident("a", { state: "triage", claimed_by: "li" }))).toBe("li 核实中");
    const two = incident("a", {
      state: "active",
      assignments: [assignment("1", "dispatched"), assignment("2", "on_scene")],
    });
    expect(stateOf(two)).toBe("苏C-2 到场");
  });
});

describe("a recommended unit", () => {
  const best: Recommended = {
    rank: 1,
    unit: "u-0121",
    unit_name: "苏C-0121",
    status: "available",
    distance_m: 1400,
    eta_s: 168,
    estimated: true,
    fix_age_s: 6,
    stale: false,
    busy_with: "",
  };

  it("gives its reason in figures, and says that the time is an estimate", () => {
    expect(reasonsOf(best)).toEqual(["1.4 公里", "空闲", "定位 6 秒前"]);
    expect(etaOf(best)).toBe("约 2 分 48 秒（估算）");
    expect(etaOf({ ...best, estimated: false })).toBe("2 分 48 秒");
  });

  it("owns up to an old fix, none at all, and other work", () => {
    const poor = {
      ...best,
      fix_age_s: null,
      stale: true,
      busy_with: "2026-1121-0001",
      distance_m: null,
      eta_s: null,
    };
    expect(reasonsOf(poor)).toEqual(["正在处置 2026-1121-0001", "无定位（定位过旧）"]);
    expect(etaOf(poor)).toBe("");
  });
});

describe("the timeline", () => {
  const names: Names = { unit: (id) => id, source: (source) => source, condition: (id) => id };

  it("tells what happened and leaves out what says nothing", () => {
    const point = {
      source: "panel:p-07",
      body: { type: "point", point: "zone:3", condition: "intrusion", active: true, label: "防区 3" },
    };
    const entries = [
      entry(1, "observation", point),
      entry(2, "observation", { source: "panel:p-07", body: { type: "heartbeat" } }),
      told(3, incident("a", { state: "closed", close_code: "animal" }), "false"),
      entry(4, "order", { to: "u-1", text: "出警", state: "failed", reason: "离线" }),
    ];
    expect(story(entries, names).map((each) => each.text)).toEqual([
      "防区 3 入侵 触发",
      "判为误报：动物",
      "指令没有送达 u-1：离线",
    ]);
  });

  it("shows an action it has no sentence for by its own name", () => {
    const odd = entry(1, "incident", {
      incident: incident("a"),
      action: "escalate",
      reason: "",
      detail: "wang",
    });
    expect(story([odd], names)[0]?.text).toBe("escalate · wang");
  });
});

describe("the map", () => {
  it("greys a car whose fix is older than ten seconds, or whose link isn't online", () => {
    const now = Date.parse(AT);
    const fresh = (glyph: ReturnType<typeof carGlyph>) => glyph.kind === "car" && glyph.fresh;
    expect(fresh(carGlyph(unit("1"), undefined, now + 10_000))).toBe(true);
    expect(fresh(carGlyph(unit("1"), undefined, now + 10_001))).toBe(false);
    expect(fresh(carGlyph(unit("1", { link: "lost" }), undefined, now))).toBe(false);
    expect(fresh(carGlyph(unit("1", { fix_at: null }), undefined, now))).toBe(false);
  });

  it("draws a way from each car that is going there, and only those", () => {
    const chosen = incident("a", { assignments: [assignment("1", "en_route"), assignment("2", "on_scene")] });
    const model = applyEntries(fromSnapshot(snapshot(1, [chosen])), [
      entry(2, "unit", unit("1")),
      entry(3, "unit", unit("2")),
    ]);
    expect(waysOf(model, "a")).toEqual([
      [
        [34.2, 117.1],
        [34.26, 117.2],
      ],
    ]);
    expect(waysOf(model, "")).toEqual([]);
  });

  it("takes sites and checkpoints from the features, roads not", () => {
    const point = (kind: string) => ({
      type: "Feature" as const,
      geometry: { type: "Point" as const, coordinates: [117, 34] },
      properties: { kind, id: "x", name: "名" },
    });
    const road = {
      type: "Feature" as const,
      geometry: { type: "LineString" as const, coordinates: [[0, 0]] },
      properties: {},
    };
    const placed = groundsOf({
      type: "FeatureCollection",
      features: [point("site"), point("checkpoint"), road],
    });
    expect(placed.map((each) => [each.id, each.at])).toEqual([
      ["site:x", [34, 117]],
      ["checkpoint:x", [34, 117]],
    ]);
  });
});

describe("addresses", () => {
  it("name page and thing, and survive nonsense", () => {
    expect(parseRoute(hrefOf("desk", "2026-1121-0047"))).toEqual({ page: "desk", id: "2026-1121-0047" });
    expect(parseRoute(hrefOf("coverage", "延伸率/甲"))).toEqual({ page: "coverage", id: "延伸率/甲" });
    expect(parseRoute("#/nowhere/%E0%A4%A")).toEqual({ page: "desk", id: "" });
    expect(parseRoute("")).toEqual({ page: "desk", id: "" });
  });
});

describe("what forms send", () => {
  const texts = (values: Record<string, string>) => (name: string) => values[name] ?? "";

  it("leaves out what was left empty, and sends numbers as numbers", () => {
    const body = cameraFrom(
      texts({
        id: "c-9",
        name: "门",
        site: "s",
        lat: "34.2",
        lon: "117.1",
        rtsp_main: "rtsp://x/1",
        bearing_deg: "0",
      }),
    );
    expect(body).toEqual({
      id: "c-9",
      name: "门",
      site: "s",
      lat: 34.2,
      lon: 117.1,
      rtsp_main: "rtsp://x/1",
      bearing_deg: 0,
    });
  });

  it("sends the zones that have a key, named by it where they have no name", () => {
    const body = panelFrom(texts({ id: "p", interval_s: "60" }), [
      { key: " z1 ", name: "", condition: "fire" },
      { key: "", name: "x", condition: "intrusion" },
    ]);
    expect(body.zones).toEqual([{ key: "z1", name: "z1", condition: "fire" }]);
  });

  it("asks for coverage as of the end of that day in Shanghai", () => {
    expect(instantOf("2007-12-31")).toBe("2007-12-31T23:59:59+08:00");
    expect(instantOf("")).toBe("");
  });
});
