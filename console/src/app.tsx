// The whole console: sign-in or the page the address names, under one header.

import { useEffect, useState } from "preact/hooks";
import { onSignedOut, session as sessions } from "./api";
import type { Right, Session } from "./api/types";
import { heardServer } from "./clock";
import { t, useLanguage } from "./i18n";
import { session, startFeed, stopFeed } from "./live";
import { Coverage } from "./pages/Coverage";
import { Desk, Ringer } from "./pages/Desk";
import { Devices } from "./pages/Devices";
import { Quarantine } from "./pages/Quarantine";
import { SignIn } from "./pages/SignIn";
import { type Page, route } from "./route";
import { unlock } from "./sound";
import { useStore } from "./store";
import { Header } from "./ui/Header";
import { Help } from "./ui/Help";
import { Notice } from "./ui/parts";

type Standing = "asking" | "out" | "expired" | "in" | "unreachable";

export function App() {
  useLanguage();
  const [standing, setStanding] = useState<Standing>("asking");
  const enter = (who: Session) => {
    session.set(who);
    startFeed();
    setStanding("in");
  };
  const leave = (to: Standing) => {
    stopFeed();
    session.set(null);
    setStanding(to);
  };
  const ask = () =>
    void sessions.who().then((result) => {
      if (result.kind === "success") {
        heardServer(result.value.server_now);
        enter(result.value);
        void unlock();
      } else if (result.kind === "error") setStanding(result.error.status === 401 ? "out" : "unreachable");
    });
  useEffect(() => {
    onSignedOut(() => {
      if (session.get()) leave("expired");
    });
    ask();
    return stopFeed;
  }, []);

  if (standing === "asking") return <Notice kind="busy" title={t("loading")} />;
  if (standing === "unreachable") return <Notice kind="error" title={t("signin.offline")} onRetry={ask} />;
  if (standing !== "in") return <SignIn expired={standing === "expired"} onSignedIn={enter} />;
  return <SignedIn onSignedOut={() => leave("out")} />;
}

function SignedIn({ onSignedOut }: { onSignedOut: () => void }) {
  const here = useStore(route);
  const rights = useStore(session)?.rights ?? [];
  const [help, setHelp] = useState(false);
  const page = allowed(here.page, rights);
  return (
    <div class="shell">
      <Header onSignedOut={onSignedOut} />
      {page === "desk" && <Desk id={here.id} onHelp={() => setHelp(true)} />}
      {page === "coverage" && <Coverage id={here.id} />}
      {page === "devices" && <Devices />}
      {page === "quarantine" && <Quarantine />}
      {rights.includes("incidents.act") && <Ringer />}
      {help && <Help onClose={() => setHelp(false)} />}
    </div>
  );
}

const NEEDED: Partial<Record<Page, Right>> = { desk: "incidents.see", quarantine: "quarantine.see" };

/** Who can't see incidents begins at the devices; what else isn't theirs leads there too. */
function allowed(page: Page, rights: readonly Right[]): Page {
  const needed = NEEDED[page];
  return needed && !rights.includes(needed) ? "devices" : page;
}
