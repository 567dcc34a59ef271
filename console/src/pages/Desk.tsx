// The 110 desk: queue, map and open incident side by side, and the keys that move between them.

import { useEffect, useState } from "preact/hooks";
import { serverNow } from "../clock";
import { IncidentPanel } from "../desk/IncidentPanel";
import { MapPane } from "../desk/MapPane";
import { Queue } from "../desk/Queue";
import { step } from "../desk/queue";
import { t } from "../i18n";
import { useKeys } from "../keys";
import { model } from "../live";
import { goTo } from "../route";
import { calling, ring } from "../sound";
import { useTick } from "../store";
import { PartsBanner } from "../ui/Banner";
import { Keycap } from "../ui/parts";

interface Props {
  id: string;
  onHelp: () => void;
}

export function Desk({ id, onHelp }: Props) {
  const [rows, setRows] = useState<readonly string[]>([]);
  const [cursor, setCursor] = useState("");
  const [moves, setMoves] = useState(0);
  const [releases, setReleases] = useState(0);
  const at = cursor || id;
  useEffect(() => setCursor(""), [id]);

  const move = (steps: 1 | -1) => () => {
    const next = step(rows, at || null, steps);
    setMoves((n) => n + 1);
    if (next) setCursor(next);
  };
  useKeys({
    j: move(1),
    k: move(-1),
    Enter: () => {
      const target = at || rows[0];
      if (target) goTo("desk", target);
    },
    r: () => setReleases((n) => n + 1),
    "?": onHelp,
  });

  return (
    <main class={`desk ${id ? "opened" : ""}`} id="main">
      <PartsBanner />
      <Queue selected={at} cursorMoves={moves} releases={releases} onRows={setRows} />
      <MapPane selected={at} />
      <IncidentPanel id={id} />
      <footer>
        <button type="button" class="quiet" data-testid="help" onClick={onHelp}>
          <Keycap of="?" /> {t("keys.help.short")}
        </button>
        <span>{t("foot.targets")}</span>
        <span class="end">{t("foot.pack")}</span>
      </footer>
    </main>
  );
}

/** Rings for unclaimed P1 and P2 on whichever page the operator is. */
export function Ringer() {
  useTick(1000);
  useEffect(() => {
    const look = () => ring(calling(model.get().incidents.values(), model.get().conditions), serverNow());
    look();
    return model.subscribe(look);
  });
  return null;
}
