// For looking at screens without a hub: serves dist/ and made-up answers. Never shipped, never tested against.
// Usage: npm run build && node dev/mock.mjs [port]

import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const port = Number(process.argv[2] ?? 8790);
const dist = fileURLToPath(new URL("../dist", import.meta.url));
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".png": "image/png",
};
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const ago = (s) => new Date(Date.now() - s * 1000).toISOString();
const clocks = (t) =>
  Object.fromEntries(
    [
      "t0_device",
      "t1_received",
      "t2_rendered",
      "t3_acked",
      "t4_judged",
      "t5_dispatched",
      "t6_accepted",
      "t7_rolling",
      "t8_on_scene",
      "t9_cleared",
      "t10_closed",
    ].map((key, n) => [key, t[n] === undefined ? null : ago(t[n])]),
  );
let number = 40;
const incident = (state, priority, condition, site, label, t, more = {}) => ({
  id: `2026-1121-00${++number}`,
  version: 3,
  acted_version: 1,
  state,
  priority,
  condition,
  site: "s",
  site_name: site,
  site_name_en: "",
  point_label: label,
  place: "xz-yunlong",
  place_name: "云龙区",
  lat: 34.26 + (number % 5) * 0.008 - 0.016,
  lon: 117.2 + (number % 7) * 0.01 - 0.03,
  opened_at: ago(t[1]),
  state_since: ago(t[t.length - 1]),
  clocks: clocks(t),
  conditions: [`panel:p-07/zone:${number}/${condition}`],
  count: 1,
  cameras: ["c-01", "c-02"],
  claimed_by: state === "new" ? "" : "li",
  assignments: [],
  close_code: "",
  outcome: "",
  ...more,
});
const incidents = [
  incident("new", 1, "hold_up", "云龙集贸市场", "3 号门", [24.3, 24, 23.4]),
  incident("triage", 1, "intrusion", "复兴北路金店", "防区 2", [95, 94.7, 94.2, 72]),
  incident("new", 2, "picture_covered", "大龙湖卡口", "C2", [115, 115, 114]),
  incident("new", 2, "comms_lost", "三胞广场", "报警主机", [200, 200, 199.5], { count: 14, cameras: [] }),
  incident("new", 3, "line_crossing", "第三中学", "东围墙", [58, 58, 57]),
  incident("new", 4, "mains_fault", "泉山粮库", "报警主机", [372, 372, 371], { cameras: [] }),
  incident("active", 2, "intrusion", "铜山路配电房", "防区 1", [300, 299.6, 299, 280, 262, 240, 236, 221], {
    assignments: [
      {
        id: "a/1",
        unit: "u-0107",
        unit_name: "苏C-0107",
        state: "en_route",
        by: "li",
        dispatched_at: ago(240),
        accepted_at: ago(236),
        en_route_at: ago(221),
        on_scene_at: null,
        cleared_at: null,
        arrival_by: "",
        distance_m: 2100,
        from_lat: 34.25,
        from_lon: 117.19,
      },
    ],
  }),
];
const condition = (i) => ({
  id: i.conditions[0],
  source: "panel:p-07",
  point: "zone:7",
  condition: i.condition,
  active: true,
  acked: i.state !== "new",
  since: i.opened_at,
  device_at: i.clocks.t0_device,
  count: i.count,
  label: i.point_label,
  site: i.site,
  place: i.place,
  incident: i.id,
  still: "",
  acked_by: "",
  acked_at: null,
});
const conditions = incidents.map(condition);
const units = [
  ["u-0121", "苏C-0121", "available", 34.243, 117.17, 60, 2],
  ["u-0107", "苏C-0107", "committed", 34.262, 117.21, 300, 3],
  ["u-0133", "苏C-0133", "patrolling", 34.27, 117.235, 180, 25],
].map(([id, name, status, lat, lon, course, age]) => ({
  id,
  name,
  place: "xz",
  status,
  link: age > 10 ? "stale" : "online",
  duress: false,
  incident: status === "committed" ? incidents[6].id : "",
  lat,
  lon,
  speed_kmh: 32,
  course_deg: course,
  fix_at: ago(age),
  heard_at: ago(age),
}));
const cameras = ["云龙市场 3 号门", "复兴北路东口", "大龙湖卡口 C2", "第三中学 东墙"].map((name, n) => ({
  id: `c-0${n + 1}`,
  name,
  name_en: "",
  site: "s-market",
  place: "xz-yunlong",
  lat: 34.25 + n * 0.008,
  lon: 117.185 + n * 0.012,
  bearing_deg: n * 80,
  fov_deg: 70,
  range_m: 60,
  health: n === 2 ? "faulty" : "online",
  since: ago(400),
  reason: n === 2 ? "picture_covered" : "",
  motion: n === 0,
  motion_at: null,
  still: "",
  checkpoint: "",
  onvif: n < 3,
  events: "online",
}));
const panels = ["云龙市场", "金店", "粮库"].map((name, n) => ({
  id: `p-0${n + 7}`,
  name: `${name} 报警主机`,
  name_en: "",
  convention: n ? "paradox" : "homeassistant",
  site: "s-market",
  place: "xz-yunlong",
  lat: 34.255 + n * 0.006,
  lon: 117.19 + n * 0.01,
  health: n === 2 ? "lost" : "online",
  since: ago(900),
  reason: n === 2 ? "comms_lost" : "",
  armed: "armed_away",
  heard_at: ago(n === 2 ? 260 : 12),
  zones: [{ point: "zone:1", name: "前门", name_en: "", condition: "intrusion", active: n === 0 }],
}));
const hub = {
  parts: [
    { name: "broker", up: !process.env.DOWN, since: ago(75), reason: "" },
    { name: "edge-1", up: true, since: ago(9000), reason: "" },
  ],
};
let seq = 1204311;
const recommended = units.map((u, n) => ({
  rank: n + 1,
  unit: u.id,
  unit_name: u.name,
  status: u.status,
  distance_m: 1400 + n * 700,
  eta_s: 170 + n * 80,
  estimated: true,
  fix_age_s: 6 + n * 9,
  stale: n === 2,
  busy_with: u.incident,
}));
const entry = (n, s, kind, body, actor = "") => ({
  seq: n,
  prev: n - 1,
  at: ago(s),
  kind,
  subject: "",
  place: "xz",
  actor,
  late: false,
  body,
});
const detail = (i) => ({
  incident: i,
  recommended,
  conditions: conditions.filter((c) => c.incident === i.id),
  timeline: [
    entry(1, 95, "observation", {
      type: "x",
      source: "panel:p-07",
      body: { type: "point", point: "zone:7", condition: i.condition, active: true, label: i.point_label },
    }),
    entry(2, 95, "incident", { incident: i, action: "opened", reason: "", detail: i.conditions[0] }),
    entry(3, 94, "incident", { incident: i, action: "rendered", reason: "", detail: "li" }),
    entry(4, 72, "incident", { incident: i, action: "claim", reason: "", detail: "" }, "li"),
  ],
});
const road = (name, road_class, coordinates) => ({
  type: "Feature",
  geometry: { type: "LineString", coordinates },
  properties: { kind: "road", name, road_class },
});
const map = {
  type: "FeatureCollection",
  features: [
    ...[0, 1, 2, 3, 4, 5].map((n) =>
      road("横", n % 2 ? "arterial" : "local", [
        [117.15, 34.235 + n * 0.008],
        [117.2, 34.237 + n * 0.008],
        [117.26, 34.233 + n * 0.008],
      ]),
    ),
    ...[0, 1, 2, 3, 4, 5, 6].map((n) =>
      road("纵", n % 3 ? "local" : "trunk", [
        [117.155 + n * 0.015, 34.225],
        [117.158 + n * 0.015, 34.29],
      ]),
    ),
    {
      type: "Feature",
      geometry: { type: "Point", coordinates: [117.16, 34.285] },
      properties: { kind: "checkpoint", id: "k-1", name: "大龙湖卡口", name_en: "" },
    },
    {
      type: "Feature",
      geometry: { type: "Point", coordinates: [117.19, 34.255] },
      properties: { kind: "site", id: "s-market", name: "云龙集贸市场", name_en: "" },
    },
  ],
};
const share = (n, d, percent = 95) => ({
  n,
  d,
  unknown: n === 54 ? 2 : 0,
  rate: d ? `${Math.floor((10000 * n) / d) / 100}%` : "—",
  best: n === 54 ? "96.55%" : "",
  short: Math.max(0, Math.ceil((percent * d) / 100) - n),
  state: d === 0 ? "not_applicable" : 100 * n >= percent * d ? "pass" : "fail",
  best_state: "pass",
});
const target = (id, title, quote, n, d, percent) => ({
  id,
  requirement: "R5",
  title,
  title_en: "",
  document: "doc",
  document_name: "实施意见",
  clause: "第21条",
  quote,
  reading: "",
  metric: "extension_units",
  form: "site",
  definition: "有面向社会面设备的单位 ÷ 已装技防设施的单位",
  definition_en: "",
  default: true,
  note: "",
  note_en: "",
  needs: "",
  needs_en: "",
  percent,
  deadline: "2007-12-31",
  due: true,
  rung: "accepted",
  ...share(n, d, percent),
  other_form: "",
  other: null,
  districts: [
    ["云龙区", 64, 68],
    ["鼓楼区", 70, 73],
    ["铜山县", 54, 58],
    ["贾汪区", 0, 0],
  ].map(([name, a, b]) => ({ place: name, name, name_en: "", share: share(a, b, percent) })),
});
const targets = [
  target("ck", "市级重点单位 CK 报警", "市级治安保卫重点单位……安装率达到100%", 412, 412, 100),
  target("cctv", "市级重点单位 视频监控", "市级治安保卫重点单位……电视监控安装率达到100%", 409, 412, 100),
  target(
    "ext",
    "延伸率（甲）",
    "逐步实施内部单位安装的技防设施向社会面延伸，2007年底前延伸率达到95%以上",
    490,
    516,
    95,
  ),
  target("none", "城镇小区 视频监控", "到2007年底……覆盖率达到90%以上", 0, 0, 90),
];
const member = (id, name, missing) => ({
  id,
  kind: "site",
  name,
  name_en: "",
  site: id,
  site_name: name,
  site_name_en: "",
  site_class: "market",
  place: "xz",
  district: "xz-yunlong",
  district_name: "云龙区",
  state: missing ? "missing" : "covered",
  rung: missing ? "registered" : "accepted",
  missing,
  lacking: [],
  devices: [],
  evidence: [],
});
const rights = [
  "self",
  "feed.see",
  "incidents.see",
  "incidents.act",
  "video.see",
  "devices.see",
  "devices.change",
  "devices.accept",
  "map.see",
  "coverage.see",
];
/** `DOWN=1`: what the hub itself suffers from. */
const troubles = process.env.DOWN
  ? [
      { part: "store", code: "disk_full", severity: "failure", since: ago(41), figures: {} },
      {
        part: "disk",
        code: "disk_critical",
        severity: "warning",
        since: ago(600),
        figures: { free_mb: 212, free_percent: 0.4 },
      },
    ]
  : [];
const session = () => ({
  person: { name: "li", display_name: "李梅", roles: ["operator"], place: "xz", place_name: "徐州市" },
  rights,
  expires_at: ago(-9000),
  server_now: ago(0),
});

function feed(response) {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  const say = (event, data, id) =>
    response.write(`${id ? `id: ${id}\n` : ""}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  const beat = () => say("beat", { head: seq, log_head: seq, log: "m", server_now: ago(0), troubles });
  beat();
  const timers = [setInterval(beat, 5000)];
  timers.push(
    setInterval(() => {
      units[0].lat += 0.0002;
      units[0].fix_at = ago(1);
      units[1].fix_at = ago(1);
      say("units", units.slice(0, 2));
    }, 1000),
  );
  for (const [delay, fresh] of [
    [2500, incident("new", 1, "duress", "中山支行", "柜台 2", [0, 0])],
    [2800, incident("new", 3, "line_crossing", "第三中学", "北围墙", [0, 0])],
  ])
    timers.push(
      setTimeout(() => {
        const now = { ...fresh, opened_at: ago(0), state_since: ago(0) };
        const body = { incident: now, action: "opened", reason: "", detail: "" };
        say(
          "entry",
          { ...entry(seq + 1, 0, "incident", body), prev: seq, subject: `incident:${now.id}` },
          seq + 1,
        );
        seq += 1;
      }, delay),
    );
  response.on("close", () => timers.forEach(clearInterval));
}

const answers = {
  "GET /session": session,
  "POST /session": session,
  "GET /snapshot": () => ({
    seq,
    log: "m",
    server_now: ago(0),
    troubles,
    incidents,
    conditions,
    units,
    cameras,
    panels,
    hub,
  }),
  "GET /map": () => map,
  "GET /devices": () => ({
    cameras,
    panels,
    trackers: units.map((u) => ({
      id: u.id,
      unit: u.id,
      name: u.name,
      place: "xz",
      protocol: "jt808",
      address: "13800000121",
      registered: true,
      link: u.link,
      heard_at: u.heard_at,
      fix_at: u.fix_at,
    })),
  }),
  "GET /coverage": () => ({
    pack: "xuzhou",
    pack_name: "徐州 2006",
    pack_name_en: "",
    rung: "",
    as_of: ago(0),
    targets,
  }),
  "GET /incidents": () => [],
  "POST /feed/rendered": () => null,
};

createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://x");
  if (!url.pathname.startsWith("/api/")) return file(url.pathname, response);
  const path = url.pathname.slice("/api/v1".length);
  if (path === "/feed") return feed(response);
  const [, kind, id] = path.split("/");
  const made =
    answers[`${request.method} ${path}`]?.() ??
    (kind === "incidents" && request.method === "GET"
      ? detail(incidents.find((i) => i.id === id) ?? incidents[0])
      : undefined) ??
    (kind === "coverage"
      ? {
          target: targets.find((t) => t.id === id),
          members: [
            member("a", "云龙集贸市场", "not_accepted"),
            member("b", "子房街道供水站", "no_device"),
            member("c", "第三中学东校区", ""),
          ],
        }
      : undefined);
  if (made === undefined)
    return response
      .writeHead(404, { "Content-Type": "application/problem+json" })
      .end(JSON.stringify({ status: 404, title: "未找到", detail: "演示数据里没有", code: "not_found" }));
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(made));
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}`));

function file(path, response) {
  const wanted = join(dist, normalize(path));
  const found =
    wanted.startsWith(dist) && extname(wanted) && existsSync(wanted) ? wanted : join(dist, "index.html");
  response.writeHead(200, {
    "Content-Type": TYPES[extname(found)] ?? "application/octet-stream",
    "Content-Security-Policy": CSP,
  });
  createReadStream(found).pipe(response);
}
