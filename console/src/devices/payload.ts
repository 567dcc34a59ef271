// From a form's texts to what the hub takes: numbers as numbers, what was left empty left out.

export interface Zone {
  key: string;
  name: string;
  condition: string;
}

type Text = (name: string) => string;

function optionalNumber(text: string): number | null {
  const value = Number(text);
  return text === "" || Number.isNaN(value) ? null : value;
}

const only = (values: Record<string, string | number | null>): Record<string, string | number> =>
  Object.fromEntries(
    Object.entries(values).filter(
      (pair): pair is [string, string | number] => pair[1] !== null && pair[1] !== "",
    ),
  );

export const cameraFrom = (text: Text) => ({
  id: text("id"),
  name: text("name"),
  site: text("site"),
  lat: Number(text("lat")),
  lon: Number(text("lon")),
  ...only({
    onvif: text("onvif"),
    rtsp_main: text("rtsp_main"),
    rtsp_sub: text("rtsp_sub"),
    user: text("user"),
    password: text("password"),
    bearing_deg: optionalNumber(text("bearing_deg")),
    fov_deg: optionalNumber(text("fov_deg")),
    range_m: optionalNumber(text("range_m")),
  }),
});

export const panelFrom = (text: Text, zones: readonly Zone[]) => ({
  id: text("id"),
  name: text("name"),
  site: text("site"),
  convention: text("convention"),
  topic: text("topic"),
  interval_s: Number(text("interval_s")),
  lat: Number(text("lat")),
  lon: Number(text("lon")),
  zones: zones
    .map((zone) => ({ ...zone, key: zone.key.trim(), name: zone.name.trim() || zone.key.trim() }))
    .filter((zone) => zone.key !== ""),
});

export const trackerFrom = (text: Text) => ({
  id: text("id"),
  name: text("name"),
  place: text("place"),
  protocol: text("protocol"),
  address: text("address"),
});
