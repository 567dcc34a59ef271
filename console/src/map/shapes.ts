// What stands on the map, drawn on Leaflet's one canvas: shapes by kind, never colour alone.

import L from "leaflet";

export type Glyph =
  | { kind: "incident"; priority: number; selected: boolean; beside: number; label: string }
  | {
      kind: "car";
      course: number | null;
      moving: boolean;
      fresh: boolean;
      state: "free" | "committed" | "other";
      duress: boolean;
      label: string;
      selected: boolean;
    }
  | {
      kind: "camera";
      bearing: number | null;
      fov: number | null;
      rangeM: number | null;
      health: string;
      watched: boolean;
      label: string;
    }
  | { kind: "panel"; health: string; label: string }
  | { kind: "checkpoint"; label: string }
  | { kind: "site"; label: string };

const RADIUS = { incident: 15, car: 11, camera: 7, panel: 5, checkpoint: 8, site: 3 } as const;
/** Zoom from which names are written beside; cars, incidents and checkpoints always have theirs. */
const LABEL_FROM = { incident: 0, car: 0, camera: 16, panel: 17, checkpoint: 11, site: 15 } as const;
const LABEL_WIDTH_PX = 260;
const ABOVE_PX = 34;

export interface Colours {
  ground: string;
  ink: string;
  muted: string;
  faint: string;
  focus: string;
  ok: string;
  bad: string;
  camera: string;
  priority: readonly [string, string, string, string];
}

/** Colours of the page's tokens, so that map and page agree. */
export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return {
    ground: of("--map"),
    ink: of("--ink"),
    muted: of("--muted"),
    faint: of("--faint"),
    focus: of("--focus"),
    ok: of("--ok"),
    bad: of("--bad"),
    camera: of("--p3"),
    priority: [of("--p1"), of("--p2"), of("--p3"), of("--p4")],
  };
}

/** Leaflet's inner fields that a canvas shape needs (stable throughout 1.x). */
interface CanvasRenderer extends L.Canvas {
  _ctx: CanvasRenderingContext2D;
  _drawing: boolean;
}

export class Mark extends L.CircleMarker {
  declare _renderer: CanvasRenderer;
  declare _point: L.Point;
  declare _pxBounds: L.Bounds;
  declare _map: L.Map;
  declare glyph: Glyph;
  declare colours: Colours;

  constructor(at: L.LatLngExpression, glyph: Glyph, colours: Colours) {
    super(at, { radius: RADIUS[glyph.kind], stroke: true, fill: true, bubblingMouseEvents: false });
    this.glyph = glyph;
    this.colours = colours;
  }

  show(glyph: Glyph): void {
    if (JSON.stringify(glyph) === JSON.stringify(this.glyph)) return;
    this.glyph = glyph;
    if (this._map) this.redraw();
  }

  private pxOfMetre(): number {
    const at = this.getLatLng();
    return 2 ** this._map.getZoom() / (156543.03 * Math.cos((at.lat * Math.PI) / 180));
  }

  /** A click hits what is drawn, beside its point or on it. */
  _containsPoint(at: L.Point): boolean {
    return at.distanceTo(this._point.add([besideOf(this.glyph), 0])) <= this.getRadius() + 4;
  }

  /** Room for the label and the field of view, so that what moves is wiped clean. */
  _updateBounds(): void {
    const { kind } = this.glyph;
    const reach = kind === "camera" ? MOST_FIELD_PX + 10 : ABOVE_PX + 16 + besideOf(this.glyph);
    const left = kind === "incident" ? LABEL_WIDTH_PX / 2 : reach;
    this._pxBounds = L.bounds(
      this._point.subtract([Math.max(reach, left), reach]),
      this._point.add([Math.max(reach, LABEL_WIDTH_PX), reach]),
    );
  }

  _updatePath(): void {
    if (!this._renderer._drawing) return;
    const ctx = this._renderer._ctx;
    ctx.save();
    ctx.translate(this._point.x + besideOf(this.glyph), this._point.y);
    paint(ctx, this.glyph, this.colours, this._map.getZoom(), this.pxOfMetre());
    ctx.restore();
  }
}

/** Incidents at one place stand beside each other. */
const besideOf = (glyph: Glyph): number => (glyph.kind === "incident" ? glyph.beside * BESIDE_PX : 0);

function paint(
  ctx: CanvasRenderingContext2D,
  glyph: Glyph,
  colours: Colours,
  zoom: number,
  pxOfMetre: number,
): void {
  switch (glyph.kind) {
    case "incident":
      incident(ctx, glyph, colours);
      break;
    case "car":
      car(ctx, glyph, colours);
      break;
    case "camera":
      camera(ctx, glyph, colours, pxOfMetre);
      break;
    case "panel":
      panel(ctx, glyph, colours);
      break;
    case "checkpoint":
      checkpoint(ctx, colours);
      break;
    case "site":
      site(ctx, colours);
  }
  if (glyph.label && zoom >= LABEL_FROM[glyph.kind]) label(ctx, glyph, colours);
}

type Of<K extends Glyph["kind"]> = Extract<Glyph, { kind: K }>;

function outline(ctx: CanvasRenderingContext2D, points: readonly (readonly [number, number])[]): void {
  ctx.beginPath();
  points.forEach(([x, y], n) => {
    if (n === 0) ctx.moveTo(x, y);
    else ctx.lineTo(x, y);
  });
  ctx.closePath();
}

function incident(ctx: CanvasRenderingContext2D, glyph: Of<"incident">, colours: Colours): void {
  const level = Math.min(4, Math.max(1, glyph.priority));
  const r = glyph.selected ? 15 : 12;
  ctx.fillStyle = colours.priority[level - 1] ?? colours.muted;
  ctx.strokeStyle = colours.ground;
  ctx.lineWidth = 2;
  if (level === 1)
    outline(ctx, [
      [0, -r],
      [r, 0],
      [0, r],
      [-r, 0],
    ]);
  else if (level === 2)
    outline(ctx, [
      [0, -r],
      [r, r * 0.85],
      [-r, r * 0.85],
    ]);
  else {
    ctx.beginPath();
    if (level === 3) ctx.arc(0, 0, r * 0.85, 0, 2 * Math.PI);
    else ctx.rect(-r * 0.75, -r * 0.75, r * 1.5, r * 1.5);
  }
  ctx.fill();
  ctx.stroke();
  ctx.fillStyle = colours.ground;
  ctx.font = "700 12px sans-serif";
  ctx.textAlign = "center";
  ctx.fillText(String(glyph.priority), 0, level === 2 ? r * 0.62 : 4.5);
  if (glyph.selected) ring(ctx, 25, colours.priority[level - 1] ?? colours.muted);
}

function ring(ctx: CanvasRenderingContext2D, radius: number, colour: string): void {
  ctx.beginPath();
  ctx.arc(0, 0, radius, 0, 2 * Math.PI);
  ctx.strokeStyle = colour;
  ctx.globalAlpha = 0.6;
  ctx.lineWidth = 2.5;
  ctx.stroke();
  ctx.globalAlpha = 1;
}

function car(ctx: CanvasRenderingContext2D, glyph: Of<"car">, colours: Colours): void {
  const colour = { free: colours.ok, committed: colours.focus, other: colours.muted }[glyph.state];
  ctx.fillStyle = glyph.fresh ? colour : colours.faint;
  ctx.strokeStyle = colours.ground;
  ctx.lineWidth = 2;
  if (glyph.course !== null && glyph.moving) {
    ctx.save();
    ctx.rotate((glyph.course * Math.PI) / 180);
    outline(ctx, [
      [0, -12],
      [8, 9],
      [0, 5],
      [-8, 9],
    ]);
    ctx.fill();
    ctx.stroke();
    ctx.restore();
  } else {
    ctx.beginPath();
    ctx.arc(0, 0, 7.5, 0, 2 * Math.PI);
    ctx.fill();
    ctx.stroke();
  }
  if (glyph.duress) ring(ctx, 17, colours.priority[0]);
  else if (glyph.selected) ring(ctx, 17, colours.focus);
}

const FIELD_PX = 46;
const MOST_FIELD_PX = 180;
const BESIDE_PX = 26;

/** True to scale where that is big enough to see. */
const fieldPx = (rangeM: number | null, pxOfMetre: number): number =>
  Math.min(MOST_FIELD_PX, Math.max(FIELD_PX, (rangeM ?? 0) * pxOfMetre));

function camera(
  ctx: CanvasRenderingContext2D,
  glyph: Of<"camera">,
  colours: Colours,
  pxOfMetre: number,
): void {
  const bad = glyph.health === "lost" || glyph.health === "faulty";
  const colour = bad ? colours.bad : glyph.health === "online" ? colours.camera : colours.faint;
  const bearing = ((glyph.bearing ?? 0) - 90) * (Math.PI / 180);
  if (glyph.bearing !== null && glyph.fov !== null && !bad) {
    const half = ((glyph.fov / 2) * Math.PI) / 180;
    ctx.beginPath();
    ctx.moveTo(0, 0);
    ctx.arc(0, 0, fieldPx(glyph.rangeM, pxOfMetre), bearing - half, bearing + half);
    ctx.closePath();
    ctx.fillStyle = colour;
    ctx.globalAlpha = glyph.watched ? 0.3 : 0.12;
    ctx.fill();
    ctx.globalAlpha = 1;
  }
  ctx.save();
  ctx.rotate(bearing);
  outline(ctx, [
    [8, 0],
    [-6, -6],
    [-6, 6],
  ]);
  ctx.fillStyle = colours.ground;
  ctx.fill();
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2;
  ctx.stroke();
  ctx.restore();
  if (bad) cross(ctx, 5, colours.bad);
}

function cross(ctx: CanvasRenderingContext2D, size: number, colour: string): void {
  ctx.beginPath();
  ctx.moveTo(-size, -size);
  ctx.lineTo(size, size);
  ctx.moveTo(size, -size);
  ctx.lineTo(-size, size);
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2;
  ctx.stroke();
}

function panel(ctx: CanvasRenderingContext2D, glyph: Of<"panel">, colours: Colours): void {
  const bad = glyph.health === "lost" || glyph.health === "faulty";
  ctx.beginPath();
  ctx.rect(-4, -4, 8, 8);
  ctx.fillStyle = colours.ground;
  ctx.fill();
  ctx.strokeStyle = bad ? colours.bad : glyph.health === "online" ? colours.muted : colours.faint;
  ctx.lineWidth = 1.5;
  ctx.stroke();
  if (bad) cross(ctx, 4, colours.bad);
}

function checkpoint(ctx: CanvasRenderingContext2D, colours: Colours): void {
  ctx.beginPath();
  ctx.rect(-8, -8, 16, 16);
  ctx.fillStyle = colours.ground;
  ctx.fill();
  ctx.strokeStyle = colours.priority[1];
  ctx.lineWidth = 2;
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(-8, 0);
  ctx.lineTo(8, 0);
  ctx.stroke();
}

function site(ctx: CanvasRenderingContext2D, colours: Colours): void {
  ctx.beginPath();
  ctx.arc(0, 0, 2.5, 0, 2 * Math.PI);
  ctx.fillStyle = colours.faint;
  ctx.fill();
}

function label(ctx: CanvasRenderingContext2D, glyph: Glyph, colours: Colours): void {
  const strong = glyph.kind === "incident" || glyph.kind === "car";
  const faded = glyph.kind === "car" && !glyph.fresh;
  ctx.font = `${strong ? 600 : 400} ${strong ? 13 : 12}px "Noto Sans CJK SC","Microsoft YaHei","PingFang SC",sans-serif`;
  ctx.lineWidth = 3;
  ctx.lineJoin = "round";
  ctx.strokeStyle = colours.ground;
  ctx.fillStyle = faded ? colours.faint : strong ? colours.ink : colours.muted;
  // The chosen incident's name stands above it: beside it other incidents may stand.
  const above = glyph.kind === "incident";
  ctx.textAlign = above ? "center" : "left";
  const ringed = glyph.kind === "car" && glyph.selected;
  const [x, y] = above ? [0, -ABOVE_PX] : [RADIUS[glyph.kind] + (ringed ? 15 : 7), 4.5];
  const text = fitting(ctx, glyph.label, LABEL_WIDTH_PX - 30);
  ctx.strokeText(text, x, y);
  ctx.fillText(text, x, y);
}

/** `text`, cut with an ellipsis where it is wider than `most` pixels. */
function fitting(ctx: CanvasRenderingContext2D, text: string, most: number): string {
  if (ctx.measureText(text).width <= most) return text;
  let length = text.length;
  while (length > 1 && ctx.measureText(`${text.slice(0, length)}…`).width > most) length -= 1;
  return `${text.slice(0, length)}…`;
}
