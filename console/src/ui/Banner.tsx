// Losses of our own parts and the hub's own troubles stand on the desk for as long as they last.

import type { Trouble } from "../api/types";
import { serverNow } from "../clock";
import { since, span } from "../format";
import { type Key, language, said, t, word } from "../i18n";
import { connection, model, troubles } from "../live";
import { useStore } from "../store";
import { Counter } from "./parts";

/** The word for one of our parts: `edge-1` is 视频分析节点 edge-1. */
export function partName(name: string): string {
  const family = name.replace(/[-:].*$/, "");
  const told = word("part", family);
  if (told === family) return name;
  return family === name ? told : `${told} ${name.replace(/^[a-z]+:/, "")}`;
}

/** A trouble as a sentence with its figures. */
export function troubleText(trouble: Trouble): string {
  const at = since(trouble.since, serverNow());
  const figures: Record<string, number> = trouble.figures;
  if (trouble.code === "clock_jumped") {
    const by = figures.by_s ?? 0;
    const key: Key = by < 0 ? "trouble.clock_back" : "trouble.clock_ahead";
    return t(key, { at, by: span(Math.abs(by)) });
  }
  const free = figures.free_mb ?? 0;
  const room = free >= 1024 ? `${(free / 1024).toFixed(1)} GB` : `${free} MB`;
  const percent = (figures.free_percent ?? 0).toFixed(1);
  return said(`trouble.${trouble.code}`, { ...figures, at, room, percent }) || t("trouble.failed", { at });
}

export function PartsBanner() {
  const hub = useStore(model, (m) => m.hub);
  useStore(language);
  const link = useStore(connection);
  const cut = link.state === "offline" && link.heardAt !== null;
  const own = useStore(troubles);
  const told = new Set(own.map((trouble) => trouble.part));
  const down = hub.parts.filter((part) => !part.up && !told.has(part.name));
  if (down.length === 0 && own.length === 0 && !cut) return null;
  return (
    <ul class="banner" data-testid="parts-banner" role="alert">
      {cut && (
        <li data-part="hub">
          <b>{t("parts.cut", { at: since(link.heardAt ?? 0, serverNow()) })}</b>
          <Counter from={link.heardAt ?? 0} />
        </li>
      )}
      {own.map((trouble) => (
        <li
          key={`${trouble.part}-${trouble.code}`}
          class={trouble.severity}
          data-part={trouble.part}
          data-code={trouble.code}
          data-severity={trouble.severity}
        >
          <b>{troubleText(trouble)}</b>
          {trouble.severity === "failure" && t("trouble.meanwhile")}
          <Counter from={Date.parse(trouble.since)} />
        </li>
      ))}
      {down.map((part) => (
        <li key={part.name} data-part={part.name}>
          <b>{t("parts.down", { part: partName(part.name), at: since(part.since, serverNow()) })}</b>
          {part.reason && t("parts.reason", { reason: word("reason", part.reason) })}
          <Counter from={Date.parse(part.since)} />
        </li>
      ))}
    </ul>
  );
}
