// Registering a camera (RTSP or ONVIF), a panel of the two conventions, an OwnTracks phone or a JT/T 808 terminal.

import { useState } from "preact/hooks";
import { devices as api, coverage, type DeviceKind, desk } from "../api";
import { type Key, named, t, word } from "../i18n";
import { model, session } from "../live";
import { useStore } from "../store";
import { Dialog, Field } from "../ui/parts";
import { useAsked } from "../useAsked";
import { cameraFrom, panelFrom, trackerFrom, type Zone } from "./payload";

interface Props {
  kind: DeviceKind;
  onClose: () => void;
  onDone: (told: string) => void;
}

export function AddDevice({ kind, onClose, onDone }: Props) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState({ field: "", message: "" });
  const [zones, setZones] = useState<Zone[]>([{ key: "", name: "", condition: "intrusion" }]);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    if (kind === "cameras" && !text("onvif") && !text("rtsp_main")) {
      setProblem({ field: "onvif", message: t("form.needone") });
      return;
    }
    const body = {
      cameras: () => cameraFrom(text),
      panels: () => panelFrom(text, zones),
      trackers: () => trackerFrom(text),
    }[kind]();
    setBusy(true);
    const result = await api.add(kind, body);
    setBusy(false);
    if (result.kind === "success") {
      const findings = result.value.findings.map((finding) => t("devices.finding", { finding }));
      onDone([t("devices.added", { name: text("name") }), ...findings].join(" "));
    } else if (result.kind === "error") setProblem(result.error);
  };
  return (
    <Dialog title={t(`devices.add.${kind}` as Key)} testId="add-dialog" onClose={onClose}>
      <form class="add" onSubmit={submit} data-kind={kind} autocomplete="off">
        {kind === "cameras" && <CameraFields />}
        {kind === "panels" && <PanelFields zones={zones} onZones={setZones} />}
        {kind === "trackers" && <TrackerFields />}
        {problem.message && (
          <p class="problem" role="alert" data-testid="add-problem" data-field={problem.field}>
            {t("form.failed", { why: problem.message })}
          </p>
        )}
        <button type="submit" class="action main" data-testid="add-submit" disabled={busy}>
          <span class="label">{t("form.submit")}</span>
        </button>
      </form>
    </Dialog>
  );
}

function Identity({ nameLabel = "form.name" }: { nameLabel?: Key }) {
  return (
    <div class="pair">
      <Field label={t("form.id")} hint={t("form.id.hint")}>
        <input name="id" data-testid="add-id" required maxLength={64} pattern="[A-Za-z0-9][A-Za-z0-9._\-]*" />
      </Field>
      <Field label={t(nameLabel)}>
        <input name="name" data-testid="add-name" required maxLength={120} />
      </Field>
    </div>
  );
}

/** Sites the person may see, as the map gives them; their place fills in where the device stands. */
function SiteField() {
  const map = useAsked(desk.map, []);
  const sites = (map.value?.features ?? []).flatMap(({ geometry, properties }) => {
    const facts = (properties ?? {}) as Record<string, unknown>;
    if (geometry?.type !== "Point" || !facts.id || facts.kind === "checkpoint") return [];
    return [
      {
        id: String(facts.id),
        label: named(String(facts.name ?? ""), String(facts.name_en ?? "")),
        at: geometry.coordinates,
      },
    ];
  });
  const fill = (event: Event & { currentTarget: HTMLSelectElement }) => {
    const site = sites.find((each) => each.id === event.currentTarget.value);
    const form = event.currentTarget.form;
    if (!site || !form) return;
    for (const [name, value] of [
      ["lon", site.at[0]],
      ["lat", site.at[1]],
    ] as const) {
      const input = form.elements.namedItem(name);
      if (input instanceof HTMLInputElement && !input.value && value !== undefined)
        input.value = value.toFixed(6);
    }
  };
  return (
    <Field label={t("form.site")}>
      <select name="site" data-testid="add-site" required onChange={fill}>
        <option value="" />
        {sites.map((site) => (
          <option key={site.id} value={site.id}>
            {site.label} ({site.id})
          </option>
        ))}
      </select>
    </Field>
  );
}

function Spot() {
  return (
    <div class="pair">
      <Field label={t("form.lat")}>
        <input name="lat" data-testid="add-lat" type="number" step="any" min={-90} max={90} required />
      </Field>
      <Field label={t("form.lon")}>
        <input name="lon" data-testid="add-lon" type="number" step="any" min={-180} max={180} required />
      </Field>
    </div>
  );
}

function CameraFields() {
  return (
    <>
      <Identity />
      <SiteField />
      <Field label={t("form.onvif")} hint={t("form.onvif.hint")}>
        <input name="onvif" data-testid="add-onvif" type="url" maxLength={500} />
      </Field>
      <Field label={t("form.rtsp")} hint={t("form.rtsp.hint")}>
        <input name="rtsp_main" data-testid="add-rtsp" maxLength={500} pattern="rtsps?://.+" />
      </Field>
      <Field label={t("form.rtsp.sub")}>
        <input name="rtsp_sub" data-testid="add-rtsp-sub" maxLength={500} pattern="rtsps?://.+" />
      </Field>
      <div class="pair">
        <Field label={t("form.user")}>
          <input name="user" data-testid="add-user" maxLength={64} autocomplete="off" />
        </Field>
        <Field label={t("form.password")}>
          <input
            name="password"
            data-testid="add-password"
            type="password"
            maxLength={128}
            autocomplete="new-password"
          />
        </Field>
      </div>
      <Spot />
      <div class="triple">
        <Field label={t("form.bearing")}>
          <input name="bearing_deg" type="number" step="any" min={0} max={359.99} />
        </Field>
        <Field label={t("form.fov")}>
          <input name="fov_deg" type="number" step="any" min={1} max={360} />
        </Field>
        <Field label={t("form.range")}>
          <input name="range_m" type="number" step="any" min={1} max={5000} />
        </Field>
      </div>
    </>
  );
}

const ZONE_CONDITIONS = ["intrusion", "hold_up", "duress", "fire", "tamper", "digital_input"];

function PanelFields({ zones, onZones }: { zones: Zone[]; onZones: (zones: Zone[]) => void }) {
  const [convention, setConvention] = useState("homeassistant");
  const change = (at: number, part: Partial<Zone>) =>
    onZones(zones.map((zone, n) => (n === at ? { ...zone, ...part } : zone)));
  return (
    <>
      <Identity />
      <SiteField />
      <div class="pair">
        <Field label={t("form.convention")}>
          <select
            name="convention"
            data-testid="add-convention"
            value={convention}
            onChange={(event) => setConvention(event.currentTarget.value)}
          >
            <option value="homeassistant">{t("convention.homeassistant")}</option>
            <option value="paradox">{t("convention.paradox")}</option>
          </select>
        </Field>
        <Field
          label={t("form.topic")}
          hint={t(convention === "paradox" ? "form.topic.pai" : "form.topic.ha")}
        >
          <input name="topic" data-testid="add-topic" required maxLength={200} />
        </Field>
      </div>
      <Field label={t("form.interval")}>
        <input
          name="interval_s"
          data-testid="add-interval"
          type="number"
          min={1}
          max={86400}
          value={60}
          required
        />
      </Field>
      <Spot />
      <fieldset class="zones">
        <legend>{t("form.zones")}</legend>
        {zones.map((zone, n) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: zones have no identity before they are registered
          <div key={n} class="zone">
            <input
              data-testid="add-zone-key"
              placeholder={t("form.zone.key")}
              aria-label={t("form.zone.key")}
              value={zone.key}
              maxLength={64}
              onInput={(event) => change(n, { key: event.currentTarget.value })}
            />
            <input
              data-testid="add-zone-name"
              placeholder={t("form.zone.name")}
              aria-label={t("form.zone.name")}
              value={zone.name}
              maxLength={120}
              onInput={(event) => change(n, { name: event.currentTarget.value })}
            />
            <select
              data-testid="add-zone-condition"
              aria-label={t("form.zone.condition")}
              value={zone.condition}
              onChange={(event) => change(n, { condition: event.currentTarget.value })}
            >
              {ZONE_CONDITIONS.map((condition) => (
                <option key={condition} value={condition}>
                  {word("condition", condition)}
                </option>
              ))}
            </select>
            <button
              type="button"
              class="quiet"
              aria-label={t("form.zone.remove")}
              onClick={() => onZones(zones.filter((_, at) => at !== n))}
            >
              ✕
            </button>
          </div>
        ))}
        <button
          type="button"
          data-testid="add-zone"
          onClick={() => onZones([...zones, { key: "", name: "", condition: "intrusion" }])}
        >
          + {t("form.zone.add")}
        </button>
      </fieldset>
    </>
  );
}

function TrackerFields() {
  const [protocol, setProtocol] = useState("owntracks");
  const phone = protocol === "owntracks";
  return (
    <>
      <Identity nameLabel="form.unit.name" />
      <div class="pair">
        <Field label={t("form.protocol")}>
          <select
            name="protocol"
            data-testid="add-protocol"
            value={protocol}
            onChange={(event) => setProtocol(event.currentTarget.value)}
          >
            <option value="owntracks">OwnTracks</option>
            <option value="jt808">JT/T 808</option>
          </select>
        </Field>
        <Field
          label={phone ? t("form.owntracks") : t("form.address")}
          hint={phone ? t("form.owntracks.hint") : ""}
        >
          <input
            name="address"
            data-testid="add-address"
            required
            maxLength={200}
            pattern={phone ? "[^\\/]+\\/[^\\/]+" : "[0-9]+"}
          />
        </Field>
      </div>
      <PlaceField />
    </>
  );
}

/** Places the person's units, cameras and panels stand in, with the names that coverage gives for districts. */
function PlaceField() {
  const who = useStore(session)?.person;
  const now = useStore(model);
  const rates = useAsked((signal) => coverage.all("", "", signal), []);
  const names = new Map(
    (rates.value?.targets ?? []).flatMap((target) =>
      target.districts.map((each): [string, string] => [each.place, named(each.name, each.name_en)]),
    ),
  );
  if (who?.place) names.set(who.place, who.place_name);
  const standing = [...now.units.values(), ...now.cameras.values(), ...now.panels.values()];
  const places = [...new Set([...standing.map((each) => each.place), ...names.keys()])]
    .filter(Boolean)
    .sort();
  return (
    <Field label={t("form.place")}>
      <select name="place" data-testid="add-place" required>
        {places.map((place) => (
          <option key={place} value={place} selected={place === who?.place}>
            {names.has(place) ? `${names.get(place)} (${place})` : place}
          </option>
        ))}
      </select>
    </Field>
  );
}
