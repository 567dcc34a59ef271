// All keys on one page, and the switch that turns them off.

import { type Key, t } from "../i18n";
import { enableKeys, keysEnabled } from "../keys";
import { useStore } from "../store";
import { Dialog, Keycap } from "./parts";

export const KEYS: readonly (readonly [readonly string[], Key])[] = [
  [["J", "K"], "keys.move"],
  [["Enter"], "keys.open"],
  [["A"], "keys.ack"],
  [["C"], "keys.claim"],
  [["V"], "keys.verified"],
  [["F", "1–6"], "keys.false"],
  [["D", "1–3"], "keys.dispatch"],
  [["T"], "keys.arrived"],
  [["L"], "keys.clear"],
  [["X"], "keys.close"],
  [["N"], "keys.note.key"],
  [["R"], "keys.show"],
  [["?"], "keys.help"],
  [["Esc"], "keys.escape"],
];

export function Help({ onClose }: { onClose: () => void }) {
  const enabled = useStore(keysEnabled);
  return (
    <Dialog title={t("keys.title")} testId="keys-help" onClose={onClose}>
      <label class="check">
        <input
          type="checkbox"
          data-testid="keys-enabled"
          checked={enabled}
          onChange={(event) => enableKeys(event.currentTarget.checked)}
        />
        {t("keys.enabled")}
      </label>
      <p class="muted">{t("keys.note")}</p>
      <dl class="keys">
        {KEYS.map(([caps, what]) => (
          <div key={what}>
            <dt>
              {caps.map((cap) => (
                <Keycap key={cap} of={cap} />
              ))}
            </dt>
            <dd>{t(what)}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
