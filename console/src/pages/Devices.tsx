// Every device with its health and since when; adding, accepting and removing them. Works on a phone on a ladder.

import { useEffect, useMemo, useState } from "preact/hooks";
import { devices as api, type DeviceKind, desk } from "../api";
import type { Devices as All, CameraView, PanelView, Right, TrackerView } from "../api/types";
import { serverNow } from "../clock";
import type { DeskModel } from "../desk/model";
import { Accept, Remove, View } from "../devices/Dialogs";
import { AddDevice } from "../devices/Forms";
import { since, span } from "../format";
import { type Key, named, t, useLanguage, word } from "../i18n";
import { model, session } from "../live";
import { hrefOf } from "../route";
import { useStore, useTick } from "../store";
import { PartsBanner } from "../ui/Banner";
import { HealthMark, Notice } from "../ui/parts";
import { useAsked } from "../useAsked";

export interface Row {
  kind: DeviceKind;
  id: string;
  source: string;
  name: string;
  where: string;
  health: string;
  since: string | null;
  reason: string;
  heardAt: string | null;
  facts: string[];
  still: string;
}

const BAD = new Set(["lost", "faulty", "unknown", "stale"]);
/** Trackers' ages come with the list; a change of the registers shows up here at the latest. */
const REFRESH_MS = 3000;
const KINDS: readonly DeviceKind[] = ["cameras", "panels", "trackers"];
type Doing = { what: "accept" | "remove" | "view"; row: Row } | { what: "add"; kind: DeviceKind } | null;

export function Devices() {
  const now = useStore(model);
  const asked = useAsked(api.list, []);
  const map = useAsked(desk.map, []);
  const [kind, setKind] = useState<DeviceKind>("cameras");
  const [onlyBad, setOnlyBad] = useState(false);
  const [search, setSearch] = useState("");
  const [doing, setDoing] = useState<Doing>(null);
  const [told, setTold] = useState("");
  const rights = useStore(session)?.rights ?? [];
  const language = useLanguage();
  useTick(5000);
  useEffect(() => {
    const timer = setInterval(asked.again, REFRESH_MS);
    return () => clearInterval(timer);
  }, []);

  const all = useMemo(
    () => rowsOf(now, asked.value, siteNames(map.value)),
    [asked.value, now.cameras, now.panels, map.value, language],
  );
  const rows = all.filter(
    (row) => row.kind === kind && (!onlyBad || BAD.has(row.health)) && matches(row, search),
  );
  const done = (what: string) => {
    setDoing(null);
    setTold(what);
    asked.again();
  };

  return (
    <main class="devices" id="main">
      <PartsBanner />
      <div class="bar">
        <h1>{t("devices.title")}</h1>
        <div class="segments" role="tablist">
          {KINDS.map((each) => (
            <button
              key={each}
              type="button"
              role="tab"
              data-testid={`kind-${each}`}
              aria-selected={each === kind}
              onClick={() => setKind(each)}
            >
              {t(`devices.${each}` as Key)} <b class="num">{all.filter((row) => row.kind === each).length}</b>
              {all.some((row) => row.kind === each && BAD.has(row.health)) && (
                <span class="flag" aria-hidden="true">
                  ▲
                </span>
              )}
            </button>
          ))}
        </div>
        <input
          type="search"
          value={search}
          placeholder={t("devices.search")}
          aria-label={t("devices.search")}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        <label class="check">
          <input
            type="checkbox"
            checked={onlyBad}
            onChange={(event) => setOnlyBad(event.currentTarget.checked)}
          />
          {t("devices.filter")}
        </label>
        {rights.includes("quarantine.see") && (
          <a class="button" data-testid="to-quarantine" href={hrefOf("quarantine")}>
            {t("quarantine.link")}
          </a>
        )}
        {rights.includes("devices.change") && (
          <button
            type="button"
            class="action main"
            data-testid="add-device"
            onClick={() => setDoing({ what: "add", kind })}
          >
            <span class="label">{t(`devices.add.${kind}` as Key)}</span>
          </button>
        )}
      </div>
      {told && (
        <p class="told" role="status" data-testid="device-told">
          {told}
        </p>
      )}
      {asked.problem && (
        <Notice kind="error" title={t("devices.failed", { why: asked.problem })} onRetry={asked.again} />
      )}
      {!asked.value && !asked.problem && <Notice kind="busy" title={t("devices.loading")} />}
      {asked.value && rows.length === 0 && <Notice title={t("devices.none")} />}
      <ul class="devicelist">
        {rows.map((row) => (
          <DeviceRow key={row.source} row={row} rights={rights} onDo={setDoing} />
        ))}
      </ul>
      {doing?.what === "add" && <AddDevice kind={doing.kind} onClose={() => setDoing(null)} onDone={done} />}
      {doing?.what === "accept" && <Accept row={doing.row} onClose={() => setDoing(null)} onDone={done} />}
      {doing?.what === "remove" && <Remove row={doing.row} onClose={() => setDoing(null)} onDone={done} />}
      {doing?.what === "view" && <View row={doing.row} onClose={() => setDoing(null)} />}
    </main>
  );
}

function matches(row: Row, search: string): boolean {
  const wanted = search.trim().toLowerCase();
  return !wanted || `${row.name} ${row.id} ${row.where}`.toLowerCase().includes(wanted);
}

/** Names of the sites, from the map's features. */
function siteNames(map: GeoJSON.FeatureCollection | null): SiteName {
  const facts = (map?.features ?? []).map((feature) => feature.properties ?? {});
  const names = new Map(
    facts.map((each) => [String(each.id), named(String(each.name ?? ""), String(each.name_en ?? ""))]),
  );
  return (id) => names.get(id) ?? id;
}

type SiteName = (id: string) => string;

/** Cameras and panels as the feed has them, trackers as they were fetched; those in trouble first. */
function rowsOf(now: DeskModel, list: All | null, site: SiteName): Row[] {
  return [
    ...[...now.cameras.values()].map((camera) => cameraRow(camera, site)),
    ...[...now.panels.values()].map((panel) => panelRow(panel, site)),
    ...(list?.trackers ?? []).map(trackerRow),
  ].sort((a, b) => Number(BAD.has(b.health)) - Number(BAD.has(a.health)) || a.id.localeCompare(b.id));
}

function cameraRow(camera: CameraView, site: SiteName): Row {
  const events = camera.onvif ? `${t("devices.events")} ${t(`health.${camera.events}` as Key)}` : "RTSP";
  return {
    kind: "cameras",
    id: camera.id,
    source: `camera:${camera.id}`,
    name: named(camera.name, camera.name_en),
    where: site(camera.site),
    health: camera.health,
    since: camera.since,
    reason: camera.reason,
    heardAt: null,
    facts: [events, camera.motion ? t("devices.motion") : ""].filter(Boolean),
    still: camera.still,
  };
}

function panelRow(panel: PanelView, site: SiteName): Row {
  const active = panel.zones.filter((zone) => zone.active);
  return {
    kind: "panels",
    id: panel.id,
    source: `panel:${panel.id}`,
    name: named(panel.name, panel.name_en) || panel.id,
    where: panel.site ? site(panel.site) : t("devices.unregistered"),
    health: panel.health,
    since: panel.since,
    reason: panel.reason,
    heardAt: panel.heard_at,
    facts: [
      word("convention", panel.convention),
      word("arm", panel.armed),
      t("devices.zones", { n: panel.zones.length }),
      ...active.map((zone) => `${named(zone.name, zone.name_en)} ${t("condition.active")}`),
    ],
    still: "",
  };
}

function trackerRow(tracker: TrackerView): Row {
  return {
    kind: "trackers",
    id: tracker.id,
    source: `tracker:${tracker.id}`,
    name: tracker.name || tracker.id,
    where: tracker.registered ? tracker.unit : t("devices.unregistered"),
    health: tracker.link,
    since: null,
    reason: "",
    heardAt: tracker.heard_at,
    facts: [t("devices.protocol", { protocol: tracker.protocol, address: tracker.address })],
    still: "",
  };
}

function DeviceRow({
  row,
  rights,
  onDo,
}: {
  row: Row;
  rights: readonly Right[];
  onDo: (doing: Doing) => void;
}) {
  const now = serverNow();
  return (
    <li
      class="device"
      data-testid="device-row"
      data-id={row.id}
      data-source={row.source}
      data-health={row.health}
    >
      <div class="what">
        <b>{row.name}</b>
        <small class="muted">
          {row.id} · {row.where}
        </small>
      </div>
      <div class="how">
        <HealthMark health={row.health} />
        {row.reason && <span>{reasonText(row.reason)}</span>}
        {row.since && <small class="muted num">{t("devices.since", { at: since(row.since, now) })}</small>}
        {row.kind !== "cameras" && (
          <small class="muted num">
            {row.heardAt
              ? t("devices.heard", { age: span((now - Date.parse(row.heardAt)) / 1000) })
              : t("devices.neverheard")}
          </small>
        )}
      </div>
      <div class="facts muted">{row.facts.join(" · ")}</div>
      <div class="do">
        {row.kind === "cameras" && rights.includes("video.see") && (
          <button type="button" data-testid="device-view" onClick={() => onDo({ what: "view", row })}>
            {t("devices.live")}
          </button>
        )}
        {rights.includes("devices.accept") && (
          <button type="button" data-testid="device-accept" onClick={() => onDo({ what: "accept", row })}>
            {t("devices.accept")}
          </button>
        )}
        {rights.includes("devices.change") && (
          <button
            type="button"
            class="quiet"
            data-testid="device-remove"
            onClick={() => onDo({ what: "remove", row })}
          >
            {t("devices.remove")}
          </button>
        )}
      </div>
    </li>
  );
}

function reasonText(reason: string): string {
  const condition = word("condition", reason);
  return condition === reason ? word("reason", reason) : condition;
}
