// The map itself: own layers on a plain ground, no tiles; marks are kept by id and moved, not rebuilt.

import L from "leaflet";
import "leaflet/dist/leaflet.css";
import { type Colours, coloursOf, type Glyph, Mark } from "./shapes";

const ROAD_WIDTH: Record<string, number> = {
  expressway: 6,
  motorway: 6,
  trunk: 5,
  arterial: 4,
  primary: 4,
  secondary: 3,
};
const NOWHERE: L.LatLngTuple = [34.26, 117.2];

export interface Placed {
  id: string;
  at: L.LatLngTuple;
  glyph: Glyph;
}

/** Later ones are drawn over earlier ones. */
const ORDER = ["site", "panel", "camera", "checkpoint", "car", "incident"] as const;
const rank = (glyph: Glyph): number => ORDER.indexOf(glyph.kind);

export class Board {
  private readonly map: L.Map;
  private readonly colours: Colours;
  private readonly marks = new Map<string, Mark>();
  private readonly ways = L.layerGroup();
  private roads: L.GeoJSON | null = null;
  private fitted = false;
  private touched = false;

  constructor(
    private readonly element: HTMLElement,
    onPick: (id: string) => void,
  ) {
    this.colours = coloursOf(element);
    this.onPick = onPick;
    this.map = L.map(element, {
      preferCanvas: true,
      attributionControl: false,
      zoomControl: false,
      zoomSnap: 0.5,
      wheelPxPerZoomLevel: 120,
      renderer: L.canvas({ padding: 0.2, tolerance: 6 }),
      keyboard: false,
      zoomAnimation: !reduced(),
      fadeAnimation: false,
    }).setView(NOWHERE, 12);
    this.ways.addTo(this.map);
    for (const gesture of ["dragstart", "mousedown", "wheel"])
      element.addEventListener(gesture, () => {
        this.touched = true;
      });
    this.sizes = new ResizeObserver(() => this.map.invalidateSize({ animate: false }));
    this.sizes.observe(element);
  }

  private readonly onPick: (id: string) => void;
  private readonly sizes: ResizeObserver;

  close(): void {
    this.sizes.disconnect();
    this.map.remove();
  }

  setRoads(features: GeoJSON.FeatureCollection): void {
    this.roads?.remove();
    const lines = features.features.filter((f) => /LineString$/.test(f.geometry?.type ?? ""));
    this.roads = L.geoJSON({ ...features, features: lines } as GeoJSON.FeatureCollection, {
      interactive: false,
      style: (feature) => this.roadStyle(feature?.properties),
    }).addTo(this.map);
    this.roads.bringToBack();
    this.fitOnce();
  }

  private roadStyle(properties: GeoJSON.GeoJsonProperties): L.PathOptions {
    const weight = ROAD_WIDTH[String(properties?.road_class ?? "")] ?? 2;
    const main = weight >= 4;
    const colour = getComputedStyle(this.element)
      .getPropertyValue(main ? "--road-main" : "--road")
      .trim();
    return { color: colour, weight, lineCap: "round" };
  }

  /** Shows exactly these marks. */
  setMarks(placed: readonly Placed[]): void {
    const seen = new Set<string>();
    let added = false;
    for (const { id, at, glyph } of placed) {
      seen.add(id);
      const mark = this.marks.get(id);
      if (mark) move(mark, at, glyph);
      else {
        this.add(id, at, glyph);
        added = true;
      }
    }
    for (const [id, mark] of this.marks)
      if (!seen.has(id)) {
        mark.remove();
        this.marks.delete(id);
      }
    if (added) this.restack();
    this.fitOnce();
  }

  private add(id: string, at: L.LatLngTuple, glyph: Glyph): void {
    const mark = new Mark(at, glyph, this.colours);
    mark.on("click", () => this.onPick(id));
    mark.addTo(this.map);
    this.marks.set(id, mark);
  }

  private restack(): void {
    for (const mark of [...this.marks.values()].sort((a, b) => rank(a.glyph) - rank(b.glyph)))
      mark.bringToFront();
  }

  /** Dotted lines from each car on its way to where it is wanted. */
  setWays(ways: readonly (readonly [L.LatLngTuple, L.LatLngTuple])[]): void {
    this.ways.clearLayers();
    for (const [from, to] of ways)
      L.polyline([from, to], {
        color: this.colours.focus,
        weight: 3,
        dashArray: "2 9",
        interactive: false,
      }).addTo(this.ways);
  }

  private fitOnce(): void {
    if (this.fitted || this.touched || !this.roads) return;
    this.fitted = this.fit();
  }

  /** Everything in view. */
  fit(): boolean {
    const bounds = L.latLngBounds([]);
    const roads = this.roads?.getBounds();
    if (roads?.isValid()) bounds.extend(roads);
    for (const mark of this.marks.values()) bounds.extend(mark.getLatLng());
    if (!bounds.isValid()) return false;
    this.map.fitBounds(bounds, { paddingTopLeft: [24, 72], paddingBottomRight: [110, 84], animate: false });
    return true;
  }

  look(at: L.LatLngTuple): void {
    this.fitted = true;
    this.map.setView(at, Math.max(this.map.getZoom(), 14), { animate: !reduced(), duration: 0.35 });
  }

  zoom(by: 1 | -1): void {
    this.map.setZoom(this.map.getZoom() + by);
  }
}

function move(mark: Mark, at: L.LatLngTuple, glyph: Glyph): void {
  mark.show(glyph);
  if (!mark.getLatLng().equals(at)) mark.setLatLng(at);
}

const reduced = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;
