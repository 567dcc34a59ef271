// Live video by WHEP: one peer connection, and a judgement of how live the picture is.

import { video, type WhepAnswer } from "../api";

export type VideoState = "connecting" | "live" | "stale" | "stopped" | "error";

export const STALE_MS = 1500;
const LOOK_MS = 200;
const GATHER_MS = 1000;
const GIVE_UP_MS = 8000;
const RETRY_MS = [1000, 2000, 5000, 10000];

export interface Watched {
  state: VideoState;
  /** Monotonic time of the last frame shown; null before the first. */
  frameAt: number | null;
  why: string;
}

/** How live the picture is: a frame that stands longer than `STALE_MS` is not. */
export function judge(connected: boolean, frameAt: number | null, now: number): VideoState {
  if (frameAt === null) return connected ? "connecting" : "stopped";
  if (!connected) return "stopped";
  return now - frameAt > STALE_MS ? "stale" : "live";
}

/** One view of one camera, kept alive until `stop`. */
export class LiveView {
  private peer: RTCPeerConnection | null = null;
  private answer: WhepAnswer | null = null;
  private aborter = new AbortController();
  private frameAt: number | null = null;
  private answeredAt: number | null = null;
  private attempt = 0;
  private timer: ReturnType<typeof setInterval> | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private failed = "";
  private stopped = false;

  constructor(
    private readonly camera: string,
    private readonly reason: string,
    private readonly element: HTMLVideoElement,
    private readonly onChange: (watched: Watched) => void,
  ) {}

  start(): void {
    this.watchFrames();
    this.timer = setInterval(() => this.look(), LOOK_MS);
    void this.connect();
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.timer);
    clearTimeout(this.retry);
    this.hangUp();
    this.element.srcObject = null;
  }

  private watchFrames(): void {
    const next = () => {
      if (this.stopped) return;
      this.frameAt = performance.now();
      this.attempt = 0;
      this.element.requestVideoFrameCallback(next);
    };
    this.element.requestVideoFrameCallback(next);
  }

  private hangUp(): void {
    this.aborter.abort();
    this.aborter = new AbortController();
    const { peer, answer } = this;
    this.peer = null;
    this.answer = null;
    this.answeredAt = null;
    // The hub is told first: it ends the view by itself, and counts it so, when the peer just goes.
    if (answer?.location) void video.end(answer.location).then(() => peer?.close());
    else peer?.close();
  }

  private async connect(): Promise<void> {
    this.failed = "";
    this.answeredAt = null;
    const peer = new RTCPeerConnection();
    this.peer = peer;
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.ontrack = (event) => {
      this.element.srcObject = event.streams[0] ?? new MediaStream([event.track]);
      void this.element.play().catch(() => undefined);
    };
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    if (this.peer !== peer) return;
    await this.exchange(peer);
  }

  private async exchange(peer: RTCPeerConnection): Promise<void> {
    const result = await video.whep(
      this.camera,
      this.reason,
      peer.localDescription?.sdp ?? "",
      this.aborter.signal,
    );
    if (result.kind === "success" && this.peer !== peer) {
      if (result.value.location) void video.end(result.value.location);
      return;
    }
    if (this.peer !== peer || result.kind === "aborted") return;
    if (result.kind === "error") {
      this.fail(result.error.message, result.error.status === 403);
      return;
    }
    this.answer = result.value;
    this.answeredAt = performance.now();
    try {
      await peer.setRemoteDescription({ type: "answer", sdp: result.value.sdp });
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error), false);
    }
  }

  private fail(why: string, forGood: boolean): void {
    this.hangUp();
    this.failed = why;
    this.onChange({ state: "error", frameAt: this.frameAt, why });
    if (!forGood) this.again();
  }

  private again(): void {
    clearTimeout(this.retry);
    const wait = RETRY_MS[Math.min(this.attempt, RETRY_MS.length - 1)];
    this.attempt += 1;
    this.retry = setTimeout(() => {
      if (!this.stopped) void this.connect();
    }, wait);
  }

  private look(): void {
    const peer = this.peer;
    const now = performance.now();
    if (!peer) {
      if (!this.failed)
        this.onChange({ state: judge(false, this.frameAt, now), frameAt: this.frameAt, why: "" });
      return;
    }
    const down = peer.connectionState === "failed" || peer.connectionState === "closed";
    const state = judge(!down, this.frameAt, now);
    this.onChange({ state, frameAt: this.frameAt, why: "" });
    if (down || this.mute(now)) {
      this.hangUp();
      this.again();
    }
  }

  /** Answered, but no frame for so long that another try is better. While the answer is awaited, it is awaited. */
  private mute(now: number): boolean {
    return this.answeredAt !== null && now - Math.max(this.frameAt ?? 0, this.answeredAt) > GIVE_UP_MS;
  }
}

/** All candidates in the offer: the hub is near, and WHEP then needs no trickle. */
function gathered(peer: RTCPeerConnection): Promise<void> {
  return new Promise((resolve) => {
    if (peer.iceGatheringState === "complete") return resolve();
    const timer = setTimeout(resolve, GATHER_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}
