// The map beside the queue; it follows the chosen incident and works without any network but the hub.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { desk as api } from "../api";
import { serverNow } from "../clock";
import { t, useLanguage } from "../i18n";
import { model } from "../live";
import { Board } from "../map/board";
import { groundsOf, marksOf, waysOf } from "../map/placing";
import { goTo } from "../route";
import { useStore, useTick } from "../store";

export function MapPane({ selected }: { selected: string }) {
  const element = useRef<HTMLDivElement>(null);
  const [board, setBoard] = useState<Board | null>(null);
  const { features, problem } = useGround();
  const desk = useStore(model);
  const language = useLanguage();
  const tick = useTick(1000);
  const grounds = useMemo(() => (features ? groundsOf(features) : []), [features, language]);

  useEffect(() => {
    if (!element.current) return;
    const made = new Board(element.current, (id) => {
      if (id.startsWith("incident:")) goTo("desk", id.slice("incident:".length));
    });
    setBoard(made);
    return () => made.close();
  }, []);
  useEffect(() => {
    if (board && features) board.setRoads(features);
  }, [board, features]);
  useEffect(() => {
    board?.setMarks(marksOf(desk, grounds, selected, serverNow()));
    board?.setWays(waysOf(desk, selected));
  }, [board, desk, grounds, selected, language, tick]);

  const chosen = desk.incidents.get(selected);
  const [lat, lon] = [chosen?.lat ?? null, chosen?.lon ?? null];
  useEffect(() => {
    if (board && lat !== null && lon !== null) board.look([lat, lon]);
  }, [board, selected, lat, lon]);

  return (
    <section class="map" aria-label={t("map.title")} data-testid="map">
      <div ref={element} class="canvas" />
      <div class="tools">
        <button type="button" onClick={() => board?.zoom(1)} aria-label={t("map.in")}>
          +
        </button>
        <button type="button" onClick={() => board?.zoom(-1)} aria-label={t("map.out")}>
          −
        </button>
        <button type="button" onClick={() => board?.fit()}>
          {t("map.fit")}
        </button>
      </div>
      <Legend />
      {problem && <p class="failed">{t("map.failed", { why: problem })}</p>}
    </section>
  );
}

/** Roads, sites and checkpoints; asked for again until they come. */
function useGround() {
  const [features, setFeatures] = useState<GeoJSON.FeatureCollection | null>(null);
  const [problem, setProblem] = useState("");
  const [tries, setTries] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    void api.map(abort.signal).then((result) => {
      if (result.kind === "success") {
        setFeatures(result.value);
        setProblem("");
      } else if (result.kind === "error") {
        setProblem(result.error.message);
        timer = setTimeout(() => setTries((n) => n + 1), 5000);
      }
    });
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [tries]);
  return { features, problem };
}

function Legend() {
  return (
    <div class="legend" role="note" aria-label={t("map.legend")}>
      <span>
        <i class="car" aria-hidden="true">
          ▲
        </i>{" "}
        {t("map.car")}
      </span>
      <span>
        <i class="camera" aria-hidden="true">
          ▷
        </i>{" "}
        {t("map.camera")}
      </span>
      <span>
        <i class="panel" aria-hidden="true">
          ▫
        </i>{" "}
        {t("map.panel")}
      </span>
      <span>
        <i class="checkpoint" aria-hidden="true">
          ⊟
        </i>{" "}
        {t("map.checkpoint")}
      </span>
      <span>
        <i class="incident" aria-hidden="true">
          ◆
        </i>{" "}
        {t("map.incident")}
      </span>
      <small>{t("map.note")}</small>
    </div>
  );
}
