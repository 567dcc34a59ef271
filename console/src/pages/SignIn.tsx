// Signing in; the same click lets the browser sound alarms afterwards.

import { useState } from "preact/hooks";
import { session as sessions } from "../api";
import type { Session } from "../api/types";
import { heardServer } from "../clock";
import { t } from "../i18n";
import { testTone, unlock } from "../sound";
import { LanguageSwitch } from "../ui/Header";
import { Field } from "../ui/parts";

interface Props {
  expired: boolean;
  onSignedIn: (session: Session) => void;
}

export function SignIn({ expired, onSignedIn }: Props) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(expired ? t("signin.expired") : "");

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    setProblem("");
    void unlock().then(testTone);
    const result = await sessions.signIn(String(form.get("name") ?? ""), String(form.get("password") ?? ""));
    setBusy(false);
    if (result.kind === "success") {
      heardServer(result.value.server_now);
      onSignedIn(result.value);
    } else if (result.kind === "error") setProblem(result.error.message);
  };

  return (
    <main class="signin">
      <form data-testid="sign-in" onSubmit={submit} method="post">
        <header>
          <img src="/icon.svg" alt="" width="32" height="32" />
          <h1>{t("signin.title")}</h1>
          <LanguageSwitch />
        </header>
        <Field label={t("signin.name")}>
          <input
            name="name"
            data-testid="sign-in-name"
            autocomplete="username"
            required
            autofocus
            spellcheck={false}
          />
        </Field>
        <Field label={t("signin.password")}>
          <input
            name="password"
            data-testid="sign-in-password"
            type="password"
            autocomplete="current-password"
            required
          />
        </Field>
        <button type="submit" class="action main" data-testid="sign-in-submit" disabled={busy}>
          {busy ? t("signin.busy") : t("signin.submit")}
        </button>
        <p class="problem" role="alert" data-testid="sign-in-problem">
          {problem}
        </p>
        <p class="muted">{t("signin.sound")}</p>
      </form>
    </main>
  );
}
