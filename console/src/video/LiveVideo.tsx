// One camera's live picture; until it moves, and when it stops moving, it says so across the picture.

import { useEffect, useRef, useState } from "preact/hooks";
import { video as api } from "../api";
import type { CameraView } from "../api/types";
import { serverNow } from "../clock";
import { span, timeOfDay } from "../format";
import { type Key, named, t } from "../i18n";
import { model } from "../live";
import { useStore } from "../store";
import { LiveView, type Watched } from "./whep";

interface Props {
  camera: string;
  reason: string;
}

const CAMERA_SAYS: Record<string, Key> = {
  picture_frozen: "video.frozen",
  picture_covered: "video.covered",
  picture_lost: "video.lost",
};

export function LiveVideo({ camera, reason }: Props) {
  const element = useRef<HTMLVideoElement>(null);
  const [watched, setWatched] = useState<Watched>({ state: "connecting", frameAt: null, why: "" });
  const [tries, setTries] = useState(0);
  const known = useStore(model, (m) => m.cameras.get(camera));

  useEffect(() => {
    if (!element.current) return;
    let last = "";
    const view = new LiveView(camera, reason, element.current, (next) => {
      const now = `${next.state}|${next.why}`;
      if (now !== last) setWatched(next);
      last = now;
    });
    setWatched({ state: "connecting", frameAt: null, why: "" });
    view.start();
    return () => view.stop();
  }, [camera, reason, tries]);

  const faulty = known?.health === "faulty" ? CAMERA_SAYS[known.reason] : undefined;
  const state =
    watched.state === "live" && known?.reason === "picture_frozen" && faulty ? "stale" : watched.state;
  const moving = state === "live";
  return (
    <figure class={`video ${state}`} data-testid="live-video" data-state={state} data-camera={camera}>
      <video ref={element} muted autoplay playsInline />
      {watched.frameAt === null && <Still camera={camera} reason={reason} />}
      <Mark state={state} watched={watched} />
      <span class="tag name">{nameOf(known, camera)}</span>
      {faulty && <span class="across">{t(faulty)}</span>}
      {!moving && !faulty && watched.frameAt !== null && (
        <span class="across" role="status">
          {state === "stale" ? t("video.stale", { at: frozenAt(watched) }) : t("video.stopped")}
        </span>
      )}
      {state === "error" && (
        <span class="across">
          {t("video.error", { why: watched.why })}
          <button type="button" onClick={() => setTries((n) => n + 1)}>
            {t("video.retry")}
          </button>
        </span>
      )}
    </figure>
  );
}

const nameOf = (camera: CameraView | undefined, id: string): string =>
  camera ? `${named(camera.name, camera.name_en)} · ${id}` : id;

const frozenAt = (watched: Watched): string => timeOfDay(serverNow(watched.frameAt ?? undefined));

function Mark({ state, watched }: { state: Watched["state"]; watched: Watched }) {
  const at = watched.frameAt === null ? "" : frozenAt(watched);
  const text = {
    connecting: t("video.connecting"),
    live: t("video.live"),
    stale: t("video.stale", { at }),
    stopped: t("video.stopped"),
    error: t("video.stopped"),
  }[state];
  return (
    <span class={`tag mark ${state}`}>
      <i aria-hidden="true" />
      {text}
    </span>
  );
}

/** The latest picture the hub holds, while the live one isn't there; labelled with its age. */
function Still({ camera, reason }: Props) {
  const [picture, setPicture] = useState<{ url: string; at: number | null } | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    let url = "";
    void api.still(camera, reason, abort.signal).then((result) => {
      if (result.kind !== "success") return;
      url = URL.createObjectURL(result.value.blob);
      setPicture({ url, at: result.value.ageS === null ? null : serverNow() - result.value.ageS * 1000 });
    });
    return () => {
      abort.abort();
      URL.revokeObjectURL(url);
      setPicture(null);
    };
  }, [camera, reason]);
  if (!picture) return null;
  return (
    <>
      <img src={picture.url} alt="" />
      {picture.at !== null && (
        <span class="across">
          {t("video.still", { at: timeOfDay(picture.at), age: span((serverNow() - picture.at) / 1000) })}
        </span>
      )}
    </>
  );
}
