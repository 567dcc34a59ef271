// Losses of our own parts stand on the desk for as long as they last.

import { serverNow } from "../clock";
import { since } from "../format";
import { language, t, word } from "../i18n";
import { connection, model } from "../live";
import { useStore } from "../store";
import { Counter } from "./parts";

/** The word for one of our parts: `edge-1` is 视频分析节点 edge-1. */
export function partName(name: string): string {
  const family = name.replace(/[-:].*$/, "");
  const told = word("part", family);
  if (told === family) return name;
  return family === name ? told : `${told} ${name}`;
}

export function PartsBanner() {
  const hub = useStore(model, (m) => m.hub);
  useStore(language);
  const link = useStore(connection);
  const cut = link.state === "offline" && link.heardAt !== null;
  const down = hub.parts.filter((part) => !part.up);
  if (down.length === 0 && !cut) return null;
  return (
    <ul class="banner" data-testid="parts-banner" role="alert">
      {cut && (
        <li data-part="hub">
          <b>{t("parts.cut", { at: since(link.heardAt ?? 0, serverNow()) })}</b>
          <Counter from={link.heardAt ?? 0} />
        </li>
      )}
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
