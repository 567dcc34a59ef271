// T0 to T10 in one strip: what is reached, what runs against its target, what is still to come.

import type { ClockPoints, Incident } from "../api/types";
import { serverNow } from "../clock";
import { delta, elapsed, timeOfDay } from "../format";
import { type Key, t } from "../i18n";
import { useTick } from "../store";
import { ackTarget, against, running, TARGETS, type Target } from "./targets";

interface Point {
  key: keyof ClockPoints;
  label: Key;
  target?: Target;
}

function points(incident: Incident): Point[] {
  return [
    { key: "t0_device", label: "clock.t0" },
    { key: "t1_received", label: "clock.t1" },
    { key: "t2_rendered", label: "clock.t2" },
    { key: "t3_acked", label: "clock.t3", target: ackTarget(incident.priority) },
    { key: "t4_judged", label: "clock.t4" },
    { key: "t5_dispatched", label: "clock.t5", target: TARGETS.dispatch },
    { key: "t6_accepted", label: "clock.t6" },
    { key: "t7_rolling", label: "clock.t7" },
    { key: "t8_on_scene", label: "clock.t8", target: TARGETS.arrive },
    { key: "t9_cleared", label: "clock.t9" },
    { key: "t10_closed", label: "clock.t10" },
  ];
}

export function ClockStrip({ incident }: { incident: Incident }) {
  useTick(500);
  const now = serverNow();
  const run = running(incident);
  let before: string | null = null;
  return (
    <ol class="clocks num" data-testid="clocks">
      {points(incident).map(({ key, label, target }) => {
        const at = incident.clocks[key];
        const previous = before;
        if (at) before = at;
        const isRunning = !at && run !== null && target === run.target;
        const state = at ? "done" : isRunning ? against((now - run.from) / 1000, run.target.seconds) : "open";
        return (
          <li
            key={key}
            class={`${state} ${isRunning ? "running" : ""}`}
            data-point={key}
            data-at={at ?? ""}
            title={
              target
                ? t("clock.target.source", { figure: t(target.figure), source: target.source })
                : undefined
            }
          >
            <span>{t(label)}</span>
            <b>
              {at
                ? reached(key, at, previous)
                : isRunning
                  ? t("clock.of", {
                      time: short(now - run.from),
                      target: target ? short(target.seconds * 1000) : "",
                    })
                  : t("clock.none")}
            </b>
          </li>
        );
      })}
    </ol>
  );
}

/** `0:27`, where `00:27` would take too much of a narrow column. */
const short = (ms: number): string => elapsed(ms).replace(/^0(?=\d:)/, "");

/** The first as time of day, each later one as the step from the one before it. */
function reached(key: keyof ClockPoints, at: string, previous: string | null): string {
  if (key === "t0_device" || previous === null) return timeOfDay(at);
  return delta(Date.parse(at) - Date.parse(previous));
}
