// The line on top of every page: where we are, whether the data is live, sound, who, and the hub's clock.

import { session as sessions } from "../api";
import type { Right } from "../api/types";
import { serverNow } from "../clock";
import { trouble } from "../desk/model";
import { dateOf, timeOfDay } from "../format";
import { type Key, language, setLanguage, t } from "../i18n";
import { connection, model, session } from "../live";
import { hrefOf, type Page, route } from "../route";
import { mute, mutedUntil, sound, unlock } from "../sound";
import { useStore, useTick } from "../store";

const NAV: readonly { page: Page; right: Right }[] = [
  { page: "desk", right: "incidents.see" },
  { page: "coverage", right: "coverage.see" },
  { page: "devices", right: "devices.see" },
  { page: "quarantine", right: "quarantine.see" },
];

export function Header({ onSignedOut }: { onSignedOut: () => void }) {
  const here = useStore(route);
  const person = useStore(session);
  const rights = person?.rights ?? [];
  return (
    <header class="top">
      <b class="brand">{here.page === "desk" ? `${t("app.name")} · ${t("app.desk")}` : t("app.name")}</b>
      <nav>
        {NAV.filter((item) => rights.includes(item.right)).map((item) => (
          <a
            key={item.page}
            href={hrefOf(item.page)}
            data-testid={`nav-${item.page}`}
            aria-current={item.page === here.page ? "page" : undefined}
          >
            {t(`nav.${item.page}` as Key)}
          </a>
        ))}
      </nav>
      <div class="right">
        <ConnectionPill />
        <TroubleCount />
        {rights.includes("incidents.act") && <SoundButton />}
        <span class="pill person" title={person?.person.name}>
          {person?.person.display_name} · {person?.person.place_name}
        </span>
        <LanguageSwitch />
        <button
          type="button"
          class="quiet"
          data-testid="sign-out"
          onClick={() => void sessions.signOut().then(onSignedOut)}
        >
          {t("nav.signout")}
        </button>
        <WallClock />
      </div>
    </header>
  );
}

export function LanguageSwitch() {
  const other = useStore(language) === "en" ? "zh-CN" : "en";
  return (
    <button
      type="button"
      class="quiet"
      data-testid="language"
      lang={other}
      aria-label={t("nav.language.label")}
      onClick={() => setLanguage(other)}
    >
      {t("nav.language")}
    </button>
  );
}

/** Whether what stands on screen is live; head and own entry number show silent stalls. */
function ConnectionPill() {
  const state = useStore(connection);
  const at = state.heardAt === null ? "—" : timeOfDay(state.heardAt);
  const gap = state.gap && t("conn.gap", { from: state.gap.from, to: state.gap.to });
  return (
    <span
      class={`pill connection ${state.state}`}
      data-testid="connection"
      data-state={state.state}
      role="status"
      title={gap ?? undefined}
    >
      <span class="mark" aria-hidden="true" />
      {t(`conn.${state.state}` as Key, { at })}
      <span class="num seq" data-testid="connection-seq" data-seq={state.seq} data-head={state.head}>
        {t("conn.seq", { seq: state.seq })}
      </span>
      {gap && <span class="gap">{gap}</span>}
    </span>
  );
}

function TroubleCount() {
  const now = useStore(model);
  const { cameras, panels, units } = trouble(now);
  const n = cameras + panels + units;
  return (
    <a
      class={`pill trouble ${n > 0 ? "some" : "none"}`}
      href={hrefOf("devices")}
      data-testid="devices-lost"
      data-count={n}
    >
      {n > 0 ? t("devices.lost", { n }) : t("devices.allwell")}
    </a>
  );
}

function SoundButton() {
  const state = useStore(sound);
  const until = useStore(mutedUntil);
  const at = timeOfDay(serverNow() + until - performance.now());
  const label = { on: t("sound.on"), muted: t("sound.off", { at }), blocked: t("sound.blocked") }[state];
  const press = () => (state === "blocked" ? void unlock() : mute(state === "on"));
  return (
    <button
      type="button"
      class={`pill sound ${state}`}
      data-testid="sound"
      data-state={state}
      title={state === "on" ? t("sound.mute") : state === "muted" ? t("sound.unmute") : undefined}
      onClick={press}
    >
      {label}
    </button>
  );
}

function WallClock() {
  useTick(250);
  const now = serverNow();
  return (
    <time class="clock num" title={dateOf(now)}>
      {timeOfDay(now)}
    </time>
  );
}
