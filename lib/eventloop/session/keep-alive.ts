/** A timer later than this was held up by a busy thread (or a sleeping computer), and so was the reading of bytes. */
const LATE_MS = 100;
/** How long reading may catch up before silence counts again. */
const GRACE_MS = 1_000;
const LONGEST_DEFAULT_TIMEOUT_MS = 30_000;

/**
 * Tells a living link from a dead one. Any inbound byte proves life; a successful write proves nothing, because a half-open
 * link swallows writes. A PINGREQ is due when nothing was received for the keep alive interval, and also when nothing was
 * sent for it [MQTT-3.1.2-20].
 *
 * @internal
 */
export class KeepAlive {
  #intervalMs = 0;
  #timeoutMs = 0;
  #receivedMs = 0;
  #sentMs = 0;
  #ping: 'none' | 'wanted' | 'sent' = 'none';
  #deadlineMs = 0;
  #graceGiven = false;

  connected(nowMs: number, keepAliveSeconds: number, pingTimeoutMs: number | undefined): void {
    this.#intervalMs = keepAliveSeconds * 1000;
    this.#timeoutMs = pingTimeoutMs ?? Math.min(LONGEST_DEFAULT_TIMEOUT_MS, this.#intervalMs / 2);
    this.#sentMs = nowMs;
    this.received(nowMs);
  }

  disconnected(): void {
    this.#intervalMs = 0;
    this.#ping = 'none';
  }

  get wantsPing(): boolean {
    return this.#ping === 'wanted';
  }

  received(nowMs: number): void {
    this.#receivedMs = nowMs;
    this.#ping = 'none';
    this.#graceGiven = false;
  }

  sent(nowMs: number): void {
    this.#sentMs = nowMs;
  }

  /** The deadline runs from here, not from when the ping was due: a large packet ahead of it must not fail it. */
  pingWritten(nowMs: number): void {
    this.#ping = 'sent';
    this.#deadlineMs = nowMs + this.#timeoutMs;
  }

  /** A write that was under way is done: a ping behind it has not had its chance yet. */
  writeCompleted(nowMs: number): void {
    if (this.#ping === 'wanted') this.#deadlineMs = nowMs + this.#timeoutMs;
  }

  /** When `service` wants to be called. */
  get dueMs(): number {
    if (this.#intervalMs === 0) return Infinity;
    return this.#ping === 'none' ? Math.min(this.#receivedMs, this.#sentMs) + this.#intervalMs : this.#deadlineMs;
  }

  silentMs(nowMs: number): number {
    return nowMs - this.#receivedMs;
  }

  /** @returns whether the link is dead */
  service(nowMs: number): boolean {
    if (nowMs < this.dueMs) return false;
    if (this.#ping === 'none') {
      this.#ping = 'wanted';
      this.#deadlineMs = nowMs + this.#timeoutMs;
      return false;
    }
    if (this.#graceGiven || nowMs - this.#deadlineMs <= LATE_MS) return true;
    this.#graceGiven = true;
    this.#deadlineMs = nowMs + Math.min(GRACE_MS, this.#timeoutMs);
    return false;
  }
}
